"""The fidelity metrics against closed forms; against torch-fidelity itself in test_sharding.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from gan_lightning.metrics.fidelity import (
    Moments,
    chunks,
    frechet_distance,
    gather_rows,
    inception_score,
    kernel_inception_distance,
    precision_recall,
    proportional_labels,
    shard,
)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moments_of(features: Tensor) -> Moments:
    moments = Moments()
    moments.update(features)
    return moments


# --- moments ---


def test_moments_equal_numpy() -> None:
    features = normal(101, 5) * torch.arange(1, 6) + 3
    moments = Moments()
    for part in features.split(16):
        moments.update(part)
    assert moments.n == 101
    assert_close(moments.mean, features.double().mean(0))
    assert_close(moments.covariance, torch.from_numpy(np.cov(features.double().numpy(), rowvar=False)))


def test_moments_far_from_zero_where_float32_fails() -> None:
    deviations = normal(2000, 4).mul(8).round().div(8)  # exact in float32 beside 10,000
    features = 10_000 + deviations
    expected = torch.from_numpy(np.cov(deviations.double().numpy(), rowvar=False))
    assert_close(moments_of(features).covariance, expected, rtol=1e-6, atol=1e-6)

    one_pass = features.T @ features / 2000 - torch.outer(features.mean(0), features.mean(0))
    assert (one_pass.double() - expected).abs().max() > 0.1  # the test would notice float32 sums


def test_frechet_distance_does_not_depend_on_a_common_offset() -> None:
    real, fake = (normal(500, 4, seed=s).mul(8).round().div(8) for s in (1, 2))
    near = frechet_distance(moments_of(real), moments_of(fake + 1))
    far = frechet_distance(moments_of(real + 10_000), moments_of(fake + 10_001))
    assert far == pytest.approx(near, rel=1e-6)


def test_merge_leaves_both_and_equals_all_at_once() -> None:
    features = normal(50, 3)
    first, second = moments_of(features[:20]), moments_of(features[20:])
    merged = first.merge(second)
    assert (first.n, second.n, merged.n) == (20, 30, 50)
    assert_close(merged.covariance, moments_of(features).covariance)
    assert_close(merged.merge(Moments()).mean, merged.mean)


def test_reduce_without_a_process_group_is_a_copy() -> None:
    moments = moments_of(normal(10, 3))
    reduced = moments.reduce()
    reduced.update(normal(5, 3))
    assert (moments.n, reduced.n) == (10, 15)
    assert Moments().reduce().n == 0


@pytest.mark.parametrize("features", [torch.zeros(0, 3), torch.zeros(1, 3)])
def test_moments_need_two_samples(features: Tensor) -> None:
    moments = moments_of(features)
    with pytest.raises(ValueError, match="at least 2"):
        _ = moments.covariance
    with pytest.raises(ValueError, match="at least 2"):
        frechet_distance(moments, moments_of(normal(5, 3)))
    with pytest.raises(ValueError, match="at least 2"):
        _ = Moments().mean


def test_moments_refuse_other_shapes() -> None:
    with pytest.raises(ValueError, match="matrix"):
        Moments().update(torch.zeros(3))
    with pytest.raises(ValueError, match="3 wide, got 4"):
        moments_of(normal(5, 3)).update(normal(5, 4))
    with pytest.raises(ValueError, match="equally wide"):
        frechet_distance(moments_of(normal(5, 3)), moments_of(normal(5, 4)))


# --- closed forms ---


def with_moments(mean: Tensor, covariance: Tensor, n: int = 100_000) -> Moments:
    """Return the Moments that a sample of exactly this mean and covariance has."""
    return Moments(n, n * mean, (n - 1) * covariance + n * torch.outer(mean, mean))


@pytest.mark.parametrize(("m1", "s1", "m2", "s2"), [(0.0, 1.0, 0.0, 1.0), (1.0, 0.5, -2.0, 3.0), (0.0, 1.0, 0.0, 0.0)])
def test_frechet_distance_of_gaussians_on_the_line(m1: float, s1: float, m2: float, s2: float) -> None:
    real, fake = (
        with_moments(torch.tensor([m]).double(), torch.tensor([[s * s]]).double()) for m, s in ((m1, s1), (m2, s2))
    )
    expected = (m1 - m2) ** 2 + (s1 - s2) ** 2
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert frechet_distance(fake, real) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_frechet_distance_of_gaussians_with_common_axes() -> None:
    axes = torch.linalg.qr(normal(6, 6).double()).Q
    v1, v2 = torch.arange(1, 7).double(), torch.arange(6, 0, -1).double() / 3
    m1, m2 = normal(6, seed=1).double(), normal(6, seed=2).double()
    distance = frechet_distance(
        with_moments(m1, axes @ v1.diag() @ axes.T),
        with_moments(m2, axes @ v2.diag() @ axes.T),
    )
    expected = (m1 - m2).square().sum() + (v1.sqrt() - v2.sqrt()).square().sum()
    assert distance == pytest.approx(expected.item(), rel=1e-8)


def test_frechet_distance_equals_the_symmetric_square_root() -> None:
    real, fake = moments_of(normal(300, 12)), moments_of(normal(200, 12, seed=1) @ normal(12, 12, seed=2))
    values, vectors = torch.linalg.eigh(real.covariance)
    root = vectors @ values.clamp(min=0).sqrt().diag() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ fake.covariance @ root).clamp(min=0).sqrt().sum()
    mean = (real.mean - fake.mean).square().sum()
    expected = mean + real.covariance.trace() + fake.covariance.trace() - 2 * cross
    assert frechet_distance(real, fake) == pytest.approx(expected.item(), rel=1e-8)


def test_frechet_distance_of_a_diverged_generator_is_nan() -> None:
    assert math.isnan(frechet_distance(moments_of(normal(9, 3)), moments_of(torch.full((9, 3), math.nan))))


@pytest.mark.parametrize("n_classes", [2, 10])
def test_inception_score_of_perfect_and_of_constant_samples(n_classes: int) -> None:
    perfect = 100 * torch.eye(n_classes).repeat(20, 1)
    assert inception_score(perfect, splits=1) == (pytest.approx(n_classes), 0.0)
    constant = normal(n_classes).expand(40, n_classes)
    assert inception_score(constant) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-6))


def test_inception_score_refuses_more_splits_than_samples() -> None:
    with pytest.raises(ValueError, match="splits must be between 1 and the number of samples, 5, got 10"):
        inception_score(normal(5, 3))


def test_kernel_inception_distance_of_one_whole_subset_equals_the_unbiased_mmd() -> None:
    real, fake = normal(40, 6), normal(40, 6, seed=1) + 0.5
    x, y = real.double(), fake.double()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / 6 + 1) ** 3

    off = 1 - torch.eye(40).double()
    expected = ((kernel(x, x) + kernel(y, y)) * off).sum() / (40 * 39) - 2 * kernel(x, y).mean()
    mean, std = kernel_inception_distance(real, fake, subsets=1, subset_size=40)
    assert mean == pytest.approx(expected.item(), rel=1e-4)  # torch-fidelity's kernel is float32
    assert std == 0


@pytest.mark.parametrize(("subsets", "subset_size"), [(0, 10), (10, 21), (10, 1)])
def test_kernel_inception_distance_refuses(subsets: int, subset_size: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        kernel_inception_distance(normal(20, 3), normal(30, 3), subsets, subset_size)


def test_precision_recall_of_equal_distant_and_collapsed_samples() -> None:
    real = normal(200, 2)
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real, real + 100) == (0.0, 0.0)
    collapsed = 0.01 * normal(50, 2, seed=1)
    precision, recall = precision_recall(real, collapsed)
    assert precision == 1.0
    assert recall < 0.05
    assert precision_recall(collapsed, real) == (recall, precision)  # each is the other with the sides exchanged
    assert precision_recall(real, collapsed, block=7) == (precision, recall)


def test_precision_recall_refuses_too_few_samples() -> None:
    with pytest.raises(ValueError, match="below the number of samples, 3, got 3"):
        precision_recall(normal(3, 2), normal(30, 2))


# --- shards ---


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 640])
@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_shards_hold_each_position_once(n: int, world: int) -> None:
    parts = chunks(n)
    held = [j for rank in range(world) for i in shard(len(parts), rank, world) for j in parts[i]]
    assert sorted(held) == list(range(n))


def test_chunks_and_shard_refuse() -> None:
    with pytest.raises(ValueError, match="chunk at least 1"):
        chunks(5, 0)
    with pytest.raises(ValueError, match="rank must be between 0 and 1, got 2"):
        shard(5, 2, 2)


def test_gather_rows_orders_the_chunks_of_one_process() -> None:
    rows = torch.arange(10).view(5, 2)
    assert_close(gather_rows([(1, rows[3:]), (0, rows[:3])]), rows)
    with pytest.raises(ValueError, match="own index"):
        gather_rows([(0, rows), (0, rows)])
    with pytest.raises(ValueError, match="one shape and type"):
        gather_rows([(0, rows), (1, rows.float())])
    with pytest.raises(ValueError, match="no chunks at all"):
        gather_rows([])


def test_features_that_are_not_finite_give_nan_in_every_metric() -> None:
    good, bad = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(9, 3)
    bad[2, 1] = math.inf
    for pair in ((good, bad), (bad, good)):
        assert all(map(math.isnan, kernel_inception_distance(*pair, subset_size=5)))
        assert all(map(math.isnan, precision_recall(*pair)))
    assert all(map(math.isnan, inception_score(bad, 3)))


@pytest.mark.parametrize(
    ("counts", "n", "expected"),
    [
        ([7, 7, 7], 8, [0, 1, 2, 0, 1, 2, 0, 1]),
        ([3, 1], 8, [0, 0, 1, 0, 0, 0, 1, 0]),
        ([5, 0, 5], 4, [0, 2, 0, 2]),
        ([1, 1, 2], 2, [2, 0]),  # quotas 0.5, 0.5, 1: the tie goes to the lower class
    ],
)
def test_proportional_labels_are_apportioned_and_interleaved(counts: list[int], n: int, expected: list[int]) -> None:
    found = proportional_labels(torch.tensor(counts), n)
    assert sorted(found.tolist()) == sorted(expected)
    if counts != [1, 1, 2]:
        assert found.tolist() == expected


def test_every_stretch_of_proportional_labels_is_mixed() -> None:
    counts = torch.tensor([400, 250, 50, 300])
    labels = proportional_labels(counts, 10_000)
    assert labels.bincount().tolist() == [4000, 2500, 500, 3000]
    for start in range(0, 9_984, 64):
        share = labels[start : start + 64].bincount(minlength=4) / 64
        assert (share - counts / 1000).abs().max() < 2 / 64
    with pytest.raises(ValueError, match="not all 0"):
        proportional_labels(torch.zeros(3), 5)
