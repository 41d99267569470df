"""Arjovsky, Chintala, Bottou, "Wasserstein GAN", ICML 2017, https://arxiv.org/abs/1701.07875."""

from __future__ import annotations

from typing import Any, final

from gan_lightning.errors import UserError
from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Wasserstein
from gan_lightning.optimizers.specs import OptimizerSpec, RMSprop
from gan_lightning.stabilizers.weight_clipping import WeightClipping


@final
class WGAN(ObjectiveGAN):
    """Weight clipping: L_D = E f(G(z)) - E f(x) with every weight of f in [-c, c], L_G = -E f(G(z)), minimised.

    Clipping keeps f K-Lipschitz for some unknown K, so -L_D estimates K times the Wasserstein distance. All parameters of
    the critic are clipped after each of its steps (algorithm 1), gains of a batch norm included, as in the authors' code.

    Args:
        clip_value: c.
        n_critic: Critic updates in a round.
        n_critic_warm_up: Critic updates in the first `n_warm_up` rounds and in every 500th (the authors' code).
        n_warm_up: Rounds of the warm-up; 0 switches it off, the 500th rounds too.
        critic_optimizer: Optimizer of the critic; momentum makes it unstable (section 4.3).
        generator_optimizer: Optimizer of the generator.
    """

    def __init__(
        self,
        *args: Any,
        clip_value: float = 0.01,
        n_critic: int = 5,
        n_critic_warm_up: int = 100,
        n_warm_up: int = 25,
        critic_optimizer: OptimizerSpec = RMSprop(lr=5e-5),
        generator_optimizer: OptimizerSpec = RMSprop(lr=5e-5),
        **kwargs: Any,
    ) -> None:
        if kwargs.get("critic_constraint") is not None:
            raise UserError(f"WGAN's own constraint is its clip_value {clip_value}; leave critic_constraint out")
        super().__init__(
            *args,
            n_critic=n_critic,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            **kwargs,
        )
        self.play_for(Wasserstein())
        self.critic_constraint = WeightClipping(clip_value)
        self.n_critic_warm_up, self.n_warm_up = n_critic_warm_up, n_warm_up

    def critic_updates_in_round(self, update: int) -> int:
        """Return `n_critic_warm_up` early and at every 500th round, else `n_critic`."""
        warm = self.n_warm_up > 0 and (update < self.n_warm_up or update % 500 == 0)
        return self.n_critic_warm_up if warm else self.n_critic
