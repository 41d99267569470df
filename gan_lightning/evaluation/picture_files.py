"""Pictures that a verb is given, and those that it writes: any format in, PNG out, transparency kept."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.decoding import decode, upright_size
from gan_lightning.data.image_files import Folder, ImageFiles, image_files
from gan_lightning.errors import RunFailed, UserError, in_one_line, say
from gan_lightning.evaluation.output import output_folder
from gan_lightning.shapes import Images


class Opened(NamedTuple):
    """A picture.

    Attributes:
        colours: uint8 `(3, H, W)`.
        alpha: uint8 `(H, W)`, None of a picture without transparency.
        is_grey: Whether its file has no colours.
    """

    colours: Tensor
    alpha: Tensor | None
    is_grey: bool


class PictureFiles:
    """The pictures of a file, a folder or a zip, each of which has been read once, so that none fails half-way.

    Args:
        source: The file, folder or zip.
        value_range: The values that are black and white in pixels deeper than 8 bits; of 16 bits 0 and 65535 if None.

    Raises:
        UserError: There are none, one cannot be read, or two would be written under one name.
    """

    def __init__(self, source: str, value_range: list[float] | None = None) -> None:
        path = Path(source).expanduser()
        self.value_range = value_range
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
        self.sizes = {name: tuple(self.open(name).colours.shape[1:]) for name in self.names}
        """Height and width of each."""

    def open(self, name: str) -> Opened:
        """Return a picture.

        Raises:
            UserError: It cannot be read.
        """
        try:
            return _opened(self.files.read(name), self.value_range)
        except Exception as error:  # Pillow raises anything on bytes that are no picture
            reason = in_one_line(error).replace("--data.value_range", "--value_range")
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
        is_grey = image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")
        is_deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
        is_deep |= image.mode not in ("I", "F") and any(";16" in str(tile[3]) for tile in image.tile)
    if value_range is None and is_deep:
        value_range = [0, 65535]  # white of 16 bits in PNG and TIFF
    height, width = upright_size(content)
    pixels = decode(content, Images(height, width, 4), "none", value_range).pixels
    found = torch.from_numpy(np.array(pixels, order="C"))
    return Opened(found[:3], found[3] if has_alpha else None, is_grey)


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
