"""Loss pairs as values, for families that let their objective be chosen in the config.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.losses import logits


class Objective(ABC):
    """A critic's and a generator's loss on raw logits, both minimised.

    Attributes:
        name: Under which both terms are logged.
        shift_invariant: Whether the losses stay the same if one constant is added to all logits.
        vanishes: Whether the critic's loss falls to 0 when it tells every sample.
    """

    name: ClassVar[str]
    shift_invariant: ClassVar[bool] = False
    vanishes: ClassVar[bool] = True

    @abstractmethod
    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the critic's loss, a scalar."""

    @abstractmethod
    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return the generator's loss, a scalar."""

    def verdicts(self, logits: Tensor) -> Tensor:
        """Return 1 where logits `(N,)` take a sample for real, -1 where for generated: their sign."""
        return logits.sign()


@dataclass(frozen=True)
class Hinge(Objective):
    """The hinge losses of Lim & Ye (2017, arXiv:1705.02894, eq. 12 and 13).

    Example:
        >>> Hinge().critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0]))
        tensor(0.5000)
    """

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

    Example:
        >>> NonSaturating().generator_loss(torch.zeros(4))
        tensor(0.6931)

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
class Saturating(NonSaturating):
    """Binary cross-entropy with the generator of the zero-sum game (arXiv:1406.2661, algorithm 1), which saturates.

    Example:
        >>> Saturating().generator_loss(torch.zeros(4))
        tensor(-0.6931)

    Args:
        real_target: What D(x) is drawn to on real samples, in (0.5, 1].
    """

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return E log(1 - D(G(z)))."""
        return logits.saturating_generator_loss(fake_logits)


@dataclass(frozen=True)
class LeastSquares(Objective):
    """Half the mean squared distances from three targets (Mao 2017, arXiv:1611.04076, eq. 2).

    Example:
        >>> LeastSquares().critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0]))
        tensor(1.2500)

    Args:
        fake_target: a, what the critic is to say of generated samples.
        real_target: b, what the critic is to say of real ones.
        generator_target: c, what the generator wants the critic to say of its samples.
    """

    fake_target: float = 0.0
    real_target: float = 1.0
    generator_target: float = 1.0

    name = "least_squares"

    def __post_init__(self) -> None:
        """Refuse a critic with nothing to tell apart."""
        if self.fake_target == self.real_target:
            raise UserError(f"fake_target and real_target must differ, got {self.fake_target} for both; take 0 and 1")

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return E (f(x) - b)^2 / 2 + E (f(G(z)) - a)^2 / 2."""
        return logits.least_squares_critic_loss(real_logits, fake_logits, self.real_target, self.fake_target)

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return E (f(G(z)) - c)^2 / 2."""
        return logits.least_squares_generator_loss(fake_logits, self.generator_target)

    def verdicts(self, logits: Tensor) -> Tensor:
        """Return on which side of the middle between both targets the logits are, 1 for the real one's."""
        return ((logits - (self.real_target + self.fake_target) / 2) * (self.real_target - self.fake_target)).sign()


@dataclass(frozen=True)
class Wasserstein(Objective):
    """The Wasserstein losses (Arjovsky 2017, arXiv:1701.07875); the critic must be kept Lipschitz by other means.

    Example:
        >>> Wasserstein().critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0]))
        tensor(-2.5000)
    """

    name = "wasserstein"
    shift_invariant = True
    vanishes = False

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return E f(G(z)) - E f(x)."""
        return logits.wasserstein_critic_loss(real_logits, fake_logits)

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        """Return -E f(G(z))."""
        return logits.wasserstein_generator_loss(fake_logits)


@dataclass(frozen=True)
class RelativisticPairing:
    """Softplus losses of the difference of logits of a real sample and of what was made in its place.

    The pairing of Jolicoeur-Martineau (2018, arXiv:1807.00734, section 4.1); ESRGAN compares with the mean logit of the other
    kind instead, which couples the samples of a batch.

    Example:
        >>> RelativisticPairing().critic_loss(torch.zeros(4), torch.zeros(4))
        tensor(0.6931)
    """

    name: ClassVar[str] = "relativistic"

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return E softplus(f(y') - f(y)), y' made in the place of y."""
        return logits.relativistic_pairing_critic_loss(real_logits, fake_logits)

    def generator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return E softplus(f(y) - f(y'))."""
        return logits.relativistic_pairing_generator_loss(real_logits, fake_logits)
