"""The critic as penalties meet it in one of its turns: what it has said already, and what it is shown of samples."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gan_lightning.networks.base import Critic
from gan_lightning.observations.base import Observation
from gan_lightning.randomness import Noise


class Judged(NamedTuple):
    """A critic with the real and generated samples `(N, ...)` of its turn.

    Attributes:
        critic: A critic of such samples.
        real: The real ones.
        fake: The generated ones.
    """

    critic: Critic
    real: Tensor
    fake: Tensor


class View(NamedTuple):
    """How a turn's samples were observed: the same draws as theirs, from their start.

    Attributes:
        observation: What the critic is shown of samples.
        labels: The samples' labels, before any packing.
        fake: The generated samples, as packs.
        of_real: The draws of the real samples' observation.
        of_fake: The draws of the generated ones'.
    """

    observation: Observation
    labels: Tensor | None
    fake: Tensor
    of_real: Noise
    of_fake: Noise


class CriticOfTurn(Critic):
    """A critic that repeats the logits of its turn's loss, and looks at samples as it was shown them.

    Args:
        critic: The critic's network, or one of rows.
        known: Samples with the logits that the loss was computed from; the very same tensor gives the very same logits,
            without another pass.
        view: Take packs `(N, ...)` of samples before their observation, which is then part of the critic: slopes are those
            with respect to the samples. None takes them as they were shown.
    """

    def __init__(self, critic: Critic, known: list[tuple[Tensor, Tensor]], view: View | None = None) -> None:
        super().__init__()
        self.critic = critic
        self._known, self._view = known, view
        self._draws = None if view is None else view.of_real

    def of(self, points: Tensor) -> CriticOfTurn:
        """Return the critic that sees `points` by the draws of the turn's own: the fakes', or the real samples' of the
        same rows for all others, such as points between both."""
        if self._view is None:
            return self
        other = CriticOfTurn(self.critic, self._known, self._view)
        other._draws = self._view.of_fake if points is self._view.fake else self._view.of_real
        return other

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the logits `(N,)` of samples `(N, ...)` with labels `(N,)`."""
        for those, logits in self._known:
            if samples is those:
                return logits
        return self.critic(self._shown(samples), labels)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the critic's last hidden layer, `(N, F)`, of samples `(N, ...)`."""
        return self.critic.features(self._shown(samples), labels)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the critic's logits `(N,)` of features `(N, F)`."""
        return self.critic.head(features, labels)

    def together(self, *points: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """Return the logits of several sets of samples `(N, ...)` of the same rows, judged in one pass of the network."""
        shown = [self._shown(samples) for samples in points]
        return judged_together(self.critic, *shown, labels=labels)

    def _shown(self, samples: Tensor) -> Tensor:
        if self._view is None or self._draws is None:
            return samples
        observation = self._view.observation
        single = samples.reshape(len(samples) * observation.pack, -1, *samples.shape[2:])
        return observation(single, self._view.labels, self._draws.repeated())[0]


def judged_together(critic: Critic, *points: Tensor, labels: Tensor | None = None) -> list[Tensor]:
    """Return the logits of several sets of samples `(N, ...)` with the same labels, in one pass.

    One pass has one power iteration of spectral normalisation, so differences of logits are differences of samples.
    """
    if isinstance(critic, CriticOfTurn):
        return critic.together(*points, labels=labels)
    repeated = None if labels is None else labels.repeat(len(points))
    return list(critic(torch.cat(points), repeated).chunk(len(points)))
