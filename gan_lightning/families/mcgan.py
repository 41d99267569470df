"""Mroueh, Sercu, Goel, "McGan: Mean and Covariance Feature Matching GAN", ICML 2017, https://arxiv.org/abs/1702.08398."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, final

from torch import Tensor, nn
from torch.nn import Parameter

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.gan import GAN
from gan_lightning.losses.logits import wasserstein_critic_loss, wasserstein_generator_loss
from gan_lightning.losses.matching import CovarianceMatching, Matching, MeanMatching  # noqa: F401  both were here in 0.1.0
from gan_lightning.optimizers.specs import OptimizerSpec, RMSprop


@final
class McGAN(GAN):
    """Matching of feature statistics: L_D = E s(Phi(G(z))) - E s(Phi(x)), L_G = -E s(Phi(G(z))), summed over matchings.

    Both are minimised. Phi is the critic's last hidden layer, s a matching's statistic: <v, Phi> of `MeanMatching`,
    <U'Phi, V'Phi> of `CovarianceMatching`. The directions v, U, V belong to the critic player; after each of its steps
    they are projected and Phi's weights clipped to [-c, c]. The critic's own last layer takes no part: it is frozen.
    WGAN is the case of one feature and mean matching.

    Args:
        matchings: The statistics, one of a kind.
        clip_value: c.
        n_critic: Critic updates in a round.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator.
    """

    has_logits = False
    shift_invariant = True

    def __init__(
        self,
        *args: Any,
        matchings: list[Matching],
        clip_value: float = 0.01,
        n_critic: int = 5,
        critic_optimizer: OptimizerSpec = RMSprop(lr=5e-5),
        generator_optimizer: OptimizerSpec = RMSprop(lr=5e-5),
        **kwargs: Any,
    ) -> None:
        names = [matching.name for matching in matchings]
        if not names or len(set(names)) < len(names):
            raise UserError(f"matchings must be one of each kind at most, at least one in all, got {names}")
        if not clip_value > 0:
            raise UserError(f"clip_value must be above 0, got {clip_value}; the paper's is 0.01")
        super().__init__(
            *args,
            n_critic=n_critic,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            **kwargs,
        )
        self.matchings, self.clip_value = matchings, clip_value
        self.critic.last_layer().requires_grad_(False)
        starts = (matching.start(self.critic.n_features) for matching in matchings)
        self.directions = nn.ModuleList(nn.ParameterList(start) for start in starts)

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return minus each matching's distance."""
        real_features, fake_features = self.judge_both(self.critic.features, real, fake, labels)
        return {
            matching.name: wasserstein_critic_loss(
                matching.score(real_features, directions), matching.score(fake_features, directions)
            )
            for matching, directions in self._pairs()
        }

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return minus each matching's mean over the fakes."""
        features = self.critic.features(fake, labels)
        return {
            matching.name: wasserstein_generator_loss(matching.score(features, directions))
            for matching, directions in self._pairs()
        }

    def critic_parameters(self) -> Iterable[Parameter]:
        """Return Phi's weights and the directions."""
        return [*self.critic.feature_parameters(), *self.directions.parameters()]

    def after_critic_update(self) -> None:
        """Clip Phi's weights and project the directions."""
        super().after_critic_update()
        for parameter in self.critic.feature_parameters():
            parameter.clamp_(-self.clip_value, self.clip_value)
        for matching, directions in self._pairs():
            matching.project(directions)

    def _pairs(self) -> list[tuple[Matching, list[Tensor]]]:
        return [(m, list(d.parameters())) for m, d in zip(self.matchings, self.directions, strict=True)]

    def check(self) -> None:
        """Refuse penalties of logits."""
        super().check()
        refused = [type(penalty).__name__ for penalty in self.critic_penalties if penalty.of_logits]
        if refused:
            raise UserError(f"McGAN has no critic logits for {refused[0]} to penalise; leave it out")
