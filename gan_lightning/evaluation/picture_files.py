"""Pictures that a verb is given, and those that it writes: any format in, PNG out, transparency kept."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.decoding import decode, upright_size, why_unreadable, with_channels
from gan_lightning.data.image_files import Folder, ImageFiles, image_files
from gan_lightning.errors import RunFailed, UserError, say
from gan_lightning.evaluation.output import output_folder
from gan_lightning.shapes import Images

if TYPE_CHECKING:
    from PIL.Image import Image


class Opened(NamedTuple):
    """A picture.

    Attributes:
        colours: uint8 `(3, H, W)`.
        alpha: uint8 `(H, W)`, None of a picture without transparency.
        is_grey: Whether its file has no colours.
        is_deep: Whether its pixels are deeper than 8 bits.
        is_first: Whether its file has others behind it: an animation's, or pages.
    """

    colours: Tensor
    alpha: Tensor | None
    is_grey: bool
    is_deep: bool = False
    is_first: bool = False


class PictureFiles:
    """The pictures of a file, a folder or a zip, each of which has been read once, so that none fails half-way.

    Args:
        source: The file, folder or zip.
        value_range: The values that are black and white in pixels deeper than 8 bits; of 16 bits 0 and 65535 if None.

    Raises:
        UserError: There are none, one cannot be read, or two would be written under one name.

    Attributes:
        sizes: Height and width of each.
        has_deep: Whether one has pixels deeper than 8 bits.
    """

    def __init__(self, source: str, value_range: list[float] | None = None) -> None:
        path = Path(source).expanduser()
        self.source, self.value_range = source, value_range
        self.files: ImageFiles
        if path.is_file() and path.suffix.lower() != ".zip":
            self.files, self.names = Folder(path.parent), [path.name]
        else:
            self.files = image_files(source)
            self.names = self.files.names()
            if left := sum(self.files.others().values()):
                say(f"{source}: {left} other file{'s' * (left > 1)} left alone, such as {_other(self.files)}")
        written: dict[str, str] = {}
        for name in self.names:
            target = str(PurePosixPath(name).with_suffix(".png"))
            if target in written:
                raise UserError(
                    f"{written[target]} and {name} of {source} would both be written as {target}; rename one"
                )
            written[target] = name
        self.sizes: dict[str, tuple[int, ...]] = {}
        self.has_deep, moving = False, []
        for name in self.names:
            picture = self.open(name)
            self.sizes[name] = tuple(picture.colours.shape[1:])
            self.has_deep |= picture.is_deep
            if picture.is_first:
                moving.append(name)
        if moving:
            others = f"; so of {len(moving) - 1} more" if len(moving) > 1 else ""
            say(f"{self.files.describe(moving[0])} is an animation or has pages: the first one alone is taken{others}")

    def open(self, name: str) -> Opened:
        """Return a picture.

        Raises:
            UserError: It cannot be read.
        """
        try:
            return _opened(self.files.read(name), self.value_range)
        except Exception as error:  # Pillow raises anything on bytes that are no picture
            reason = why_unreadable(error).replace("--data.value_range", "--value_range")
            raise UserError(f"cannot read {self.files.describe(name)}: {reason}") from error

    def __iter__(self) -> Iterator[tuple[str, Opened]]:
        """Yield each name with its picture."""
        for name in self.names:
            yield name, self.open(name)


def _other(files: ImageFiles) -> str:
    names = set(files.names())
    return next(name for name in files.seen if name not in names)


def _opened(content: bytes, value_range: list[float] | None) -> Opened:
    from PIL import Image

    if not content:
        raise UserError("the file is empty")
    with Image.open(io.BytesIO(content)) as image:
        has_alpha = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
        raw = str(image.tile[0][3]) if image.tile else ""  # Pillow opens some deep pixels with 8 bits; this tells
        is_grey = image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16") or raw[:3] == "LA;"
        has_16_bits = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
        has_16_bits |= image.mode not in ("I", "F") and ";16" in raw
        is_deep, is_first = has_16_bits or image.mode in ("I", "F"), _has_second(image)
    if value_range is None and has_16_bits:
        value_range = [0, 65535]  # white of 16 bits in PNG and TIFF
    height, width = upright_size(content)
    pixels = decode(content, Images(height, width, 4), "none", value_range).pixels
    found = torch.from_numpy(np.array(pixels, order="C"))
    return Opened(found[:3], found[3] if has_alpha else None, is_grey, is_deep, is_first)


def refuse_idle_range(value_range: list[float] | None, *sources: PictureFiles) -> None:
    """Refuse a range of deep pixels where no picture has any."""
    if value_range is not None and not any(source.has_deep for source in sources):
        given = ",".join(f"{value:g}" for value in value_range)
        raise UserError(
            f"--value_range {given} is of pixels deeper than 8 bits, and no picture of {sources[0].source} has such; "
            "leave it out"
        )


def as_taken(colours: Tensor, alpha: Tensor | None, n_channels: int) -> Tensor:
    """Return colours `(3, H, W)`, uint8, as a network of so many channels takes them: `(1, C, H, W)`.

    One channel is luma, four are colours and transparency; fewer than four see a white page where nothing is opaque, as in
    training.
    """
    if n_channels == 4:
        opaque = torch.full_like(colours[0], 255) if alpha is None else alpha
        return torch.cat([colours, opaque[None]])[None]
    seen = colours if alpha is None else torch.where(alpha > 0, colours, 255)
    return with_channels(seen[None], n_channels)


def _has_second(image: Image) -> bool:
    """Return whether a file holds more than one picture; a camera's preview beside it is none."""
    if image.format == "MPO":
        return False
    try:
        image.seek(1)
    except Exception:  # EOFError, or whatever Pillow's plugins raise on what is broken behind the first
        return False
    return True


def empty_folder(out: str) -> Path:
    """Make a folder to write pictures into, and return it.

    Raises:
        UserError: It is no folder, cannot be written to, or is not empty.
    """
    folder = output_folder(out)
    if there := sorted(folder.iterdir()):
        raise UserError(f"--out {folder} holds {there[0].name} already; give an empty folder, or a new one")
    return folder


def write_picture(folder: Path, name: str, colours: Tensor, alpha: Tensor | None, is_grey: bool = False) -> Path:
    """Write a picture as PNG under the name of the one that it was made of, and return its path.

    Args:
        folder: Where to.
        name: The other one's path in its folder; its suffix becomes .png.
        colours: uint8 `(3, H, W)`.
        alpha: uint8 `(H, W)`, or None.
        is_grey: Write the mean of the colours alone.

    Raises:
        RunFailed: It could not be written, because the disk is full for instance.
    """
    from PIL import Image

    if is_grey:
        colours = colours.float().mean(0, keepdim=True).round().to(torch.uint8)
    planes = colours if alpha is None else torch.cat([colours, alpha[None]])
    pixels = planes.permute(1, 2, 0).contiguous().numpy()
    path = folder / PurePosixPath(name).with_suffix(".png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path)
    except OSError as error:
        raise RunFailed(f"{path} could not be written: {error.strerror}; free some space") from error
    return path


def write_card(path: Path, card: Mapping[str, Any]) -> None:
    """Write what says how the pictures of a folder were made, as JSON.

    Raises:
        RunFailed: It could not be written, because the disk is full for instance.
    """
    try:
        path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunFailed(f"{path} could not be written: {error.strerror}; free some space") from error
