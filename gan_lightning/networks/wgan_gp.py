"""Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017, arXiv:1704.00028: its image networks.

From igul222/improved_wgan_training: the CNN of `gan_cifar.py`, the residual network of `gan_cifar_resnet.py`, and the
"good" residual network of `gan_64x64.py`. A critic under a gradient penalty takes no batch normalisation.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import Tensor, nn

from gan_lightning.networks.base import Critic, Generator, NClasses, count_classes, pyramid, require_images
from gan_lightning.networks.layers.activations import Activation, LeakyReLU
from gan_lightning.networks.layers.conditional import ChannelLayerNorm, Normalisation
from gan_lightning.networks.layers.initialization import glorot_uniform, initialize_glorot
from gan_lightning.networks.layers.resnet import CriticBlock, FirstCriticBlock, ResNetDecoder
from gan_lightning.shapes import Shape


class WGANGPCNNGenerator(Generator):
    """Transposed 5x5 convolutions from 4x4, each doubling the resolution, with batch normalisation and ReLU.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two; 32 in the paper.
        latent_dim: Number of latent coordinates.
        width: Channels of the last hidden layer, doubled towards the latents.
        activation: Builds the hidden activations.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int = 128,
        width: int = 128,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        images = require_images(shape)
        base, n_doubled = pyramid(images)
        n_out = width * 2 ** (n_doubled - 1)
        n_units = n_out * prod(base)
        layers = [
            nn.Linear(latent_dim, n_units),
            nn.BatchNorm1d(n_units),
            activation(),
            nn.Unflatten(1, (n_out, *base)),
        ]
        for _ in range(n_doubled - 1):
            n_in, n_out = n_out, n_out // 2
            layers += [
                nn.ConvTranspose2d(n_in, n_out, 5, 2, padding=2, output_padding=1),
                nn.BatchNorm2d(n_out),
                activation(),
            ]
        layers += [nn.ConvTranspose2d(n_out, images.channels, 5, 2, padding=2, output_padding=1), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialize_glorot(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` to images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(latents)


class WGANGPCNNCritic(Critic):
    """Strided 5x5 convolutions down to 4x4 with leaky ReLU, then a linear map.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two; 32 in the paper.
        width: Channels of the first hidden layer, doubled by each further one.
        activation: Builds the hidden activations.
        norm: Builds the normalisation of all hidden layers but the first; none by default, `torch.nn.BatchNorm2d` in
            the paper's WGAN and DCGAN runs.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 128,
        activation: Activation = LeakyReLU,
        norm: Normalisation = nn.Identity,
    ) -> None:
        super().__init__()
        images = require_images(shape)
        base, n_halved = pyramid(images)
        layers: list[nn.Module] = [nn.Conv2d(images.channels, width, 5, 2, padding=2), activation()]
        n_out = width
        for _ in range(n_halved - 1):
            n_in, n_out = n_out, n_out * 2
            layers += [nn.Conv2d(n_in, n_out, 5, 2, padding=2), norm(n_out), activation()]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.n_features = n_out * prod(base)
        self.output = nn.Linear(self.n_features, 1)
        initialize_glorot(self)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, flattened to `(N, F)`, of images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(samples)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)`."""
        return self.output(features).squeeze(1)


class WGANGPResNetGenerator(Generator):
    """Residual blocks of one width from 4x4, each doubling the resolution (`gan_cifar_resnet.py`).

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two; 32 in the paper.
        latent_dim: Number of latent coordinates.
        width: Channels of every block.
        n_classes: Number of classes that the blocks' normalisations are conditioned on; 0 for none.
        activation: Builds the hidden activations.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int = 128,
        width: int = 128,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.latent_dim = latent_dim
        self.n_classes = n_classes
        images = require_images(shape)
        base, n_doubled = pyramid(images)
        widths = [width] * (n_doubled + 1)
        self.decoder = ResNetDecoder(latent_dim, base, widths, images.channels, n_classes, activation)
        initialize_glorot(self)
        glorot_uniform(self.decoder.output)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)` in [-1, 1].

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        return self.decoder(latents, labels)


class WGANGPResNetCritic(Critic):
    """Residual blocks of one width down to 8x8, two more, ReLU, mean over the pixels (`gan_cifar_resnet.py`).

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two; 32 in the paper.
        width: Channels of every block.
        activation: Builds the hidden activations.
        norm: Builds the normalisations of all blocks but the first; none by default.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 128,
        activation: Activation = nn.ReLU,
        norm: Normalisation = nn.Identity,
    ) -> None:
        super().__init__()
        images = require_images(shape)
        n_further = max(pyramid(images)[1] - 2, 0)
        self.layers = nn.Sequential(
            FirstCriticBlock(images.channels, width, activation),
            *(CriticBlock(width, width, True, activation, norm) for _ in range(n_further)),
            *(CriticBlock(width, width, False, activation, norm) for _ in range(2)),
            activation(),
        )
        self.n_features = width
        self.output = nn.Linear(width, 1)
        initialize_glorot(self)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, averaged over the pixels to `(N, F)`, of images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(samples).mean(dim=(2, 3))

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)`."""
        return self.output(features).squeeze(1)


class WGANGPGoodGenerator(Generator):
    """Residual blocks that narrow as the resolution doubles, 512, 256, 128, 64 channels at 64x64 (`gan_64x64.py`).

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two; 64 in the paper.
        latent_dim: Number of latent coordinates.
        width: Channels of the last block, doubled towards the latents.
        n_classes: Number of classes that the blocks' normalisations are conditioned on; 0 for none.
        activation: Builds the hidden activations.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int = 128,
        width: int = 64,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.latent_dim = latent_dim
        self.n_classes = n_classes
        images = require_images(shape)
        base, n_doubled = pyramid(images)
        narrowing = [width * 2**i for i in reversed(range(n_doubled))]
        widths = [narrowing[0], *narrowing]
        self.decoder = ResNetDecoder(latent_dim, base, widths, images.channels, n_classes, activation, first_bias=False)
        initialize_glorot(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)` in [-1, 1].

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        return self.decoder(latents, labels)


class WGANGPGoodCritic(Critic):
    """A 3x3 convolution, then residual blocks down to 4x4, 128, 256, 512, 512 channels at 64x64 (`gan_64x64.py`).

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two; 64 in the paper.
        width: Channels of the first convolution.
        activation: Builds the hidden activations.
        norm: Builds the normalisations of the blocks.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 64,
        activation: Activation = nn.ReLU,
        norm: Normalisation = ChannelLayerNorm,
    ) -> None:
        super().__init__()
        images = require_images(shape)
        base, n_blocks = pyramid(images)
        widths = [width * 2 ** min(i, n_blocks - 1) for i in range(n_blocks + 1)]
        self.input = nn.Conv2d(images.channels, width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(CriticBlock(n_in, n_out, True, activation, norm, first_bias=False) for n_in, n_out in pairwise(widths))
        )
        self.n_features = widths[-1] * prod(base)
        self.output = nn.Linear(self.n_features, 1)
        initialize_glorot(self)
        glorot_uniform(self.input)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last block's output, flattened to `(N, F)`, of images `(N, C, H, W)` in [-1, 1]."""
        return self.blocks(self.input(samples)).flatten(1)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)`."""
        return self.output(features).squeeze(1)
