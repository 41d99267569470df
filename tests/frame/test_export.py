"""A generator in a file of each form, and in a folder that others load."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest
import torch
import yaml

import gan_lightning as gl
from gan_lightning.errors import UserError
from gan_lightning.runs.safetensors import read_tensors, write_tensors
from tests.training import command


def latents_of(game):
    return game.sample_latents(5, torch.Generator().manual_seed(1)), torch.arange(5) % 3


@pytest.mark.parametrize("suffix", [".pt2", ".torchscript", ".safetensors", ".onnx"])
def test_every_form_makes_the_same_samples_and_says_what_it_is(suffix, image_run, tmp_path):
    if suffix == ".onnx":
        runtime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    checkpoint, out = image_run / "checkpoints" / "last.ckpt", tmp_path / f"generator{suffix}"
    outcome = command("export", "--ckpt_path", checkpoint, "--out", out)
    assert outcome.code == 0, outcome.err
    game = gl.load(checkpoint)
    inputs = latents_of(game)
    expected = game.generator_average(*inputs)
    files = {"model.json": ""}
    if suffix == ".pt2":
        found = torch.export.load(out, extra_files=files).module()(*inputs)
    elif suffix == ".torchscript":
        found = torch.jit.load(out, _extra_files=files)(*inputs)
    elif suffix == ".safetensors":
        files = read_tensors(out)[1]
        assert json.loads((tmp_path / "model.json").read_text()) == json.loads(files["model.json"])
        found = gl.load(out).generator_average(*inputs)
    else:
        session = runtime.InferenceSession(str(out))
        files = session.get_modelmeta().custom_metadata_map
        (found,) = map(torch.from_numpy, session.run(None, {"latents": inputs[0].numpy(), "labels": inputs[1].numpy()}))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    facts = json.loads(files["model.json"])
    assert (facts["latent_dim"], facts["value_range"], facts["classes"]) == (3, [-1, 1], ["0", "1", "2"])
    assert facts["card"]["update"] == 6 and "fid" in facts["card"]["metrics"]


@pytest.mark.parametrize("there", ["mine.safetensors", "model.json"])
def test_a_file_that_is_there_is_kept(there, image_run, tmp_path):
    (tmp_path / there).write_text("mine")
    words = ["export", "--ckpt_path", image_run / "checkpoints" / "last.ckpt", "--out", tmp_path / "mine.safetensors"]
    done = command(*words)
    assert done.code == 2 and f"{there} is there already" in done.err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(there, "mine")]


def test_a_shared_folder_is_loaded_back(image_run, tmp_path):
    checkpoint = image_run / "checkpoints" / "last.ckpt"
    outcome = command("share", checkpoint, "--out", tmp_path / "mine")
    assert outcome.code == 0, outcome.err
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {
        "generator.safetensors",
        "model.json",
        "samples.png",
        "README.md",
        "config.yaml",
    }
    game, original = gl.load(tmp_path / "mine"), gl.load(checkpoint)
    assert game.sample(5, labels=["1"]).equal(original.sample(5, labels=[1])) and game.updates_done == 6
    card = (tmp_path / "mine" / "README.md").read_text()
    assert (
        "SNGAN on RandomImages" in card
        and "| `fid` |" in card
        and "digits" in card.lower()
        and str(tmp_path) not in card
    )
    again = command("share", checkpoint, "--out", tmp_path / "mine")
    assert again.code == 2 and "holds generator.safetensors already" in again.err


def test_what_is_shared_is_measured_on_whole_latents_against_held_out_samples_and_says_so(image_run, tmp_path):
    shutil.copytree(image_run, tmp_path / "run")
    there = tmp_path / "run" / "evaluation"
    card = json.loads(max(there.glob("0*.json")).read_text())
    for path in there.glob("*.json"):
        path.unlink()
    (there / "earlier.json").write_text(json.dumps(card))
    others = (
        {"fid": 1.5, "truncation": 0.1, "real_split": "eval"},
        {"fid": 2.5, "truncation": None, "real_split": "train"},
    )
    for place, other in enumerate(others):
        (there / f"later-{place}.json").write_text(json.dumps({**card, **other}))
    assert command("share", tmp_path / "run/checkpoints/last.ckpt", "--out", tmp_path / "a").code == 0
    text = (tmp_path / "a" / "README.md").read_text()
    assert f"| `fid` | {card['fid']:g} |" in text and f"against {card['real']} (eval split)" in text
    for name in ("earlier.json", "later-1.json"):
        (there / name).unlink()
    assert command("share", tmp_path / "run/checkpoints/last.ckpt", "--out", tmp_path / "b").code == 0
    text = (tmp_path / "b" / "README.md").read_text()
    assert "| `fid` | 1.5 |" in text and "of latents within 0.1" in text


@pytest.mark.parametrize("name", ["generator.pth", "generator", "generator.PT2"])
def test_other_suffixes_are_refused_before_anything_is_read(name, tmp_path):
    outcome = command("export", "--ckpt_path", tmp_path / "nothing.ckpt", "--out", tmp_path / name)
    assert outcome.code == 2 and "must end in .pt2, .onnx, .safetensors, .torchscript" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_tensors_come_back_to_the_bit_and_damage_is_told(tmp_path):
    tensors = {
        "a": torch.randn(2, 3),
        "b": torch.tensor(7),
        "c": torch.zeros(0, 4).bfloat16(),
        "d": torch.tensor([True]),
    }
    path = tmp_path / "t.safetensors"
    with path.open("wb") as file:
        write_tensors(file, tensors, {"x": "y"})
    found, about = read_tensors(path)
    assert about == {"x": "y"} and all(found[k].equal(v) and found[k].dtype == v.dtype for k, v in tensors.items())
    whole = path.read_bytes()
    for content in (b"", b"\xff" * 20, whole[:-8], whole[:30], b"\x02" + bytes(7) + b"[]"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="is damaged or no safetensors file"):
            read_tensors(path)
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"has no model.json"):
        gl.load(path)


def test_others_read_what_is_written(tmp_path):
    theirs = pytest.importorskip("safetensors.torch")
    with (tmp_path / "t.safetensors").open("wb") as file:
        write_tensors(file, {"a": torch.arange(6.0).reshape(2, 3)}, {"x": "y"})
    assert theirs.load_file(tmp_path / "t.safetensors")["a"].equal(torch.arange(6.0).reshape(2, 3))


ALONE = """
import sys
sys.modules["gan_lightning"] = sys.modules["lightning"] = None  # importing them fails
import torch
latents, labels = torch.load(sys.argv[1])
program = torch.export.load(sys.argv[2]).module()(latents, labels)
script = torch.jit.load(sys.argv[3])(latents, labels)
torch.save((program, script), sys.argv[4])
"""


@pytest.mark.slow
def test_programs_run_where_this_package_is_not(image_run, tmp_path):
    files = [tmp_path / name for name in ("inputs.pt", "g.pt2", "g.torchscript", "samples.pt")]
    game = gl.load(image_run)
    torch.save(latents_of(game), files[0])
    for path in files[1:3]:
        assert command("export", "--ckpt_path", image_run / "checkpoints/last.ckpt", "--out", path).code == 0
    subprocess.run([sys.executable, "-I", "-W", "ignore", "-c", ALONE, *map(str, files)], check=True, cwd=tmp_path)
    for found in torch.load(files[3]):
        torch.testing.assert_close(found, game.generator_average(*latents_of(game)), atol=1e-5, rtol=0)


def test_a_folder_on_the_hub_is_loaded_by_its_id(image_run, tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    shared = tmp_path / "shared"
    assert command("share", image_run / "checkpoints/last.ckpt", "--out", shared).code == 0
    there = tmp_path / "hub/models--somebody--digits"  # the hub's own cache, as a download leaves it
    (there / "refs").mkdir(parents=True)
    (there / "refs/main").write_text("0" * 40)
    shutil.copytree(shared, there / "snapshots" / ("0" * 40))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    assert gl.load("somebody/digits").sample(2, seed=1).equal(gl.load(shared).sample(2, seed=1))
    assert gl.load("somebody/digits@main").updates_done == 6
    with pytest.raises(UserError, match="there is nothing at nobody/digits, and the hub does not give it"):
        gl.load("nobody/digits")


def test_an_id_without_the_hubs_client_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"nothing at somebody/digits; if it is an id .* pip install 'gan-lightning\[hub\]'"
    ):
        gl.load("somebody/digits")
    with pytest.raises(UserError, match="no checkpoint at runs/mine.ckpt"):
        gl.load("runs/mine.ckpt")


def generators() -> list[Any]:
    """Return the generator of each config that ships with the shape of its data, each once."""
    from gan_lightning.cli.config_files import config_folder, read_config
    from gan_lightning.cli.shipped import names

    found: dict[str, Any] = {}
    for name in names():
        config = read_config(config_folder() / f"{name}.yaml")
        spec = config.get("model", {}).get("init_args", {}).get("generator")
        of_others = ("irgan", "pix2pix", "cycle_gan", "srgan", "style_transfer")  # they make no samples of latents
        if spec is not None and name.partition("/")[0] not in of_others:
            data = {"class_path": config["data"]["class_path"], **config["data"].get("init_args", {})}
            key = yaml.safe_dump([spec, {k: data.get(k) for k in ("class_path", "dataset", "image_size")}])
            found.setdefault(key, pytest.param(spec, data, id=name))
    return list(found.values())


SIDES = {
    "CIFAR10": (32, 3),
    "MNIST": (28, 1),
    "CelebA": (64, 3),
    "STL10": (48, 3),
    "ImageNet": (128, 3),
    "Digits": (8, 1),
    "StackedDigits": (8, 3),
    "StackedMNIST": (28, 3),
}


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "data"), generators())
def test_every_shipped_generator_is_the_same_in_onnx_at_any_batch_size(spec: Any, data: Any) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from functools import partial
    from types import SimpleNamespace

    from gan_lightning import networks
    from gan_lightning.cli.export import _onnx
    from gan_lightning.shapes import Images, Signals, Tokens, Vectors

    kind = data["class_path"].rpartition(".")[2]
    shape: Any = Vectors(2)
    if kind in ("Text", "Melodies"):
        shape = Tokens(32, 64)
    elif kind == "Rolls":
        shape = Images(48, 32, 4)
    elif kind == "AudioFolder":
        shape = Signals(data["length"], 1)
    elif kind not in ("Ring", "Grid"):
        side, channels = SIDES.get(data.get("dataset", kind), (data.get("image_size"), 3))
        shape = Images(data.get("image_size") or side, data.get("image_size") or side, channels)

    def maker(part: Any) -> Any:
        given = {}
        for key, value in part.get("init_args", {}).items():
            if isinstance(value, dict):
                value = maker(value)
            elif value == "auto":
                value = 10
            elif isinstance(value, str) and value.startswith("torch.nn."):
                value = getattr(torch.nn, value.rpartition(".")[2])
            given[key.replace("initialisation", "initialization")] = value
        kind = getattr(networks, part["class_path"].rpartition(".")[2])
        return partial(kind, **given) if issubclass(kind, torch.nn.Module) else kind(**given)

    torch.manual_seed(0)
    generator = maker(spec)(shape).eval()
    game = SimpleNamespace(
        generator_average=generator,
        n_classes=generator.n_classes,
        sample_latents=lambda n, source: torch.randn(n, generator.latent_dim, generator=source),
    )
    assert _onnx(game, "{}")  # compares with torch at another batch size than the traced one, to 1e-4
