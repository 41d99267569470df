"""Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional GANs", ICLR 2016.

https://arxiv.org/abs/1511.06434
"""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import NonSaturating
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class DCGAN(ObjectiveGAN):
    """The non-saturating game on convolutional networks: L_D = -E log D(x) - E log(1 - D(G(z))), L_G = -E log D(G(z)).

    What makes it DCGAN is the networks (`DCGANGenerator`, `DCGANCritic`: strided convolutions, batch norm in both
    players, N(0, 0.02) weights) and the optimizer of section 4. Real and fake batches pass the critic's batch norm apart.
    Unlike the paper's latents, which are U(-1, 1), the default's are N(0, 1), as in its PyTorch successors:
    `latent_distribution: UniformLatents` is the paper's.

    Args:
        real_target: What D(x) is drawn to on real samples: below 1, such as 0.9, is one-sided label smoothing.
        critic_optimizer: Optimizer of the critic; beta1 is 0.5 because 0.9 oscillates (section 4).
        generator_optimizer: Optimizer of the generator.
    """

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
