"""Mode coverage against the oracles of a perfect sampler, and distances on the line against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gan_lightning.metrics.coverage import Coverage, class_coverage, mode_coverage, stacked_coverage, wasserstein_1d

ANGLES = torch.arange(8) * (2 * math.pi / 8)
RING = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
AXIS = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])
GRID = torch.cartesian_prod(AXIS, AXIS)
MIXTURES = [pytest.param(RING, 0.01, 0.00138, id="ring"), pytest.param(GRID, 0.05, 0.00485, id="grid")]


def draw(centres: Tensor, std: float, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    modes = torch.randint(len(centres), (n,), generator=generator)
    return centres[modes] + std * torch.randn(n, centres.shape[1], generator=generator)


@pytest.mark.parametrize(("centres", "std", "expected_kl"), MIXTURES)
def test_perfect_sampler(centres: Tensor, std: float, expected_kl: float) -> None:
    trials = [mode_coverage(draw(centres, std, 2500, seed), centres, std) for seed in range(200)]
    assert {trial.n_captured for trial in trials} == {len(centres)}
    share = sum(trial.high_quality for trial in trials) / len(trials)
    assert share == pytest.approx(1 - math.exp(-4.5), abs=6e-4)  # 4 standard errors
    reverse_kl = sum(trial.reverse_kl for trial in trials) / len(trials)
    assert reverse_kl == pytest.approx(expected_kl, rel=0.12)


@pytest.mark.parametrize("centres", [RING, GRID])
@pytest.mark.parametrize("k", [1, 4, 5, 8])
def test_k_modes_captured_evenly(centres: Tensor, k: int) -> None:
    found = mode_coverage(centres[:k].repeat(10, 1), centres, 0.01)
    assert found.n_captured == k
    assert found.high_quality == 1
    assert found.reverse_kl == pytest.approx(math.log(len(centres) / k), abs=1e-12)


def test_low_quality_points_count_for_the_share_only() -> None:
    points = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.9, 0.0], [math.nan, 0.0]])
    assert mode_coverage(points, RING, 0.01) == Coverage(1, 0.25, math.log(8))


def test_no_high_quality_point() -> None:
    found = mode_coverage(torch.zeros(5, 2), RING, 0.01)
    assert (found.n_captured, found.high_quality) == (0, 0.0)
    assert math.isnan(found.reverse_kl)


def test_the_radius_is_exact_far_from_the_origin() -> None:
    centres = torch.tensor([[1000.0, 1000.0], [1002.0, 1000.0]]).double()
    inside, outside = centres[:1] + torch.tensor([[0.0299, 0.0]]), centres[:1] + torch.tensor([[0.0301, 0.0]])
    assert mode_coverage(torch.cat([inside, outside]), centres, 0.01).high_quality == 0.5


def test_a_radius_per_dimension_for_high_dimensions() -> None:
    centres = torch.zeros(1, 700)
    points = draw(centres, 1.0, 50)
    assert mode_coverage(points, centres, 1.0, n_std=10).high_quality == 0  # rejects even the data
    assert mode_coverage(points, centres, 1.0, n_std=10 * math.sqrt(700)).high_quality == 1


@pytest.mark.parametrize(
    ("points", "centres", "std", "n_std"),
    [
        (torch.zeros(0, 2), RING, 0.1, 3.0),
        (torch.zeros(4), RING, 0.1, 3.0),
        (torch.zeros(4, 3), RING, 0.1, 3.0),
        (torch.zeros(4, 2), RING, 0.0, 3.0),
        (torch.zeros(4, 2), RING, 0.1, -1.0),
    ],
)
def test_mode_coverage_refuses(points: Tensor, centres: Tensor, std: float, n_std: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        mode_coverage(points, centres, std, n_std)


def test_class_coverage() -> None:
    one_hot = torch.eye(10)
    assert class_coverage(one_hot.repeat(3, 1)) == Coverage(10, 1.0, 0.0)
    assert class_coverage(one_hot[:5]).reverse_kl == pytest.approx(math.log(2))
    unsure = torch.tensor([[0.6, 0.4], [0.05, 0.95]])
    assert class_coverage(unsure) == Coverage(2, 1.0, 0.0)
    sure = class_coverage(unsure, min_confidence=0.9)
    assert (sure.n_captured, sure.high_quality) == (1, 0.5)
    assert sure.reverse_kl == pytest.approx(math.log(2))


def test_class_coverage_of_a_perfect_sampler_of_stacked_mnist() -> None:
    classes = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    found = class_coverage(torch.eye(1000)[classes])
    assert found.n_captured == 1000
    assert found.reverse_kl == pytest.approx(0.0194, abs=0.003)


def test_stacked_coverage_of_hand_made_triples() -> None:
    triples = torch.tensor([[0, 0, 0]] * 2 + [[0, 0, 1], [0, 1, 0], [1, 0, 0], [9, 9, 9], [9, 9, 9], [9, 9, 8]])
    found = stacked_coverage(triples)
    entropy = 2 * (1 / 4) * math.log(4) + 4 * (1 / 8) * math.log(8)
    assert found.n_captured == 6  # the order of the digits matters
    assert found.reverse_kl == pytest.approx(math.log(1000) - entropy, abs=1e-12)
    every = torch.cartesian_prod(*[torch.arange(10)] * 3)
    assert stacked_coverage(every) == Coverage(1000, 1.0, 0.0)
    assert stacked_coverage(every[:250].repeat(4, 1)).reverse_kl == pytest.approx(math.log(4))
    assert stacked_coverage(torch.tensor([[2, 1]]), n_classes=3).reverse_kl == pytest.approx(math.log(9))


def test_stacked_coverage_is_the_coverage_of_the_product_of_the_classifiers() -> None:
    logits = torch.randn(500, 3, 10, generator=torch.Generator().manual_seed(0))
    a, b, c = logits.softmax(2).unbind(1)
    joint = torch.einsum("na,nb,nc->nabc", a, b, c).flatten(1)
    assert stacked_coverage(logits.argmax(2)) == class_coverage(joint)


@pytest.mark.parametrize(
    "digits", [torch.tensor([[0, 10]]), torch.tensor([[-1, 0]]), torch.zeros(3), torch.zeros(0, 3)]
)
def test_stacked_coverage_refuses_what_are_no_digits(digits: Tensor) -> None:
    with pytest.raises(ValueError, match="digits must"):
        stacked_coverage(digits)


@pytest.mark.parametrize("probabilities", [torch.tensor([[2.0, -1.0]]), torch.tensor([[3.0, 4.0]]), torch.zeros(0, 3)])
def test_class_coverage_refuses_what_is_no_probability(probabilities: Tensor) -> None:
    with pytest.raises(ValueError, match="probabilities must be"):
        class_coverage(probabilities)


def test_wasserstein_of_a_shift_and_of_gaussians() -> None:
    sample = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    assert wasserstein_1d(sample, sample) == 0
    assert wasserstein_1d(sample, sample[torch.randperm(1000)] - 2.5) == pytest.approx(2.5, abs=1e-6)
    quantiles = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(4000).double() + 0.5) / 4000)
    assert wasserstein_1d(1 + 2 * quantiles, -3 + 2 * quantiles) == pytest.approx(4.0)


@pytest.mark.parametrize(("n", "m"), [(30, 30), (30, 7), (1, 100)])
def test_wasserstein_equals_scipy(n: int, m: int) -> None:
    from scipy.stats import wasserstein_distance

    generator = torch.Generator().manual_seed(n)
    real, fake = torch.randn(n, generator=generator), torch.rand(m, generator=generator).mul(4).round()
    expected = wasserstein_distance(real.double().numpy(), fake.double().numpy())
    assert_close(wasserstein_1d(real, fake), float(expected), rtol=1e-12, atol=0)
    assert_close(wasserstein_1d(fake, real), float(expected), rtol=1e-12, atol=0)


def test_wasserstein_refuses_vectors() -> None:
    with pytest.raises(ValueError, match="must be"):
        wasserstein_1d(torch.zeros(3, 1), torch.zeros(3))
