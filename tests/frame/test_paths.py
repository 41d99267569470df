"""Paths: those under the home folder are kept as `~/...` and mean the same when read; run folders may be moved."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from gan_lightning.runs.checkpoint_files import read_checkpoint
from tests.frame.test_run_folders import rows
from tests.training import command, fit, networks

CONFIG = {
    "name": "h",
    "data": {
        "class_path": "RandomImages",
        "init_args": {"image_size": 8, "channels": 1, "n": 16, "batch_size": 4},
    },
    "model": {"class_path": "WGANGP", "init_args": {"n_critic": 1, **networks()}},
    "trainer": {"max_steps": 3, "accelerator": "cpu", "limit_val_batches": 0, "log_every_n_steps": 1},
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with a run of three updates in `runs/h`; the commands are given elsewhere."""
    folder = tmp_path / "home"
    (folder / "runs").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(tmp_path / "elsewhere")
    outcome = fit(folder / "runs", CONFIG)
    assert outcome.code == 0, outcome.err
    assert yaml.safe_load((folder / "runs" / "h" / "config.yaml").read_text())["runs_dir"] == "~/runs"
    return folder


def updates(folder):
    return read_checkpoint(folder / "checkpoints" / "last.ckpt")["clock"]["updates_done"]


def assert_nothing_here(home):
    assert not list((home.parent / "elsewhere").iterdir())


def test_a_run_under_home_is_resumed_from_its_own_config(home):
    run = home / "runs" / "h"
    words = ["--config", run / "config.yaml", "--name", "h"]
    again = command("fit", *words, "--resume", "auto", "--trainer.max_steps=5")
    assert again.code == 0, again.err
    assert "resuming" in again.err and "from last.ckpt" in again.err
    assert updates(run) == 5 and rows(run)[1] == list(range(5))
    other = command("fit", *words, "--trainer.max_steps=1")
    assert other.code == 0, other.err
    assert updates(run) == 5 and updates(home / "runs" / "h-2") == 1
    assert_nothing_here(home)


def test_a_home_in_front_of_any_path_is_expanded(home):
    run = home / "runs" / "h"
    done = command("fit", "--config=~/runs/h/config.yaml", "--runs_dir=~/r2", "--trainer.max_steps=1")
    assert done.code == 0, done.err
    assert updates(home / "r2" / "h") == 1
    for option in ("--resume=~/runs/h", "--resume=~/runs/h/checkpoints/last.ckpt"):
        done = command("fit", "--config=~/runs/h/config.yaml", option, "--trainer.max_steps=4")
        assert done.code == 0, done.err
        assert updates(run) == 4
    done = command(
        "fit", "--config=~/runs/h/config.yaml", "--ckpt_path=~/runs/h/checkpoints/last.ckpt", "--trainer.max_steps=6"
    )
    assert done.code == 0, done.err
    assert (updates(run), updates(home / "runs" / "h-2")) == (4, 6)
    words = ["--fidelity.enabled=true", "--fidelity.extractor=Digits", "--fidelity.n_samples=16"]
    assert command("validate", "--ckpt_path=~/runs/h/checkpoints/last.ckpt", *words).code == 0
    assert_nothing_here(home)


def test_what_a_checkpoint_keeps_of_home_is_found_again(home):
    weights = home / "weights.pth"
    weights.write_text("")
    extractor = {"class_path": "gan_lightning.metrics.Inception", "init_args": {"weights_path": str(weights)}}
    ring = {"class_path": "Ring", "init_args": {"n": 16, "batch_size": 4}}  # its coverage is what is measured
    config = {**CONFIG, "name": "w", "data": ring, "fidelity": {"enabled": False, "extractor": extractor}}
    assert fit(home / "runs", config).code == 0
    done = command("validate", "--ckpt_path", home / "runs" / "w" / "checkpoints" / "last.ckpt")
    assert done.code == 0, done.err


def test_the_other_verbs_expand_home(home):
    ckpt = "--ckpt_path=~/runs/h/checkpoints/last.ckpt"
    for words in (["sample", ckpt, "--n=1", "--out=~/samples"], ["export", ckpt, "--out=~/generator.pt2"]):
        done = command(*words)
        assert done.code == 0, done.err
    assert (home / "samples" / "000000.png").is_file() and (home / "generator.pt2").is_file()
    assert_nothing_here(home)


@pytest.mark.parametrize("words", [[], ["--name", "moved"]], ids=["own name", "new name"])
def test_a_moved_run_goes_on(home, words):
    moved = shutil.move(home / "runs" / "h", home / "moved")
    done = command("fit", "--config", f"{moved}/config.yaml", *words, "--resume", "auto", "--trainer.max_steps=5")
    assert done.code == 0, done.err
    assert updates(home / "moved") == 5
    assert not list((home / "runs").glob("*/"))


def test_the_config_of_a_run_starts_another_under_another_name(home):
    run = home / "runs" / "h"
    done = command("fit", "--config", run / "config.yaml", "--name=b", "--resume=auto", "--trainer.max_steps=1")
    assert done.code == 0, done.err
    assert (updates(run), updates(home / "runs" / "b")) == (3, 1)


def test_other_data_at_the_same_place_are_told_of(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    for place in ("one", "other"):
        for name in ("train/a", "train/b", "val/a", "val/b"):
            folder = tmp_path / place / "pictures" / name
            folder.mkdir(parents=True)
            for index in range(4):
                pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    data = {"root": "pictures", "image_size": 8, "batch_size": 4}
    config = {"name": "a", "data": {"class_path": "ImageFolder", "init_args": data}}
    config["model"] = {"class_path": "NonSaturatingGAN", "init_args": networks()}
    config["fidelity"] = {"extractor": {"class_path": "Raw"}, "n_samples": 8, "metrics": ["fid"], "enabled": True}
    monkeypatch.chdir(tmp_path / "one")
    assert fit(tmp_path, config, "--trainer.max_steps=3").code == 0
    ckpt = tmp_path / "a" / "checkpoints" / "last.ckpt"
    for place in ("one", "other"):
        monkeypatch.chdir(tmp_path / place)
        measured = command("validate", "--ckpt_path", ckpt)
        pictures = command("sample", "--ckpt_path", ckpt, "--neighbours", "--out", tmp_path / f"out-{place}")
        assert (measured.code, pictures.code) == (0, 0), measured.err + pictures.err
        for said, kind in ((measured.err, "held-out"), (pictures.err, "training")):
            told = f"the {kind} data are not those of the checkpoint: other images, or in another order"
            assert said.count(told) == (place == "other"), said
