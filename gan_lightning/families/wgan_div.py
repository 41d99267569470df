"""Wu, Huang, Thoma, Acharya, Van Gool, "Wasserstein Divergence for GANs", ECCV 2018, https://arxiv.org/abs/1712.01026."""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Wasserstein
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.stabilisers.gradient_penalties import DivergencePenalty


@final
class WGANDiv(ObjectiveGAN):
    """Wasserstein divergence: L_D = E f(G(z)) - E f(x) + k/2 (E |grad f(x)|^p + E |grad f(G(z))|^p), L_G = -E f(G(z)).

    Both are minimised. The penalty sits at the real and at the generated samples themselves, half each (the paper also
    samples between them); the norm is Euclidean, over all axes of a sample. It sets no Lipschitz bound on f. The critic
    must not couple samples: no batch norm. A `DivergencePenalty` in `critic_penalties`, such as one with an `interval`,
    takes the place of the family's own.

    Args:
        k: Weight of the penalty.
        p: Power of the gradient's norm.
        n_critic: Critic updates in a round.
        critic_optimizer: Optimizer of the critic (the common implementations').
        generator_optimizer: Optimizer of the generator (the common implementations').
    """

    def __init__(
        self,
        *args: Any,
        k: float = 2.0,
        p: float = 6.0,
        n_critic: int = 5,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            n_critic=n_critic,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            **kwargs,
        )
        self.play_for(Wasserstein())
        self.own_penalties(DivergencePenalty(k, p))
