"""Contract 8: a checkpoint alone, with no config beside it, is enough for sample, validate and export."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.games.restore import load_game
from gan_lightning.runs.checkpoint_files import read_checkpoint
from tests.cases import CASES
from tests.training import SaveAt, command, train


@pytest.fixture
def images(image_run, tmp_path):
    """The checkpoint of images, moved away from everything that the run wrote beside it."""
    return shutil.copy(image_run / "checkpoints" / "last.ckpt", tmp_path / "moved.ckpt")


@pytest.fixture
def vectors(vector_run, tmp_path):
    return shutil.copy(vector_run / "checkpoints" / "last.ckpt", tmp_path / "moved.ckpt")


def pixels(folder):
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob("0*.png"))])


def test_pictures_are_the_averages_samples(images, tmp_path):
    for out in ("a", "b"):
        done = command("sample", "--ckpt_path", images, "--n", 70, "--out", tmp_path / out, "--seed", 5, "--grid")
        assert done.code == 0, done.err
        assert "70 pictures" in done.err and str(tmp_path / out) in done.err
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"{i:06d}.png" for i in range(70)] + ["grid.png"]
    first = Image.open(tmp_path / "a" / "000000.png")
    assert (first.size, first.mode) == ((8, 8), "L")
    assert np.array_equal(pixels(tmp_path / "a"), pixels(tmp_path / "b"))
    drawn = to_uint8(load_game(images).sample(70, seed=5))[:, 0].numpy()
    assert np.array_equal(pixels(tmp_path / "a"), drawn)
    command("sample", "--ckpt_path", images, "--n", 70, "--out", tmp_path / "c", "--seed", 6)
    assert not np.array_equal(pixels(tmp_path / "a"), pixels(tmp_path / "c"))
    assert not (tmp_path / "c" / "grid.png").exists()


def test_fewer_samples_are_the_first_of_more(images):
    game = load_game(images)
    assert torch.equal(game.sample(3, seed=1), game.sample(130, seed=1)[:3])
    assert len(game.sample(1)) == 1


def test_labels_are_obeyed(images, tmp_path):
    game = load_game(images)
    by_default = game.sample(6, seed=2)
    assert torch.equal(by_default, game.sample(6, [0, 1, 2], seed=2))
    ones = game.sample(6, [1], seed=2)
    assert torch.equal(ones[1], by_default[1]) and torch.equal(ones[4], by_default[4])
    assert not torch.equal(ones[0], by_default[0])
    done = command("sample", "--ckpt_path", images, "--n", 6, "--out", tmp_path, "--seed", 2, "--labels", "1")
    assert done.code == 0
    assert np.array_equal(pixels(tmp_path), to_uint8(ones)[:, 0].numpy())


def test_the_grid_has_one_column_per_label(images, tmp_path):
    command("sample", "--ckpt_path", images, "--n", 6, "--out", tmp_path, "--labels", "0,2", "--grid")
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    cell = (grid.shape[1] - 2) // 2  # two columns, two pixels of white between and around
    factor = (cell - 2) // 8
    assert factor > 1  # small pictures are enlarged
    assert grid.shape == (3 * cell + 2, 2 * cell + 2)
    drawn = pixels(tmp_path).astype(float)
    for index in range(6):
        y, x = 2 + index // 2 * cell, 2 + index % 2 * cell
        tile = grid[y : y + 8 * factor, x : x + 8 * factor].reshape(8, factor, 8, factor)
        tile = tile[:, (factor - 1) // 2 : factor // 2 + 1, :, (factor - 1) // 2 : factor // 2 + 1].mean((1, 3))
        assert np.square(drawn - tile).mean((1, 2)).argmin() == index


def test_vectors_are_a_table(vectors, tmp_path):
    done = command("sample", "--ckpt_path", vectors, "--n", 10, "--out", tmp_path / "out", "--grid")
    assert done.code == 0, done.err
    rows = [[float(v) for v in row] for row in csv.reader((tmp_path / "out" / "samples.csv").read_text().splitlines())]
    assert_close(torch.tensor(rows), load_game(vectors).sample(10), rtol=1e-6, atol=1e-7)
    assert Image.open(tmp_path / "out" / "grid.png").mode == "RGB"
    assert not list((tmp_path / "out").glob("0*.png"))


def test_validate_needs_no_config(images, image_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("validate", "--ckpt_path", images)
    assert done.code == 0, done.err
    assert "val/fid_digits" in done.out
    (card,) = (tmp_path / "runs" / "evaluation").glob("*.json")
    again = json.loads(card.read_text())
    trained = json.loads((image_run / "evaluation" / "000006.json").read_text())
    assert again["fid"] == pytest.approx(trained["fid"], rel=1e-9)
    assert again["update"] == trained["update"] == 6
    assert again["checkpoint"] == images.name and "checkpoint" not in trained
    assert again["checkpoint_sha256"] == hashlib.sha256(images.read_bytes()).hexdigest()[:16]


def test_validate_leaves_the_run_as_it_was(image_run):
    before = (image_run / "metrics.csv").read_text(), (image_run / "config.yaml").read_text()
    done = command("validate", "--ckpt_path", image_run / "checkpoints" / "last.ckpt")
    assert done.code == 0, done.err
    assert ((image_run / "metrics.csv").read_text(), (image_run / "config.yaml").read_text()) == before
    (card,) = (image_run / "evaluation").glob("validate-*.json")
    assert card.name.startswith("validate-000006-last-") and "-digits-eval-" in card.name


def test_the_exported_program_is_the_average(images, tmp_path):
    out = tmp_path / "deep" / "generator.pt2"
    done = command("export", "--ckpt_path", images, "--out", out)
    assert done.code == 0, done.err
    program, game = torch.export.load(out).module(), load_game(images)
    for n in (1, 2, 7):
        latents, labels = torch.randn(n, 3), torch.arange(n) % 3
        assert_close(program(latents, labels), game.generator_average(latents, labels))


def test_a_program_of_vectors_takes_latents_only(vectors, tmp_path):
    assert command("export", "--ckpt_path", vectors, "--out", tmp_path / "g.pt2").code == 0
    latents = torch.randn(5, 3)
    program = torch.export.load(tmp_path / "g.pt2").module()
    assert_close(program(latents), load_game(vectors).generator_average(latents))


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_every_family_is_rebuilt_from_its_checkpoint(case, tmp_path):
    game = case.game()
    train(game, case.data(), tmp_path, 1, callbacks=[SaveAt(tmp_path, {1})])
    again = load_game(tmp_path / "1.ckpt")
    assert type(again) is type(game)
    assert again.clock() == game.clock()
    assert not again.training
    for name, value in game.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    if hasattr(game, "sample"):
        assert torch.equal(again.sample(3, seed=1), game.eval().sample(3, seed=1))
    for name in ("n_critic", "ema_decay", "seed", "on_divergence"):
        assert getattr(again, name) == getattr(game, name)
    for mine, theirs in zip(again.players, game.players, strict=True):
        for name in ("name", "spec", "schedule", "clip_norm", "accumulation"):
            assert getattr(mine, name) == getattr(theirs, name)


def test_a_checkpoint_keeps_no_path_of_the_users_home(image_run):
    checkpoint = read_checkpoint(image_run / "checkpoints" / "last.ckpt")
    assert str(image_run.parent) not in str(
        {k: v for k, v in checkpoint.items() if k not in ("state_dict", "optimizer_states")}
    )
