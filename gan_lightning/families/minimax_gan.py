"""Goodfellow et al., "Generative Adversarial Networks", NeurIPS 2014, https://arxiv.org/abs/1406.2661."""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Saturating
from gan_lightning.optimizers.specs import SGD, OptimizerSpec


@final
class MinimaxGAN(ObjectiveGAN):
    """The zero-sum game of algorithm 1: L_D = -E log D(x) - E log(1 - D(G(z))), L_G = E log(1 - D(G(z))), minimised.

    L_G saturates: its gradient at the logit is -D(G(z)), which vanishes while the critic is sure of its case.

    The optimizers are those of the authors' MNIST code (goodfeli/adversarial): SGD at 0.1, the critic's on half of L_D,
    which is 0.05 on L_D. That code differs from algorithm 1, and from this family, in that it minimises the
    non-saturating L_G (`NonSaturatingGAN`), updates both players at once, divides the rate by 1.000004 in each update and
    raises the momentum to 0.7. Its latents are U(-sqrt(3), sqrt(3)), the default's N(0, 1), of the same variance:
    `latent_distribution: {class_path: UniformLatents, init_args: {bound: 1.7320508}}` is theirs.

    Args:
        real_target: What D(x) is drawn to on real samples: below 1, such as 0.9, is one-sided label smoothing.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator.
    """

    generator_term = "saturating"

    def __init__(
        self,
        *args: Any,
        real_target: float = 1.0,
        critic_optimizer: OptimizerSpec = SGD(lr=0.05, momentum=0.5),
        generator_optimizer: OptimizerSpec = SGD(lr=0.1, momentum=0.5),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.play_for(Saturating(real_target))
