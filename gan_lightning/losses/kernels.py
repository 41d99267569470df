"""Kernel discrepancies of two samples: pure functions of features, and the estimators as values.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lightning.errors import UserError


def rbf_mixture(x: Tensor, y: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Return the sum over sigmas of exp(-|x - y|^2 / (2 sigma^2)), `(N, M)`, of `(N, F)` and `(M, F)`.

    In at least float32 whatever the autocast, about the common mean, so that a large offset costs no digits.

    Example:
        >>> rbf_mixture(torch.zeros(1, 2), torch.ones(1, 2), sigmas=[1.0])
        tensor([[0.3679]])
    """
    with torch.autocast(x.device.type, enabled=False):
        dtype = torch.promote_types(x.dtype, torch.float32)
        x, y = x.to(dtype), y.to(dtype)
        centre = y.detach().mean(0)
        x, y = x - centre, y - centre
        squares = x.square().sum(1)[:, None] + y.square().sum(1)[None, :] - 2 * x @ y.T
        squares = squares.clamp(min=0)
        total = torch.zeros_like(squares)
        for sigma in sigmas:
            total = total + (squares * (-0.5 / sigma**2)).exp()
        return total


class MMDEstimator(ABC):
    """Estimates the squared maximum mean discrepancy from kernel matrices (Gretton 2012, JMLR 13, section 2.2)."""

    @abstractmethod
    def __call__(self, k_xx: Tensor, k_xy: Tensor, k_yy: Tensor) -> Tensor:
        """Return the estimate, a scalar, of kernels `(N, N)`, `(N, M)` and `(M, M)`."""


@dataclass(frozen=True)
class VStatistic(MMDEstimator):
    """The biased estimate, means over all pairs, a sample with itself included: never negative (eq. 5).

    Example:
        >>> same = torch.ones(2, 2)
        >>> VStatistic()(same, same, same)
        tensor(0.)
    """

    def __call__(self, k_xx: Tensor, k_xy: Tensor, k_yy: Tensor) -> Tensor:
        """Return mean k(x, x') - 2 mean k(x, y) + mean k(y, y')."""
        return k_xx.mean() - 2 * k_xy.mean() + k_yy.mean()


@dataclass(frozen=True)
class UStatistic(MMDEstimator):
    """The unbiased estimate, without the pairs of a sample with itself (eq. 3); at times below 0.

    Example:
        >>> apart = torch.eye(2)
        >>> UStatistic()(apart, torch.zeros(2, 2), apart)
        tensor(0.)
    """

    def __call__(self, k_xx: Tensor, k_xy: Tensor, k_yy: Tensor) -> Tensor:
        """Return the mean of k(x, x') over x != x', that of y likewise, less 2 mean k(x, y)."""
        return _mean_off_diagonal(k_xx) - 2 * k_xy.mean() + _mean_off_diagonal(k_yy)


def _mean_off_diagonal(k: Tensor) -> Tensor:
    n = len(k)
    if n < 2:
        raise UserError(f"UStatistic needs at least 2 samples in a micro-batch, got {n}; raise batch_size")
    return (k.sum() - k.diagonal().sum()) / (n * (n - 1))
