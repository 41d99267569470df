"""Miyato, Koyama, "cGANs with Projection Discriminator", ICLR 2018, https://arxiv.org/abs/1802.05637."""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Hinge, Objective
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class ProjectionGAN(ObjectiveGAN):
    """Projection: L_D = E max(0, 1 - f(x, y)) + E max(0, 1 + f(G(z, y), y)), L_G = -E f(G(z, y), y), minimised.

    f(x, y) = l(h(x)) + <e(y), h(x)>. The projection e is in the critic and conditional batch norm in the generator:
    `SNGANResNetCritic` and `SNGANResNetGenerator` with `n_classes`, the critic spectrally normalised with its
    embedding. Fakes carry the labels of the real batch, where the authors draw them uniformly: the same for balanced classes.

    Args:
        objective: The loss pair; the hinge in all the paper's experiments.
        n_critic: Critic updates in a round.
        critic_optimizer: Optimizer of the critic (section 5).
        generator_optimizer: Optimizer of the generator (section 5).
    """

    conditional = True

    def __init__(
        self,
        *args: Any,
        objective: Objective = Hinge(),
        n_critic: int = 5,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.0, 0.9)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.0, 0.9)),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            n_critic=n_critic,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            **kwargs,
        )
        self.play_for(objective)
