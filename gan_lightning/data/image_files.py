"""Where files of images, and of sound, come from: a folder or a zip."""

from __future__ import annotations

import os
import zipfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from stat import S_ISREG

from lightning.pytorch.utilities import rank_zero_warn

from gan_lightning.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff") + (
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
    ".avif",
    ".jp2",
    ".tga",
)
SYSTEM_NAMES = ("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "system volume information") + (
    "lost+found",
    "__pycache__",
    "thumbs.db",
    "desktop.ini",
)
"""What operating systems, network drives and Python leave behind, beside names that start with a dot."""


class ImageFiles(ABC):
    """The image files below a root, or those of another kind, named by their `/`-separated path.

    Hidden and system files are not seen.

    Attributes:
        root: The folder or zip.
        unlisted: Folders below it that could not be listed, with the reason.
        suffixes: What the names of the files end in.
        noun: What one of them is, for messages.
    """

    def __init__(self, root: Path, suffixes: Sequence[str] = SUFFIXES, noun: str = "image") -> None:
        self.root, self.suffixes, self.noun = root, suffixes, noun
        self.unlisted: dict[str, str] = {}

    @abstractmethod
    def all_names(self) -> list[str]:
        """Return the relative paths of all files."""

    @abstractmethod
    def stamp(self, name: str) -> list[int]:
        """Return numbers that change when the file does; the same ones for every file that cannot be looked at."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Return a file's content; safe from several threads."""

    def describe(self, name: str) -> str:
        """Return what to call a file in a message."""
        return f"{self.root}/{name}"

    @cached_property
    def seen(self) -> list[str]:
        """The relative paths of all files that are neither hidden nor a system's, sorted."""
        return sorted(name for name in self.all_names() if not _is_hidden(name))

    def names(self) -> list[str]:
        """Return the relative paths of the files with such a suffix, sorted.

        Raises:
            UserError: There are none.
        """
        names = [name for name in self.seen if _suffix(name) in self.suffixes]
        if not names:
            others = ", ".join(f"{n} {suffix}" for suffix, n in self.others().most_common())
            raise UserError(
                f"there are no {self.noun}s in {self.root} (files ending in {', '.join(self.suffixes)})"
                f"{f'; it has {others}' if others else ''}"
            )
        return names

    def others(self) -> Counter[str]:
        """Return how many files there are of each suffix that is another."""
        found = Counter(_suffix(name) or "without a suffix" for name in self.seen)
        return Counter({suffix: n for suffix, n in found.items() if suffix not in self.suffixes})


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

        def cannot_list(error: OSError) -> None:
            self.unlisted[os.path.relpath(error.filename, self.root).replace(os.sep, "/")] = error.strerror or str(
                error
            )

        for path, folders, files in os.walk(self.root, onerror=cannot_list, followlinks=True):
            real = os.path.realpath(path)
            if real in seen:  # a link back to a parent would go round for ever
                folders.clear()
                continue
            seen.add(real)
            folders[:] = [folder for folder in folders if not _is_hidden(folder)]
            below = os.path.relpath(path, self.root).replace(os.sep, "/")
            names += [file if below == "." else f"{below}/{file}" for file in files]
        return names

    def stamp(self, name: str) -> list[int]:
        """Return size, time of writing, and time of any change, which a file that is put in another's place has too."""
        try:
            stat = (self.root / name).stat()
        except OSError:  # such as a link to nowhere: reading it tells
            return [-1, -1, -1]
        return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        path = self.root / name
        if not S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise UserError("it is not a regular file")
        return path.read_bytes()


def files_in(root: Path, suffixes: Sequence[str], noun: str) -> list[Path]:
    """Return the files of a folder with such a suffix, in the order of their paths; hidden ones are not seen.

    Raises:
        UserError: There are none, or a folder below it cannot be listed.
    """
    folder = Folder(root, suffixes, noun)
    names = folder.names()
    for name, why in folder.unlisted.items():
        raise UserError(f"{root / name} cannot be listed: {why}")
    return sorted(root / name for name in names)


class Zip(ImageFiles):
    """Image files in a zip. Members are read into memory, never extracted, and those whose path leaves the archive are
    ignored.

    Raises:
        UserError: The file is not a zip.
    """

    def __init__(self, root: Path, suffixes: Sequence[str] = SUFFIXES, noun: str = "image") -> None:
        super().__init__(root, suffixes, noun)
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

    def describe(self, name: str) -> str:
        """Return what to call a member in a message."""
        return f"{self.root}: {name}"

    def all_names(self) -> list[str]:
        """Return the paths of all members."""
        return list(self.members)

    def stamp(self, name: str) -> list[int]:
        """Return size and checksum."""
        return [self.members[name].file_size, self.members[name].CRC]

    def read(self, name: str) -> bytes:
        """Return a member's content."""
        return self.archive.read(self.members[name])


def image_files(root: str, suffixes: Sequence[str] = SUFFIXES, noun: str = "image") -> ImageFiles:
    """Return the image files of a folder or zip, or those of another kind.

    Example:
        >>> image_files("photos").names()[0]
        'cats/1.png'

    Raises:
        UserError: It is neither.
    """
    path = Path(root).expanduser()
    if path.is_dir():
        return Folder(path, suffixes, noun)
    if path.is_file():
        return Zip(path, suffixes, noun)
    raise UserError(f"there is no folder or zip file {root!r} (looked at {path.absolute()})")


def without_suffix(name: str) -> str:
    """Return a file's path without its suffix.

    Example:
        >>> without_suffix("cats/1.large.png")
        'cats/1.large'
    """
    return os.path.splitext(name)[0]


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part.lower() in SYSTEM_NAMES for part in name.split("/"))
