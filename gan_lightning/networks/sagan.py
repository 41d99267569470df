"""Zhang et al., Self-Attention Generative Adversarial Networks, ICML 2019, arXiv:1805.08318: its residual networks.

As in brain-research/self-attention-gan: the residual networks of the projection critic's paper with one attention layer
in each, spectral normalisation in both, and hidden layers of a critic's block as wide as its output.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import Tensor, nn, tanh

from gan_lightning.errors import UserError
from gan_lightning.networks.base import (
    Critic,
    Generator,
    NClasses,
    count_classes,
    pyramid,
    require_images,
    require_labels,
)
from gan_lightning.networks.layers.activations import Activation
from gan_lightning.networks.layers.attention import SelfAttention
from gan_lightning.networks.layers.initialization import glorot_uniform
from gan_lightning.networks.layers.resampled import pixels_first
from gan_lightning.networks.layers.resnet import CriticBlock, FirstCriticBlock, GeneratorBlock
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize
from gan_lightning.shapes import Shape


def _initialize(module: nn.Module) -> None:
    """Draw after Glorot and normalise spectrally; embeddings of a conditional batch normalisation stay as they are."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            glorot_uniform(layer)
    for layer in list(module.modules()):  # a list, because normalising adds submodules
        if isinstance(layer, nn.Conv2d | nn.Linear):
            spectrally_normalize(layer)


def _require_resolution(attention_size: int, resolutions: list[int], network: nn.Module) -> None:
    if attention_size not in resolutions:
        raise UserError(
            f"attention_size of {type(network).__name__} must be a resolution behind one of its blocks "
            f"({', '.join(map(str, dict.fromkeys(resolutions)))}), got {attention_size}"
        )


class SAGANGenerator(Generator):
    """Residual blocks that double the resolution, self-attention behind one of them, spectrally normalised.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two; 128 in the paper.
        latent_dim: Number of latent coordinates.
        width: Channels of the last block, doubled by each one before, up to 16 times as many.
        attention_size: Resolution at which attention is paid: that behind a block.
        n_classes: Number of classes that its batch normalisations are conditioned on; 0 for none.
        activation: Builds the hidden activations.

    Raises:
        UserError: There is no such resolution.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int = 128,
        width: int = 64,
        attention_size: int = 32,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.latent_dim, self.n_classes = latent_dim, n_classes
        images = require_images(shape)
        base, n = pyramid(images)
        resolutions = [min(base) * 2**i for i in range(1, n + 1)]
        _require_resolution(attention_size, resolutions, self)
        widths = [width * 2 ** min(i, 4) for i in reversed(range(n + 1))]
        self.input = nn.Linear(latent_dim, widths[0] * prod(base))
        self.unflatten = nn.Unflatten(1, (widths[0], *base))
        self.blocks = nn.ModuleList(GeneratorBlock(a, b, n_classes, activation) for a, b in pairwise(widths))
        self.attended = resolutions.index(attention_size)
        self.attention = SelfAttention(widths[self.attended + 1])
        self.norm = nn.BatchNorm2d(width)
        self.activation = activation()
        self.output = nn.Conv2d(width, images.channels, 3, padding=1)
        _initialize(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)` in [-1, 1].

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        hidden = pixels_first(self.unflatten(self.input(latents)))
        for i, block in enumerate(self.blocks):
            hidden = block(hidden, labels)
            if i == self.attended:
                hidden = self.attention(hidden)
        return tanh(self.output(self.activation(self.norm(hidden)))).contiguous()


class SAGANCritic(Critic):
    """Spectrally normalised residual blocks, self-attention behind one, sum over the pixels, linear map, projection.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two; 128 in the paper.
        width: Channels of the first block, doubled by each further one, up to 16 times as many.
        attention_size: Resolution at which attention is paid: that behind a block, half the images' or less.
        n_classes: Number of classes whose embedding is projected on the features; 0 for none.
        activation: Builds the hidden activations.

    Raises:
        UserError: There is no such resolution.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 64,
        attention_size: int = 32,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.n_classes = n_classes
        images = require_images(shape)
        base, n = pyramid(images)
        resolutions = [*(min(base) * 2**i for i in reversed(range(n))), min(base)]
        _require_resolution(attention_size, resolutions, self)
        widths = [width * 2 ** min(i, 4) for i in range(n + 1)]
        layers: list[nn.Module] = [FirstCriticBlock(images.channels, width, activation)]
        for i, (a, b) in enumerate(pairwise(widths), start=1):
            layers.append(CriticBlock(a, b, downsample=i < n, activation=activation, hidden_channels=b))
        attended = resolutions.index(attention_size)
        layers.insert(attended + 1, SelfAttention(widths[attended]))
        self.layers = nn.Sequential(*layers, activation())
        self.n_features = widths[-1]
        self.output = nn.Linear(self.n_features, 1)
        _initialize(self)
        if n_classes > 0:
            self.embedding = nn.Embedding(n_classes, self.n_features)
            glorot_uniform(self.embedding)
            spectrally_normalize(self.embedding)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, summed over the pixels to `(N, F)`, of images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(samples).sum(dim=(2, 3))

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)` and labels `(N,)`.

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        logits = self.output(features).squeeze(1)
        if self.n_classes > 0:
            logits = logits + (self.embedding(require_labels(labels)) * features).sum(dim=1)
        return logits
