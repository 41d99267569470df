"""Huang, Gokaslan, Kuleshov, Tompkin, "The GAN is dead; long live the GAN! A Modern GAN Baseline", NeurIPS 2024.

https://arxiv.org/abs/2501.05441
"""

from __future__ import annotations

from typing import Any, final

from torch import Tensor

from gan_lightning.games.game import Terms
from gan_lightning.games.gan import GAN
from gan_lightning.losses.logits import relativistic_pairing_critic_loss, relativistic_pairing_generator_loss
from gan_lightning.optimizers.schedules import Schedule
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.stabilizers.gradient_penalties import R1, R2


@final
class R3GAN(GAN):
    """L_D = E sp(f(G(z)) - f(x)) + gamma/2 (E |grad f(x)|^2 + E |grad f(G(z))|^2), L_G = E sp(f(x) - f(G(z))).

    sp is the softplus. x and G(z) are paired by their place in the batch, so with classes within a class. Only
    differences of logits count. Each player's turn has a real batch of its own, as in the authors' code (brownvc/R3GAN).
    The networks are `R3GANGenerator` and `R3GANCritic`, without normalisation; any critic without batch norm will do. The
    paper anneals over the first images shown: the learning rates (`critic_schedule`, `generator_schedule`), gamma and,
    which is not built here, Adam's beta2 from 0.9 to 0.99; the default is the latter. An `R1` or `R2` in
    `critic_penalties`, such as one with an `interval`, takes the place of the family's own.

    Args:
        gamma: Weight of both penalties; 0.05 falling to 0.005 on CIFAR-10 in the paper.
        gamma_schedule: Factor on gamma over generator updates; none keeps it constant.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator.
    """

    shift_invariant = True
    fresh_real = True

    def __init__(
        self,
        *args: Any,
        gamma: float = 0.05,
        gamma_schedule: Schedule | None = None,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.0, 0.99)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.0, 0.99)),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.own_penalties(R1(gamma, schedule=gamma_schedule), R2(gamma, schedule=gamma_schedule))

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the relativistic pairing loss; the penalties join as terms of their own."""
        return {"relativistic": relativistic_pairing_critic_loss(*self.judge_both(self.critic, real, fake, labels))}

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the same loss with the parts exchanged."""
        real_logits, fake_logits = self.critic(real, labels), self.critic(fake, labels)
        return {"relativistic": relativistic_pairing_generator_loss(real_logits, fake_logits)}
