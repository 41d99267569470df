from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.families import LSGAN
from tests.families.closed_forms import vector_game


def test_a_critic_that_says_0():
    game = vector_game(LSGAN, 3)
    torch.nn.init.zeros_(game.critic.output.weight)
    torch.nn.init.zeros_(game.critic.output.bias)
    real, fake = torch.randn(2, 5, 3)
    assert_close(game.critic_loss(real, fake, None)["least_squares"], torch.tensor(0.5))
    assert_close(game.generator_loss(real, fake, None)["least_squares"], torch.tensor(0.5))


def test_the_best_critic_of_two_points():
    """On x = 1 with density p and q, the best output is (b p + a q) / (p + q) (eq. 5); batches stand for densities."""
    game = vector_game(LSGAN, 1, fake_target=-1.0, real_target=1.0, generator_target=0.0)
    real, fake = torch.ones(30, 1), torch.cat([torch.ones(10, 1), torch.zeros(20, 1)])
    optimizer = torch.optim.LBFGS(game.critic.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = game.critic_loss(real, fake, None)["least_squares"]
        loss.backward()
        return loss

    for _ in range(5):
        optimizer.step(closure)
    p, q = 1.0, 1 / 3
    assert_close(game.critic(torch.ones(1, 1)).item(), (p - q) / (p + q), rtol=0, atol=1e-4)
    assert_close(game.critic(torch.zeros(1, 1)).item(), -1.0, rtol=0, atol=1e-4)
    assert_close(game.generator_loss(real, torch.zeros(4, 1), None)["least_squares"].item(), 0.5, rtol=0, atol=1e-4)


def test_equal_targets_are_refused():
    with pytest.raises(ValueError, match="must differ"):
        vector_game(LSGAN, 1, fake_target=1.0)
