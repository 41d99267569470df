"""The geometric half of StyleGAN2-ADA's augmentations: all of it as one warp, with filters against aliasing.

Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020, https://arxiv.org/abs/2006.06676,
appendix B, whose transformations and distributions these are.
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

from gan_lightning.errors import UserError
from gan_lightning.observations.augmentations import Augmentation
from gan_lightning.protocols import Host
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Images

# The low-pass filter of the wavelet sym6, of sum sqrt(2). It is orthonormal: halving what was doubled gives the same image.
_SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263752278646252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
_CENTER = sum(k * tap for k, tap in enumerate(_SYM6)) / sum(_SYM6)
_BORDER = 6  # pixels that the filters look beyond the image


@final
class Geometric(Augmentation):
    """Mirror images, quarter turns, shifts, sizes, turns and stretches, each with probability p (arXiv:2006.06676, appendix B).

    In this order: mirror image (1/2), turn by 0, 90, 180 or 270 degrees (1/4 each), shift by whole pixels (uniform within
    `shift` of the size), size (2^N(0, scale_std^2)), turn (uniform within `turn` of half a circle), stretch along the axes
    (2^N(0, stretch_std^2) and its inverse), another turn, shift by parts of a pixel (N(0, shift^2) of the size). One of the
    two turns is made with probability p, so each with 1 - sqrt(1 - p). What lies beyond an image is its reflection.

    Mirror image, quarter turn and whole shift move pixels as they are. The others are one warp: the image is doubled with
    the filter of the wavelet sym6, bilinearly warped, and halved with the same filter. `AdaptiveAugment` sets p; gradients
    of any order pass.

    Example:
        >>> view, labels = Geometric(p=0.5)(torch.rand(4, 3, 8, 8), None, noise)
        >>> view.shape
        torch.Size([4, 3, 8, 8])

    Args:
        p: Probability of each transformation, in [0, 1]; within `AdaptiveAugment` its own takes the place of this one.
        mirrors: Whether there are mirror images: leave them out for writing.
        quarter_turns: Whether there are quarter turns, which need square images.
        shift: Largest shift by whole pixels, and standard deviation of the other, as a share of the size.
        scale_std: Standard deviation of the size's binary logarithm.
        turn: Largest turn as a share of half a circle.
        stretch_std: Standard deviation of the stretch's binary logarithm.

    Raises:
        UserError: p or a range is out of its own.
    """

    def __init__(
        self,
        p: float = 1.0,
        mirrors: bool = True,
        quarter_turns: bool = True,
        shift: float = 0.125,
        scale_std: float = 0.2,
        turn: float = 1.0,
        stretch_std: float = 0.2,
    ) -> None:
        super().__init__()
        for name, value, high in (("p", p, 1), ("shift", shift, 0.5), ("turn", turn, 1)):
            if not 0 <= value <= high:
                raise UserError(f"{name} of Geometric must be in [0, {high}], got {value}")
        for name, value in (("scale_std", scale_std), ("stretch_std", stretch_std)):
            if not 0 <= value <= 1:
                raise UserError(
                    f"{name} of Geometric must be in [0, 1], got {value}; the paper's is 0.2, and 0 leaves it out"
                )
        self.p, self.mirrors, self.quarter_turns = p, mirrors, quarter_turns
        self.shift, self.scale_std, self.turn, self.stretch_std = shift, scale_std, turn, stretch_std

    def transform(self, images: Tensor, noise: Noise) -> Tensor:
        """Return images, each transformation made of each with probability p."""
        return self.sometimes(images, noise, torch.tensor(self.p))

    def sometimes(self, images: Tensor, noise: Noise, p: Tensor) -> Tensor:
        """Return images, each transformation made of each with this probability."""
        n, height, width = len(images), images.shape[2], images.shape[3]
        p = p.to(images.device, torch.float32)
        chances = torch.stack([p] * 4 + [1 - (1 - p).sqrt(), p, 1 - (1 - p).sqrt(), p])
        is_made = noise.uniform(n, 8).float() < chances
        even, normal = noise.uniform(n, 6).float(), noise.normal(n, 4).float()
        made = [column.float() for column in is_made.unbind(1)]

        mirrored = is_made[:, 0] & (even[:, 0] < 0.5) & self.mirrors
        quarters = (4 * even[:, 1]).long() * is_made[:, 1] * self.quarter_turns
        sides = torch.tensor([height, width], device=images.device)
        pixels = ((2 * even[:, 2:4] - 1) * self.shift * sides * made[2][:, None]).round().long()
        moved = _moved(images, mirrored, quarters, pixels)

        grow = torch.exp2(self.scale_std * normal[:, 0] * made[3])
        angles = [(2 * even[:, 4 + i] - 1) * math.pi * self.turn * made[4 + 2 * i] for i in range(2)]
        stretch = torch.exp2(self.stretch_std * normal[:, 1] * made[5])
        parts = normal[:, 2:] * self.shift * sides * made[7][:, None]
        nothing = torch.zeros_like(grow)
        sized = _matrix(1 / grow, nothing, nothing, 1 / grow)
        stretched = _matrix(stretch, nothing, nothing, 1 / stretch)
        # from a place of the result back to one of the image: the last transformation is undone first
        back = sized @ _turned(-angles[0]) @ stretched @ _turned(-angles[1])
        is_warped = is_made[:, 3:].any(1)
        return torch.where(is_warped[:, None, None, None], _warped(moved, back, parts), moved)

    def check(self, game: Host) -> None:
        """Refuse vectors, and quarter turns of images that are not square."""
        super().check(game)
        if self.quarter_turns and isinstance(game.shape, Images) and game.shape.height != game.shape.width:
            raise UserError(
                f"Geometric turns images by 90 degrees, and these are {game.shape.height} x {game.shape.width}; set its "
                "quarter_turns to false"
            )


def _matrix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Return the matrices `(N, 2, 2)` with rows (a, b) and (c, d), of (down, right)."""
    return torch.stack([torch.stack([a, b], 1), torch.stack([c, d], 1)], 1)


