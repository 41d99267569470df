"""Contract 5: the loss pairs against families.md section 1 and against independent formulas."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy
from torch.testing import assert_close

from gan_lightning import losses
from gan_lightning.losses.objectives import Hinge, NonSaturating, Wasserstein

LOG_2 = math.log(2)


def bce_critic(real, fake):
    real, fake = torch.sigmoid(real), torch.sigmoid(fake)
    return binary_cross_entropy(real, torch.ones_like(real)) + binary_cross_entropy(fake, torch.zeros_like(fake))


def bce_generator(fake):
    fake = torch.sigmoid(fake)
    return binary_cross_entropy(fake, torch.ones_like(fake))


def hinge_critic(real, fake):
    return (
        sum(max(0.0, 1 - o) for o in real.flatten().tolist()) / real.numel()
        + sum(max(0.0, 1 + o) for o in fake.flatten().tolist()) / fake.numel()
    )


PAIRS = [  # ours, of both players; an independent formula of each; what they are at o = 0
    (
        losses.logistic_critic_loss,
        losses.saturating_generator_loss,
        bce_critic,
        lambda fake: (1 - torch.sigmoid(fake)).log().mean(),
        2 * LOG_2,
        -LOG_2,
    ),
    (
        losses.logistic_critic_loss,
        losses.non_saturating_generator_loss,
        bce_critic,
        bce_generator,
        2 * LOG_2,
        LOG_2,
    ),
    (
        losses.wasserstein_critic_loss,
        losses.wasserstein_generator_loss,
        lambda real, fake: fake.sum() / fake.numel() - real.sum() / real.numel(),
        lambda fake: -fake.sum() / fake.numel(),
        0,
        0,
    ),
    (
        losses.hinge_critic_loss,
        losses.hinge_generator_loss,
        hinge_critic,
        lambda fake: -fake.sum() / fake.numel(),
        2,
        0,
    ),
    (
        losses.least_squares_critic_loss,
        losses.least_squares_generator_loss,
        lambda real, fake: (
            sum((o - 1) ** 2 for o in real.flatten().tolist()) / (2 * real.numel())
            + sum(o**2 for o in fake.flatten().tolist()) / (2 * fake.numel())
        ),
        lambda fake: sum((o - 1) ** 2 for o in fake.flatten().tolist()) / (2 * fake.numel()),
        0.5,
        0.5,
    ),
]
IDS = ["minimax", "non-saturating", "wasserstein", "hinge", "least-squares"]


@pytest.mark.parametrize(("critic", "generator", "critic_formula", "generator_formula", "_c", "_g"), PAIRS, ids=IDS)
@pytest.mark.parametrize("shape", [(7,), (5, 1), (2, 1, 3, 3)])
def test_pairs_are_their_formulas(critic, generator, critic_formula, generator_formula, _c, _g, shape):
    random = torch.Generator().manual_seed(0)
    real, fake = (2 * torch.randn(shape, generator=random, dtype=torch.float64) for _ in range(2))
    assert critic(real, fake).shape == generator(fake).shape == ()
    assert_close(critic(real, fake), torch.as_tensor(critic_formula(real, fake), dtype=torch.float64))
    assert_close(generator(fake), torch.as_tensor(generator_formula(fake), dtype=torch.float64))


@pytest.mark.parametrize(("critic", "generator", "_cf", "_gf", "critic_value", "generator_value"), PAIRS, ids=IDS)
def test_pairs_at_the_start(critic, generator, _cf, _gf, critic_value, generator_value):
    zero = torch.zeros(4)
    assert float(critic(zero, zero)) == pytest.approx(critic_value, abs=1e-6)
    assert float(generator(zero)) == pytest.approx(generator_value, abs=1e-6)


@pytest.mark.parametrize("pair", PAIRS, ids=IDS)
def test_pairs_are_finite_where_a_player_is_sure(pair):
    critic, generator = pair[:2]
    real, fake = (torch.tensor([-1e4, 1e4], requires_grad=True) for _ in range(2))
    total = critic(real, fake) + generator(fake)
    total.backward()
    assert total.isfinite() and real.grad.isfinite().all() and fake.grad.isfinite().all()


@pytest.mark.parametrize(
    ("loss", "slope"),
    [
        (losses.saturating_generator_loss, lambda fake: -torch.sigmoid(fake)),
        (losses.non_saturating_generator_loss, lambda fake: torch.sigmoid(fake) - 1),
    ],
)
def test_the_generators_gradient_at_its_logit(loss, slope):
    fake = torch.linspace(-9, 9, 7, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(fake) * len(fake), fake)
    assert_close(gradient, slope(fake.detach()))


def test_the_optimal_critics_loss_is_log_four_minus_twice_the_divergence():
    """V(D*) = 2 JSD - 2 log 2 for two distributions on four points, L_D = -V(D*)."""
    p, q = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0.4, 0.3, 0.2, 0.1])
    middle = (p + q) / 2
    jsd = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2
    logits = p.log() - q.log()
    counts_p, counts_q = (p * 10).round().long(), (q * 10).round().long()
    loss = losses.logistic_critic_loss(logits.repeat_interleave(counts_p), logits.repeat_interleave(counts_q))
    assert_close(loss, 2 * torch.tensor(LOG_2) - 2 * jsd)


@pytest.mark.parametrize(
    ("critic", "generator", "factor", "critic_value", "generator_value"),
    [
        (losses.logistic_critic_loss, losses.non_saturating_generator_loss, 1, 3.1251488, 0.9509911),
        # Published as two numbers, which add up to E log(1 - D).
        (losses.logistic_critic_loss, losses.saturating_generator_loss, 1, 3.1251488, -3.3642528 + 0.3132617),
        (losses.wasserstein_critic_loss, losses.wasserstein_generator_loss, 1, -2.625, -2.1),
        (losses.hinge_critic_loss, losses.hinge_generator_loss, 1, 3.725, -2.1),
        (losses.least_squares_critic_loss, losses.least_squares_generator_loss, 2, 39.5225, 14.685),
    ],
    ids=["non-saturating", "saturating", "wasserstein", "hinge", "least-squares"],
)
def test_torchgans_published_vectors(critic, generator, factor, critic_value, generator_value):
    """Its least squares have no halves: twice ours."""
    real, fake = torch.tensor([1.3, 2.9, 8.4, 6.3]), torch.tensor([4.8, 1.2, -3.5, 5.9])
    assert factor * float(critic(real, fake)) == pytest.approx(critic_value, abs=2e-6)
    assert factor * float(generator(fake)) == pytest.approx(generator_value, abs=2e-6)


@pytest.mark.parametrize(
    ("objective", "critic", "generator"),
    [
        (Hinge(), losses.hinge_critic_loss, losses.hinge_generator_loss),
        (NonSaturating(), losses.logistic_critic_loss, losses.non_saturating_generator_loss),
        (Wasserstein(), losses.wasserstein_critic_loss, losses.wasserstein_generator_loss),
    ],
)
def test_objectives_are_their_pairs(objective, critic, generator):
    real, fake = torch.tensor([0.5, -2.0]), torch.tensor([1.5, 0.1])
    assert objective.critic_loss(real, fake) == critic(real, fake)
    assert objective.generator_loss(fake) == generator(fake)


@pytest.mark.parametrize("target", [0.6, 0.75, 0.9, 1.0])
def test_one_sided_label_smoothing_is_cross_entropy_with_that_target(target):
    real, fake = torch.tensor([0.5, -2.0, 30.0]), torch.tensor([1.5, 0.1])
    probabilities = real.double().sigmoid()
    expected = -(target * probabilities.log() + (1 - target) * torch.sigmoid(-real.double()).log()).mean()
    expected = expected + binary_cross_entropy(fake.double().sigmoid(), torch.zeros(2).double())
    assert_close(losses.logistic_critic_loss(real, fake, target).double(), expected, rtol=1e-5, atol=0)
    assert NonSaturating(target).critic_loss(real, fake) == losses.logistic_critic_loss(real, fake, target)
    assert NonSaturating(target).generator_loss(fake) == losses.non_saturating_generator_loss(fake)


@pytest.mark.parametrize("target", [0.5, 0.1, 1.1, float("nan")])
def test_targets_that_smooth_no_labels_are_refused(target):
    with pytest.raises(ValueError, match="real_target must be in"):
        NonSaturating(target)
