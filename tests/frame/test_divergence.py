"""A game that diverges stops before it is saved or measured, and a resumed optimizer has the settings asked for."""

from __future__ import annotations

import pytest
import torch

from gan_lightning.errors import RunFailed, UserError
from gan_lightning.families import WGANGP, NonSaturatingGAN
from gan_lightning.optimizers import Adam, RMSprop
from tests.cases import VECTORS, Case
from tests.training import SaveAt, fit, networks, train

CASE = Case(WGANGP, data=VECTORS, n_critic=2)
HOT = Adam(lr=1e20, betas=(0.0, 0.9))


def config(lr: float, **model):
    optimizer = {"class_path": "Adam", "init_args": {"lr": lr}}
    arguments = {"n_critic": 1, "critic_optimizer": optimizer, "generator_optimizer": optimizer, **networks(), **model}
    return {
        "name": "hot",
        "data": {"class_path": "Ring", "init_args": {"n": 64, "batch_size": 8}},
        "model": {"class_path": "NonSaturatingGAN", "init_args": arguments},
    }


def test_a_run_that_diverges_stops_with_one_line_and_saves_nothing_of_it(tmp_path):
    outcome = fit(tmp_path, config(1e20))
    assert outcome.code == 1
    (line,) = [line for line in outcome.err.splitlines() if "diverged" in line]
    assert "at update" in line and ("critic/" in line or "generator/" in line) and "lower lr" in line
    assert not list((tmp_path / "hot" / "checkpoints").glob("*.ckpt"))


def test_a_finite_checkpoint_of_before_stays(tmp_path):
    assert fit(tmp_path, config(1e-3)).code == 0
    before = (tmp_path / "hot" / "checkpoints" / "last.ckpt").read_bytes()
    assert fit(tmp_path, config(1e20), "--resume", "auto", "--trainer.max_steps", "12").code == 1
    assert (tmp_path / "hot" / "checkpoints" / "last.ckpt").read_bytes() == before


def test_a_run_goes_on_if_it_is_told_to(tmp_path):
    outcome = fit(tmp_path, config(1e20, on_divergence="continue"))
    assert outcome.code == 0, outcome.err
    assert outcome.err.count("diverged") == 1


def test_a_weight_that_is_not_finite_is_not_saved(tmp_path):
    game = CASE.game()
    train(game, CASE.data(), tmp_path, 2)
    with torch.no_grad():
        next(game.generator.parameters()).fill_(float("inf"))
    with pytest.raises(RunFailed, match="the weights of the generator"):
        game.on_save_checkpoint({})


def test_a_resumed_optimizer_has_the_settings_of_the_new_config(tmp_path):
    train(CASE.game(), CASE.data(), tmp_path, 2, callbacks=[SaveAt(tmp_path, [2])])
    other = Adam(lr=1e-4, betas=(0.3, 0.8), weight_decay=0.1)
    game = CASE.game(critic_optimizer=other)
    train(game, CASE.data(), tmp_path, 4, tmp_path / "2.ckpt", callbacks=[SaveAt(tmp_path, [4])])
    critic, generator = torch.load(tmp_path / "4.ckpt", weights_only=True)["optimizer_states"]
    (group,) = critic["param_groups"]
    assert (group["betas"], group["weight_decay"]) == ((0.3, 0.8), 0.1)
    assert generator["param_groups"][0]["betas"] == (0.0, 0.9)


def test_the_state_of_another_optimizer_is_refused(tmp_path):
    train(CASE.game(), CASE.data(), tmp_path, 2, callbacks=[SaveAt(tmp_path, [2])])
    with pytest.raises(UserError, match="critic_optimizer was Adam and is RMSprop now"):
        train(CASE.game(critic_optimizer=RMSprop(lr=1e-4)), CASE.data(), tmp_path, 4, tmp_path / "2.ckpt")


def train_long(game, data, folder, updates=200):
    return train(game, data, folder, updates, log_every_n_steps=100)


def test_a_critic_that_tells_all_samples_is_said_once(tmp_path, capsys):
    far = Case(NonSaturatingGAN, data=VECTORS, critic_optimizer=Adam(lr=0.1, betas=(0.0, 0.9)))
    game = far.game(generator_optimizer=Adam(lr=1e-12))
    with torch.no_grad():
        for parameter in game.generator.parameters():
            parameter.add_(30.0)  # far from the data, and it stays there
    train_long(game, far.data(), tmp_path, 300)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "saturated" in line]
    assert "the critic has told all samples from update" in line and "lower lr of the critic" in line


def test_a_generator_of_one_sample_is_said_once(tmp_path, capsys):
    case = Case(NonSaturatingGAN, data=VECTORS)
    game = case.game(generator_optimizer=Adam(lr=1e-12))
    with torch.no_grad():
        for parameter in game.generator.parameters():
            parameter.mul_(1e-3)
    train_long(game, case.data(), tmp_path)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "collapsed" in line]
    assert "the generator makes one sample" in line and "from update 49 to" in line


def test_a_healthy_run_is_told_nothing(tmp_path, capsys):
    case = Case(NonSaturatingGAN, data=VECTORS)
    train_long(case.game(), case.data(), tmp_path)
    said = capsys.readouterr().err
    assert "saturated" not in said and "collapsed" not in said
