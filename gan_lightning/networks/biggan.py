"""Brock, Donahue & Simonyan, Large Scale GAN Training for High Fidelity Natural Image Synthesis, ICLR 2019.

arXiv:1809.11096, appendix B: the residual networks (BigGAN, not BigGAN-deep) at 128 and 256, with the details of
ajbrock/BigGAN-PyTorch, from where the layouts at 32 and 64 are.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn, tanh

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
from gan_lightning.networks.layers.resampled import Conv3x3, UpsampledConv2d, pixels_first
from gan_lightning.networks.layers.resnet import CriticBlock, FirstCriticBlock, upsample
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize
from gan_lightning.shapes import Shape

_EPS = 1e-6  # of the spectral normalisation
# Size: multiples of the width that the linear map and the blocks of the generator have.
_GENERATOR_LAYOUTS = {64: (16, 16, 8, 4, 2), 128: (16, 16, 8, 4, 2, 1), 256: (16, 16, 8, 8, 4, 2, 1)}
# Size: multiples of the width that the blocks of the critic have; all but the last halve the resolution.
_CRITIC_LAYOUTS = {64: (1, 2, 4, 8, 16), 128: (1, 2, 4, 8, 16, 16), 256: (1, 2, 4, 8, 8, 16, 16)}


def _initialize(module: nn.Module) -> None:
    """Draw orthogonal weights, biases 0, and normalise convolutions and linear maps spectrally."""
    for layer in list(module.modules()):  # a list, because normalising adds submodules
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            nn.init.orthogonal_(layer.weight)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            spectrally_normalize(layer, eps=_EPS)


class ModulatedBatchNorm2d(nn.Module):
    """Batch normalisation whose gain and offset are linear in a vector: `(1 + A y) * norm(x) + B y`.

    Args:
        n_channels: Number of channels C.
        n_conditions: Dimension of the vector.
    """

    def __init__(self, n_channels: int, n_conditions: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_channels, affine=False)
        self.gain = nn.Linear(n_conditions, n_channels, bias=False)
        self.offset = nn.Linear(n_conditions, n_channels, bias=False)

    def forward(self, inputs: Tensor, conditions: Tensor) -> Tensor:
        """Normalise inputs `(N, C, H, W)` and scale them by conditions `(N, Y)`."""
        gain, offset = 1 + self.gain(conditions), self.offset(conditions)
        return gain[:, :, None, None] * self.norm(inputs) + offset[:, :, None, None]


class BigGANBlock(nn.Module):
    """Double the resolution: norm, activation, up, 3x3, norm, activation, 3x3, plus a 1x1 shortcut.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output and of the hidden layer.
        n_conditions: Dimension of the vector that modulates its normalisations.
        activation: Builds the activations.
    """

    def __init__(self, in_channels: int, out_channels: int, n_conditions: int, activation: Activation) -> None:
        super().__init__()
        self.norm1 = ModulatedBatchNorm2d(in_channels, n_conditions)
        self.activation1 = activation()
        self.conv1 = UpsampledConv2d(in_channels, out_channels)
        self.norm2 = ModulatedBatchNorm2d(out_channels, n_conditions)
        self.activation2 = activation()
        self.conv2 = Conv3x3(out_channels, out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, inputs: Tensor, conditions: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` and conditions `(N, Y)` to `(N, C_out, 2H, 2W)`."""
        hidden = self.conv1(self.activation1(self.norm1(inputs, conditions)))
        hidden = self.conv2(self.activation2(self.norm2(hidden, conditions)))
        # A 1x1 convolution commutes with repeating pixels, and is four times cheaper before it.
        return hidden + upsample(self.shortcut(inputs))


