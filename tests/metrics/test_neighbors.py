"""Metrics of nearest neighbours against what their definitions say, written down plainly, and at degenerate samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_lightning.metrics.neighbors import density_coverage, distances, memorization, nearest_indices, precision_recall


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def table(a: Tensor, b: Tensor) -> np.ndarray:
    """Return all distances, one by one."""
    return np.array([[math.dist(x, y) for y in b.tolist()] for x in a.tolist()])


def prdc(real: Tensor, fake: Tensor, k: int) -> tuple[float, float]:
    """Return density and coverage as eqs. 6 and 7 of Naeem et al. 2020 say them."""
    radii = np.sort(table(real, real), 1)[:, k]
    within = table(real, fake) < radii[:, None]
    return within.sum() / (k * len(fake)), within.any(1).mean()


@pytest.mark.parametrize(("n", "m", "width", "k"), [(60, 50, 3, 5), (40, 90, 20, 1), (30, 7, 5, 3)])
def test_density_and_coverage_are_their_definitions(n: int, m: int, width: int, k: int) -> None:
    real, fake = normal(n, width), 0.9 * normal(m, width, seed=1) + 0.1
    expected = prdc(real, fake, k)
    assert density_coverage(real, fake, k) == pytest.approx(expected, rel=1e-12)
    assert 0 < expected[0] and 0 < expected[1] < 1


def test_density_and_coverage_equal_the_authors() -> None:
    authors = pytest.importorskip("prdc")
    real, fake = normal(300, 16), 0.8 * normal(200, 16, seed=1)
    expected = authors.compute_prdc(real.numpy(), fake.numpy(), nearest_k=5)
    assert density_coverage(real, fake) == pytest.approx((expected["density"], expected["coverage"]), rel=1e-12)


def test_density_and_coverage_of_degenerate_samples() -> None:
    real = normal(50, 4)
    density, coverage = density_coverage(real, real)
    assert (density, coverage) == (1.0, 1.0)  # the ball of each sample holds itself and k - 1 others
    assert density_coverage(real, real + 100) == (0.0, 0.0)
    density, coverage = density_coverage(real, real[:1].expand(40, -1))
    assert density > 0 and coverage == pytest.approx(density * 5 / 50)  # every ball that one repeated fake lies in
    assert density_coverage(torch.zeros(20, 4), torch.zeros(9, 4)) == (0.0, 0.0)  # no ball reaches anywhere
    assert all(map(math.isnan, density_coverage(real, torch.full((9, 4), math.nan))))
    with pytest.raises(ValueError, match="below the number of real samples, 5"):
        density_coverage(real[:5], real)


def test_far_from_zero_distances_stay_exact() -> None:
    rows = normal(40, 8).mul(8).round().div(8) + 4096
    assert torch.equal(distances(rows, rows).diagonal(), torch.zeros(40))
    assert distances(rows, rows.flip(0)).numpy() == pytest.approx(table(rows, rows.flip(0)), rel=1e-5, abs=1e-6)


def test_precision_and_recall_do_not_depend_on_the_blocks() -> None:
    real, fake = normal(103, 6), 0.8 * normal(77, 6, seed=1)
    whole = precision_recall(real, fake)
    assert precision_recall(real, fake, block=10) == precision_recall(real, fake, block=64) == whole
    radii = np.sort(table(real, real), 1)[:, 3], np.sort(table(fake, fake), 1)[:, 3]
    between = table(fake, real)
    expected = (between <= radii[0]).any(1).mean(), (between.T <= radii[1]).any(1).mean()
    assert whole == pytest.approx(expected, rel=1e-6)


def test_memorization_is_its_definition() -> None:
    training, held_out, fake = normal(40, 3), normal(25, 3, seed=1), 0.9 * normal(30, 3, seed=2)
    of_fake, of_held_out = table(fake, training).min(1), table(held_out, training).min(1)
    share = np.mean([[(f < h) + 0.5 * (f == h) for h in of_held_out] for f in of_fake])
    others = np.sort(table(training, training), 1)[:, 1]
    authentic = 100 * np.mean(others[table(fake, training).argmin(1)] < of_fake)
    assert memorization(training, held_out, fake) == pytest.approx((share, authentic), rel=1e-6)


def test_memorization_of_copies_fresh_and_equal_samples() -> None:
    training, held_out = normal(400, 2), normal(400, 2, seed=1)
    assert memorization(training, held_out, training) == (1.0, 0.0)
    assert memorization(training, held_out, held_out).share == 0.5
    fresh = memorization(training, held_out, normal(400, 2, seed=2))
    assert abs(fresh.share - 0.5) < 4 * math.sqrt(801 / (12 * 400 * 400))  # 4 standard deviations of Mann-Whitney's U
    same = torch.zeros(9, 2)
    assert memorization(same, same, same) == (0.5, 0.0)
    assert all(map(math.isnan, memorization(training, held_out, torch.full((3, 2), math.inf))))
    with pytest.raises(ValueError, match="at least 2 training samples"):
        memorization(training[:1], held_out, training)


def test_nearest_indices() -> None:
    among, samples = normal(50, 4), normal(20, 4, seed=1)
    assert nearest_indices(samples, among, 3).tolist() == table(samples, among).argsort(1)[:, :3].tolist()
