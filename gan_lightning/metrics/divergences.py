"""Divergences of densities on a grid, and Wasserstein distances of samples: what small worlds are compared with.

Everything is in nats. Definitions: Nowozin 2016 (arXiv:1606.00709, table 1), Arjovsky 2017 (arXiv:1701.07875, section 2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.metrics.coverage import wasserstein_1d


def kl_divergence(p: Tensor, q: Tensor, cell: float = 1.0) -> Tensor:
    """Return KL(p, q) = sum p log(p / q): infinite where p has mass and q has none.

    Example:
        >>> round(kl_divergence(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])).item(), 6)  # log(4/3) / 2
        0.143841

    Args:
        p: Densities on a grid, or probabilities, `(K,)`.
        q: The same.
        cell: Length of a cell of the grid; 1 for probabilities.
    """
    p, q = p.double(), q.double()
    return torch.special.xlogy(p, p).sum() * cell - torch.special.xlogy(p, q).sum() * cell


def jensen_shannon_divergence(p: Tensor, q: Tensor, cell: float = 1.0) -> Tensor:
    """Return half KL to the mixture from either side, in [0, log 2]; arguments as in `kl_divergence`.

    Example:
        >>> jensen_shannon_divergence(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])).item()  # log 2
        0.6931471805599453
    """
    middle = (p.double() + q.double()) / 2
    return (kl_divergence(p, middle, cell) + kl_divergence(q, middle, cell)) / 2


def total_variation(p: Tensor, q: Tensor, cell: float = 1.0) -> Tensor:
    """Return half of sum |p - q|, in [0, 1]; arguments as in `kl_divergence`.

    Example:
        >>> total_variation(torch.tensor([1.0, 0.0]), torch.tensor([0.25, 0.75])).item()
        0.75
    """
    return (p.double() - q.double()).abs().sum() * cell / 2


def sliced_wasserstein(x: Tensor, y: Tensor, n_directions: int = 200, seed: int = 0) -> Tensor:
    """Return the mean Wasserstein-1 distance of two samples `(N, D)`, `(M, D)` along random directions (Rabin 2011).

    Example:
        >>> x = torch.randn(50, 3)
        >>> sliced_wasserstein(x, x.flip(0)).item()
        0.0

    Raises:
        UserError: The samples differ in dimension.
    """
    if x.shape[1] != y.shape[1]:
        raise UserError(f"samples must have one dimension, got {x.shape[1]} and {y.shape[1]}")
    directions = torch.randn(n_directions, x.shape[1], generator=torch.Generator().manual_seed(seed)).double()
    directions /= directions.norm(dim=1, keepdim=True)
    return torch.tensor([wasserstein_1d(x.double() @ one, y.double() @ one) for one in directions]).mean()


def wasserstein(x: Tensor, y: Tensor) -> Tensor:
    """Return the exact Wasserstein-1 distance of two samples of one size, `(N, D)`, by the best assignment.

    The cost is N^3: some seconds for N = 2,000.

    Example:
        >>> wasserstein(torch.tensor([[0.0, 0.0], [5.0, 0.0]]), torch.tensor([[5.0, 1.0], [0.0, 1.0]])).item()
        1.0

    Raises:
        UserError: The samples differ in number or dimension.
    """
    from scipy.optimize import linear_sum_assignment

    if x.shape != y.shape or x.dim() != 2:
        raise UserError(f"samples must be two tensors (N, D) of one shape, got {tuple(x.shape)} and {tuple(y.shape)}")
    cost = torch.cdist(x.double(), y.double())
    rows, columns = linear_sum_assignment(cost.numpy())
    return cost[torch.from_numpy(rows), torch.from_numpy(columns)].mean()
