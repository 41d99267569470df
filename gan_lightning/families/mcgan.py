"""Mroueh, Sercu, Goel, "McGan: Mean and Covariance Feature Matching GAN", ICML 2017, https://arxiv.org/abs/1702.08398."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from gan_lightning.errors import UserError
from gan_lightning.game import Terms
from gan_lightning.gan import GAN
from gan_lightning.losses import wasserstein_critic_loss, wasserstein_generator_loss
from gan_lightning.optimizers import OptimizerSpec, RMSprop


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


@final
class McGAN(GAN):
    """Matching of feature statistics: L_D = E s(Phi(G(z))) - E s(Phi(x)), L_G = -E s(Phi(G(z))), summed over matchings.

    Both are minimised. Phi is the critic's last hidden layer, s a matching's statistic: <v, Phi> of `MeanMatching`,
    <U'Phi, V'Phi> of `CovarianceMatching`. The directions v, U, V belong to the critic player; after each of its steps
    they are projected and Phi's weights clipped to [-c, c]. The critic's own last layer takes no part: it is frozen.
    WGAN is the case of one feature and mean matching.

    Args:
        matchings: The statistics, one of a kind.
        clip_value: c.
        n_critic: Critic updates in a round.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator.
    """

    shift_invariant = True

    def __init__(
        self,
        *args: Any,
        matchings: list[Matching],
        clip_value: float = 0.01,
        n_critic: int = 5,
        critic_optimizer: OptimizerSpec = RMSprop(lr=5e-5),
        generator_optimizer: OptimizerSpec = RMSprop(lr=5e-5),
        **kwargs: Any,
    ) -> None:
        names = [matching.name for matching in matchings]
        if not names or len(set(names)) < len(names):
            raise UserError(f"matchings must be one of each kind at most, at least one in all, got {names}")
        if not clip_value > 0:
            raise UserError(f"clip_value must be above 0, got {clip_value}; the paper's is 0.01")
        super().__init__(
            *args,
            n_critic=n_critic,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            **kwargs,
        )
        self.matchings, self.clip_value = matchings, clip_value
        self.critic.last_layer().requires_grad_(False)
        starts = (matching.start(self.critic.n_features) for matching in matchings)
        self.directions = nn.ModuleList(nn.ParameterList(start) for start in starts)

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return minus each matching's distance."""
        real_features, fake_features = self.critic.features(real, labels), self.critic.features(fake, labels)
        return {
            matching.name: wasserstein_critic_loss(
                matching.score(real_features, directions), matching.score(fake_features, directions)
            )
            for matching, directions in self._pairs()
        }

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return minus each matching's mean over the fakes."""
        features = self.critic.features(fake, labels)
        return {
            matching.name: wasserstein_generator_loss(matching.score(features, directions))
            for matching, directions in self._pairs()
        }

    def critic_parameters(self) -> Iterable[Parameter]:
        """Return Phi's weights and the directions."""
        return [*self.critic.feature_parameters(), *self.directions.parameters()]

    def after_critic_update(self) -> None:
        """Clip Phi's weights and project the directions."""
        super().after_critic_update()
        for parameter in self.critic.feature_parameters():
            parameter.clamp_(-self.clip_value, self.clip_value)
        for matching, directions in self._pairs():
            matching.project(directions)

    def _pairs(self) -> list[tuple[Matching, list[Tensor]]]:
        return [(m, list(d.parameters())) for m, d in zip(self.matchings, self.directions, strict=True)]

    def check(self) -> None:
        """Refuse penalties of logits."""
        super().check()
        refused = [type(penalty).__name__ for penalty in self.critic_penalties if penalty.of_logits]
        if refused:
            raise UserError(f"McGAN has no critic logits for {refused[0]} to penalise; leave it out")
