"""Miyato et al., Spectral Normalization for Generative Adversarial Networks, ICLR 2018, arXiv:1802.05957: its networks.

The CNNs are the paper's Table 3; the residual networks its Tables 4-6 as in pfnet-research/sngan_projection,
conditional as in Miyato & Koyama, cGANs with Projection Discriminator, ICLR 2018, arXiv:1802.05637.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import Tensor, nn

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
from gan_lightning.networks.layers.activations import Activation, LeakyReLUTenth
from gan_lightning.networks.layers.initialization import glorot_uniform, initialize_glorot, initialize_normal
from gan_lightning.networks.layers.resnet import CriticBlock, FirstCriticBlock, ResNetDecoder
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize
from gan_lightning.shapes import Images, Shape

# Size: (default width, multiples of it that the linear map and the blocks have).
_GENERATOR_LAYOUTS: dict[int, tuple[int, tuple[int, ...]]] = {
    32: (256, (1, 1, 1, 1)),
    48: (64, (8, 4, 2, 1)),
    64: (64, (16, 8, 4, 2, 1)),
    128: (64, (16, 16, 8, 4, 2, 1)),
    256: (64, (16, 16, 8, 8, 4, 2, 1)),
}

# Size: (default width, multiples of it that the blocks have, how many of them halve the resolution).
_CRITIC_LAYOUTS: dict[int, tuple[int, tuple[int, ...], int]] = {
    32: (128, (1, 1, 1, 1), 2),
    48: (64, (1, 2, 4, 8, 16), 4),
    64: (64, (1, 2, 4, 8, 16), 5),
    128: (64, (1, 2, 4, 8, 16, 16), 5),
    256: (64, (1, 2, 4, 8, 8, 16, 16), 6),
}


def _required_width(images: Images, width: int | None) -> int:
    """Return the width that a size without a published network needs."""
    if width is None:
        raise UserError(
            f"image_size {images.side or images} has no published width ({', '.join(map(str, _GENERATOR_LAYOUTS))} have one); "
            "set the network's width, such as 64"
        )
    return width


def _eighth(images: Images) -> tuple[int, int]:
    """Return height and width of the CNNs' coarsest layer: they always double, or halve, three times."""
    for side in (images.height, images.width):
        if side % 8:
            near = side + 8 - side % 8
            raise UserError(
                f"image_size must be a multiple of 8 for this network, got {side}; let the data resize to {near}"
            )
    return images.height // 8, images.width // 8


