"""Metrics of nearest neighbours: precision and recall, density and coverage, and whether training images were copied.

Distances are taken in blocks of rows, so that memory does not grow with the square of the samples. Features that are not
finite give nan in every metric.
"""

from __future__ import annotations

from math import nan
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 10_000
"""Rows and columns of a block of distances, torch-fidelity's: 0.53 GB with what is computed from it, measured."""

_EXACT_BLOCK = 500  # rows of a block in float64; with 50,000 columns 0.2 GB a matrix, of which three are held
_EQUAL = 1e-13  # squared distances below this share of the squared norms are rounding: equal samples


def precision_recall(real: Tensor, fake: Tensor, neighborhood: int = 3, block: int = BLOCK) -> tuple[float, float]:
    """Return improved precision and recall, both in [0, 1] (Kynkäänniemi et al. 2019, arXiv:1904.06991, eq. 2).

    Precision is the share of fakes within the ball of a real sample, reaching to its k-th neighbour; recall the
    reverse. Distances are torch-fidelity's, float32 in blocks of the same size, of which one is held at a time.

    Example:
        >>> points = torch.arange(8.0)[:, None]
        >>> precision_recall(points, points + 100)
        (0.0, 0.0)

    Args:
        real: Features `(N, F)`.
        fake: Features `(M, F)`.
        neighborhood: k.
        block: Rows and columns of distances that are held at a time.

    Raises:
        ValueError: A side has no more than `neighborhood` samples.
    """
    _check_neighborhood(real, fake, neighborhood)
    if not (real.isfinite().all() and fake.isfinite().all()):
        return nan, nan
    real, fake = real.detach().cpu(), fake.detach().cpu()
    within = []
    for centers, points in ((real, fake), (fake, real)):
        radii = torch.cat([_radii(rows, centers, neighborhood, block) for rows in centers.split(block)])
        found = []
        for rows in points.split(block):
            is_in = torch.zeros(len(rows), dtype=torch.bool)
            for part, reach in zip(centers.split(block), radii.split(block), strict=True):
                is_in |= (torch.cdist(rows, part) <= reach).any(1)
            found.append(is_in)
        within.append(torch.cat(found).float().mean().item())
    return within[0], within[1]


def _radii(rows: Tensor, points: Tensor, k: int, block: int) -> Tensor:
    """Return the distance from each of the rows, which are among the points, to its k-th other point."""
    nearest = torch.empty(len(rows), 0)
    for part in points.split(block):
        found = torch.cdist(rows, part).topk(min(k + 1, len(part)), largest=False, sorted=False).values
        nearest = torch.cat([nearest, found], 1)
        nearest = nearest.topk(min(k + 1, nearest.shape[1]), largest=False).values
    return nearest[:, k]


def density_coverage(real: Tensor, fake: Tensor, neighborhood: int = 5) -> tuple[float, float]:
    """Return density, at least 0 and 1 on average for equal distributions, and coverage in [0, 1].

    Density is the number of balls of real samples, each reaching to its k-th neighbour, that a fake lies in, over k;
    coverage the share of the real samples whose ball has a fake in it (Naeem et al. 2020, arXiv:2002.09797, eqs. 6 and 7).

    Example:
        >>> points = torch.arange(8.0)[:, None]
        >>> density_coverage(points, points, neighborhood=1)
        (1.0, 1.0)

    Args:
        real: Features `(N, F)`.
        fake: Features `(M, F)`.
        neighborhood: k.

    Raises:
        ValueError: There are no fakes, or no more than `neighborhood` real samples.
    """
    if not 1 <= neighborhood < len(real) or not len(fake):
        raise ValueError(
            f"neighborhood must be at least 1 and below the number of real samples, {len(real)}, got {neighborhood}; "
            f"there must be fakes, got {len(fake)}"
        )
    if not (real.isfinite().all() and fake.isfinite().all()):
        return nan, nan
    radii = torch.cat([nearest[:, neighborhood] for nearest in _nearest(real, real, neighborhood + 1)])
    n_within, n_covered = 0, 0
    for rows, reach in zip(real.split(_EXACT_BLOCK), radii.split(_EXACT_BLOCK), strict=True):
        between = distances(rows, fake)
        n_within += int((between < reach[:, None]).sum())
        n_covered += int((between.min(1).values < reach).sum())
    return n_within / (neighborhood * len(fake)), n_covered / len(real)


