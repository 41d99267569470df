"""Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", ICLR 2019.

https://arxiv.org/abs/1809.11096
"""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Hinge
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.stabilizers.generator_terms import OrthogonalRegularization


@final
class BigGAN(ObjectiveGAN):
    """The hinge game: L_D = E max(0, 1 - f(x)) + E max(0, 1 + f(G(z))), L_G = -E f(G(z)) + R(G), minimised.

    R = beta sum_W |W W^T - diag(W W^T)|^2 over the generator's weights. The networks are `BigGANGenerator` and
    `BigGANCritic`. R makes the generator smooth enough for truncation: sampling with `truncation` t draws the latents
    outside [-t, t] anew, which trades variety for fidelity. The authors' PyTorch code (ajbrock/BigGAN-PyTorch) adds half
    of R's gradient, and averages the batch norm's buffers too; here buffers are the generator's own.

    Args:
        orthogonal_weight: beta (eq. 3); 0 leaves R out.
        n_critic: Critic updates in a round.
        critic_optimizer: Optimizer of the critic (appendix C, at batches of 2048).
        generator_optimizer: Optimizer of the generator (appendix C, at batches of 2048).
        ema_decay: Decay of the generator's running average (appendix C).
    """

    def __init__(
        self,
        *args: Any,
        orthogonal_weight: float = 1e-4,
        n_critic: int = 2,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.0, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=5e-5, betas=(0.0, 0.999)),
        ema_decay: float = 0.9999,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            n_critic=n_critic,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            ema_decay=ema_decay,
            **kwargs,
        )
        self.play_for(Hinge())
        if orthogonal_weight:
            self.generator_terms.insert(0, OrthogonalRegularization(orthogonal_weight))
