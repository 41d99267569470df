"""Li, Chang, Cheng, Yang, Poczos, "MMD GAN: Towards Deeper Understanding of Moment Matching Network", NeurIPS 2017.

https://arxiv.org/abs/1705.08584
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

from torch import Tensor
from torch.nn import Parameter

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.gan import GAN
from gan_lightning.losses.kernels import MMDEstimator, VStatistic, rbf_mixture
from gan_lightning.optimizers.specs import OptimizerSpec, RMSprop


@final
class MMDGAN(GAN):
    """A learned kernel: L_D = -MMD^2(e(x), e(G(z))) + lambda mean max(0, E e(G(z)) - E e(x)), L_G = -L_D, minimised.

    e is the encoder, the critic's last hidden layer, and the kernel a sum of Gaussians on its output. The second term
    keeps the real mean of each feature above the generated one (section 4.1's reduced feasible set). The encoder's
    weights are clipped to [-c, c] after each step; the critic's own last layer takes no part: it is frozen. The
    generator's turn has a real batch of its own, as in the authors' code (OctoberChang/MMD-GAN). The ranks gather their
    features, so that MMD^2 is that of the global batch (of a micro-batch under accumulation).

    Left out: the authors' auto-encoder on the features, which needs a third network; it is there to keep e injective,
    and later work (Binkowski 2018, arXiv:1801.01401) trains without it. Their code takes the square root of MMD^2, the
    paper does not.

    Args:
        sigmas: Widths of the Gaussians.
        estimator: Of MMD^2: `VStatistic`, biased, the authors', or `UStatistic`, unbiased.
        order_weight: lambda; 0 drops the term.
        clip_value: c.
        n_critic: Critic updates in a round.
        n_critic_warm_up: Critic updates in the first `n_warm_up` rounds and in every 500th (the authors' code).
        n_warm_up: Rounds of the warm-up; 0 switches it off, the 500th rounds too.
        critic_optimizer: Optimizer of the encoder (the authors' code).
        generator_optimizer: Optimizer of the generator (the authors' code).
    """

    has_logits = False
    shift_invariant = True
    fresh_real = True

    def __init__(
        self,
        *args: Any,
        sigmas: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0),
        estimator: MMDEstimator = VStatistic(),
        order_weight: float = 16.0,
        clip_value: float = 0.01,
        n_critic: int = 5,
        n_critic_warm_up: int = 100,
        n_warm_up: int = 25,
        critic_optimizer: OptimizerSpec = RMSprop(lr=5e-5),
        generator_optimizer: OptimizerSpec = RMSprop(lr=5e-5),
        **kwargs: Any,
    ) -> None:
        if not sigmas or not min(sigmas) > 0:
            raise UserError(f"sigmas must be at least one number above 0, got {list(sigmas)}; such as 1, 2, 4, 8, 16")
        if not clip_value > 0:
            raise UserError(f"clip_value must be above 0, got {clip_value}; the authors' is 0.01")
        if order_weight < 0:
            raise UserError(f"order_weight must not be negative, got {order_weight}; the authors' is 16")
        super().__init__(
            *args,
            n_critic=n_critic,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            **kwargs,
        )
        self.sigmas, self.estimator, self.order_weight, self.clip_value = sigmas, estimator, order_weight, clip_value
        self.n_critic_warm_up, self.n_warm_up = n_critic_warm_up, n_warm_up
        self.critic.last_layer().requires_grad_(False)

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return minus the discrepancy, and the features that are in the wrong order."""
        features = self.judge_both(self.critic.features, real, fake, labels)
        return {name: -term for name, term in self._terms(*features).items()}

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the discrepancy, and minus the features that are in the wrong order."""
        return self._terms(*(self.critic.features(samples, labels) for samples in (real, fake)))

    def _terms(self, real_features: Tensor, fake_features: Tensor) -> Terms:
        x, y = self.rows_of_all_ranks(real_features), self.rows_of_all_ranks(fake_features)
        kernels = [rbf_mixture(a, b, self.sigmas) for a, b in ((x, x), (x, y), (y, y))]
        terms = {"mmd": self.estimator(*kernels)}
        if self.order_weight:
            terms["order"] = -self.order_weight * (y.mean(0) - x.mean(0)).relu().mean()
        return terms

    def critic_parameters(self) -> Iterable[Parameter]:
        """Return the encoder's weights."""
        return self.critic.feature_parameters()

    def after_critic_update(self) -> None:
        """Clip the encoder's weights to [-c, c]."""
        super().after_critic_update()
        for parameter in self.critic.feature_parameters():
            parameter.clamp_(-self.clip_value, self.clip_value)

    def critic_updates_in_round(self, update: int) -> int:
        """Return `n_critic_warm_up` early and at every 500th round, else `n_critic`."""
        warm = self.n_warm_up > 0 and (update < self.n_warm_up or update % 500 == 0)
        return self.n_critic_warm_up if warm else self.n_critic

    def check(self) -> None:
        """Refuse penalties of logits."""
        super().check()
        refused = [type(penalty).__name__ for penalty in self.critic_penalties if penalty.of_logits]
        if refused:
            raise UserError(f"MMDGAN has no critic logits for {refused[0]} to penalise; leave it out")
