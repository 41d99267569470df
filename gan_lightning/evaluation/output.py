"""Folders and files that a verb writes to: checked before anything is computed, whole or not there at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from gan_lightning.errors import RunFailed, UserError
from gan_lightning.runs.files import replacing


def output_folder(out: str | Path, *names: str) -> Path:
    """Make a folder to write into and return it.

    Args:
        out: The folder.
        names: Files that will be written, which must not be there yet.

    Raises:
        UserError: It is no folder, cannot be written to, or is in use.
    """
    folder = Path(out)
    try:
        if folder.is_symlink() and not folder.exists():
            raise UserError(f"--out {folder} is a link to nowhere; give a folder")
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"--out {folder} is a file; give a folder") from error
    except OSError as error:
        raise UserError(f"--out {folder} cannot be made: {error.strerror}; give another folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"--out {folder} cannot be written to; give another folder")
    there = next((name for name in names if (folder / name).exists()), None)
    if there is not None:
        raise UserError(f"--out {folder} holds {there} already; give another folder, or empty this one")
    return folder


def output_file(out: str | Path, *beside: str) -> Path:
    """Return the path of a new file.

    Args:
        out: The file.
        beside: Files in its folder that are written with it.

    Raises:
        UserError: One of them is there already.
    """
    path = Path(out)
    for one in (path, *(path.with_name(name) for name in beside)):
        if one.exists() and not one.is_dir():
            raise UserError(f"--out {path}: {one} is there already; give another name, or remove it")
    return path


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file under another name, flush it to the disk, then rename it: it is whole, or as it was before.

    Raises:
        UserError: It is a folder, or its folder cannot be written to.
        RunFailed: It could not be written, because the disk is full for instance.
    """
    if path.is_dir():
        raise UserError(f"--out {path} is a folder; give a file")
    begun = False
    try:
        with replacing(path) as part, part.open("wb") as file:
            begun = True
            write(file)
    except OSError as error:
        if not begun:
            raise UserError(f"--out {path} cannot be written: {error.strerror}; give another file") from error
        raise RunFailed(f"{path} could not be written: {error.strerror}; free some space") from error
