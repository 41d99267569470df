"""From any image file to uint8 of one size: what each pixel format means to the person who saved it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.shapes import Images, shape_of

if TYPE_CHECKING:
    from PIL.Image import Image

Crop = Literal["center", "none"]
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
ImageSize = int | list[int]
"""Height and width: one number for both, or `[height, width]`."""


def file_shape(image_size: ImageSize, channels: int) -> Images:
    """Return the shape that image files are converted to.

    Example:
        >>> file_shape([64, 96], 3)
        Images(height=64, width=96, channels=3)

    Raises:
        UserError: The size is not positive, or the number of channels is not 1, 3 or 4.
    """
    if min(image_size if isinstance(image_size, list | tuple) else [image_size], default=0) < 1:  # type: ignore[type-var]
        raise UserError(f"image_size must be at least 1, got {image_size}")
    if channels not in _MODES:
        raise UserError(f"channels must be 1 (grey), 3 (RGB) or 4 (RGBA) for image files, got {channels}")
    shape = shape_of(image_size, channels)
    assert isinstance(shape, Images)
    return shape


def decode(content: bytes, shape: Images, crop: Crop) -> np.ndarray:
    """Decode the bytes of an image file to uint8 `(C, H, W)`; of an animation, the first frame.

    Raises:
        Exception: Whatever Pillow raises on bytes that are not a whole image; ValueError for pixel types whose range is
            unknown.
    """
    from PIL import Image  # only for data that are files

    if not content:
        raise UserError("the file is empty")
    with Image.open(io.BytesIO(content)) as image:
        return to_pixels(image, shape, crop)


def to_pixels(image: Image, shape: Images, crop: Crop) -> np.ndarray:
    """Convert a PIL image to uint8 `(C, H, W)`.

    The camera's orientation is applied; 16 bits are scaled to 8 (65535 becomes 255); transparency shows a white page,
    unless it is kept; CMYK, palettes, grey and 1-bit become RGB (or luma, for one channel). Resizing is antialiased and
    bicubic.

    Args:
        image: Any image; it is not changed.
        shape: Shape of the result; 1 channel for grey, 3 for RGB, 4 for RGBA.
        crop: "center" scales the image until it covers the shape and keeps the middle; "none" squeezes the whole image.

    Raises:
        UserError: The pixels are 32-bit integers or floating point, so their range is unknown.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or (
        image.mode == "I" and image.format == "PNG"
    ):  # older Pillow opens 16-bit PNG as "I"
        values = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    elif image.mode in ("I", "F"):
        kind = "32-bit integers" if image.mode == "I" else "floating point"
        raise UserError(f"its pixels are {kind} of unknown range; save it with 8 or 16 bits")
    if shape.channels != 4 and (image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info):
        colours = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours)
    image = image.convert(_MODES[shape.channels])

    box = None
    if crop == "center":
        width, height = image.size
        kept_height, kept_width = _middle(height, width, shape)
        left, top = (width - kept_width) / 2, (height - kept_height) / 2
        box = (left, top, left + kept_width, top + kept_height)
    if image.size != (shape.width, shape.height):
        image = image.resize((shape.width, shape.height), Image.Resampling.BICUBIC, box=box)
    pixels = np.asarray(image)
    return pixels[None] if shape.channels == 1 else pixels.transpose(2, 0, 1)


def _middle(height: int, width: int, shape: Images) -> tuple[float, float]:
    """Return height and width of the largest part of an image that has the shape's ratio of sides."""
    if height * shape.width > width * shape.height:  # the image is taller
        return width * shape.height / shape.width, width
    return height, height * shape.width / shape.height


def resize(images: Tensor, shape: Images, crop: Crop = "center") -> Tensor:
    """Resize uint8 images `(N, C, H, W)`, antialiased and bicubic; "center" first cuts the middle of the same ratio.

    Example:
        >>> resize(torch.zeros(1, 3, 10, 20, dtype=torch.uint8), Images(8, 8, 3)).shape
        torch.Size([1, 3, 8, 8])
    """
    size = (shape.height, shape.width)
    if crop == "center":
        height, width = images.shape[2:]
        kept_height, kept_width = (max(1, round(kept)) for kept in _middle(height, width, shape))
        top, left = (height - kept_height) // 2, (width - kept_width) // 2
        images = images[:, :, top : top + kept_height, left : left + kept_width]
    if images.shape[2:] == size:
        return images.contiguous()
    pieces = [
        torch.nn.functional.interpolate(piece, size=size, mode="bicubic", antialias=True)
        for piece in images.split(4096)  # the intermediate sizes of a whole set would not fit
    ]
    return torch.cat(pieces)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Convert uint8 images `(N, C, H, W)` between grey (C = 1) and RGB (C = 3); luma is ITU-R 601, as in Pillow.

    Example:
        >>> with_channels(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), 3).shape
        torch.Size([1, 3, 8, 8])
    """
    if images.shape[1] == channels:
        return images
    if images.shape[1] == 1 and channels == 3:
        return images.repeat(1, 3, 1, 1)
    if images.shape[1] == 3 and channels == 1:
        luma = [
            (piece.to(torch.int32) * torch.tensor([19595, 38470, 7471], dtype=torch.int32)[:, None, None]).sum(
                1, keepdim=True
            )
            for piece in images.split(4096)
        ]
        return torch.cat([((piece + 0x8000) >> 16).to(torch.uint8) for piece in luma])
    raise UserError(
        f"images with {images.shape[1]} channels cannot be converted to {channels}; channels must be 1 or 3"
    )
