"""Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017, arXiv:1704.00028: its networks for text.

From igul222/improved_wgan_training `gan_language.py`: residual blocks of two convolutions of width 5 with ReLU before each,
added at 0.3, between a linear map and a convolution of width 1. Initial weights are torch's.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic, Generator, NClasses, count_classes, require_labels
from gan_lightning.shapes import Shape, Tokens


class TextBlock(nn.Module):
    """x + 0.3 h(x), h: ReLU, convolution of width 5, ReLU, convolution of width 5."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Conv1d(width, width, 5, padding=2), nn.ReLU(), nn.Conv1d(width, width, 5, padding=2)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C, L)` to `(N, C, L)`."""
        return inputs + 0.3 * self.layers(inputs)


@final
class TextGenerator(Generator):
    """Latents to the probabilities of the symbols at each position.

    Args:
        shape: Length of a text and size of the vocabulary.
        latent_dim: Number of latent coordinates.
        width: Channels, 512 in the paper's code.
        n_blocks: Residual blocks.
        n_classes: Number of classes, each with a learned vector as long as the latents, appended to them; 0 for none, auto for
            the data's.
    """

    def __init__(
        self, shape: Shape, latent_dim: int = 128, width: int = 512, n_blocks: int = 5, n_classes: NClasses = 0
    ) -> None:
        super().__init__()
        tokens = require_tokens(self, shape)
        self.latent_dim, self.n_classes = latent_dim, count_classes(n_classes)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim * (2 if self.n_classes else 1), width * tokens.length),
            nn.Unflatten(1, (width, tokens.length)),
            *(TextBlock(width) for _ in range(n_blocks)),
            nn.Conv1d(width, tokens.vocabulary, 1),
            nn.Softmax(1),
        )
        if self.n_classes:
            self.of_class = nn.Parameter(torch.randn(self.n_classes, latent_dim))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` to probabilities `(N, V, L)`.

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        if self.n_classes:
            latents = torch.cat([latents, embedding(require_labels(labels), self.of_class)], dim=1)
        return self.layers(latents)


@final
class TextCritic(Critic):
    """Probabilities of symbols to a logit.

    A conditional one adds the inner product of its features and a vector of the class, as Miyato & Koyama's projection
    does (arXiv:1802.05637).

    Args:
        shape: Length of a text and size of the vocabulary.
        width: Channels, 512 in the paper's code.
        n_blocks: Residual blocks.
        n_classes: Number of classes; 0 for none, auto for the data's.
    """

    def __init__(self, shape: Shape, width: int = 512, n_blocks: int = 5, n_classes: NClasses = 0) -> None:
        super().__init__()
        tokens = require_tokens(self, shape)
        self.n_classes = count_classes(n_classes)
        self.n_features = width * tokens.length
        self.layers = nn.Sequential(
            nn.Conv1d(tokens.vocabulary, width, 1), *(TextBlock(width) for _ in range(n_blocks)), nn.Flatten()
        )
        self.output = nn.Linear(self.n_features, 1)
        if self.n_classes:
            self.of_class = nn.Parameter(torch.randn(self.n_classes, self.n_features) / self.n_features**0.5)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer `(N, C L)` of probabilities `(N, V, L)`."""
        return self.layers(samples)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return raw logits `(N,)`.

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        logits = self.output(features).squeeze(1)
        if self.n_classes:
            logits = logits + (features * embedding(require_labels(labels), self.of_class)).sum(1)
        return logits


def require_tokens(network: Any, shape: Shape) -> Tokens:
    """Return the shape if it is one of sequences of symbols.

    Raises:
        UserError: It is not.
    """
    if not isinstance(shape, Tokens):
        raise UserError(
            f"{type(network).__name__} is for text, but the data are {shape.words}; take Text, or another network"
        )
    return shape
