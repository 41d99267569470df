"""An evaluation that was due and not finished is made when the run is resumed."""

from __future__ import annotations

import csv
import os

import pytest

from gan_lightning.callbacks import Coverage
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
