"""What joins a player's loss or holds the critic, whatever the family: the contracts of the parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError, require
from gan_lightning.networks.base import Critic
from gan_lightning.optimizers.schedules import Schedule
from gan_lightning.protocols import Host
from gan_lightning.randomness import Noise
from gan_lightning.stabilizers.slopes import couples_batch


class CriticPenalty(nn.Module, ABC):
    """One term of the critic's loss that any family can take.

    Attributes:
        name: The term's name: logged as `critic/<name>`.
        per_sample: Whether its formula holds only where samples do not influence each other's logits. Such a penalty is
            given the samples before their observation, with a critic that observes them: slopes are taken with respect
            to the sample. Others are given samples as the critic is shown them.
        of_logits: Whether it looks at the critic's logits.
    """

    name: ClassVar[str]
    per_sample: ClassVar[bool] = True
    of_logits: ClassVar[bool] = True

    def __init__(self, weight: float, interval: int = 1, schedule: Schedule | None = None) -> None:
        super().__init__()
        require(type(self).__name__, weight=weight, interval=interval)
        self.weight, self.interval, self.schedule = weight, interval, schedule

    def forward(
        self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None = None, noise: Noise | None = None
    ) -> Tensor:
        """Return the weighted penalty, a scalar, on samples `real` and `fake` `(N, ...)` and what is a critic of them.

        Without `noise`, in a loop of one's own, what is random follows torch's global generator.

        Raises:
            UserError: The weight has a schedule, and there is no `noise` to say which update it is.
        """
        if noise is None:
            if self.schedule is not None:
                raise UserError(
                    f"{type(self).__name__} with a schedule needs noise, which knows the update; give a Noise"
                )
            noise = Noise(int(torch.randint(2**62, ())), real.device, real.dtype)
        factor = self.schedule(noise.update) if self.schedule is not None else 1.0
        return factor * self.weight * self.interval * self.penalty(critic, real, fake, labels, noise)

    @abstractmethod
    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the penalty before its weight, a scalar."""

    def attach(self, game: Host) -> None:
        """Make the buffers that depend on the game's networks, once, when the game is built."""

    def before_update(self, game: Host, real: Tensor) -> None:
        """Take note of this process's whole real batch `(N, ...)`, before it is cut into micro-batches.

        Called without gradients before each critic update that the penalty joins, on every rank.
        """

    def after_update(self, game: Host) -> None:
        """Take note of a critic update; called without gradients after each one, on every rank."""

    def check(self, game: Host) -> None:
        """Raise a UserError that names both sides and the fix if the penalty does not hold in this game."""
        coupled = couples_batch(game.critic) if self.per_sample else []
        if coupled:
            raise UserError(
                f"{type(self).__name__} needs per-sample gradients, but {type(game.critic).__name__} couples the "
                f"samples of a batch ({coupled[0]}); build the critic with norm none or layer, without minibatch "
                "discrimination"
            )


PenaltyFunction = Callable[[Critic, Tensor, Tensor, "Tensor | None", Noise], Tensor]


class CriticConstraint(ABC):
    """Maps the critic's weights onto an allowed set, in place, after its optimizer's step."""

    @abstractmethod
    def __call__(self, critic: nn.Module) -> None:
        """Change the weights; called without gradients, on every rank alike."""

    def check(self, game: Host) -> None:  # noqa: B027  most have nothing to refuse
        """Raise a UserError that names both sides and the fix if the constraint does not hold in this game."""


class GeneratorTurn(NamedTuple):
    """What a generator's turn has at hand.

    Example:
        >>> turn.generated.shape, turn.real.shape
        (torch.Size([4, 2]), torch.Size([4, 2]))

    Attributes:
        real: Real samples as the critic is shown them.
        fake: Generated samples as the critic is shown them.
        labels: Their labels, as the critic is shown them.
        latents: The latents `(N, latent_dim)` that the samples were generated from.
        generated: The generated samples `(N, ...)` before any observation.
        generated_labels: The labels `(N,)` that they were generated for.
    """

    real: Tensor
    fake: Tensor
    labels: Tensor | None
    latents: Tensor
    generated: Tensor
    generated_labels: Tensor | None


class GeneratorTerm(nn.Module, ABC):
    """One term of the generator's loss that any family can take.

    Attributes:
        name: The term's name: logged as `generator/<name>`.
        fresh_real: Whether the generator's turn is to have a batch of real data that the critic was not shown.
    """

    name: ClassVar[str]
    fresh_real: ClassVar[bool] = False

    def __init__(self, weight: float) -> None:
        super().__init__()
        require(type(self).__name__, weight=weight)
        self.weight = weight

    @abstractmethod
    def forward(self, game: Host, turn: GeneratorTurn) -> Tensor:
        """Return the weighted term, a scalar."""

    def attach(self, game: Host) -> None:
        """Make what depends on the game's networks, once, when it is built: parameters train with the generator."""

    def after_update(self, game: Host) -> None:
        """Take note of a generator update; called without gradients after each one, on every rank."""

    def check(self, game: Host) -> None:
        """Raise a UserError that names both sides and the fix if the term does not hold in this game."""
