"""Any optimizer of torch by name, warm-up, and whose state a checkpoint holds."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter
from torch.testing import assert_close

from gan_lightning.errors import UserError
from gan_lightning.families import SNGAN
from gan_lightning.games.restore import load
from gan_lightning.optimizers import Adam, CosineDecay, TorchOptimizer, WarmUp, functional
from tests.cases import VECTORS, Case
from tests.training import SaveAt, assert_same, fit, networks, train

ADAMW = TorchOptimizer("AdamW", lr=1e-3, betas=(0.0, 0.9), weight_decay=0.1)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"name": "AdamX", "lr": 1e-3}, r"torch.optim has no AdamX \(did you mean Adam.*\?\)"),
        ({"name": "LBFGS", "lr": 1e-3}, "LBFGS cannot train a player: it evaluates the loss several times"),
        ({"name": "SparseAdam", "lr": 1e-3}, "SparseAdam cannot train"),
        ({"name": "Optimizer", "lr": 1e-3}, "torch.optim has no Optimizer"),
        ({"name": "AdamW", "lr": 0.0}, "lr of AdamW must be above 0, got 0"),
        ({"name": "AdamW", "lr": 1e-3, "wd": 1}, "AdamW of torch.optim takes no wd"),
        ({"name": "SGD", "lr": 1e-3, "nesterov": True}, "SGD of torch.optim cannot be made: Nesterov"),
        ({"name": "SGD", "lr": 1e-3, "maximize": True}, "maximize of SGD is refused"),
        ({"name": "AdamW", "lr": 1e-3, "options": {"betas": [2.0, 0.9]}}, r"betas of AdamW must be in \[0, 1\)"),
    ],
)
def test_what_cannot_train_is_one_line(arguments, line):
    with pytest.raises(UserError, match=line):
        TorchOptimizer(**arguments)


def test_it_is_torchs_own_with_its_defaults():
    made = ADAMW([Parameter(torch.zeros(2))])
    assert type(made) is torch.optim.AdamW
    assert (made.defaults["betas"], made.defaults["weight_decay"], made.defaults["eps"]) == ((0.0, 0.9), 0.1, 1e-8)
    assert TorchOptimizer("AdamW", 1e-3, {"betas": [0.0, 0.9]}, weight_decay=0.1) == ADAMW
    assert ADAMW.kind == "AdamW" and Adam(lr=1e-3).kind == TorchOptimizer("Adam", lr=1).kind == "Adam"


def test_warm_up_rises_and_then_follows():
    warm = WarmUp(n_updates=10, then=CosineDecay(end=100))
    assert [WarmUp(10)(update) for update in (0, 4, 9, 10, 10**6)] == [0.1, 0.5, 1.0, 1.0, 1.0]
    assert all(warm(update) == CosineDecay(end=100)(update) for update in (9, 50, 100, 200))
    with pytest.raises(UserError, match="n_updates of WarmUp must be at least 1, got 0"):
        WarmUp(n_updates=0)


CASE = Case(SNGAN, data=VECTORS, n_critic=1, critic_optimizer=ADAMW, generator_schedule=WarmUp(3))


def test_resumed_it_goes_on_to_the_bit(tmp_path):
    save = SaveAt(tmp_path, {2, 4})
    train(CASE.game(), CASE.data(), tmp_path, 4, callbacks=[save])
    again = SaveAt(tmp_path / "again", {4})
    train(CASE.game(), CASE.data(), tmp_path, 4, ckpt=tmp_path / "2.ckpt", callbacks=[again])
    one, other = (torch.load(p / "4.ckpt", weights_only=True) for p in (tmp_path, tmp_path / "again"))
    assert one["optimizers"] == {"critic": "AdamW", "generator": "Adam"}
    for key in ("state_dict", "optimizer_states"):
        assert_same(one[key], other[key])
    assert load(tmp_path / "4.ckpt").players[0].spec == ADAMW


@pytest.mark.parametrize(("was", "now"), [(ADAMW, Adam(lr=1e-3)), (Adam(lr=1e-3), TorchOptimizer("NAdam", lr=1e-3))])
def test_another_kinds_state_is_refused(was, now, tmp_path):
    train(CASE.game(critic_optimizer=was), CASE.data(), tmp_path, 2, callbacks=[SaveAt(tmp_path, {2})])
    with pytest.raises(UserError, match=f"critic_optimizer was {was.kind} and is {now.kind} now"):
        train(CASE.game(critic_optimizer=now), CASE.data(), tmp_path, 4, ckpt=tmp_path / "2.ckpt")


def test_adam_by_name_continues_adam_with_the_settings_of_now(tmp_path):
    train(CASE.game(critic_optimizer=Adam(lr=1e-3)), CASE.data(), tmp_path, 2, callbacks=[SaveAt(tmp_path, {2})])
    game = CASE.game(critic_optimizer=TorchOptimizer("Adam", lr=1e-3, betas=(0.3, 0.9)))
    train(game, CASE.data(), tmp_path, 4, ckpt=tmp_path / "2.ckpt")
    assert game.optimizers(use_pl_optimizer=False)[0].param_groups[0]["betas"] == (0.3, 0.9)


def test_only_what_the_functions_know_is_unrolled():
    weights = [Parameter(torch.ones(2))]
    for optimizer in (
        torch.optim.AdamW(weights, lr=0.1),
        torch.optim.Adam(weights, lr=0.1, amsgrad=True),
        torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True),
    ):
        with pytest.raises(UserError, match="cannot be unrolled"):
            functional(optimizer, weights)
    assert_close(
        functional(torch.optim.SGD(weights, lr=0.1), weights).step(weights, [torch.ones(2)])[0], 0.9 * weights[0]
    )


def test_in_yaml(tmp_path):
    spec = {
        "class_path": "TorchOptimizer",
        "init_args": {"name": "AdamW", "lr": 1e-3, "options": {"betas": [0.0, 0.9]}},
    }
    schedule = {
        "class_path": "WarmUp",
        "init_args": {"n_updates": 4, "then": {"class_path": "LinearDecay", "init_args": {"end": 9}}},
    }
    config = {
        "name": "ring",
        "model": {
            "class_path": "SNGAN",
            "init_args": {"n_critic": 1, "critic_optimizer": spec, "critic_schedule": schedule, **networks()},
        },
        "data": {"class_path": "Ring", "init_args": {"batch_size": 8}},
    }
    outcome = fit(tmp_path, config)
    assert outcome.code == 0, outcome.err
    game = load(tmp_path / "ring")
    assert game.players[0].spec == TorchOptimizer("AdamW", lr=1e-3, betas=(0.0, 0.9))
    spec["init_args"]["name"] = "AdamV"
    outcome = fit(tmp_path, config)
    assert outcome.code == 2 and "torch.optim has no AdamV (did you mean Adam" in outcome.err
    assert len(outcome.err.splitlines()) == 1
