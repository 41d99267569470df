"""Historical averaging: weights are tied to the mean of all their values so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from gan_lightning.networks.base import Critic
from gan_lightning.protocols import Host
from gan_lightning.randomness import Noise
from gan_lightning.stabilizers.base import CriticPenalty


class ParameterMean(nn.Module):
    """The mean of all values that some parameters have had, as buffers; the first values count as one.

    Example:
        >>> mean = ParameterMean(critic.parameters())
        >>> mean.squared_distance(critic.parameters()).item()
        0.0
    """

    count: Tensor

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        super().__init__()
        for index, parameter in enumerate(parameters):
            self.register_buffer(f"mean_{index}", parameter.detach().clone())
        self.register_buffer("count", torch.ones((), dtype=torch.long))

    def squared_distance(self, parameters: Iterable[Parameter]) -> Tensor:
        """Return |theta - mean|^2 summed over all parameters, a scalar, differentiable in them."""
        return torch.stack([(p - mean).square().sum() for p, mean in zip(parameters, self._means(), strict=True)]).sum()

    @torch.no_grad()
    def update(self, parameters: Iterable[Parameter]) -> None:
        """Take the present values into the mean."""
        self.count += 1
        share = 1 / self.count
        for parameter, mean in zip(parameters, self._means(), strict=True):
            mean.add_((parameter - mean) * share)

    def _means(self) -> list[Tensor]:
        return [buffer for name, buffer in self.named_buffers() if name != "count"]


@final
class HistoricalAveraging(CriticPenalty):
    """|theta - 1/t sum_i theta_i|^2 over the critic's parameters (Salimans 2016, arXiv:1606.03498, section 3.3).

    The mean is over the values after each update so far and the initial ones; it is in the checkpoint. The paper gives
    both players such a term: `gan_lightning.stabilizers.generator_terms.HistoricalAveraging` is the generator's.

    Example:
        >>> averaging = HistoricalAveraging()
        >>> averaging.attach(game)
        >>> averaging(critic, real, fake, None, noise).item()  # nothing has moved yet
        0.0

    Args:
        weight: Weight of the term; the paper names none.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates.
    """

    name = "historical_averaging"
    per_sample = False
    of_logits = False

    def __init__(self, weight: float = 1.0, interval: int = 1) -> None:
        super().__init__(weight, interval)
        self.history: ParameterMean

    def attach(self, game: Host) -> None:
        """Start the mean at the critic's initial parameters."""
        self.history = ParameterMean(game.critic.parameters())

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the squared Euclidean distance of the critic's parameters from their mean."""
        return self.history.squared_distance(critic.parameters())

    def after_update(self, game: Host) -> None:
        """Take the critic's new parameters into the mean."""
        self.history.update(game.critic.parameters())
