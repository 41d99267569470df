"""Wu, Huang, Thoma, Acharya, Van Gool, "Wasserstein Divergence for GANs", ECCV 2018, https://arxiv.org/abs/1712.01026."""

from __future__ import annotations

from typing import Any, final

from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Wasserstein
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.stabilizers.gradient_penalties import DivergencePenalty


@final
class WGANDiv(ObjectiveGAN):
    """Wasserstein divergence: L_D = E f(G(z)) - E f(x) + k E |grad f(u)|^p, L_G = -E f(G(z)), minimised.

    u is uniform on the line between a real and a generated sample; the norm is Euclidean, over all axes of a sample. It
    sets no Lipschitz bound on f. The critic must not couple samples: no batch norm (the authors' has one). A
    `DivergencePenalty` in `critic_penalties`, such as one with an `interval`, takes the place of the family's own. The
    defaults are those of the authors' code (musikisomorphie/wgan-div) except for k, the paper's, which is 10 there.

    Args:
        k: Weight of the penalty.
        p: Power of the gradient's norm.
        on_lines: Take u between the samples; false takes the real and the generated samples themselves, half each, as
            common implementations do.
        n_critic: Critic updates in a round.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator.
    """

    def __init__(
        self,
        *args: Any,
        k: float = 2.0,
        p: float = 6.0,
        on_lines: bool = True,
        n_critic: int = 4,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.0, 0.9)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.0, 0.9)),
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
        self.own_penalties(DivergencePenalty(k, p, on_lines))
