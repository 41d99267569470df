"""WGAN-div and DRAGAN: their penalties in closed form, on a linear and on a quadratic critic."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.data import RandomImages
from gan_lightning.families import DRAGAN, WGANDiv
from gan_lightning.networks import DCGANCritic, DCGANGenerator
from gan_lightning.optimizers import Adam
from gan_lightning.shapes import shape_of
from gan_lightning.stabilizers.gradient_penalties import DivergencePenalty, PerturbationPenalty, global_std
from tests.cases import VECTORS, Case
from tests.families.closed_forms import LinearCritic, QuadraticCritic, noise, vector_game
from tests.training import train

SHAPES = pytest.mark.parametrize(("shape", "size"), [((5,), (0, 5)), ((3, 2, 2), (2, 3))], ids=["vectors", "images"])


@SHAPES
@pytest.mark.parametrize(("k", "p"), [(2.0, 6.0), (1.5, 2.0), (1.0, 1.0)])
def test_divergence_penalty(shape, size, k, p):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 16, *shape)
    penalty = DivergencePenalty(k, p, on_lines=False)
    linear = LinearCritic(shape_of(*size))
    norm = linear.output.weight.norm()
    assert_close(penalty(linear, real, fake, None, noise()), k * norm**p, rtol=1e-4, atol=1e-6)
    # The gradient of |x|^2 / 2 is x: the power of each sample's own norm, reals and fakes with half the weight each.
    expected = k / 2 * sum(sum(x.norm() ** p for x in batch) / 16 for batch in (real, fake))
    assert_close(penalty(QuadraticCritic(shape_of(*size)), real, fake, None, noise()), expected, rtol=1e-4, atol=1e-6)


@SHAPES
@pytest.mark.parametrize(("k", "p"), [(2.0, 6.0), (1.5, 2.0)])
def test_divergence_penalty_between_the_samples(shape, size, k, p):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 16, *shape)
    linear = LinearCritic(shape_of(*size))
    expected = k * linear.output.weight.norm() ** p
    assert_close(DivergencePenalty(k, p)(linear, real, fake, None, noise()), expected, rtol=1e-4, atol=1e-6)
    # one uniform number a sample; the gradient of |x|^2 / 2 is x
    points = [a * x + (1 - a) * y for a, x, y in zip(noise().uniform(16), real, fake, strict=True)]
    expected = k * sum(point.norm() ** p for point in points) / 16
    found = DivergencePenalty(k, p)(QuadraticCritic(shape_of(*size)), real, fake, None, noise())
    assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_the_defaults_are_the_authors():
    div, dragan = vector_game(WGANDiv, 4), vector_game(DRAGAN, 4)
    (penalty,) = div.critic_penalties
    assert (penalty.weight, penalty.power, penalty.on_lines, div.n_critic) == (2.0, 6.0, True, 4)
    assert [player.spec for player in div.players] == [Adam(lr=2e-4, betas=(0.0, 0.9))] * 2
    assert [player.spec for player in dragan.players] == [Adam(lr=1e-4, betas=(0.5, 0.9))] * 2


def test_the_spread_is_the_whole_batchs_whatever_the_micro_batches(tmp_path):
    """Micro-batches of one ring mode each have a smaller standard deviation than the batch of all."""
    states = []
    for parts in (1, 2, 4):
        case = Case(DRAGAN, data=VECTORS, spread=2.0, critic_accumulation=parts)
        game = case.game()
        train(game, case.data(batch_size=8), tmp_path, 3, precision="64-true")
        states.append(game.state_dict())
    for state in states[1:]:
        for name, value in states[0].items():
            assert_close(state[name], value, rtol=1e-10, atol=1e-12)


@SHAPES
def test_perturbation_penalty(shape, size):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 16, *shape)
    linear = LinearCritic(shape_of(*size))
    expected = 10 * (linear.output.weight.norm() - 1) ** 2
    assert_close(PerturbationPenalty()(linear, real, fake, None, noise()), expected, rtol=1e-4, atol=1e-5)
    quadratic = QuadraticCritic(shape_of(*size))
    exact = 3 * torch.stack([(x.norm() - 1) ** 2 for x in real]).mean()
    assert_close(PerturbationPenalty(3.0, spread=0)(quadratic, real, fake, None, noise()), exact, rtol=1e-4, atol=1e-5)


def test_perturbed_points_lie_near_real_samples_on_one_ray_each():
    torch.manual_seed(0)
    real = 3 * torch.randn(64, 3, 16, 16) + 1
    steps = (PerturbationPenalty(spread=0.5).points(real, noise()) - real) / (0.5 * real.std(correction=0))
    assert steps.min() >= -1e-5 and steps.max() <= 1
    # Of 768 coordinates in [0, a) the largest is about a, and a is one uniform number per sample.
    shares = steps.flatten(1).max(1).values
    assert shares.min() < 0.1 and shares.max() > 0.9
    assert abs(shares.mean() - 0.5) < 0.15 and abs(shares.std() - 12**-0.5) < 0.07
    relative = steps / shares[:, None, None, None]
    assert abs(relative.mean() - 0.5) < 0.02


def test_global_std():
    values = torch.randn(4, 3, 2) * 5 + 100
    assert_close(global_std(values), values.std(correction=0), rtol=1e-4, atol=1e-5)
    assert_close(global_std(torch.full((3, 2), 7.0)), torch.tensor(0.0))


@pytest.mark.parametrize("family", [WGANDiv, DRAGAN])
def test_the_family_adds_its_penalty_and_refuses_batch_norm(family, tmp_path):
    game = vector_game(family, 4)
    assert [type(p) for p in game.critic_penalties] == [DivergencePenalty if family is WGANDiv else PerturbationPenalty]
    game = family(DCGANGenerator, DCGANCritic, shape=shape_of(16, 3))
    with pytest.raises(ValueError, match="per-sample"):
        train(game, RandomImages(image_size=16), tmp_path, 1)


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match="power"):
        DivergencePenalty(power=0.5)
    with pytest.raises(ValueError, match="spread"):
        PerturbationPenalty(spread=-1)
