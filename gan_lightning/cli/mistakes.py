"""The user's mistakes become one line and exit code 2; a bug keeps its traceback."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS, ESTALE
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from gan_lightning.cli.imports import collect_again
from gan_lightning.errors import RunFailed, UserError, fail, in_one_line

ABOUT_A_PATH = (ENOENT, ENOTDIR, EISDIR, EEXIST, EACCES, EPERM, EROFS, ENAMETOOLONG, ELOOP, ESTALE)
"""Errors of the operating system about a path: that of a file where a folder belongs, a name too long, ..."""

_PACKAGE = Path(__file__).parents[1]


def refused_path(error: OSError) -> str:
    """Return the line about a path that the operating system has refused."""
    return f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}"


@contextmanager
def path_errors() -> Iterator[None]:
    """Turn what the operating system refuses about a path into one line and exit code 2."""
    try:
        yield
    except OSError as error:
        if error.errno not in ABOUT_A_PATH or not error.filename:
            raise
        fail(refused_path(error))


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn the user's mistakes into one line and exit code 2; everything else passes with its traceback.

    A mistake is a `UserError`, also one that jsonargparse has wrapped, or a configuration that Lightning refuses. A verb's
    imports are behind it here.
    """
    collect_again()
    try:
        yield
    except MisconfigurationException as error:
        fail(str(error))
    except (ValueError, TypeError) as error:
        mistake = _mistake(error)
        if mistake is None:
            raise
        fail(str(mistake))


@contextmanager
def verb_errors() -> Iterator[None]:
    """As `user_errors`; what a verb cannot help, such as a full disk, becomes one line and exit code 1."""
    try:
        with user_errors(), path_errors():
            yield
    except RunFailed as failed:
        fail(str(failed), 1)


def _mistake(error: BaseException) -> UserError | None:
    """Return the user's mistake that an exception is, or that jsonargparse has wrapped into it.

    What the constructor of another package's class raises is one too: it got its arguments from the config.
    """
    while not isinstance(error, UserError):
        files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
        within = next((n for n, file in enumerate(reversed(files)) if "jsonargparse" in file.parts), None)
        if within is None:  # of no class that jsonargparse has made
            return None
        if within > 0:
            is_ours = any(_PACKAGE in file.parents for file in files[-within:])
            return None if is_ours else UserError(f"a part cannot be made: {in_one_line(error)}")
        refused = _refused_by_a_class(str(error))
        if refused is not None:
            return refused
        wrapped = error.__cause__ or error.__context__
        if wrapped is None:
            return None
        error = wrapped
    return error


def _refused_by_a_class(message: str) -> UserError | None:
    """Return what the class of another package, or a package that is missing, says in jsonargparse's message.

    Where a list of classes is allowed, jsonargparse keeps the text of what a constructor has raised and nothing else.
    """
    said = re.search(r"Problem with given class_path '([\w.]+)':\n((?:      .*\n?)+)", message)
    if said is None or (said[1].startswith("gan_lightning.") and "Requirement '" not in said[2]):
        return None
    name, what = said[1].rpartition(".")[2], " ".join(said[2].split())
    return UserError(f"{name} cannot be made: {what}")
