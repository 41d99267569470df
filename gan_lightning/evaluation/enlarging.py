"""Pictures made larger: in pieces, each computed with the pixels around it, so that no seam can be seen; and bicubically."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gan_lightning.data.decoding import resize
from gan_lightning.shapes import Images


def in_tiles(enlarge: Callable[[Tensor], Tensor], images: Tensor, factor: int, tile: int, overlap: int) -> Tensor:
    """Return what a function makes of images, piece by piece.

    A network that looks `overlap` pixels far, or less, gives what it would give for the whole.

    Args:
        enlarge: Maps images `(N, C, h, w)` to images `(N, C, factor h, factor w)`.
        images: Images `(N, C, H, W)`.
        factor: By how much each side grows.
        tile: Side of the pieces, in pixels of `images`.
        overlap: Pixels around a piece that are computed with it and cut off.
    """
    height, width = images.shape[2:]
    rows = []
    for top in range(0, height, tile):
        row = []
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            y, x = max(top - overlap, 0), max(left - overlap, 0)
            part = enlarge(images[:, :, y : min(bottom + overlap, height), x : min(right + overlap, width)])
            inside = part[:, :, factor * (top - y) : factor * (bottom - y), factor * (left - x) : factor * (right - x)]
            row.append(inside.cpu())
        rows.append(torch.cat(row, 3))
    return torch.cat(rows, 2)


def bicubic(images: Tensor, factor: int) -> Tensor:
    """Return uint8 images `(N, C, h, w)` enlarged bicubically, as Pillow does (equal but for one grey level)."""
    channels, height, width = images.shape[1:]
    return resize(images, Images(factor * height, factor * width, channels), "none")
