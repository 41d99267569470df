"""Kodali, Abernethy, Hays, Kira, "On Convergence and Stability of GANs", 2017, https://arxiv.org/abs/1705.07215."""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import NonSaturating
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.stabilizers.gradient_penalties import PerturbationPenalty


@final
class DRAGAN(ObjectiveGAN):
    """Penalty near the data: L_D = E sp(-o(x)) + E sp(o(G(z))) + lambda E (|grad o(xh)| - 1)^2, L_G = E sp(-o(G(z))).

    o is the critic's logit, sp the softplus. xh = x + a c s u with s the standard deviation of the real batch, u in
    [0, 1) uniform for each coordinate, a for each sample: real samples and their surroundings, no generated ones. The
    norm is Euclidean, over all axes of a sample. The critic must not couple samples: no batch norm. A
    `PerturbationPenalty` in `critic_penalties`, such as one with an `interval`, takes the place of the family's own.
    Unlike the authors' latents, which are U(-1, 1), the default's are N(0, 1): `latent_distribution: UniformLatents` is
    theirs.

    Args:
        gp_weight: lambda.
        spread: c.
        real_target: What D(x) is drawn to on real samples: below 1, such as 0.9, is one-sided label smoothing.
        critic_optimizer: Optimizer of the critic (the authors' notebook's).
        generator_optimizer: Optimizer of the generator (the authors' notebook's).
    """

    generator_term = "non_saturating"

    def __init__(
        self,
        *args: Any,
        gp_weight: float = 10.0,
        spread: float = 0.5,
        real_target: float = 1.0,
        critic_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.5, 0.9)),
        generator_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.5, 0.9)),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.play_for(NonSaturating(real_target))
        self.own_penalties(PerturbationPenalty(gp_weight, spread))
