"""Statistics of features whose means are to match (McGan; Mroueh 2017, arXiv:1702.08398).

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError


class Matching(ABC):
    """A statistic of the features whose means over real and generated samples are to match.

    It has directions, which the critic moves and which a constraint binds.

    Attributes:
        name: Under which its term is logged.
    """

    name: ClassVar[str]

    @abstractmethod
    def start(self, n_features: int) -> list[Tensor]:
        """Return random directions that meet the constraint."""

    @abstractmethod
    def score(self, features: Tensor, directions: list[Tensor]) -> Tensor:
        """Return the statistic `(N,)` of features `(N, m)`."""

    @abstractmethod
    def project(self, directions: list[Tensor]) -> None:
        """Bring the directions back to the constraint, in place."""


@dataclass(frozen=True)
class MeanMatching(Matching):
    """<v, Phi> with |v|_p <= 1, at its best |E Phi(x) - E Phi(G(z))|_q with 1/p + 1/q = 1 (section 3).

    Example:
        >>> MeanMatching().score(torch.tensor([[1.0, 2.0]]), [torch.tensor([0.0, 1.0])])
        tensor([2.])

    Args:
        p: 1, 2 or .inf: norm of the ball onto which v is projected.
    """

    p: float = 2.0
    name = "mean"

    def __post_init__(self) -> None:
        """Refuse a ball that has no projection here."""
        if self.p not in (1, 2, math.inf):
            raise UserError(f"p of MeanMatching must be 1, 2 or .inf, got {self.p}")

    def start(self, n_features: int) -> list[Tensor]:
        """Return v `(m,)`, of Euclidean norm 1 or on the ball, whichever is inside."""
        v = nn.functional.normalize(torch.randn(n_features), dim=0)
        self.project([v])
        return [v]

    def score(self, features: Tensor, directions: list[Tensor]) -> Tensor:
        """Return <v, Phi>."""
        return features @ directions[0]

    def project(self, directions: list[Tensor]) -> None:
        """Replace v by the nearest point of the ball."""
        (v,) = directions
        if self.p == 2:
            v.div_(v.norm().clamp(min=1))
        elif self.p == math.inf:
            v.clamp_(-1, 1)
        else:
            # Soft threshold, at the one at which the norm becomes 1 (Duchi et al. 2008, figure 1).
            falling = v.abs().sort(descending=True).values
            excess = (falling.cumsum(0) - 1) / torch.arange(1, len(v) + 1, dtype=v.dtype, device=v.device)
            threshold = excess[(falling > excess).sum() - 1].clamp(min=0)
            v.copy_(v.sign() * (v.abs() - threshold).clamp(min=0))


@dataclass(frozen=True)
class CovarianceMatching(Matching):
    """<U'Phi, V'Phi> with U and V orthonormal (section 4).

    At its best it is the sum of the k largest singular values of E Phi(x) Phi(x)' - E Phi(G(z)) Phi(G(z))', uncentred:
    centred moments would leave the means free.

    Example:
        >>> features, axis = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0], [1.0]])
        >>> CovarianceMatching(k=1).score(features, [axis, axis])
        tensor([4.])

    Args:
        k: Columns of U and V, at most the number of features.
    """

    k: int = 16
    name = "covariance"

    def start(self, n_features: int) -> list[Tensor]:
        """Return U and V `(m, k)`."""
        if not 1 <= self.k <= n_features:
            raise UserError(f"k of CovarianceMatching must be from 1 to the {n_features} features, got {self.k}")
        directions = [torch.randn(n_features, self.k) for _ in range(2)]
        self.project(directions)
        return directions

    def score(self, features: Tensor, directions: list[Tensor]) -> Tensor:
        """Return <U'Phi, V'Phi>."""
        u, v = directions
        return ((features @ u) * (features @ v)).sum(1)

    def project(self, directions: list[Tensor]) -> None:
        """Replace U and V by the Q of their QR decomposition with a positive diagonal of R, which makes it unique."""
        for direction in directions:
            q, r = torch.linalg.qr(direction.float() if direction.dtype.itemsize < 4 else direction)
            direction.copy_(q * r.diagonal().sign())
