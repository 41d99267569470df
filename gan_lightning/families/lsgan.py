"""Mao, Li, Xie, Lau, Wang, Smolley, "Least Squares Generative Adversarial Networks", ICCV 2017.

https://arxiv.org/abs/1611.04076
"""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import LeastSquares
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class LSGAN(ObjectiveGAN):
    """Least squares: L_D = 1/2 E (f(x) - b)^2 + 1/2 E (f(G(z)) - a)^2, L_G = 1/2 E (f(G(z)) - c)^2, minimised.

    f is the critic's raw output, no sigmoid. The defaults are the paper's binary coding, eq. 9; with b - c = 1 and
    b - a = 2, such as (a, b, c) = (-1, 1, 0), eq. 8, the game minimises the Pearson chi^2 of p + q from 2 q.

    Args:
        fake_target: a, what the critic is to say of generated samples.
        real_target: b, what the critic is to say of real ones.
        generator_target: c, what the generator wants the critic to say of its samples.
        critic_optimizer: Optimizer of the critic; the paper takes beta1 0.5 from DCGAN and a rate by data set.
        generator_optimizer: Optimizer of the generator.
    """

    def __init__(
        self,
        *args: Any,
        fake_target: float = 0.0,
        real_target: float = 1.0,
        generator_target: float = 1.0,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.play_for(LeastSquares(fake_target, real_target, generator_target))
