"""Huang et al., The GAN is dead; long live the GAN! A Modern GAN Baseline, NeurIPS 2024, arXiv:2501.05441.

From the paper (config E): no normalisation, residual blocks of 1x1, grouped 3x3, 1x1 convolutions on twice the width
with leaky ReLU of slope 0.2, groups of 16 channels, two blocks at each resolution from 4x4, widths of 768 up to 32x32
and halved beyond, bilinear resampling, fix-up initialisation (Zhang et al. 2019, arXiv:1901.09321), a 4x4 basis at the
latents' and at the logit's end, 64 latents, a label embedding beside the latents, projection of the label at the logit.
From the authors' code (brownvc/R3GAN): both resamplings filter with [1, 3, 3, 1] in each axis, zeros beyond the edges,
and the critic's label embedding starts at K^-1/2 width^-1/2. Ours: starting resolutions of 5, 6 and 7 for image sizes
such as 28 and 48.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

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
from gan_lightning.shapes import Shape

_SLOPE = 0.2
_GAIN = sqrt(2 / (1 + _SLOPE**2))


def _draw(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> None:
    """Draw a weight from N(0, gain / sqrt(fan_in))."""
    nn.init.normal_(layer.weight, std=gain / sqrt(layer.weight[0].numel()))


class BiasedLeakyReLU(nn.Module):
    """Add a learned offset to each channel, then take the leaky ReLU.

    Args:
        n_channels: Number of channels C.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n_channels))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        return leaky_relu(inputs + self.bias[:, None, None], _SLOPE)


