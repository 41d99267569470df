"""Networks simple enough that a family's formulas can be worked out by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.networks import Critic, Generator
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Shape, Vectors


class LinearCritic(Critic):
    """f(x) = <a, x> + b: the features are the flattened samples."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_features = shape.n_values
        self.output = nn.Linear(self.n_features, 1)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return samples.flatten(1)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.output(features).squeeze(1)


class QuadraticCritic(Critic):
    """f(x) = |x|^2 / 2, whose gradient at x is x."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_features = shape.n_values
        self.unused = nn.Parameter(torch.zeros(1))

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return samples.flatten(1)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return features.square().sum(1) / 2


class ShiftGenerator(Generator):
    """G(z) = z + theta on vectors."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.latent_dim = shape.n_values
        self.theta = nn.Parameter(torch.zeros(shape.n_values))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return latents + self.theta


def noise(key: int = 0) -> Noise:
    return Noise(key, torch.device("cpu"), torch.get_default_dtype())


def vector_game(family: Any, dim: int, critic: Any = LinearCritic, **arguments: Any) -> Any:
    """Return a game on vectors of dimension `dim`, ready to be asked for its losses."""
    torch.manual_seed(0)
    game = family(generator=ShiftGenerator, critic=critic, shape=Vectors(dim), **arguments)
    game.noise = noise()
    return game