class BigGANGenerator(Generator):
    """Residual blocks modulated by a chunk of the latents each and by one shared class embedding; attention at 64x64.

    The latents are cut into one chunk for the linear map and one for each block ("hierarchical"): at size 128 into 6
    chunks of 20, as in the paper. At sizes without a published layout all layers are 4 times `width`, as at 32.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two.
        chunk_dim: Latent coordinates in each chunk.
        width: What the channels are multiples of ("ch"); 96 in the paper, 64 in the authors' code at 32.
        embedding_dim: Dimension of the class embedding that all blocks share.
        attention_size: Resolution (of the shorter side) at which attention is paid, if a block ends there.
        n_classes: Number of classes; 0 leaves the class embedding out.
        activation: Builds the hidden activations.
    """

    def __init__(
        self,
        shape: Shape,
        chunk_dim: int = 20,
        width: int = 96,
        embedding_dim: int = 128,
        attention_size: int = 64,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        images = require_images(shape)
        base, n = pyramid(images)
        widths = [width * multiple for multiple in _GENERATOR_LAYOUTS.get(images.side or 0, (4,) * (n + 1))]
        self.latent_dim, self.n_classes, self.chunk_dim = chunk_dim * (n + 1), n_classes, chunk_dim
        n_conditions = chunk_dim + (embedding_dim if n_classes > 0 else 0)
        if n_classes > 0:
            self.embedding = nn.Embedding(n_classes, embedding_dim)
        self.input = nn.Linear(chunk_dim, widths[0] * prod(base))
        self.unflatten = nn.Unflatten(1, (widths[0], *base))
        self.blocks = nn.ModuleList(BigGANBlock(a, b, n_conditions, activation) for a, b in pairwise(widths))
        self.attention = nn.ModuleList(
            SelfAttention(b) if min(base) * 2**i == attention_size else nn.Identity()
            for i, b in enumerate(widths[1:], 1)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.activation = activation()
        self.output = nn.Conv2d(widths[-1], images.channels, 3, padding=1)
        _initialize(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)` in [-1, 1].

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        first, *chunks = latents.split(self.chunk_dim, dim=1)
        if self.n_classes > 0:
            shared = self.embedding(require_labels(labels))
            chunks = [torch.cat([shared, chunk], dim=1) for chunk in chunks]
        hidden = pixels_first(self.unflatten(self.input(first)))
        for block, attention, conditions in zip(self.blocks, self.attention, chunks, strict=True):
            hidden = attention(block(hidden, conditions))
        return tanh(self.output(self.activation(self.norm(hidden)))).contiguous()


class BigGANCritic(Critic):
    """Spectrally normalised residual blocks with attention at 64x64, ReLU, sum over the pixels, linear map, projection.

    The hidden layer of a block is as wide as its output. At sizes without a published layout it goes as at 32: all
    blocks of 4 times `width`, halving down to twice the coarsest resolution (at least once), and two more.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two.
        width: What the channels are multiples of ("ch"); 96 in the paper, 64 in the authors' code at 32.
        attention_size: Resolution (of the shorter side) at which attention is paid, if a block ends there.
        n_classes: Number of classes whose embedding is projected on the features; 0 for none.
        activation: Builds the hidden activations.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 96,
        attention_size: int = 64,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.n_classes = n_classes
        images = require_images(shape)
        n = pyramid(images)[1]
        n_down = n if images.side in _CRITIC_LAYOUTS else max(n - 1, 1)
        widths = [width * multiple for multiple in _CRITIC_LAYOUTS.get(images.side or 0, (4,) * (n_down + 2))]
        layers: list[nn.Module] = [FirstCriticBlock(images.channels, widths[0], activation)]
        for i, (a, b) in enumerate(pairwise([widths[0], *widths])):
            resolution = min(images.height, images.width) // 2 ** min(i + 1, n_down)
            if i > 0:
                layers.append(CriticBlock(a, b, downsample=i < n_down, activation=activation, hidden_channels=b))
            if resolution == attention_size and not any(isinstance(layer, SelfAttention) for layer in layers):
                layers.append(SelfAttention(b))
        self.layers = nn.Sequential(*layers, activation())
        self.n_features = widths[-1]
        self.output = nn.Linear(self.n_features, 1)
        if n_classes > 0:
            self.embedding = nn.Embedding(n_classes, self.n_features)
        _initialize(self)
        if n_classes > 0:
            spectrally_normalize(self.embedding, eps=_EPS)

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
