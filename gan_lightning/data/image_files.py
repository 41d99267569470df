"""Where image files come from (a folder or a zip), and what their arrangement says about splits and classes."""

from __future__ import annotations

import os
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lightning.pytorch.utilities import rank_zero_warn

from gan_lightning.errors import UserError

LabelRule = Literal["auto", "folders", "none"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff") + (
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    ".avif",
    ".jp2",
    ".tga",
)
TRAIN_NAMES = ("train", "training")
EVAL_NAMES = ("test", "testing", "val", "valid", "validation", "eval")  # the first that is there is used


class ImageFiles(ABC):
    """The image files below a root, named by their `/`-separated path. Hidden files and `__MACOSX` are not seen."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def all_names(self) -> list[str]:
        """Return the relative paths of all files."""

    @abstractmethod
    def stamp(self, name: str) -> list[int]:
        """Return numbers that change when the file does."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return a file's content; safe from several threads."""

    def names(self) -> list[str]:
        """Return the relative paths of the files with an image's suffix, sorted.

        Raises:
            UserError: There are none.
        """
        names = sorted(name for name in self.all_names() if _is_image(name))
        if not names:
            raise UserError(f"there are no images in {self.root} (files ending in {', '.join(SUFFIXES)})")
        return names


class Folder(ImageFiles):
    """Image files in a folder and its sub-folders; links to folders are followed, once each.

    Example:
        >>> Folder(Path("photos")).names()
        ['cats/1.png', 'cats/2.png', 'dogs/1.png', 'dogs/2.png']
    """

    def all_names(self) -> list[str]:
        """Return the relative paths of all files."""
        names = []
        seen = set()
        for path, folders, files in os.walk(self.root, followlinks=True):
            real = os.path.realpath(path)
            if real in seen:  # a link back to a parent would go round for ever
                folders.clear()
                continue
            seen.add(real)
            folders[:] = [folder for folder in folders if not folder.startswith(".")]
            below = os.path.relpath(path, self.root).replace(os.sep, "/")
            names += [file if below == "." else f"{below}/{file}" for file in files]
        return names

    def stamp(self, name: str) -> list[int]:
        """Return size and time of change."""
        stat = (self.root / name).stat()
        return [stat.st_size, stat.st_mtime_ns]

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        return (self.root / name).read_bytes()


class Zip(ImageFiles):
    """Image files in a zip. Members are read into memory, never extracted, and those whose path leaves the archive are
    ignored.

    Raises:
        UserError: The file is not a zip.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        try:
            self.archive = zipfile.ZipFile(root)
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"{root} is not a readable zip file: {error}") from error
        self.members = {}
        escaping = []
        for info in self.archive.infolist():
            name = info.filename.replace("\\", "/")
            if info.is_dir() or name.endswith("/"):
                continue
            if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
                escaping.append(name)
            else:
                self.members["/".join(part for part in name.split("/") if part not in ("", "."))] = info
        if escaping:
            rank_zero_warn(
                f"{root}: ignored {len(escaping)} members whose path leaves the archive, such as {escaping[0]!r}"
            )

    def all_names(self) -> list[str]:
        """Return the paths of all members."""
        return list(self.members)

    def stamp(self, name: str) -> list[int]:
        """Return size and checksum."""
        return [self.members[name].file_size, self.members[name].CRC]

    def read(self, name: str) -> bytes:
        """Return a member's content."""
        return self.archive.read(self.members[name])


def image_files(root: str) -> ImageFiles:
    """Return the files of a folder or zip.

    Example:
        >>> image_files("photos").names()[0]
        'cats/1.png'

    Raises:
        UserError: It is neither.
    """
    path = Path(root).expanduser()
    if path.is_dir():
        return Folder(path)
    if path.is_file():
        return Zip(path)
    raise UserError(f"there is no folder or zip file {root!r} (looked at {path.absolute()})")


@dataclass(frozen=True)
class Listing:
    """The images of one split.

    Attributes:
        names: Their paths, sorted.
        labels: The class index of each, or None.
    """

    names: list[str]
    labels: list[int] | None

    def take(self, rows: Sequence[int]) -> Listing:
        """Return the listing of some rows."""
        return Listing([self.names[i] for i in rows], None if self.labels is None else [self.labels[i] for i in rows])


@dataclass(frozen=True)
class Arrangement:
    """Which file belongs to which split and class.

    Attributes:
        train: The training images.
        evaluation: The evaluation images, or None if the folders do not separate them.
        classes: Sorted names of the classes, empty without labels.
    """

    train: Listing
    evaluation: Listing | None
    classes: list[str]


def arrange(names: list[str], rule: LabelRule, root: Path) -> Arrangement:
    """Read splits and classes from sorted paths.

    A top folder that holds everything is looked through. If the folders below it are a training one and evaluation ones
    and nothing else, they are the splits. The first folder below is the class, if every image lies in one and there are
    at least two.

    Example:
        >>> arrange(["cats/1.png", "dogs/1.png"], "auto", Path("photos"))
        Arrangement(train=Listing(names=['cats/1.png', 'dogs/1.png'], labels=[0, 1]), evaluation=None, classes=['cats', 'dogs'])

    Raises:
        UserError: The rule is "folders" and an image lies outside sub-folders, or a class occurs in the evaluation
            split only.
    """
    below = {name: tuple(name.split("/")) for name in names}
    deepest = 3 if rule == "folders" else 2  # one folder alone is a class only under the rule folders
    while len({parts[0] for parts in below.values()}) == 1 and min(map(len, below.values())) >= deepest:
        below = {name: parts[1:] for name, parts in below.items()}

    train: list[str] = names
    evaluation: list[str] = []
    tops = {parts[0].lower() for parts in below.values()}
    inside = all(len(parts) > 1 for parts in below.values())
    train_name = next((name for name in TRAIN_NAMES if name in tops), None)
    eval_name = next((name for name in EVAL_NAMES if name in tops), None)
    if inside and train_name and eval_name and tops <= {*TRAIN_NAMES, *EVAL_NAMES}:
        train = [name for name in names if below[name][0].lower() == train_name]
        evaluation = [name for name in names if below[name][0].lower() == eval_name]
        below = {name: below[name][1:] for name in (*train, *evaluation)}

    outside = next((name for name, parts in below.items() if len(parts) < 2), None)
    if rule == "folders" and outside is not None:
        raise UserError(
            f"labels=folders needs every image in a class folder, but {root} has {outside}; move it or use labels=none"
        )
    classes = sorted({below[name][0] for name in train}) if outside is None and rule != "none" else []
    if len(classes) < 2 and rule == "auto":
        classes = []
    index = {name: i for i, name in enumerate(classes)}
    stray = next((name for name in evaluation if classes and below[name][0] not in index), None)
    if stray is not None:
        raise UserError(f"{root}: the class folder of {stray} is not in the training split; use labels=none")

    def listing(paths: list[str]) -> Listing:
        return Listing(paths, [index[below[name][0]] for name in paths] if classes else None)

    return Arrangement(listing(train), listing(evaluation) if evaluation else None, classes)


def _is_image(name: str) -> bool:
    parts = name.split("/")
    return os.path.splitext(name)[1].lower() in SUFFIXES and not any(
        part.startswith(".") or part == "__MACOSX" for part in parts
    )