class R3GANBlock(nn.Module):
    """A residual block without normalisation: 1x1 to twice the width, grouped 3x3, 1x1 back, which starts at 0.

    Args:
        n_channels: Channels of input and output.
        group_size: Channels of a group of the 3x3 convolution.
        n_blocks: Residual blocks in the network L: fix-up scales the first two convolutions' weights by L^(-1/4).

    Raises:
        UserError: The group size does not divide twice the width.
    """

    def __init__(self, n_channels: int, group_size: int, n_blocks: int) -> None:
        super().__init__()
        n_hidden = 2 * n_channels
        if n_hidden % group_size:
            raise UserError(f"group_size must divide {n_hidden}, twice the width of a resolution, got {group_size}")
        self.conv1 = nn.Conv2d(n_channels, n_hidden, 1, bias=False)
        self.activation1 = BiasedLeakyReLU(n_hidden)
        self.conv2 = nn.Conv2d(n_hidden, n_hidden, 3, padding=1, groups=n_hidden // group_size, bias=False)
        self.activation2 = BiasedLeakyReLU(n_hidden)
        self.conv3 = nn.Conv2d(n_hidden, n_channels, 1, bias=False)
        # L^(-1 / (2m - 2)) with m = 3 convolutions in a block.
        _draw(self.conv1, _GAIN * n_blocks**-0.25)
        _draw(self.conv2, _GAIN * n_blocks**-0.25)
        nn.init.zeros_(self.conv3.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        hidden = self.activation1(self.conv1(inputs))
        return inputs + self.conv3(self.activation2(self.conv2(hidden)))


class _Resampling(nn.Module):
    """Filters each channel with [1, 3, 3, 1] x [1, 3, 3, 1], zeros beyond the edges, on the way to another resolution."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", row[:, None] * row / 64, persistent=False)  # sums to 1

    def _of(self, inputs: Tensor) -> Tensor:
        return self.kernel.to(inputs.dtype).expand(inputs.shape[1], 1, 4, 4)


class Upsampling(_Resampling):
    """Doubles the resolution: bilinear interpolation, with zeros beyond the edges."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, C, 2H, 2W)`."""
        return conv_transpose2d(inputs, 4 * self._of(inputs), stride=2, padding=1, groups=inputs.shape[1])


class Downsampling(_Resampling):
    """Halves the resolution: antialiased bilinear interpolation, with zeros beyond the edges."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C, 2H, 2W)` to `(N, C, H, W)`."""
        return conv2d(inputs, self._of(inputs), stride=2, padding=1, groups=inputs.shape[1])


def _widths(n: int, width: int) -> list[int]:
    """Return the channels at each of the resolutions that n doublings make, from the coarsest."""
    return [width // 2 ** max(i - 3, 0) for i in range(n + 1)]


def _transition(n_in: int, n_out: int) -> list[nn.Module]:
    """Return the 1x1 convolution between two resolutions, nothing where the width stays."""
    if n_in == n_out:
        return []
    layer = nn.Conv2d(n_in, n_out, 1, bias=False)
    _draw(layer)
    return [layer]


class R3GANGenerator(Generator):
    """A learned map over the coarsest resolution, scaled by channel by the latents, then residual blocks and doublings.

    The images are linear in the last features, as in the authors' code; values outside [-1, 1] are clamped where they
    are shown.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two.
        latent_dim: Number of latent coordinates.
        width: Channels up to the third doubling (32x32), halved by each further one.
        n_blocks: Residual blocks at each resolution.
        group_size: Channels of a group of the 3x3 convolutions.
        n_classes: Number of classes, whose learned embedding of `latent_dim` numbers is appended to the latents; 0 for
            none.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int = 64,
        width: int = 768,
        n_blocks: int = 2,
        group_size: int = 16,
        n_classes: NClasses = 0,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.latent_dim, self.n_classes = latent_dim, n_classes
        images = require_images(shape)
        base, n = pyramid(images)
        widths = _widths(n, width)
        if n_classes > 0:
            self.embedding = nn.Embedding(n_classes, latent_dim)
            nn.init.normal_(self.embedding.weight, std=n_classes**-0.5)
        self.basis = nn.Parameter(torch.randn(widths[0], *base))
        self.input = nn.Linear(latent_dim * (2 if n_classes else 1), widths[0], bias=False)
        _draw(self.input)
        layers: list[nn.Module] = []
        for i, n in enumerate(widths):
            if i > 0:
                layers += [*_transition(widths[i - 1], n), Upsampling()]
            layers += [R3GANBlock(n, group_size, n_blocks * len(widths)) for _ in range(n_blocks)]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Conv2d(widths[-1], images.channels, 1, bias=False)
        _draw(self.output)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)`, which training brings near [-1, 1].

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        if self.n_classes > 0:
            latents = torch.cat([latents, self.embedding(require_labels(labels))], dim=1)
        return self.output(self.layers(self.basis * self.input(latents)[:, :, None, None]))


class R3GANCritic(Critic):
    """Residual blocks and halvings down to the coarsest resolution, a depthwise map of all of it, a linear map.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two.
        width: Channels up to the third doubling (32x32), halved by each further one.
        n_blocks: Residual blocks at each resolution.
        group_size: Channels of a group of the 3x3 convolutions.
        n_classes: Number of classes; with them the logit is the inner product of `width` numbers with the label's
            embedding. 0 for none.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 768,
        n_blocks: int = 2,
        group_size: int = 16,
        n_classes: NClasses = 0,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.n_classes, self.n_features = n_classes, width
        images = require_images(shape)
        base, n = pyramid(images)
        widths = _widths(n, width)[::-1]
        stem = nn.Conv2d(images.channels, widths[0], 1, bias=False)
        basis = nn.Conv2d(width, width, base, groups=width, bias=False)
        _draw(stem)
        _draw(basis)
        layers: list[nn.Module] = [stem]
        for i, n in enumerate(widths):
            if i > 0:
                layers += [Downsampling(), *_transition(widths[i - 1], n)]
            layers += [R3GANBlock(n, group_size, n_blocks * len(widths)) for _ in range(n_blocks)]
        self.layers = nn.Sequential(*layers, basis, nn.Flatten())
        self.output = nn.Linear(width, width if n_classes > 0 else 1, bias=False)
        _draw(self.output)
        if n_classes > 0:
            self.embedding = nn.Embedding(n_classes, width)
            nn.init.normal_(self.embedding.weight, std=(n_classes * width) ** -0.5)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `(N, F)`, of images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(samples)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)` and labels `(N,)`.

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        if self.n_classes == 0:
            return self.output(features).squeeze(1)
        return (self.output(features) * self.embedding(require_labels(labels))).sum(dim=1)
