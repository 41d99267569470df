"""Vendi score, spread within classes, CMMD and FD-infinity against closed forms and plain references."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_lightning.metrics.diversity import class_spread, classes_found, cmmd, vendi_score
from gan_lightning.metrics.fidelity import Moments, frechet_distance, frechet_infinity, inception_score


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moments_of(features: Tensor) -> Moments:
    moments = Moments()
    moments.update(features)
    return moments


def test_classes_found_and_their_effective_number() -> None:
    one_hot = 9 * torch.eye(5)
    assert classes_found(one_hot) == (5, pytest.approx(5, rel=1e-12))
    assert classes_found(one_hot[[3, 3, 3]]) == (1, pytest.approx(1, rel=1e-12))
    found = classes_found(one_hot[[0, 0, 0, 1]])
    assert found == (2, pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)), rel=1e-12))
    assert all(map(math.isnan, classes_found(torch.tensor([[1.0, math.nan]]))))


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_vendi_is_the_entropy_of_the_similarities(shape: tuple[int, int]) -> None:
    features = normal(*shape)
    unit = features.numpy() / np.linalg.norm(features.numpy(), axis=1, keepdims=True)
    values = np.linalg.eigvalsh((unit @ unit.T).astype(np.float64) / shape[0]).clip(1e-300)
    assert vendi_score(features) == pytest.approx(math.exp(-(values * np.log(values)).sum()), rel=1e-5)


def test_vendi_of_degenerate_samples() -> None:
    assert vendi_score(torch.eye(5).repeat(3, 1)) == pytest.approx(5)
    assert vendi_score(torch.ones(7, 3)) == pytest.approx(1)
    assert vendi_score(torch.zeros(4, 3)) == pytest.approx(4)
    assert math.isnan(vendi_score(torch.full((3, 2), math.nan)))
    with pytest.raises(ValueError, match="at least 1"):
        vendi_score(torch.zeros(0, 3))


def test_class_spread_is_the_mean_distance_of_pairs() -> None:
    features, labels = normal(40, 5), torch.arange(40) % 3
    means = []
    for label in range(3):
        rows = features[labels == label].tolist()
        means.append(np.mean([math.dist(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows) if i != j]))
    assert class_spread(features, labels) == pytest.approx(np.mean(means), rel=1e-6)
    assert class_spread(torch.ones(6, 2), torch.arange(6) % 2) == 0
    with pytest.raises(ValueError, match="no class has two"):
        class_spread(features[:3], labels[:3])


def test_cmmd_is_the_kernel_mean_distance() -> None:
    real, fake = normal(30, 6), normal(20, 6, seed=1) + 0.5

    def mean(a: Tensor, b: Tensor) -> float:
        units = [x.double() / x.double().norm(dim=1, keepdim=True) for x in (a, b)]
        return float(np.mean([[math.exp(-(math.dist(x, y) ** 2) / 200) for y in units[1]] for x in units[0]]))

    expected = 1000 * (mean(real, real) + mean(fake, fake) - 2 * mean(real, fake))
    assert cmmd(real, fake) == pytest.approx(expected, rel=1e-9)
    assert cmmd(real, real) == 0
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])  # unit vectors at a squared distance of 2
    assert cmmd(one, other) == pytest.approx(1000 * (2 - 2 * math.exp(-2 / 200)))
    assert math.isnan(cmmd(real, torch.full((3, 6), math.inf)))


def test_infinite_samples_of_equal_distributions_are_at_no_distance() -> None:
    """With D features the distance of n samples is about c / n more: the line takes all of it off."""
    real, fake = normal(20_000, 10), normal(2000, 10, seed=1)
    at_2000, infinite = frechet_distance(moments_of(real), moments_of(fake)), frechet_infinity(moments_of(real), fake)
    assert at_2000 > 0.02
    assert abs(infinite) < 0.5 * at_2000
    with pytest.raises(ValueError, match="at least 4 fakes"):
        frechet_infinity(moments_of(real), fake[:3])


def test_infinite_samples_are_the_intercept_of_a_line() -> None:
    real, fake = moments_of(normal(300, 3)), normal(100, 3, seed=1) + 1
    generator = torch.Generator().manual_seed(2020)
    sizes, found = np.linspace(50, 100, 15).astype(int), []
    for size in sizes:
        found.append(frechet_distance(real, moments_of(fake[torch.randperm(100, generator=generator)[: int(size)]])))
    assert frechet_infinity(real, fake) == pytest.approx(np.polyfit(1 / sizes, found, 1)[1], rel=1e-9)


def test_the_root_is_kept_until_samples_come_and_of_any_rank() -> None:
    few, many = moments_of(normal(5, 8)), moments_of(normal(50, 8))
    for moments in (few, many):
        assert torch.allclose(moments.root @ moments.root.T, moments.covariance)
        assert moments.root is moments.root
    assert few.root.shape == (8, 4) and many.root.shape == (8, 8)
    before = frechet_distance(many, few, as_published=False)
    many.update(normal(10, 8, seed=3) + 2)
    after = frechet_distance(many, few, as_published=False)
    assert after != before
    assert frechet_distance(few, many, as_published=False) == pytest.approx(after, rel=1e-7)


@pytest.mark.parametrize("n", [5, 40])
def test_the_distance_equals_torch_fidelity_with_fewer_samples_than_features(n: int) -> None:
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    real, fake = (moments_of(normal(n, 20, seed=seed).mul(1 + seed)) for seed in (0, 1))
    theirs = [{"mu": m.mean.numpy(), "sigma": m.covariance.numpy()} for m in (fake, real)]
    expected = fid_statistics_to_metric(*theirs, False)["frechet_inception_distance"]
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(real, fake, as_published=False) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(real, real, as_published=False) == pytest.approx(0, abs=1e-9)


def test_the_oracles_of_other_libraries() -> None:
    """compare_gan's test of FID has two clouds of two points each, torchgan's of the Inception score two samples."""
    real, fake = torch.ones(100, 2), torch.full((100, 2), 9.0)
    real[:50, 0], fake[50:, 0] = 2, 2
    assert frechet_distance(moments_of(real), moments_of(fake)) == pytest.approx(89.091, abs=1e-3)
    logits = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 5.0, 3.1]])
    assert inception_score(logits, splits=1)[0] == pytest.approx(1.24357, abs=1e-5)


def test_moments_of_a_mean_and_a_covariance() -> None:
    mean, covariance = normal(10).double(), torch.cov(normal(10, 50).double())
    assert torch.allclose(Moments.of(mean, covariance, 7).covariance, covariance)
    assert torch.allclose(Moments.of(mean, covariance, 7).mean, mean)
    with pytest.raises(ValueError, match="at least 2 samples"):
        Moments.of(mean, covariance, 1)
