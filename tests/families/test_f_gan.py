from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.families import FGAN
from gan_lightning.families.f_gan import RaisedOutput, VariationalBound
from gan_lightning.losses.divergences import KL, GANDivergence, Jeffrey, JensenShannon, Pearson, TotalVariation
from gan_lightning.losses.logits import logistic_critic_loss, non_saturating_generator_loss, saturating_generator_loss
from tests.families.closed_forms import vector_game


def test_the_gan_divergence_gives_the_original_losses():
    real, fake = torch.randn(2, 9, 3)
    for objective, generator_loss in (
        (VariationalBound(), saturating_generator_loss),
        (RaisedOutput(), non_saturating_generator_loss),
    ):
        game = vector_game(FGAN, 3, divergence=GANDivergence(), generator_objective=objective)
        o_real, o_fake = game.critic(real), game.critic(fake)
        assert_close(game.critic_loss(real, fake, None)["gan"], logistic_critic_loss(o_real, o_fake))
        (loss,) = game.generator_loss(real, fake, None).values()
        assert_close(loss, generator_loss(o_fake))


@pytest.mark.parametrize(
    ("divergence", "mean_shift", "expected"),
    [
        (KL(), 1.0, 0.5),  # between N(1, 1) and N(0, 1): shift^2 / 2
        (Jeffrey(), 1.0, 1.0),
        (Pearson(), 0.8, math.exp(0.64) - 1),
        (JensenShannon(), 0.0, 0.0),
        (TotalVariation(), 0.0, 0.0),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_the_bound_of_the_best_critic_of_two_gaussians(divergence, mean_shift, expected):
    """The losses at T = f'(p / q) on large samples, whose mean is the divergence of two unit Gaussians."""
    game = vector_game(FGAN, 1, divergence=divergence)
    torch.manual_seed(0)
    fake = torch.randn(400_000, 1, dtype=torch.float64)
    real = torch.randn(400_000, 1, dtype=torch.float64) + mean_shift

    class Best(torch.nn.Module):
        def forward(self, x, labels=None):
            ratio = (mean_shift * x[:, 0] - mean_shift**2 / 2).exp().requires_grad_(True)
            t = torch.autograd.grad(divergence.f(ratio).sum(), ratio)[0]
            if isinstance(divergence, JensenShannon):  # the logit whose activation is t
                return -torch.log(2 * torch.exp(-t) - 1)
            return t if divergence.activation(t).equal(t) else torch.atanh(2 * t)

    game.critic = Best()
    bound = -game.critic_loss(real, fake, None)[divergence.name].item()
    assert bound == pytest.approx(expected, abs=0.03)


def test_a_divergence_has_to_be_chosen():
    with pytest.raises(TypeError, match="divergence"):
        vector_game(FGAN, 1)
