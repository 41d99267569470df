from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.data import Ring
from gan_lightning.families import MMDGAN
from gan_lightning.networks import MLPCritic, MLPGenerator
from gan_lightning.shapes import shape_of
from gan_lightning.stabilizers.gradient_penalties import R1
from tests.families.closed_forms import vector_game
from tests.training import train


def test_the_discrepancy_of_two_gaussians_on_identity_features():
    """For t = x - y ~ N(m, 2), E exp(-t^2 / (2 s^2)) = (1 + 2 / s^2)^(-1/2) exp(-m^2 / (2 (s^2 + 2)))."""
    shift, sigmas = 1.5, (1.0, 4.0)
    game = vector_game(MMDGAN, 1, sigmas=sigmas, order_weight=0.0)
    quantiles = torch.special.ndtri((torch.arange(600).double() + 0.5) / 600)[:, None]
    real, fake = quantiles, quantiles + shift

    def mean_kernel(m):
        return sum(math.exp(-(m**2) / (2 * (s**2 + 2))) / math.sqrt(1 + 2 / s**2) for s in sigmas)

    expected = 2 * mean_kernel(0) - 2 * mean_kernel(shift)
    assert game.generator_loss(real, fake, None)["mmd"].item() == pytest.approx(expected, abs=2e-3)


def test_it_is_a_zero_sum_game():
    game = vector_game(MMDGAN, 3)
    real, fake = torch.randn(2, 8, 3)
    fake[:, 0] += 5  # the first feature is in the wrong order
    critic, generator = game.critic_loss(real, fake, None), game.generator_loss(real, fake, None)
    assert list(critic) == list(generator) == ["mmd", "order"]
    for name in critic:
        assert_close(critic[name], -generator[name])
    wrong = (fake.mean(0) - real.mean(0)).clamp(min=0)
    assert_close(critic["order"], 16 * wrong.mean())
    assert generator["mmd"] > 0


def test_only_the_encoder_moves_within_its_box(tmp_path):
    networks = {"generator": partial(MLPGenerator, width=8), "critic": partial(MLPCritic, width=8)}
    game = MMDGAN(**networks, shape=shape_of(0, 2), n_critic=2, n_warm_up=1, n_critic_warm_up=3)
    assert [game.critic_updates_in_round(update) for update in (0, 1, 499, 500)] == [3, 2, 2, 3]
    last = game.critic.output.weight.clone()
    train(game, Ring(n=64, batch_size=8), tmp_path, 2)
    assert torch.equal(game.critic.output.weight, last)
    assert all(p.abs().max() <= 0.01 for p in game.critic.feature_parameters())


def test_what_cannot_work_is_refused(tmp_path):
    with pytest.raises(ValueError, match="sigmas"):
        vector_game(MMDGAN, 2, sigmas=(1.0, 0.0))
    with pytest.raises(ValueError, match="order_weight"):
        vector_game(MMDGAN, 2, order_weight=-1.0)
    game = vector_game(MMDGAN, 2, critic_penalties=[R1()])
    with pytest.raises(ValueError, match="no critic logits"):
        train(game, Ring(n=64, batch_size=8), tmp_path, 1)
