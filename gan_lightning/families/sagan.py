"""Zhang, Goodfellow, Metaxas, Odena, "Self-Attention Generative Adversarial Networks", ICML 2019.

https://arxiv.org/abs/1805.08318
"""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Hinge
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class SAGAN(ObjectiveGAN):
    """The hinge on two time scales: L_D = E max(0, 1 - f(x)) + E max(0, 1 + f(G(z))), L_G = -E f(G(z)), minimised.

    What makes it SAGAN is the networks (`SAGANGenerator`, `SAGANCritic`: self-attention, spectral normalisation in
    both, conditional batch norm and projection) and the critic's learning rate, four times the generator's, which lets
    one critic update a round suffice.

    Args:
        n_critic: Critic updates in a round.
        critic_optimizer: Optimizer of the critic (section 5.1).
        generator_optimizer: Optimizer of the generator (section 5.1).
    """

    def __init__(
        self,
        *args: Any,
        n_critic: int = 1,
        critic_optimizer: OptimizerSpec = Adam(lr=4e-4, betas=(0.0, 0.9)),
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
        self.play_for(Hinge())
