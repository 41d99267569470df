"""Feed-forward style transfer: Johnson, Alahi & Fei-Fei 2016, https://arxiv.org/abs/1603.08155, for several styles at once.

Each style has its own gains and offsets of instance normalisation, as in Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from gan_lightning.errors import UserError
from gan_lightning.networks.base import NClasses, Network, count_classes, require_images
from gan_lightning.shapes import Shape


class StyleNetwork(Network):
    """A network from pictures to the same pictures in a style.

    Attributes:
        n_classes: Number of styles.
    """

    n_classes: int

    @abstractmethod
    def forward(self, images: Tensor, labels: Tensor, strength: Tensor | None = None) -> Tensor:
        """Return images `(N, C, H, W)` in [-1, 1], of any size, in the styles `(N,)`.

        `strength` `(N,)` is 0 for the picture as it is, 1 (also if None) for the style, and between them for what is between.
        """


StyleNetworkFactory = Callable[[Shape], StyleNetwork]
"""Builds a style network of images of a shape."""


class Stylizer(StyleNetwork):
    """Johnson's network: two halvings, residual blocks, two doublings, with conditional instance normalisation.

    Doublings repeat pixels before a convolution, and borders are mirrored, as in Dumoulin's; the paper has transposed
    convolutions. Sides that are no multiples of 4 are mirrored on and cut back.

    Ours: strengths. One more set of gains and offsets is that of strength 0, and 1 - strength times the picture is added before
    the last tanh, because instance normalisation keeps neither its colours nor its contrast. At strength 0 an untrained network
    gives the picture back, but for the last convolution's small offset.

    Args:
        shape: Shape of the images; other sizes can be given later.
        width: Channels at full resolution, twice and four times as many at a half and a quarter; the paper's 32.
        n_blocks: Residual blocks; the paper's 5.
        n_classes: Number of styles; auto takes as many as the data have.

    Raises:
        UserError: There is no style.
    """

    def __init__(self, shape: Shape, width: int = 32, n_blocks: int = 5, n_classes: NClasses = "auto") -> None:
        super().__init__()
        channels = require_images(shape).channels
        self.n_classes = count_classes(n_classes)
        if self.n_classes < 1:
            raise UserError("Stylizer needs at least one style, got n_classes 0; give data with styles")
        n = self.n_classes + 1
        self.down = nn.ModuleList(
            [
                _Layer(channels, width, 9, n),
                _Layer(width, 2 * width, 3, n, stride=2),
                _Layer(2 * width, 4 * width, 3, n, stride=2),
            ]
        )
        self.blocks = nn.ModuleList(_Block(4 * width, n) for _ in range(n_blocks))
        self.up = nn.ModuleList([_Layer(4 * width, 2 * width, 3, n), _Layer(2 * width, width, 3, n)])
        self.output = nn.Conv2d(width, channels, 9)
        last: _Layer = self.up[-1]  # type: ignore[assignment]
        nn.init.zeros_(last.gain.weight[-1])

    def forward(self, images: Tensor, labels: Tensor, strength: Tensor | None = None) -> Tensor:
        """Return images `(N, C, H, W)` in [-1, 1], of any size, in the styles `(N,)`, at a strength `(N,)` in [0, 1]."""
        if strength is None:
            strength = images.new_ones(len(images))
        height, width = images.shape[2:]
        maps = pad_to(images, 4)
        for layer in self.down:
            maps = layer(maps, labels, strength).relu()
        for block in self.blocks:
            maps = block(maps, labels, strength)
        for layer in self.up:
            maps = layer(interpolate(maps, scale_factor=2.0, mode="nearest"), labels, strength).relu()
        made = self.output(mirrored(maps, 4))[:, :, :height, :width]
        return (made + (1 - strength)[:, None, None, None].to(made) * (0.99 * images).atanh()).tanh()


class _Layer(nn.Module):
    """A convolution with mirrored borders and an instance normalisation whose affine part is the style's."""

    def __init__(self, n_in: int, n_out: int, kernel: int, n_styles: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, kernel, stride, bias=False)
        self.gain, self.offset = nn.Embedding(n_styles, n_out), nn.Embedding(n_styles, n_out)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.offset.weight)
        self.border = kernel // 2

    def forward(self, maps: Tensor, labels: Tensor, strength: Tensor) -> Tensor:
        maps = self.convolution(mirrored(maps, self.border))
        var, mean = torch.var_mean(
            maps, (2, 3), correction=0, keepdim=True
        )  # torch refuses maps of one pixel in training
        maps = (maps - mean) * torch.rsqrt(var + 1e-5)
        gain, offset = (
            torch.lerp(table.weight[-1].expand(len(labels), -1), table(labels), strength[:, None].to(table.weight))
            for table in (self.gain, self.offset)
        )
        return gain[:, :, None, None] * maps + offset[:, :, None, None]


class _Block(nn.Module):
    """Two layers whose result is added to what they were given."""

    def __init__(self, width: int, n_styles: int) -> None:
        super().__init__()
        self.first, self.second = _Layer(width, width, 3, n_styles), _Layer(width, width, 3, n_styles)

    def forward(self, maps: Tensor, labels: Tensor, strength: Tensor) -> Tensor:
        return maps + self.second(self.first(maps, labels, strength).relu(), labels, strength)


def mirrored(maps: Tensor, border: int) -> Tensor:
    """Return maps `(N, C, H, W)` with a mirrored border; what is too small to be mirrored so far repeats its edge."""
    mode = "reflect" if border < min(maps.shape[2:]) else "replicate"
    return pad(maps, (border,) * 4, mode=mode)


def pad_to(images: Tensor, multiple: int) -> Tensor:
    """Return images `(N, C, H, W)` with edges repeated on the right and below, up to sides that are multiples."""
    height, width = images.shape[2:]
    below, right = -height % multiple, -width % multiple
    return pad(images, (0, right, 0, below), mode="replicate") if below or right else images
