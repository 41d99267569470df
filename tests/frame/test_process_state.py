"""A run leaves its process as it found it."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback

from gan_lightning.families import NonSaturatingGAN
from tests.cases import Case, mlp
from tests.training import command, fit, networks, train, trainer

CONFIG = {
    "name": "run",
    "data": {"class_path": "Ring", "init_args": {"n": 64, "batch_size": 8}},
    "model": {"class_path": "NonSaturatingGAN", "init_args": networks()},
}


def draws() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


class Failing(Callback):
    def on_train_batch_end(self, *_):
        raise RuntimeError("on purpose")


def test_training_leaves_the_global_generators_alone(tmp_path):
    case = Case(NonSaturatingGAN, **mlp())
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    train(case.game(), case.data(), tmp_path, 2)
    found = [float(torch.rand(()))]
    with pytest.raises(RuntimeError, match="on purpose"):
        game, data = case.game(), case.data()
        state = torch.get_rng_state()
        trainer(tmp_path, 2, [Failing()]).fit(game, datamodule=data)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    game = case.game()
    torch.manual_seed(1)
    train(game, case.data(), tmp_path, 2)
    assert float(torch.rand(())) == float(expected[0]) and found


def test_the_command_leaves_generators_environment_filters_and_loggers_alone(tmp_path):
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    expected = draws()
    random.seed(3), np.random.seed(3), torch.manual_seed(3)
    environment, filters = dict(os.environ), list(warnings.filters)
    levels = {name: logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")}
    handlers = [list(h.filters) for name in levels for h in logging.getLogger(name).handlers]
    assert fit(tmp_path, CONFIG).code == 0
    assert draws() == expected
    assert {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"} == {
        k: v for k, v in environment.items() if k != "PYTEST_CURRENT_TEST"
    }
    assert list(warnings.filters) == filters
    assert {name: logging.getLogger(name).level for name in levels} == levels
    assert [list(h.filters) for name in levels for h in logging.getLogger(name).handlers] == handlers


def test_a_second_fit_of_a_trained_game_makes_all_its_updates(tmp_path):
    case = Case(NonSaturatingGAN, **mlp())
    game = case.game()
    for k in range(1, 3):
        trainer(tmp_path, 3).fit(game, datamodule=case.data())
        assert game.updates_done == 3 * k


def test_what_lightning_prints_when_asked_is_seen(tmp_path, caplog):
    logging.getLogger("lightning.pytorch").addHandler(caplog.handler)
    try:
        outcome = fit(tmp_path, CONFIG, "--trainer.enable_model_summary=true", "--trainer.profiler=simple")
        assert outcome.code == 0, outcome.err
    finally:
        logging.getLogger("lightning.pytorch").removeHandler(caplog.handler)
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "generator" in said and "Profiler" in said
    assert "GPU available" not in said and "Tip" not in said


def test_a_mistake_leaves_the_environment_alone(tmp_path):
    before = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    assert command("fit", "--nonsense", "1").code == 2
    assert {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"} == before


def test_own_classes_are_found_in_the_current_folder_as_by_the_installed_command(tmp_path, monkeypatch):
    (tmp_path / "own_family_of_a_user.py").write_text(
        "from gan_lightning.games.objective import ObjectiveGAN\n"
        "from gan_lightning.losses import Hinge\n"
        "from gan_lightning.optimizers import Adam\n\n"
        "class Mine(ObjectiveGAN):\n"
        "    def __init__(self, *args, **kwargs):\n"
        "        super().__init__(*args, critic_optimizer=Adam(1e-3), generator_optimizer=Adam(1e-3), **kwargs)\n"
        "        self.play_for(Hinge())\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder not in ("", str(tmp_path))])
    before = list(sys.path)
    model = {"class_path": "own_family_of_a_user.Mine", "init_args": networks()}
    outcome = fit(tmp_path, {**CONFIG, "model": model})
    assert outcome.code == 0, outcome.err
    assert sys.path == before


class Removing(Callback):
    def on_train_batch_end(self, trainer, *_):
        shutil.rmtree(Path(trainer.default_root_dir) / "tensorboard", ignore_errors=True)
        trainer.loggers[-1].experiment.flush()  # not two minutes later


def test_a_tensorboard_folder_that_is_removed_is_one_line(tmp_path, capfd):
    options = {"trainer": {"callbacks": [f"{__name__}.Removing"], "log_every_n_steps": 1}}
    done = fit(tmp_path, {**CONFIG, **options})
    said = done.err + capfd.readouterr().err
    assert done.code == 1 and "Traceback" not in said, said
    assert "tfevents" in said.splitlines()[-1] and "No such file" in said, said
