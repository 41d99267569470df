"""Mirza, Osindero, "Conditional Generative Adversarial Nets", 2014, https://arxiv.org/abs/1411.1784."""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import NonSaturating
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class ConditionalGAN(ObjectiveGAN):
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
    generator_term = "non_saturating"

    def __init__(
        self,
        *args: Any,
        real_target: float = 1.0,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.play_for(NonSaturating(real_target))
