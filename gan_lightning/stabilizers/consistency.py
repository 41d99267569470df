"""Consistency: the critic is blind to a transformation of samples."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic
from gan_lightning.observations.base import Observation
from gan_lightning.protocols import Host
from gan_lightning.randomness import Noise
from gan_lightning.stabilizers.base import CriticPenalty


@final
class ConsistencyRegularization(CriticPenalty):
    """E (f(x) - f(T(x)))^2 on real samples: the critic is blind to T (CR-GAN; Zhang 2020, arXiv:1910.12027, eq. 4).

    T is drawn anew for each sample and update. The paper's T flips images and shifts them by a few pixels:
    `Compose([HorizontalFlip(), Translation()])`.

    Example:
        >>> from gan_lightning.observations import InstanceNoise
        >>> blind = ConsistencyRegularization(InstanceNoise(sigma=0.1))
        >>> blind(critic, real, fake, None, noise).item() > 0
        True

    Args:
        transformation: T, which must not change what a sample is of.
        weight: lambda of the paper.
        on_fakes: Add E (f(G(z)) - f(T(G(z))))^2 (the balanced form; Zhao 2021, arXiv:2002.04724).
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates.
    """

    name = "consistency"
    per_sample = False

    def __init__(
        self, transformation: Observation, weight: float = 10.0, on_fakes: bool = False, interval: int = 1
    ) -> None:
        super().__init__(weight, interval)
        if transformation is None or transformation.pack > 1:
            raise UserError(
                f"ConsistencyRegularization needs a transformation of single samples, got {transformation}; "
                "give one such as Translation() or Compose([ColorJitter(), Translation()])"
            )
        self.transformation, self.on_fakes = transformation, on_fakes

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the mean squared difference of the logits of samples and their transformed copies."""
        points = (real, fake) if self.on_fakes else (real,)
        gaps = [critic(x, labels) - critic(self.transformation(x, labels, noise)[0], labels) for x in points]
        return torch.stack([gap.square().mean() for gap in gaps]).sum()

    def check(self, game: Host) -> None:
        """Refuse critics that judge pairs or packs of samples, and what the transformation itself refuses."""
        super().check(game)
        if game.judges_pairs:
            raise UserError(
                f"ConsistencyRegularization transforms samples, but the critic of {type(game).__name__} judges pairs of a "
                "sample and its latents; leave it out, or take another penalty, such as R1"
            )
        if game.pack > 1:
            raise UserError(
                f"ConsistencyRegularization transforms single samples, but Packing shows the critic packs of {game.pack}; "
                "take one of the two"
            )
        self.transformation.check(game)
