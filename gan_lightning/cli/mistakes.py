"""The user's mistakes become one line and exit code 2; a bug keeps its traceback."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EEXIST, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS, ESTALE
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from gan_lightning.errors import RunFailed, UserError, fail

ABOUT_A_PATH = (ENOENT, ENOTDIR, EISDIR, EEXIST, EACCES, EPERM, EROFS, ENAMETOOLONG, ELOOP, ESTALE)
"""Errors of the operating system about a path: that of a file where a folder belongs, a name too long, ..."""


def refused_path(error: OSError) -> str:
    """Return the line about a path that the operating system has refused."""
    return f"{error.filename} cannot be used: {error.strerror}"


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

    A mistake is a `UserError`, also one that jsonargparse has wrapped, or a configuration that Lightning refuses.
    """
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
    """Return the user's mistake that an exception is, or that jsonargparse has wrapped into it."""
    while not isinstance(error, UserError):
        frames = traceback.extract_tb(error.__traceback__)
        wrapped = error.__cause__ or error.__context__
        if wrapped is None or not frames or "jsonargparse" not in Path(frames[-1].filename).parts:
            return None
        error = wrapped
    return error
