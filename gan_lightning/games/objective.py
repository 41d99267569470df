"""ObjectiveGAN: a GAN that plays for a loss pair on the critic's logits."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from gan_lightning.games.game import Terms
from gan_lightning.games.gan import GAN
from gan_lightning.losses.objectives import Objective


class ObjectiveGAN(GAN):
    """A GAN whose losses are an objective's on the logits of samples `(N, ...)` with their labels.

    A family gives its objective to `play_for` once it is built; what it adds, such as a penalty, is a part of its own.

    Attributes:
        objective: The loss pair.
        generator_term: Under which the generator's loss is logged; the objective's name if none.
    """

    objective: Objective
    generator_term: ClassVar[str | None] = None

    def play_for(self, objective: Objective) -> None:
        """Keep the objective."""
        self.objective, self.shift_invariant = objective, objective.shift_invariant
        self.watch.vanishing_term = objective.name if objective.vanishes else None

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the objective's critic loss."""
        return {self.objective.name: self.objective.critic_loss(*self.judge_both(self.critic, real, fake, labels))}

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the objective's generator loss."""
        loss = self.objective.generator_loss(self.critic(fake, labels))
        return {self.generator_term or self.objective.name: loss}

    def verdicts(self, logits: Tensor) -> Tensor:
        """Return 1 where the objective draws logits `(N,)` like these to the side of real samples, -1 where not."""
        return self.objective.verdicts(logits)
