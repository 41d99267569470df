"""Translation from the command line: a run with its measures and pictures, and `translate` on pictures of any kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gan_lightning as gl
from gan_lightning.data import Edges, RandomPairs
from gan_lightning.evaluation.cards import COMPARED
from gan_lightning.evaluation.picture_files import as_taken
from tests.training import command, fit

CRITIC = {"class_path": "PatchCritic", "init_args": {"width": 2, "n_layers": 1, "norm": "InstanceNorm"}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of CycleGAN on grey and coloured pictures that are pairs, so that all is measured."""
    folder = tmp_path_factory.mktemp("translation")
    data = {"image_size": 8, "channels": 3, "source_channels": 1, "n": 70, "batch_size": 4}
    model = {
        "identity_weight": 0.0,
        "n_buffered": 6,
        "generator": {"class_path": "ResNetTranslator", "init_args": {"width": 2, "n_blocks": 1, "n_halvings": 1}},
        "critic": CRITIC,
    }
    config = {
        "name": "both",
        "data": {"class_path": "RandomPairs", "init_args": data},
        "model": {"class_path": "CycleGAN", "init_args": model},
        "fidelity": {"extractor": "gan_lightning.metrics.Raw", "metrics": ["fid"], "n_samples": 70},
        "translations": {"n_samples": 66, "n_rows": 4},
    }
    outcome = fit(folder, config)
    assert outcome.code == 0, outcome.err
    assert "cycle_error: " in outcome.out
    return folder / "both"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures of several kinds and sizes, and a file that is none."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (9, 13, 4), dtype=np.uint8)
    Image.fromarray(pixels[..., :3]).save(folder / "colour.png")
    Image.fromarray(pixels).save(folder / "sub" / "alpha.png")
    Image.fromarray(pixels[..., 0]).save(folder / "grey.png")
    Image.fromarray(pixels[..., :3]).convert("P").save(folder / "palette.gif")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray(pixels[:1, :1, :3]).save(folder / "tiny.png")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_run_measures_its_translations_and_draws_them(run):
    cards = [json.loads(path.read_text()) for path in (run / "evaluation").glob("*.json")]
    last = {tuple(sorted(card["metrics"])): card for card in cards if card["update"] == 6}
    of_translations = next(card for names, card in last.items() if "l1" in names)
    pairs = RandomPairs(8, source_channels=1, n=70).pairs("eval")
    prints = {"real_fingerprint": pairs.fingerprint, "sources_fingerprint": pairs.sources.fingerprint}
    assert of_translations["n_sources"] == 66 and prints.items() <= of_translations.items()
    game, data = gl.load(run), RandomPairs(8, source_channels=1, n=70)
    source, target = data.sources("eval", range(70)), data.reference("eval").images
    a, b = (images.float() / 127.5 - 1 for images in (source, target))
    made = game.translate(a)
    found = of_translations
    # 66 of 70 that are drawn, against all
    assert found["l1"] == pytest.approx((made - b).abs().mean().item(), rel=0.05)
    assert found["l1_of_source"] == pytest.approx((a - b).abs().mean().item(), rel=0.05)
    back = (game.translate(made, "BtoA") - a).abs().mean().item()
    assert found["cycle_error_a"] == pytest.approx(back, rel=0.05)
    assert found["cycle_error"] == pytest.approx((found["cycle_error_a"] + found["cycle_error_b"]) / 2)
    of_fidelity = next(card for names, card in last.items() if "fid" in names)
    assert of_fidelity["n_translated"] == 70 and of_fidelity["fid_of_sources"] > 0
    assert prints.items() <= of_fidelity.items() and {"n_translated", *prints} <= set(COMPARED)
    picture = Image.open(run / "samples" / "000006.png")
    assert picture.size == (9 * 66 + 2, 4 * 66 + 2)  # 8 pixels are shown as 64, in nine columns


