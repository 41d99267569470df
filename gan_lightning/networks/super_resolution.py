"""Generators of super-resolution, by sub-pixel convolutions (Shi et al. 2016, arXiv:1609.05158)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, leaky_relu, pixel_shuffle

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Network
from gan_lightning.networks.layers.conditional import Normalisation
from gan_lightning.shapes import Images, Pair, Shape


class Upscaler(Network):
    """A network from pictures to the same pictures, `factor` times as high and wide.

    Attributes:
        factor: By how much each side grows.
        reach: How many small pixels around a place have a say in it, at most; None if all have.
    """

    factor: int
    reach: int | None

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Map images `(N, C, h, w)` in [-1, 1], of any size, to images `(N, C, factor h, factor w)`, not clamped."""


UpscalerFactory = Callable[[Shape], Upscaler]
"""Builds an upscaler of a pair of a small and a large image."""


def factor_of(shape: Shape) -> tuple[int, int]:
    """Return by how much the sides of a pair grow, and its channels.

    Raises:
        UserError: It is no pair of images, or the factor is not 2 or 4, or the channels differ.
    """
    if not isinstance(shape, Pair) or not isinstance(shape.source, Images) or not isinstance(shape.target, Images):
        raise UserError(
            f"super-resolution needs pairs of a small and a large image, got {shape.words}; take the data DegradedFolder with "
            "LowResolution"
        )
    small, large = shape.source, shape.target
    factors = {large.height / small.height, large.width / small.width}
    if factors not in ({2.0}, {4.0}):
        raise UserError(
            f"super-resolution makes images 2 or 4 times as large, and the data's pairs are {small} and {large}"
        )
    if small.channels != large.channels:
        raise UserError(
            f"both images of a pair must have the same channels for super-resolution, got {small.channels} and {large.channels}"
        )
    return int(factors.pop()), large.channels


class SRResNet(Upscaler):
    """SRResNet: Ledig et al. 2017, https://arxiv.org/abs/1609.04802, figure 4.

    Ours: with `on_bicubic` the output is added to the bicubically enlarged picture, and starts near 0, so that a short training
    starts from there; the paper's network makes the whole picture.

    Args:
        shape: The pair of a small and a large image.
        width: Channels of the hidden layers; the paper's 64.
        n_blocks: Residual blocks; the paper's 16.
        norm: Builds the normalisation; `torch.nn.Identity` for none, as in ESRGAN.
        on_bicubic: Add the output to the bicubic picture.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 64,
        n_blocks: int = 16,
        norm: Normalisation = nn.BatchNorm2d,
        on_bicubic: bool = True,
    ) -> None:
        super().__init__()
        self.factor, channels = factor_of(shape)
        self.reach = 4 + 2 * n_blocks + 1 + 2 + 4
        self.on_bicubic = on_bicubic
        self.first = nn.Sequential(nn.Conv2d(channels, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                norm(width),
                nn.PReLU(),
                nn.Conv2d(width, width, 3, padding=1),
                norm(width),
            )
            for _ in range(n_blocks)
        )
        self.last = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), norm(width))
        up: list[nn.Module] = []
        for _ in range(self.factor // 2):
            up += [nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU()]
        self.up = nn.Sequential(*up)
        self.output = nn.Conv2d(width, channels, 9, padding=4)
        if on_bicubic:
            _scale(self.output, 0.1)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(N, C, h, w)` in [-1, 1] to images `(N, C, factor h, factor w)`, not clamped."""
        maps = start = self.first(images)
        for block in self.blocks:
            maps = maps + block(maps)
        made = self.output(self.up(start + self.last(maps)))
        return made + bicubic(images, self.factor) if self.on_bicubic else made


class RRDBNet(Upscaler):
    """ESRGAN's residual in residual dense blocks: Wang et al. 2018, https://arxiv.org/abs/1809.00219, figure 4.

    No normalisation; each block and each dense layer's last map is scaled by 0.2 before it is added. Ours: sub-pixel
    convolutions instead of repeated pixels, and `on_bicubic` as in `SRResNet`.

    Args:
        shape: The pair of a small and a large image.
        width: Channels between blocks; the paper's 64.
        growth: Channels that each layer of a dense block adds; the authors' 32.
        n_blocks: Blocks of three dense blocks; the paper's 23.
        on_bicubic: Add the output to the bicubic picture.
    """

    def __init__(
        self, shape: Shape, width: int = 64, growth: int = 32, n_blocks: int = 23, on_bicubic: bool = True
    ) -> None:
        super().__init__()
        self.factor, channels = factor_of(shape)
        if growth < 1:
            raise UserError(f"growth of RRDBNet must be at least 1, got {growth}")
        self.reach = 1 + 15 * n_blocks + 1 + 3
        self.on_bicubic = on_bicubic
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Sequential(*(_Dense(width, growth) for _ in range(3))) for _ in range(n_blocks))
        self.last = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.ModuleList(nn.Conv2d(width, 4 * width, 3, padding=1) for _ in range(self.factor // 2))
        self.hidden = nn.Conv2d(width, width, 3, padding=1)
        self.output = nn.Conv2d(width, channels, 3, padding=1)
        if on_bicubic:
            _scale(self.output, 0.1)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(N, C, h, w)` in [-1, 1] to images `(N, C, factor h, factor w)`, not clamped."""
        maps = start = self.first(images)
        for block in self.blocks:
            maps = maps + 0.2 * block(maps)
        maps = start + self.last(maps)
        for convolution in self.up:
            maps = leaky_relu(pixel_shuffle(convolution(maps), 2), 0.2)
        made = self.output(leaky_relu(self.hidden(maps), 0.2))
        return made + bicubic(images, self.factor) if self.on_bicubic else made


class _Dense(nn.Module):
    """Five convolutions, each of all maps before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(width + index * growth, width if index == 4 else growth, 3, padding=1) for index in range(5)
        )
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight)
            _scale(layer, 0.1)  # the authors', without which so deep a sum starts too large

    def forward(self, maps: Tensor) -> Tensor:
        found = [maps]
        for layer in self.layers[:-1]:
            found.append(leaky_relu(layer(torch.cat(found, 1)), 0.2))
        return maps + 0.2 * self.layers[-1](torch.cat(found, 1))


def bicubic(images: Tensor, factor: int) -> Tensor:
    """Return images `(N, C, h, w)` enlarged bicubically, as Pillow does: a = -0.5, borders apart."""
    return interpolate(images, scale_factor=float(factor), mode="bicubic", antialias=True)


@torch.no_grad()
def _scale(layer: nn.Conv2d, factor: float) -> None:
    """Scale initial weights, and start without a bias."""
    assert layer.bias is not None
    layer.weight.mul_(factor)
    layer.bias.zero_()
