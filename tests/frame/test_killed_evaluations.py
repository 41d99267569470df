"""An evaluation that was due and not finished is made when the run is resumed."""

from __future__ import annotations

import csv
import os

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_lightning.callbacks import Checkpoints, Coverage
from gan_lightning.callbacks.lost_updates import _OF_TRAINING
from gan_lightning.runs.locks import unlock_all
from tests.training import fit, networks

CONFIG = {
    "name": "run",
    "data": {"class_path": "Ring", "init_args": {"n": 64, "batch_size": 8}},
    "model": {"class_path": "NonSaturatingGAN", "init_args": networks()},
    "coverage": {"n_samples": 64},
    "checkpoints": {"every_n_updates": 3, "monitor": "val/modes"},
}


def evaluated(run):
    with (run / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["val/modes"]]


@pytest.mark.parametrize(
    ("name", "update"),
    [
        ("000126.png", 126),
        ("coverage-000126.json", 126),
        ("Mine_2-1000126-2.json", 1_000_126),
        ("validate-000126-last-0a1b2c3d-n64.json", None),
        ("evaluate-digits-0a1b2c3d4e5f.json", None),
    ],
)
def test_cards_and_samples_of_training_are_told_by_their_names(name, update):
    found = _OF_TRAINING.fullmatch(name)
    assert (found and int(found.group(1))) == update


def test_what_a_killed_run_leaves_of_lost_updates_is_removed(tmp_path, monkeypatch):
    run = tmp_path / "run"

    def steps(name):
        with (run / "metrics.csv").open() as file:
            return [int(row["step"]) for row in csv.DictReader(file) if row[name]]

    def logged():
        found = EventAccumulator(str(next(run.rglob("events.*")).parent)).Reload()
        return {event.step: event.value for event in found.Scalars("loss/critic") if event.step != 5}

    board = {"class_path": "lightning.pytorch.loggers.TensorBoardLogger", "init_args": {"save_dir": ".", "name": ""}}
    options = {
        "accelerator": "cpu",
        "logger": [{"class_path": "RunCSVLogger"}, {**board, "dict_kwargs": {"version": "b"}}],
    }
    often = {"log_every_n_steps": 1, "val_check_interval": 1, "max_steps": 8}
    parts = {**CONFIG, "samples": {"every_n_updates": 2}, "checkpoints": {"every_n_updates": 5}}
    save = Checkpoints.save
    monkeypatch.setattr(
        Checkpoints, "save", lambda self, trainer, name: trainer.global_step == 5 and save(self, trainer, name)
    )
    assert (
        fit(tmp_path, {**parts, "trainer": {**options, **often}}).code == 0
    )  # as if it had been killed after update 8
    monkeypatch.setattr(Checkpoints, "save", save)
    before = logged()
    assert steps("val/modes") == list(range(9)) and (run / "evaluation/coverage-000007.json").is_file()

    seldom = {"log_every_n_steps": 50, "val_check_interval": 50, "max_steps": 6}
    words = ["--resume", "auto", "--model.critic_optimizer.init_args.lr=0.1", "--samples.every_n_updates=50"]
    outcome = fit(tmp_path, {**parts, "trainer": {**options, **seldom}}, *words)
    assert outcome.code == 0 and "updates after 5 were lost, and are made anew: " in outcome.err, outcome.err
    assert steps("val/modes") == [0, 1, 2, 3, 4, 5, 6] and steps("loss/critic") == [0, 1, 2, 3, 4]
    assert [path.stem[-6:] for path in sorted((run / "evaluation").glob("coverage-*.json"))] == [
        f"{k:06d}" for k in range(7)
    ]
    assert max(path.stem for path in (run / "samples").glob("*.png")) <= "000006"
    assert logged() == {step: value for step, value in before.items() if step < 5}


@pytest.mark.parametrize(("killed_at", "every"), [(3, 3), (6, 0)])  # the last update is saved before it is measured
def test_a_killed_evaluation_is_made_up(killed_at, every, tmp_path, monkeypatch):
    measure = Coverage.measure

    def killed(self, trainer, game):
        if game.updates_done == killed_at:
            raise RuntimeError("killed")
        return measure(self, trainer, game)

    monkeypatch.setattr(Coverage, "measure", killed)
    with pytest.raises(RuntimeError, match="killed"):
        fit(tmp_path, {**CONFIG, "checkpoints": {**CONFIG["checkpoints"], "every_n_updates": every}})
    unlock_all()
    os.environ.pop("GAN_LIGHTNING_RUN_FOLDER", None)
    run = tmp_path / "run"
    assert evaluated(run) == list(range(0, killed_at, 3))

    monkeypatch.setattr(Coverage, "measure", measure)
    outcome = fit(tmp_path, CONFIG, "--resume", "auto")
    assert outcome.code == 0, outcome.err
    assert f"the evaluation after update {killed_at} was not finished" in outcome.err
    assert evaluated(run) == [0, 3, 6]
    assert (run / f"evaluation/coverage-{killed_at:06d}.json").is_file()
    assert (run / "checkpoints/best.ckpt").is_file()

    outcome = fit(tmp_path, CONFIG, "--resume", "auto", "--trainer.max_steps=9")
    assert outcome.code == 0 and "not finished" not in outcome.err
    assert evaluated(run) == [0, 3, 6, 9]
