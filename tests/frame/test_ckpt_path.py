"""`--ckpt_path last` and `best` are the run folder's files; nothing is measured without weights."""

from __future__ import annotations

import os
import tempfile

import pytest

from gan_lightning.runs.checkpoint_files import read_checkpoint
from tests.frame.test_mistakes import assert_one_line
from tests.frame.test_run_folders import rows
from tests.training import command


@pytest.mark.parametrize("which", ["last", "best"])
def test_fit_starts_from_the_named_checkpoint_of_the_run(which, image_run):
    runs = image_run.parent
    start = read_checkpoint(image_run / "checkpoints" / f"{which}.ckpt")["clock"]["updates_done"]
    words = ["--config", image_run / "config.yaml", "--fidelity.enabled=false", f"--trainer.max_steps={start + 1}"]
    before = set(runs.iterdir())
    done = command("fit", *words, "--ckpt_path", which)
    assert done.code == 0, done.err
    (folder,) = set(runs.iterdir()) - before
    assert read_checkpoint(folder / "checkpoints" / "last.ckpt")["clock"]["updates_done"] == start + 1
    assert rows(folder)[1] == [start]  # one update


@pytest.mark.parametrize("which", ["last", "best"])
def test_validate_measures_the_named_checkpoint(which, image_run):
    update = read_checkpoint(image_run / "checkpoints" / f"{which}.ckpt")["clock"]["updates_done"]
    cards = f"validate-{update:06d}-{which}-*.json"
    for words in (["--config", image_run / "config.yaml"], ["--name", image_run.name, "--runs_dir", image_run.parent]):
        done = command("validate", *words, "--ckpt_path", which)
        assert done.code == 0, done.err
        (card,) = (image_run / "evaluation").glob(cards)
        card.unlink()


@pytest.mark.parametrize("verb", ["validate", "test", "predict"])
def test_nothing_is_measured_without_weights(verb, image_run):
    config = ["--config", image_run / "config.yaml"]
    assert_one_line(command(verb, *config), verb, "--ckpt_path")
    assert_one_line(command(verb, *config, "--name=nobody", "--ckpt_path=last"), "nobody/checkpoints/last.ckpt")
    assert_one_line(command(verb, "--ckpt_path=last"), "--name")
    assert_one_line(command(verb, *config, "--ckpt_path=hpc"), "hpc")


def test_fit_refuses_a_checkpoint_that_is_not_there(image_run):
    before = set(image_run.parent.iterdir())
    for given in ("last", "best", "hpc"):
        words = ["--config", image_run / "config.yaml", "--name=nobody", "--ckpt_path", given]
        assert_one_line(command("fit", *words), given, "no checkpoint at")
    assert set(image_run.parent.iterdir()) == before


def test_measuring_leaves_no_file_behind(image_run, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = command("validate", "--ckpt_path", image_run / "checkpoints" / "last.ckpt")
    assert done.code == 0, done.err
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".yaml")]
