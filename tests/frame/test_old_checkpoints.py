"""What release 0.1.0 wrote still loads, samples the same to rounding, resumes and validates (tests/fixtures).

`resumed.pt` is what 0.1.0 itself made of four more updates, but for `digits`: its spectrally normalized critic has one power
iteration an update since 0.2, and its file is of 0.2.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest
import torch
import yaml

import gan_lightning.cli.training  # noqa: F401  every face, as the command line imports it
from gan_lightning.games.restore import load_game
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.runs.old_names import MOVED
from tests.training import command

OLD = Path(__file__).parents[1] / "fixtures" / "v0_1"
RUNS = sorted(path.name for path in OLD.iterdir())


@pytest.fixture
def run(request, tmp_path):
    shutil.copytree(OLD / request.param, tmp_path / request.param)
    return tmp_path / request.param


def close(found, expected):
    # other machines round matrix products otherwise; on the machine that wrote them the numbers are equal to the bit
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_an_old_checkpoint_samples_the_same(name):
    game = load_game(OLD / name / "checkpoints" / "last.ckpt")
    close(game.sample(8, seed=3), torch.load(OLD / name / "samples.pt", weights_only=True))


def drift(checkpoint, path):
    """Return how far the elements may be off, by key, that a batch norm cancels, and its running means with them.

    The gradient of a bias in front of a batch norm is rounding alone, 3e-7 at most here where all others are above 1e-5, and
    Adam makes steps of the learning rate of it: on another machine, other ones.
    """
    game, found = load_game(path), {}
    for player, optimizer in zip(("critic", "generator"), checkpoint["optimizer_states"], strict=True):
        most = 2 * optimizer["param_groups"][0]["lr"] * checkpoint["clock"]["updates_done"]
        parameters = getattr(game, player).named_parameters()
        for (name, _), state in zip(parameters, optimizer["state"].values(), strict=True):
            found[f"{player}.{name}"] = most * (state["exp_avg_sq"].sqrt() < 1e-6)
        for name, _ in getattr(game, player).named_buffers():
            if name.endswith("running_mean"):
                found[f"{player}.{name}"] = torch.tensor(most)
    return found


@pytest.mark.parametrize("run", RUNS, indirect=True)
def test_an_old_run_resumes_and_validates(run):
    words = ["--runs_dir", run.parent, "--name", run.name, "--resume", "auto", "--trainer.max_steps=8"]
    two = ["--trainer.devices=1", "--trainer.strategy=auto"] if run.name == "two_ranks" else []
    outcome = command("fit", "--config", run / "config.yaml", *words, *two)
    assert outcome.code == 0, outcome.err
    checkpoint = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert checkpoint["clock"]["updates_done"] == 8
    if not two:
        expected = torch.load(run / "resumed.pt", weights_only=True)
        assert list(checkpoint["state_dict"]) == list(expected)
        slack = drift(checkpoint, run / "checkpoints" / "last.ckpt")
        for key, value in expected.items():
            found = checkpoint["state_dict"][key]
            free = slack.get(key.replace("generator_average.", "generator.", 1), torch.zeros(()))
            close(torch.where((found - value).abs() <= free, value, found), value)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert not any(f"gan_lightning.{old}." in str(config) for old in MOVED)
    outcome = command("validate", "--ckpt_path", run / "checkpoints" / "last.ckpt")
    assert outcome.code == 0, outcome.err


def test_old_modules_lead_to_new_ones():
    for old, new in MOVED.items():
        assert importlib.import_module(f"gan_lightning.{old}") is importlib.import_module(f"gan_lightning.{new}")
        assert importlib.import_module(f"gan_lightning.{new}").__spec__.name == f"gan_lightning.{new}"
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("gan_lightning.never_was")
