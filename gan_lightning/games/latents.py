"""What latents are drawn from, in training and for samples.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.randomness import Noise


class Latents(ABC):
    """A distribution of independent latent coordinates."""

    @abstractmethod
    def of_turn(self, noise: Noise, n: int, latent_dim: int) -> Tensor:
        """Return a turn's latents `(n, latent_dim)` for the n rows of this process."""

    @abstractmethod
    def sample(self, generator: torch.Generator, n: int, latent_dim: int) -> Tensor:
        """Return latents `(n, latent_dim)` on the CPU, drawn from `generator`."""


@dataclass(frozen=True)
class NormalLatents(Latents):
    """N(0, 1)."""

    def of_turn(self, noise: Noise, n: int, latent_dim: int) -> Tensor:
        """Return N(0, 1) draws `(n, latent_dim)`."""
        return noise.normal(n, latent_dim)

    def sample(self, generator: torch.Generator, n: int, latent_dim: int) -> Tensor:
        """Return N(0, 1) draws `(n, latent_dim)`."""
        return torch.randn(n, latent_dim, generator=generator)


@dataclass(frozen=True)
class UniformLatents(Latents):
    """U(-bound, bound): bound 1 in DCGAN's and DRAGAN's code, sqrt(3), of variance 1, in the original GAN's.

    Args:
        bound: Largest absolute value.
    """

    bound: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if not 0 < self.bound < float("inf"):
            raise UserError(f"bound of UniformLatents must be above 0 and finite, got {self.bound}; DCGAN's is 1")

    def of_turn(self, noise: Noise, n: int, latent_dim: int) -> Tensor:
        """Return U[-bound, bound) draws `(n, latent_dim)`."""
        return self.bound * (2 * noise.uniform(n, latent_dim) - 1)

    def sample(self, generator: torch.Generator, n: int, latent_dim: int) -> Tensor:
        """Return U[-bound, bound) draws `(n, latent_dim)`."""
        return self.bound * (2 * torch.rand(n, latent_dim, generator=generator) - 1)
