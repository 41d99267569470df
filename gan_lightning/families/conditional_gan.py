"""Mirza, Osindero, "Conditional Generative Adversarial Nets", 2014, https://arxiv.org/abs/1411.1784."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor

from gan_lightning.games.game import Terms
from gan_lightning.games.gan import GAN
from gan_lightning.losses.logits import check_real_target, logistic_critic_loss, non_saturating_generator_loss
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class ConditionalGAN(GAN):
    """Both players see the label y: L_D = -E log D(x, y) - E log(1 - D(G(z, y), y)), L_G = -E log D(G(z, y), y).

    The label enters as its one-hot code beside the latents and beside the samples: `MLPGenerator` and `MLPCritic` with
    `n_classes`, or `ConcatenatingGenerator` and `ConcatenatingCritic` around any other networks. Fakes carry the labels
    of the real batch. The paper trained with SGD and momentum; the defaults are the Adam that the field settled on.

    Args:
        real_target: What D(x) is drawn to on real samples: below 1, such as 0.9, is one-sided label smoothing.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator.
    """

    conditional = True

    def __init__(
        self,
        *args: Any,
        real_target: float = 1.0,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.real_target = check_real_target(real_target)

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the binary cross-entropy of samples with their labels."""
        real_logits, fake_logits = self.critic(real, labels), self.critic(fake, labels)
        return {"logistic": logistic_critic_loss(real_logits, fake_logits, self.real_target)}

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the cross-entropy of the fakes with the label of the real."""
        return {"non_saturating": non_saturating_generator_loss(self.critic(fake, labels))}
