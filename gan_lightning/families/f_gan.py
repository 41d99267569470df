"""Nowozin, Cseke, Tomioka, "f-GAN: Training Generative Neural Samplers using Variational Divergence Minimization".

NeurIPS 2016, https://arxiv.org/abs/1606.00709.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

from torch import Tensor

from gan_lightning.games.game import Terms
from gan_lightning.games.gan import GAN
from gan_lightning.losses.divergences import Divergence
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


class GeneratorObjective(ABC):
    """What the generator minimises against the critic of a divergence.

    Attributes:
        name: Under which it is logged.
    """

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, divergence: Divergence, fake_logits: Tensor) -> Tensor:
        """Return the generator's loss, a scalar, of the critic's raw outputs on generated samples."""


@dataclass(frozen=True)
class VariationalBound(GeneratorObjective):
    """-E f*(g_f(v)): the generator's part of the bound that the critic maximises (algorithm 1)."""

    name = "bound"

    def __call__(self, divergence: Divergence, fake_logits: Tensor) -> Tensor:
        """Return -E f*(g_f(v))."""
        return -divergence.conjugate_of(fake_logits).mean()


@dataclass(frozen=True)
class RaisedOutput(GeneratorObjective):
    """-E g_f(v): the generator raises the critic's output (section 3.2), the non-saturating form of each divergence."""

    name = "raised_output"

    def __call__(self, divergence: Divergence, fake_logits: Tensor) -> Tensor:
        """Return -E g_f(v)."""
        return -divergence.activation(fake_logits).mean()


@final
class FGAN(GAN):
    """Any f-divergence: L_D = -E g_f(V(x)) + E f*(g_f(V(G(z)))), L_G = -E f*(g_f(V(G(z)))) or -E g_f(V(G(z))).

    Both are minimised. V is the critic's raw output and -L_D a lower bound of D_f(data, generated).

    Args:
        divergence: f, with its conjugate f* and activation g_f, from `gan_lightning.losses`.
        generator_objective: The bound's own part (`VariationalBound`) or section 3.2's alternative (`RaisedOutput`).
        critic_optimizer: Optimizer of the critic (section 4's).
        generator_optimizer: Optimizer of the generator (section 4's).
    """

    def __init__(
        self,
        *args: Any,
        divergence: Divergence,
        generator_objective: GeneratorObjective = RaisedOutput(),
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.divergence, self.generator_objective = divergence, generator_objective

    def verdicts(self, logits: Tensor) -> Tensor:
        """Return 1 where g_f(v) is above f'(1), the value of a sample that is as likely real as generated, -1 below."""
        return (self.divergence.activation(logits) - self.divergence.threshold).sign()

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return minus the variational bound of the divergence."""
        real_logits, fake_logits = self.judge_both(self.critic, real, fake, labels)
        bound = self.divergence.activation(real_logits).mean() - self.divergence.conjugate_of(fake_logits).mean()
        return {self.divergence.name: -bound}

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the generator's objective of the fakes."""
        loss = self.generator_objective(self.divergence, self.critic(fake, labels))
        return {self.generator_objective.name: loss}
