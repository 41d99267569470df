"""Lim & Ye, "Geometric GAN", 2017, https://arxiv.org/abs/1705.02894."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.gan import GAN
from gan_lightning.losses.logits import hinge_critic_loss, hinge_generator_loss
from gan_lightning.optimizers.specs import OptimizerSpec, RMSprop


@final
class GeometricGAN(GAN):
    """A soft-margin SVM: L_D = E max(0, 1 - f(x)) + E max(0, 1 + f(G(z))) + |w|^2 / (2 C N), L_G = -E f(G(z)).

    Both are minimised. f = <w, phi> + b with phi the critic's last hidden layer: w is the normal of the hyperplane that
    separates real from generated features, along which the generator moves its samples. Only samples inside the margin,
    the support, move the critic's features. The decay is of w alone, not of b; N is the size of the global batch. The
    authors' image experiments make several generator updates for one of the critic; here it is one for `n_critic`.

    Logged beside the losses: `svm/normal` |w|, `svm/margin` 1 / |w| (distance in feature space from the hyperplane to
    f = 1), and `svm/support`, the share of rank 0's samples inside the margin or on its wrong side.

    Args:
        c: C of the SVM: the larger, the less the normal decays.
        critic_optimizer: Optimizer of the critic (the authors' image experiments).
        generator_optimizer: Optimizer of the generator (the authors' image experiments).
    """

    def __init__(
        self,
        *args: Any,
        c: float = 1.0,
        critic_optimizer: OptimizerSpec = RMSprop(lr=2e-4),
        generator_optimizer: OptimizerSpec = RMSprop(lr=2e-4),
        **kwargs: Any,
    ) -> None:
        if not c > 0:
            raise UserError(f"c must be above 0, got {c}; the paper's is 1")
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.c = c

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the hinge and the decay of the hyperplane's normal."""
        real_logits, fake_logits = self.judge_both(self.critic, real, fake, labels)
        normal = self.critic.last_layer().weight
        shard = self.noise.shard
        n = len(real) * shard.world_size * shard.n_parts
        with torch.no_grad():
            length = normal.norm()
            support = torch.cat([real_logits < 1, fake_logits > -1])
            self.record({"svm/normal": length, "svm/margin": 1 / length, "svm/support": support.float().mean()})
        return {
            "hinge": hinge_critic_loss(real_logits, fake_logits),
            "decay": normal.square().sum() / (2 * self.c * n),
        }

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return minus the critic's mean over the fakes."""
        return {"hinge": hinge_generator_loss(self.critic(fake, labels))}

    def check(self) -> None:
        """Refuse a critic without a hyperplane, or with one whose normal cannot decay."""
        super().check()
        if is_parametrized(self.critic.last_layer(), "weight"):
            raise UserError(
                f"the last layer of {type(self.critic).__name__} is normalised, so its weight decay would do nothing; "
                "take a critic without spectral norm (n_power_iterations 0), or SNGAN for the hinge alone"
            )
