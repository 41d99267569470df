"""The schedule of checkpoints, and what a run is told that goes on under other circumstances."""

from __future__ import annotations

import shutil
import time

import pytest

from gan_lightning.callbacks import Checkpoints
from gan_lightning.runs.checkpoint_files import read_checkpoint
from tests.cases import GREY, Case
from tests.training import assert_same, fit, networks, train

RANDOM = {"class_path": "RandomImages", "init_args": {"image_size": 8, "channels": 1, "n": 24, "batch_size": 4}}
CONFIG = {"name": "a", "data": RANDOM, "model": {"class_path": "NonSaturatingGAN", "init_args": networks()}}


def test_last_is_saved_by_updates_and_by_minutes(tmp_path, monkeypatch):
    from gan_lightning.families import NonSaturatingGAN

    watch, saved = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: watch[0])

    class Keeper(Checkpoints):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            watch[0] += 25.0  # seconds that an update takes

        def save(self, trainer, name):
            saved.append(trainer.global_step)
            super().save(trainer, name)

    options = {"callbacks": [Keeper(every_n_updates=5, every_n_minutes=1.0)], "enable_checkpointing": True}
    train(Case(NonSaturatingGAN).game(), GREY(), tmp_path, 9, **options)
    # 75 s are over after update 3, update 5 is due, 75 s more after update 8; 9 is the end
    assert saved == [3, 5, 8, 9]
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["clock"]["updates_done"] == 9


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert fit(folder, CONFIG).code == 0
    return folder


def resumed(run, tmp_path, config=CONFIG, *words):
    """Go on with a copy of the run, so that each test finds it as it was."""
    shutil.copytree(run / "a", tmp_path / "a")
    return fit(tmp_path, config, "--resume", "auto", *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data.batch_size=8"], "batch_size was 4 and is 8 now: the data go on at the same number of batches"),
        (["--seed_everything=3"], "seed was 0 and is 3 now: sample order and noise are those of another run"),
        (["--trainer.precision=64-true"], "precision was 32-true and is 64-true now: results are rounded otherwise"),
        (["--model.n_critic=2"], "going on with other settings than the checkpoint's: model.n_critic 1 -> 2"),
    ],
    ids=["batch", "seed", "precision", "setting"],
)
def test_what_is_not_as_it_was_is_told(words, told, run, tmp_path):
    outcome = resumed(run, tmp_path, CONFIG, "--trainer.max_steps=7", *words)
    assert outcome.code == 0, outcome.err
    assert told in outcome.err + outcome.out
    assert read_checkpoint(tmp_path / "a" / "checkpoints" / "last.ckpt")["clock"]["updates_done"] == 7


def test_a_finished_run_has_nothing_to_do(run, tmp_path):
    outcome = resumed(run, tmp_path)
    assert outcome.code == 0
    assert "nothing to do: the run made 6 of 6 updates; raise trainer.max_steps to go on" in outcome.err + outcome.out
    kept, was = (read_checkpoint(folder / "a" / "checkpoints" / "last.ckpt") for folder in (tmp_path, run))
    assert kept["clock"] == was["clock"]
    assert_same(kept["state_dict"], was["state_dict"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**CONFIG, "model": {"class_path": "WGANGP", "init_args": networks()}}, "is a run of model"),
        ({**CONFIG, "data": {"class_path": "Ring", "init_args": {"batch_size": 4}}}, "is a run of data"),
    ],
    ids=["family", "data"],
)
def test_another_experiment_is_refused(config, message, run, tmp_path):
    outcome = resumed(run, tmp_path, config)
    assert outcome.code == 2
    (line,) = outcome.err.strip().splitlines()
    assert message in line and "give another --name" in line