class SNGANCNNGenerator(Generator):
    """A linear map to an eighth of the size, three transposed convolutions with BN and ReLU, a 3x3 convolution, tanh.

    Args:
        shape: Shape of the images, height and width a multiple of 8; 32 and 48 in the paper.
        latent_dim: Number of latent coordinates.
        width: Channels of the last hidden layer, doubled by each layer towards the latents.
        activation: Builds the hidden activations.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int = 128,
        width: int = 64,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        images = require_images(shape)
        base = _eighth(images)
        widths = [8 * width, 4 * width, 2 * width, width]
        # Table 3 has nothing between the linear map and the first transposed convolution.
        layers: list[nn.Module] = [nn.Linear(latent_dim, widths[0] * prod(base)), nn.Unflatten(1, (widths[0], *base))]
        for n_in, n_out in pairwise(widths):
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1), nn.BatchNorm2d(n_out, eps=2e-5), activation()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, images.channels, 3, padding=1), nn.Tanh())
        initialize_normal(self)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` to images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(latents)


class SNGANCNNCritic(Critic):
    """Seven spectrally normalised convolutions with leaky ReLU, three of which halve the resolution, a linear map.

    Args:
        shape: Shape of the images, height and width a multiple of 8; 32 and 48 in the paper.
        width: Channels of the first convolution, doubled at each resolution.
        activation: Builds the hidden activations; slope 0.1 unless told otherwise.
        n_power_iterations: Power iterations per forward pass; 0 leaves the weights as they are, as the runs that the
            paper compares with.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 64,
        activation: Activation = LeakyReLUTenth,
        n_power_iterations: int = 1,
    ) -> None:
        super().__init__()
        images = require_images(shape)
        base = _eighth(images)
        layers: list[nn.Module] = []
        n_in = images.channels
        for n_out in (width, 2 * width, 4 * width):
            layers += [nn.Conv2d(n_in, n_out, 3, 1, 1), activation(), nn.Conv2d(n_out, n_out, 4, 2, 1), activation()]
            n_in = n_out
        self.layers = nn.Sequential(*layers, nn.Conv2d(n_in, 8 * width, 3, 1, 1), activation(), nn.Flatten())
        self.n_features = 8 * width * prod(base)
        self.output = nn.Linear(self.n_features, 1)
        initialize_normal(self)
        if n_power_iterations > 0:
            spectrally_normalize(self, n_power_iterations)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, flattened to `(N, F)`, of images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(samples)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)`."""
        return self.output(features).squeeze(1)


class SNGANResNetGenerator(Generator):
    """Residual blocks that double the resolution, with batch normalisation, by label in every block if conditional.

    At sizes 32, 48, 64, 128 and 256 it is the published network; at another size every layer has `width` channels, as
    at 32.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two.
        latent_dim: Number of latent coordinates.
        width: Channels of the last block, which the others are multiples of; the paper's by default (256 at size 32,
            else 64), to be given at a size that the paper does not have.
        n_classes: Number of classes it is conditioned on; 0 for none.
        activation: Builds the hidden activations.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int = 128,
        width: int | None = None,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.latent_dim = latent_dim
        self.n_classes = n_classes
        images = require_images(shape)
        base, n = pyramid(images)
        if images.side in _GENERATOR_LAYOUTS:
            default_width, multiples = _GENERATOR_LAYOUTS[images.side]
        else:
            default_width, multiples = _required_width(images, width), (1,) * (n + 1)
        widths = [(default_width if width is None else width) * multiple for multiple in multiples]
        # 2e-5 is the eps of chainer, in which the authors wrote it.
        self.decoder = ResNetDecoder(latent_dim, base, widths, images.channels, n_classes, activation, eps=2e-5)
        initialize_glorot(self)
        glorot_uniform(self.decoder.output)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)` in [-1, 1].

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        return self.decoder(latents, labels)


class SNGANResNetCritic(Critic):
    """Spectrally normalised residual blocks, ReLU, sum over the pixels, a linear map; plus a projection if conditional.

    The projection critic's logit is `l(h) + <embed(y), h>` with h the features (Miyato & Koyama 2018), the embedding
    spectrally normalised too. At sizes 32, 48, 64, 128 and 256 it is the published network; at another size it goes as
    at 32: blocks of `width` channels that halve down to twice the base resolution (8x8 at 16; at least one), two more
    that keep it, and no bias at the end.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two.
        width: Channels of the first block, which the others are multiples of; the paper's by default (128 at size 32,
            else 64), to be given at a size that the paper does not have.
        n_classes: Number of classes it is conditioned on; 0 for none.
        activation: Builds the hidden activations.
        n_power_iterations: Power iterations per forward pass; 0 leaves the weights as they are.
    """

    def __init__(
        self,
        shape: Shape,
        width: int | None = None,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
        n_power_iterations: int = 1,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.n_classes = n_classes
        images = require_images(shape)
        n_halvings = pyramid(images)[1]
        if images.side in _CRITIC_LAYOUTS:
            default_width, multiples, n_down = _CRITIC_LAYOUTS[images.side]
        else:
            default_width, n_down = _required_width(images, width), max(n_halvings - 1, 1)
            multiples = (1,) * (n_down + 2)
        widths = [(default_width if width is None else width) * multiple for multiple in multiples]
        blocks = [
            CriticBlock(n_in, n_out, downsample=i < n_down, activation=activation)
            for i, (n_in, n_out) in enumerate(pairwise(widths), start=1)
        ]
        self.layers = nn.Sequential(FirstCriticBlock(images.channels, widths[0], activation), *blocks, activation())
        self.n_features = widths[-1]
        # The authors' 32x32 critic has no bias here, the others have one.
        self.output = nn.Linear(self.n_features, 1, bias=images.side in _CRITIC_LAYOUTS and images.side != 32)
        initialize_glorot(self)
        if n_classes > 0:
            self.embedding = nn.Embedding(n_classes, self.n_features)
            glorot_uniform(self.embedding)
        if n_power_iterations > 0:
            spectrally_normalize(self, n_power_iterations)

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
