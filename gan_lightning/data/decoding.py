"""From any image file to uint8 of one size: what each pixel format means to the person who saved it."""

from __future__ import annotations

import io
import math
import re
import zlib
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_lightning.errors import UserError, in_one_line
from gan_lightning.shapes import Images, shape_of

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

Crop = Literal["center", "none"]
Filter = Literal["bicubic", "bilinear", "lanczos", "box", "hamming", "nearest"]
"""How images are resized, by Pillow: antialiased, but for nearest."""
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


class UnknownRange(UserError):
    """Pixels deeper than 8 bits do not say which value is white; no image is left out for that."""


class Decoded(NamedTuple):
    """A decoded image.

    Attributes:
        pixels: uint8 `(C, H, W)`.
        sides: Shorter and longer side of the file's image, in pixels.
    """

    pixels: np.ndarray
    sides: tuple[int, int]


def check_range(value_range: list[float] | None) -> None:
    """Raise a UserError unless these are two increasing numbers, or None."""
    if value_range is None:
        return
    if len(value_range) != 2 or not -math.inf < value_range[0] < value_range[1] < math.inf:
        raise UserError(f"value_range must be [black, white], two increasing numbers, got {value_range}")


def decode(
    content: bytes,
    shape: Images,
    crop: Crop,
    value_range: list[float] | None = None,
    resample: Filter = "bicubic",
    halves: bool = False,
) -> Decoded:
    """Decode the bytes of an image file; of an animation, the first frame. Broken metadata are left out.

    With `halves` the left and the right half of the picture are brought each to half the width of the shape.

    Raises:
        UnknownRange: As `to_pixels`.
        Exception: Whatever Pillow raises on bytes that are not a whole image.
    """
    from PIL import Image  # only for data that are files

    convert = _halves_to_pixels if halves else to_pixels
    if not content:
        raise UserError("the file is empty")
    if (chunk := _damaged_chunk(content)) is not None:  # Pillow reads over it, and shows other pixels
        raise UserError(f"its {chunk} chunk is damaged: the checksum is wrong")
    try:
        with Image.open(io.BytesIO(content)) as image:
            return Decoded(convert(image, shape, crop, value_range, resample), (min(image.size), max(image.size)))
    except UserError:
        raise
    except Exception:  # Pillow's plugins raise anything at all on hostile bytes
        bare = _without_metadata(content)
        if bare is None:
            raise
        try:
            with Image.open(io.BytesIO(bare)) as image:
                return Decoded(convert(image, shape, crop, value_range, resample), (min(image.size), max(image.size)))
        except UserError:
            raise
        except Exception:  # the pixels are not sound either: what the whole file says is nearer
            pass
        raise


def why_unreadable(error: Exception) -> str:
    """Return in one line why bytes are no picture; Pillow speaks of an object in memory where it means the file."""
    return re.sub(r"image file <_io.BytesIO object at \w+>", "an image in it", in_one_line(error))


def to_pixels(
    image: Image, shape: Images, crop: Crop, value_range: list[float] | None = None, resample: Filter = "bicubic"
) -> np.ndarray:
    """Convert a PIL image to uint8 `(C, H, W)`.

    The camera's orientation is applied; transparency shows a white page, unless it is kept; CMYK, palettes, grey and
    1-bit become RGB (or luma, for one channel). Resizing is antialiased and, unless another filter is named, bicubic.

    Args:
        image: Any image; it is not changed.
        shape: Shape of the result; 1 channel for grey, 3 for RGB, 4 for RGBA.
        crop: "center" scales the image until it covers the shape and keeps the middle; "none" squeezes the whole image.
        value_range: The values that are black and white in pixels deeper than 8 bits; others are clipped.
        resample: The filter.

    Raises:
        UnknownRange: The pixels are deeper than 8 bits, the format does not say their range, and `value_range` is None.
    """
    from PIL import Image

    image = _shallow(image, value_range)
    if (turn := _orientation(image)) is not None:
        image = image.transpose(turn)
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
        image = image.resize((shape.width, shape.height), Image.Resampling[resample.upper()], box=box)
    pixels = np.asarray(image)
    return pixels[None] if shape.channels == 1 else pixels.transpose(2, 0, 1)


