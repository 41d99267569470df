"""Goodfellow et al., "Generative Adversarial Networks", NeurIPS 2014, https://arxiv.org/abs/1406.2661."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor

from gan_lightning.games.game import Terms
from gan_lightning.games.gan import GAN
from gan_lightning.losses.logits import check_real_target, logistic_critic_loss, non_saturating_generator_loss
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class NonSaturatingGAN(GAN):
    """Section 3's practical game: L_D = -E log D(x) - E log(1 - D(G(z))), L_G = -E log D(G(z)), minimised.

    It has the minimax game's fixed point; the generator's gradient at the logit is -(1 - D(G(z))), strong while the
    critic is sure of its case. The paper trained with SGD; the defaults are the Adam that the field settled on.

    Args:
        real_target: What D(x) is drawn to on real samples: below 1, such as 0.9, is one-sided label smoothing.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator.
    """

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
        """Return the binary cross-entropy, real and fake averaged apart and added."""
        real_logits, fake_logits = self.critic(real, labels), self.critic(fake, labels)
        return {"logistic": logistic_critic_loss(real_logits, fake_logits, self.real_target)}

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the cross-entropy of the fakes with the label of the real."""
        return {"non_saturating": non_saturating_generator_loss(self.critic(fake, labels))}