def _turned(angle: Tensor) -> Tensor:
    return _matrix(angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def _reflected(places: Tensor, size: int) -> Tensor:
    """Return places within 0 ... size - 1, those beyond reflected about the outermost pixels' centers."""
    period = max(2 * (size - 1), 1)
    places = places.remainder(period)
    return torch.where(places > size - 1, period - places, places)


def _moved(images: Tensor, mirrored: Tensor, quarters: Tensor, pixels: Tensor) -> Tensor:
    """Return images of which pixels have changed their places: mirrored, turned counterclockwise, shifted (down, right)."""
    n, channels, height, width = images.shape
    down = _reflected(torch.arange(height, device=images.device) - pixels[:, :1], height)[:, :, None]  # (N, H, 1)
    right = _reflected(torch.arange(width, device=images.device) - pixels[:, 1:], width)[:, None, :]  # (N, 1, W)
    down, right = down.expand(n, height, width), right.expand(n, height, width)
    turns = quarters[:, None, None]
    rows = torch.where(turns == 1, right, torch.where(turns == 2, height - 1 - down, down))
    rows = torch.where(turns == 3, width - 1 - right, rows)
    columns = torch.where(turns == 1, height - 1 - down, torch.where(turns == 2, width - 1 - right, right))
    columns = torch.where(turns == 3, down, columns)
    columns = torch.where(mirrored[:, None, None], width - 1 - columns, columns)
    return _gathered(images, rows, columns)


def _gathered(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return the pixels at rows and columns `(N, h, w)` as images `(N, C, h, w)`."""
    n, channels, _, width = images.shape
    places = (rows * width + columns).reshape(n, 1, -1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, places).reshape(n, channels, *rows.shape[1:])


def _warped(images: Tensor, back: Tensor, parts: Tensor) -> Tensor:
    """Return images whose value at x is theirs at `back` (x - parts), x from their center in pixels, (down, right)."""
    n, channels, height, width = images.shape
    device = images.device
    rows, columns = (_reflected(torch.arange(-_BORDER, s + _BORDER, device=device), s) for s in (height, width))
    padded = images[:, :, rows][:, :, :, columns]
    filters = torch.tensor(_SYM6, dtype=images.dtype, device=device)
    filters = torch.outer(filters, filters).expand(channels, 1, -1, -1)
    doubled = 2 * conv_transpose2d(padded, filters, stride=2, groups=channels)
    # place k of the doubled image is pixel (k - _CENTER) / 2 - _BORDER; those that the halving looks at are from 2 _BORDER on
    taps = len(_SYM6)
    grid = torch.stack(
        torch.meshgrid(
            *((torch.arange(2 * s + taps - 2, device=device) - _CENTER) / 2 - (s - 1) / 2 for s in (height, width)),
            indexing="ij",
        )
    ).flatten(1)  # (2, h w), of float32
    places = back @ (grid.to(parts.dtype) - parts[:, :, None])
    found = []
    for axis, size in enumerate((height, width)):
        pixel = _reflected(places[:, axis] + (size - 1) / 2, size)
        found.append((2 * (pixel + _BORDER) + _CENTER).reshape(n, 2 * height + taps - 2, 2 * width + taps - 2))
    (top, left), (down, right) = (place.floor().long() for place in found), (place.frac() for place in found)
    down, right = down[:, None].to(images.dtype), right[:, None].to(images.dtype)
    upper, lower = (
        _gathered(doubled, top + i, left) * (1 - right) + _gathered(doubled, top + i, left + 1) * right
        for i in range(2)
    )
    return conv2d(upper * (1 - down) + lower * down, filters, stride=2, groups=channels) / 2
