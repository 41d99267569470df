"""Radford, Metz & Chintala, Unsupervised Representation Learning with DCGANs, ICLR 2016, arXiv:1511.06434.

The 4x4 kernels, widths and missing biases are those of soumith/dcgan.torch, which WGAN's experiments also use
(martinarjovsky/WassersteinGAN).
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from gan_lightning.networks.base import Critic, Generator, pyramid, require_images
from gan_lightning.networks.layers.activations import Activation, LeakyReLU
from gan_lightning.networks.layers.conditional import Normalisation
from gan_lightning.networks.layers.initialization import initialize_normal
from gan_lightning.shapes import Shape


class DCGANGenerator(Generator):
    """Transposed convolutions with BN and ReLU: one from 1x1 to 4x4 (7x7 for size 28), then a doubling each.

    The widest layer has `width * size / 8` channels at sizes 32, 64, 128; each doubling halves them, down to `width`.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two (28, 32, 48, 64, 128, ...).
        latent_dim: Number of latent coordinates.
        width: Channels of the last hidden layer.
        activation: Builds the hidden activations.
        norm: Builds the normalisation of a number of channels; `torch.nn.Identity` for none.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int = 100,
        width: int = 64,
        activation: Activation = nn.ReLU,
        norm: Normalisation = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        images = require_images(shape)
        base, n = pyramid(images)
        n_out = width * 2 ** (n - 1)
        layers = [nn.ConvTranspose2d(latent_dim, n_out, base, bias=False), norm(n_out), activation()]
        for _ in range(n - 1):
            n_in, n_out = n_out, n_out // 2
            layers += [nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=False), norm(n_out), activation()]
        layers += [nn.ConvTranspose2d(n_out, images.channels, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        initialize_normal(self, gain_std=0.02)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` to images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(latents[:, :, None, None])


class DCGANCritic(Critic):
    """Strided convolutions down to 4x4 (7x7 for 28x28 images), each with normalisation (not the first) and leaky ReLU.

    Batch normalisation couples the samples of a batch: take another `norm` under a per-sample gradient penalty.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two (28, 32, 48, 64, 128, ...).
        width: Channels of the first hidden layer, doubled by each further one.
        activation: Builds the hidden activations.
        norm: Builds the normalisation of a number of channels: `torch.nn.BatchNorm2d` as in the paper,
            `gan_lightning.networks.ChannelLayerNorm`, or `torch.nn.Identity` for none.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 64,
        activation: Activation = LeakyReLU,
        norm: Normalisation = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        images = require_images(shape)
        base, n = pyramid(images)
        layers: list[nn.Module] = [nn.Conv2d(images.channels, width, 4, 2, 1, bias=False), activation()]
        n_out = width
        for _ in range(n - 1):
            n_in, n_out = n_out, n_out * 2
            layers += [nn.Conv2d(n_in, n_out, 4, 2, 1, bias=False), norm(n_out), activation()]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.n_features = n_out * prod(base)
        # The published last layer, a valid convolution over all that is left, written as the linear map that it is.
        self.output = nn.Linear(self.n_features, 1, bias=False)
        initialize_normal(self, gain_std=0.02)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, flattened to `(N, F)`, of images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(samples)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)`."""
        return self.output(features).squeeze(1)