def _halves_to_pixels(
    image: Image, shape: Images, crop: Crop, value_range: list[float] | None = None, resample: Filter = "bicubic"
) -> np.ndarray:
    """Convert a PIL image of two pictures side by side as `to_pixels` does each; uint8 `(C, H, W)`, W that of both.

    Raises:
        UserError: The width of the picture is odd.
    """
    image = _shallow(image, value_range)
    image = image.copy() if (turn := _orientation(image)) is None else image.transpose(turn)
    image.info = {key: value for key, value in image.info.items() if key == "transparency"}  # it is upright now
    width, height = image.size
    if width % 2:
        raise UserError(f"it is {width} pixels wide, which cannot be two pictures side by side; the width must be even")
    half = Images(shape.height, shape.width // 2, shape.channels)
    boxes = (0, 0, width // 2, height), (width // 2, 0, width, height)
    return np.concatenate([to_pixels(image.crop(box), half, crop, None, resample) for box in boxes], axis=2)


def _shallow(image: Image, value_range: list[float] | None) -> Image:
    """Return an image of at most 8 bits a channel, with the orientation of the given one."""
    from PIL import Image, ImageFile

    # Pillow opens 16-bit colour with 8 bits, the higher ones, and only the raw mode tells
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    is_deep_colour = any(";16" in str(tile[3]) for tile in tiles) and image.mode not in ("I", "F")
    if image.mode.startswith("I;16"):
        is_deep_colour, kind = False, "16-bit"
    elif image.mode in ("I", "F"):
        is_16_bit_png = image.format == "PNG"  # older Pillow opens it as "I"
        kind = "floating-point" if image.mode == "F" else "16-bit" if is_16_bit_png else "32-bit"
    elif is_deep_colour:
        kind = "16-bit"
    else:
        return image
    if value_range is None and image.format in ("PPM", "JPEG2000"):
        value_range = [0, 65535]  # the file says its depth, and Pillow scales by it
    if is_deep_colour:
        if value_range != [0, 65535]:
            raise UnknownRange(
                f"its colours have 16 bits; set value_range to [0, 65535] (--data.value_range [0,65535]) if they use all "
                f"of them, or save it with 8 bits{f', as Pillow cannot read {value_range}' if value_range else ''}"
            )
        return image
    values = np.asarray(image).astype(np.float64)
    low, high = values.min(), values.max()
    if not np.isfinite(low + high):
        raise UserError("it has pixels that are not finite")
    if value_range is None:
        if kind == "floating-point":
            guess = "[0, 1]" if 0 <= low and high <= 1 else f"[{low:g}, {high:g}]"
        else:
            guess = f"[0, {2 ** max(8, int(high).bit_length()) - 1}]"
        raise UnknownRange(
            f"its pixels are {kind}, from {low:g} to {high:g}, and the file does not say which value is white; set "
            f"value_range, such as {guess} (--data.value_range {guess.replace(' ', '')})"
        )
    black, white = value_range
    pixels = ((values - black) / (white - black) * 255).clip(0, 255)
    shallow = Image.fromarray(np.rint(pixels).astype(np.uint8))
    if (turn := _orientation(image)) is not None:
        shallow = shallow.transpose(turn)
    return shallow


def upright_size(content: bytes) -> tuple[int, int]:
    """Return height and width of an image file as its camera says it is to be seen; of TIFF alone the pixels are decoded.

    Raises:
        Exception: Whatever Pillow raises on bytes that are not an image.
    """
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        turn = _orientation(image)
        width, height = image.size
    sideways = {
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
    }
    return (width, height) if turn in sideways else (height, width)


def _orientation(image: Image) -> Transpose | None:
    """Return how to turn an image upright as its camera says; broken metadata say nothing."""
    from PIL import Image

    if image.format == "TIFF":
        image.load()  # Pillow turns these by itself, when it loads them
    turns = Image.Transpose
    known = {2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM, 5: turns.TRANSPOSE}
    known |= {6: turns.ROTATE_270, 7: turns.TRANSVERSE, 8: turns.ROTATE_90}
    try:
        return known.get(image.getexif().get(0x0112, 1))
    except Exception:  # Pillow parses EXIF and XMP of any content
        return None


def _damaged_chunk(content: bytes) -> str | None:
    """Return the name of the first chunk of a PNG's pixels whose checksum is wrong, None if there is none or it is no PNG."""
    at = 8 if content.startswith(b"\x89PNG\r\n\x1a\n") else len(content)
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        name = content[at + 4 : at + 8]
        if name in (b"IHDR", b"PLTE", b"tRNS", b"IDAT") and end <= len(content):
            if zlib.crc32(content[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
                return name.decode()
        at = end
    return None


def _without_metadata(content: bytes) -> bytes | None:
    """Return a PNG or JPEG without the parts that say nothing of its pixels; None if it is neither, or torn."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        parts, at = [content[:8]], 8
        while at + 12 <= len(content):
            end = at + 12 + int.from_bytes(content[at : at + 4], "big")
            if content[at + 4 : at + 8] in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
                parts.append(content[at:end])
            at = end
        return b"".join(parts)
    if content.startswith(b"\xff\xd8"):
        parts, at = [content[:2]], 2
        while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
            end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
            is_metadata = 0xE1 <= content[at + 1] <= 0xEF and content[at + 1] != 0xEE or content[at + 1] == 0xFE
            if not is_metadata:  # 0xEE is Adobe's, which says what the channels are
                parts.append(content[at:end])
            at = end
        return b"".join([*parts, content[at:]])
    return None


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
