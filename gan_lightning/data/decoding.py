"""From any image file to a square of uint8: what each pixel format means to the person who saved it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from gan_lightning.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

Crop = Literal["center", "none"]


def check_shape(image_size: int, channels: int) -> None:
    """Refuse a shape that images cannot be converted to.

    Raises:
        UserError: The size is not positive, or the number of channels is neither 1 nor 3.
    """
    if image_size < 1:
        raise UserError(f"image_size must be at least 1, got {image_size}")
    if channels not in (1, 3):
        raise UserError(f"channels must be 1 (grey) or 3 (RGB) for image files, got {channels}")


def decode(content: bytes, image_size: int, channels: int, crop: Crop) -> np.ndarray:
    """Decode the bytes of an image file to uint8 `(C, image_size, image_size)`; of an animation, the first frame.

    Raises:
        Exception: Whatever Pillow raises on bytes that are not a whole image; ValueError for pixel types whose range is
            unknown.
    """
    from PIL import Image  # only for data that are files

    if not content:
        raise UserError("the file is empty")
    with Image.open(io.BytesIO(content)) as image:
        return to_square(image, image_size, channels, crop)


def to_square(image: Image, image_size: int, channels: int, crop: Crop) -> np.ndarray:
    """Convert a PIL image to uint8 `(C, image_size, image_size)`.

    The camera's orientation is applied; 16 bits are scaled to 8 (65535 becomes 255); transparency shows a white page;
    CMYK, palettes, grey and 1-bit become RGB (or luma, for one channel). Resizing is antialiased and bicubic.

    Args:
        image: Any image; it is not changed.
        image_size: Height and width of the result.
        channels: 1 for grey, 3 for RGB.
        crop: "center" scales the shorter side to the size and keeps the middle; "none" squeezes the whole image into
            the square.

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
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        colours = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), colours)
    image = image.convert("L" if channels == 1 else "RGB")

    box = None
    if crop == "center":
        width, height = image.size
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    if image.size != (image_size, image_size):
        image = image.resize((image_size, image_size), Image.Resampling.BICUBIC, box=box)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def resize(images: Tensor, image_size: int, crop: Crop = "center") -> Tensor:
    """Resize uint8 images `(N, C, H, W)` to squares, antialiased and bicubic; "center" first cuts the middle square."""
    height, width = images.shape[2:]
    side = min(height, width)
    if crop == "center":
        top, left = (height - side) // 2, (width - side) // 2
        images = images[:, :, top : top + side, left : left + side]
    if images.shape[2:] == (image_size, image_size):
        return images.contiguous()
    pieces = [
        torch.nn.functional.interpolate(piece, size=(image_size, image_size), mode="bicubic", antialias=True)
        for piece in images.split(4096)  # the intermediate sizes of a whole set would not fit
    ]
    return torch.cat(pieces)


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Convert uint8 images `(N, C, H, W)` between grey (C = 1) and RGB (C = 3); luma is ITU-R 601, as in Pillow."""
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
