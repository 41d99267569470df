"""Zhang, Goodfellow, Metaxas, Odena, "Self-Attention Generative Adversarial Networks", ICML 2019.

https://arxiv.org/abs/1805.08318
"""

from __future__ import annotations

from typing import Any, final

from torch import Tensor

from gan_lightning.games.game import Terms
from gan_lightning.games.gan import GAN
from gan_lightning.losses.logits import hinge_critic_loss, hinge_generator_loss
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class SAGAN(GAN):
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

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the hinge loss."""
        return {"hinge": hinge_critic_loss(self.critic(real, labels), self.critic(fake, labels))}

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return minus the critic's mean over the fakes."""
        return {"hinge": hinge_generator_loss(self.critic(fake, labels))}
