"""What the critic is shown of a sample: nothing is changed unless an observation is set."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from gan_lightning.noise import Noise


class Observation(nn.Module, ABC):
    """A differentiable view of samples, applied to real and generated ones alike, in both players' turns.

    Attributes:
        pack: How many samples are shown as one (PacGAN); the critic's channels are multiplied by it.
    """

    pack: int = 1

    @abstractmethod
    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Return what the critic sees of samples `(N, ...)` and labels `(N,)`: `(N / pack, ...)` and `(N / pack,)`."""