def test_colours_that_nobody_sees_are_not_shown_to_the_network(run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 13, 4), dtype=np.uint8)
    pixels[..., 3] = np.where(np.arange(13) < 6, 0, 255)
    (tmp_path / "in").mkdir()
    for name, hidden in (("black", 0), ("white", 255)):
        pixels[:, :6, :3] = hidden
        Image.fromarray(pixels).save(tmp_path / "in" / f"{name}.png")
    words = ["--ckpt_path", run / "checkpoints" / "last.ckpt", "--out", tmp_path / "out"]
    assert command("translate", tmp_path / "in", *words).code == 0
    black, white = (np.asarray(Image.open(tmp_path / "out" / f"{name}.png")) for name in ("black", "white"))
    np.testing.assert_array_equal(black, white)
    colours, alpha = torch.zeros(3, 1, 2, dtype=torch.uint8), torch.tensor([[0, 9]], dtype=torch.uint8)
    assert as_taken(colours, alpha, 3)[0, 0].tolist() == [[255, 0]]  # the white page of training
    assert as_taken(colours, alpha, 4)[0].flatten(1).tolist() == [[0, 0], [0, 0], [0, 0], [0, 9]]


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_pictures_of_any_kind_keep_their_size_and_transparency(run, pictures, tmp_path, direction):
    out = tmp_path / "out"
    outcome = command(
        "translate", pictures, "--ckpt_path", run / "checkpoints" / "last.ckpt", "--out", out, "--direction", direction
    )
    assert outcome.code == 0, outcome.err
    assert "notes.txt" in outcome.err
    kinds = {path.name: Image.open(path) for path in out.rglob("*.png")}
    assert {name: image.size for name, image in kinds.items()} == {
        **dict.fromkeys(["colour.png", "alpha.png", "grey.png", "palette.png", "deep.png"], (13, 9)),
        "tiny.png": (1, 1),
    }
    colours = "RGB" if direction == "AtoB" else "L"
    assert kinds["colour.png"].mode == colours
    before = np.asarray(Image.open(pictures / "sub" / "alpha.png"))[..., 3]
    np.testing.assert_array_equal(np.asarray(kinds["alpha.png"])[..., -1], before)
    np.testing.assert_array_equal(np.asarray(kinds["grey.png"]), np.asarray(kinds["deep.png"]))
    card = json.loads((out / "translate.json").read_text())
    assert card["direction"] == direction and card["update"] == 6


def test_a_picture_is_what_the_game_makes_of_it(run, pictures, tmp_path):
    words = ["--ckpt_path", run / "checkpoints" / "last.ckpt", "--out", tmp_path / "out"]
    assert command("translate", pictures / "grey.png", *words).code == 0
    grey = torch.from_numpy(np.asarray(Image.open(pictures / "grey.png")).copy())[None, None] / 127.5 - 1
    made = ((gl.load(run).translate(grey)[0].permute(1, 2, 0) + 1) * 127.5).round()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "grey.png")), made.numpy().astype(np.uint8))


def test_what_cannot_be_translated_is_refused_before_the_first_picture(run, image_run, pictures, tmp_path):
    last = run / "checkpoints" / "last.ckpt"
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torn.png").write_bytes((pictures / "colour.png").read_bytes()[:80])
    for words, word in [
        ([pictures, "--ckpt_path", last, "--out", full], "mine.txt"),
        ([pictures, "--ckpt_path", image_run / "checkpoints" / "last.ckpt", "--out", tmp_path / "o"], "SNGAN"),
        ([pictures, "--ckpt_path", last, "--out", tmp_path / "o", "--direction", "BtoC"], "BtoC"),
        ([tmp_path / "empty", "--ckpt_path", last, "--out", tmp_path / "o"], "no images"),
        ([tmp_path / "broken", "--ckpt_path", last, "--out", tmp_path / "o"], "torn.png"),
        ([tmp_path / "nothing", "--ckpt_path", last, "--out", tmp_path / "o"], "nothing"),
        ([pictures, "--ckpt_path", last, "--out", tmp_path / "o", "--device", "toaster"], "toaster"),
    ]:
        outcome = command("translate", *words)
        assert outcome.code == 2 and outcome.err.strip().splitlines()[-1].count(word), (word, outcome)
        assert not (tmp_path / "o").exists()
    assert command("sample", "--ckpt_path", last, "--n", 2, "--out", tmp_path / "o").code == 2


def test_whole_pictures_are_degraded_as_the_training_data_were(run, pictures, tmp_path):
    (tmp_path / "targets").mkdir()
    for index in range(4):
        Image.effect_noise((16, 16), 90).convert("RGB").save(tmp_path / "targets" / f"{index}.png")
    init = {"root": str(tmp_path / "targets"), "image_size": 8, "degradation": "Edges", "batch_size": 2}
    config = {
        "name": "edges",
        "data": {"class_path": "DegradedFolder", "init_args": init},
        "model": {
            "generator": {"class_path": "UNetTranslator", "init_args": {"width": 2, "n_halvings": 2}},
            "critic": CRITIC,
        },
        "trainer": {"accelerator": "cpu", "max_steps": 1, "logger": False},
    }
    config["model"] = {"class_path": "Pix2Pix", "init_args": config["model"]}
    outcome = fit(tmp_path / "runs", config)
    assert outcome.code == 0, outcome.err
    last = tmp_path / "runs" / "edges" / "checkpoints" / "last.ckpt"
    words = [pictures / "colour.png", "--ckpt_path", last, "--degrade"]
    assert command("translate", *words, "--out", tmp_path / "out").code == 0
    colours = torch.from_numpy(np.asarray(Image.open(pictures / "colour.png")).copy()).permute(2, 0, 1)[None]
    made = gl.load(last).translate(Edges()(colours, [0]) / 127.5 - 1)[0]
    expected = ((made.permute(1, 2, 0) + 1) * 127.5).round().numpy().astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "colour.png")), expected)
    words = [pictures, "--ckpt_path", run / "checkpoints" / "last.ckpt", "--out", tmp_path / "o", "--degrade"]
    outcome = command("translate", *words)
    assert outcome.code == 2 and "has no degradation" in outcome.err
