"""Loss pairs as values, for families that let their objective be chosen in the config.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_lightning.losses import logits


class Objective(ABC):
    """A critic's and a generator's loss on raw logits, both minimised.

    Attributes:
        name: Under which both terms are logged.
        shift_invariant: Whether the losses stay the same if one constant is added to all logits.
    """

    name: ClassVar[str]
    shift_invariant: ClassVar[bool] = False

    @abstractmethod
    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the critic's loss, a scalar."""

    @abstractmethod
    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return the generator's loss, a scalar."""


@dataclass(frozen=True)
class Hinge(Objective):
    """The hinge losses of Lim & Ye (2017, arXiv:1705.02894, eq. 12 and 13)."""

    name = "hinge"

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return E max(0, 1 - f(x)) + E max(0, 1 + f(G(z)))."""
        return logits.hinge_critic_loss(real_logits, fake_logits)

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return -E f(G(z))."""
        return logits.hinge_generator_loss(fake_logits)


@dataclass(frozen=True)
class NonSaturating(Objective):
    """Binary cross-entropy with the non-saturating generator (Goodfellow 2014, arXiv:1406.2661, section 3).

    Args:
        real_target: What D(x) is drawn to on real samples, in (0.5, 1]; below 1 it is one-sided label smoothing
            (arXiv:1606.03498, section 3.4).
    """

    real_target: float = 1.0

    name = "logistic"

    def __post_init__(self) -> None:
        """Refuse a target that is no label smoothing."""
        logits.check_real_target(self.real_target)

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return -E log D(x) - E log(1 - D(G(z))), the labels of the real smoothed if asked for."""
        return logits.logistic_critic_loss(real_logits, fake_logits, self.real_target)

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return -E log D(G(z))."""
        return logits.non_saturating_generator_loss(fake_logits)


@dataclass(frozen=True)
class Wasserstein(Objective):
    """The Wasserstein losses (Arjovsky 2017, arXiv:1701.07875); the critic must be kept Lipschitz by other means."""

    name = "wasserstein"
    shift_invariant = True

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return E f(G(z)) - E f(x)."""
        return logits.wasserstein_critic_loss(real_logits, fake_logits)

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return -E f(G(z))."""
        return logits.wasserstein_generator_loss(fake_logits)