class Memorization(NamedTuple):
    """How near to the training samples the generated ones are.

    Example:
        >>> Memorization(share=0.5, authpct=80.0).share
        0.5

    Attributes:
        share: Chance that a fake is nearer to its nearest training sample than a held-out real sample is to its own, in
            [0, 1]; ties count half. A half is what fresh real samples have; 1 means copies.
        authpct: Percentage of the fakes that are authentic, 0 ... 100: farther from their nearest training sample than
            that one is from its nearest other training sample.
    """

    share: float
    authpct: float


def memorization(training: Tensor, held_out: Tensor, fake: Tensor) -> Memorization:
    """Return how near to the training samples the generated ones are, measured by held-out real samples.

    The share is the Mann-Whitney statistic of Meehan et al. 2020 (arXiv:2004.05675) over the whole space, AuthPct the
    authenticity of Alaa et al. 2022 (arXiv:2102.08921) as a percentage.

    Example:
        >>> training, held_out = torch.tensor([[0.0], [2.0], [4.0]]), torch.tensor([[1.0], [3.1]])
        >>> memorization(training, held_out, fake=training)
        Memorization(share=1.0, authpct=0.0)

    Args:
        training: Features of the training samples `(N, F)`.
        held_out: Features of real samples that were not trained on `(H, F)`.
        fake: Features of generated samples `(M, F)`.

    Raises:
        ValueError: There are fewer than 2 training samples, or no others.
    """
    if len(training) < 2 or not len(held_out) or not len(fake):
        raise ValueError(
            f"memorization needs at least 2 training samples, 1 held-out and 1 fake one, got {len(training)}, "
            f"{len(held_out)} and {len(fake)}"
        )
    if not all(samples.isfinite().all() for samples in (training, held_out, fake)):
        return Memorization(nan, nan)
    of_training = torch.cat([nearest[:, 1] for nearest in _nearest(training, training, 2)])
    of_held_out = torch.cat([nearest[:, 0] for nearest in _nearest(held_out, training, 1)]).sort().values
    near, places = [], []
    for rows in fake.split(_EXACT_BLOCK):
        found = distances(rows, training).min(1)
        near.append(found.values)
        places.append(found.indices)
    of_fake, place = torch.cat(near), torch.cat(places)
    n_below = torch.searchsorted(of_held_out, of_fake)  # held-out ones that are nearer than the fake
    n_up_to = torch.searchsorted(of_held_out, of_fake, right=True)
    share = 1 - ((n_below + n_up_to).double() / (2 * len(of_held_out))).mean().item()
    return Memorization(share, 100 * (of_training[place] < of_fake).double().mean().item())


def nearest_indices(samples: Tensor, among: Tensor, n: int) -> Tensor:
    """Return the indices `(N, n)` of the n rows of `among` `(M, F)` nearest to each of `samples` `(N, F)`, nearest first.

    Example:
        >>> nearest_indices(torch.tensor([[0.9]]), torch.tensor([[0.0], [1.0], [5.0]]), 2)
        tensor([[1, 0]])
    """
    found = [
        distances(rows, among).topk(min(n, len(among)), largest=False).indices for rows in samples.split(_EXACT_BLOCK)
    ]
    return torch.cat(found)


def _nearest(samples: Tensor, among: Tensor, n: int) -> list[Tensor]:
    """Return, in blocks of rows, the n least distances from each sample, in order."""
    return [distances(rows, among).topk(n, largest=False).values for rows in samples.split(_EXACT_BLOCK)]


def distances(rows: Tensor, columns: Tensor) -> Tensor:
    """Return Euclidean distances `(N, M)` on the CPU, computed in float64 and rounded to the type of `rows`.

    Distances of rounding size are 0, so that equal samples are equal. scikit-learn rounds at the same place.

    Example:
        >>> distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[5., 0.]])
    """
    a, b = rows.detach().cpu().double(), columns.detach().cpu().double()
    norms = a.square().sum(1)[:, None] + b.square().sum(1)
    squares = torch.addmm(norms, a, b.T, alpha=-2)
    squares[squares < _EQUAL * norms] = 0
    return squares.to(rows.dtype).sqrt()


def _check_neighborhood(real: Tensor, fake: Tensor, neighborhood: int) -> None:
    available = min(len(real), len(fake))
    if not 1 <= neighborhood < available:
        raise ValueError(
            f"neighborhood must be at least 1 and below the number of samples, {available}, got {neighborhood}"
        )
