"""A generator in a file of each form, and in a folder that others load."""

from __future__ import annotations

import json

import pytest
import torch

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
