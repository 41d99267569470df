"""Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017, https://arxiv.org/abs/1704.00028."""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Wasserstein
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.stabilizers.gradient_penalties import GradientPenalty


@final
class WGANGP(ObjectiveGAN):
    """Gradient penalty: L_D = E f(G(z)) - E f(x) + lambda E (|grad f(xh)| - 1)^2, L_G = -E f(G(z)), minimised.

    xh is uniform on the line between a real and a generated sample, the norm runs over all axes of a sample. The critic
    must not couple samples: no batch norm. A `GradientPenalty` in `critic_penalties`, one-sided or with an `interval`,
    takes the place of the family's own.

    Args:
        gp_weight: lambda.
        n_critic: Critic updates in a round.
        critic_optimizer: Optimizer of the critic (algorithm 1's).
        generator_optimizer: Optimizer of the generator (algorithm 1's).
    """

    def __init__(
        self,
        *args: Any,
        gp_weight: float = 10.0,
        n_critic: int = 5,
        critic_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.0, 0.9)),
        generator_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.0, 0.9)),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            n_critic=n_critic,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            **kwargs,
        )
        self.play_for(Wasserstein())
        self.own_penalties(GradientPenalty(gp_weight))
