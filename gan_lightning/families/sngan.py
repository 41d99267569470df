"""Miyato et al., "Spectral Normalization for GANs", ICLR 2018, https://arxiv.org/abs/1802.05957.

Conditional: Miyato & Koyama, "cGANs with Projection Discriminator", ICLR 2018, https://arxiv.org/abs/1802.05637.
"""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Hinge, Objective
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class SNGAN(ObjectiveGAN):
    """Spectral normalisation, by default with the hinge: L_D = E max(0, 1 - f(x)) + E max(0, 1 + f(G(z))), L_G = -E f(G(z)).

    The normalisation is in the critic (`SNGANResNetCritic`, `SNGANCNNCritic`); with `n_classes` on both networks it is
    the conditional SNGAN: conditional batch norm in the generator, projection of the label in the critic. The paper's
    table 2 (CNN) uses the cross-entropy instead: objective `NonSaturating`.

    Args:
        objective: The loss pair.
        n_critic: Critic updates in a round.
        critic_optimizer: Optimizer of the critic (the authors' ResNet setting).
        generator_optimizer: Optimizer of the generator.
    """

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
