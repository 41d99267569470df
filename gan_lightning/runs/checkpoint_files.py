"""Checkpoint files: whole or not there at all, and read without running any code in them."""

from __future__ import annotations

import errno
import pickle
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from gan_lightning.errors import RunFailed, UserError
from gan_lightning.runs.files import replacing
from gan_lightning.runs.home import with_home
from gan_lightning.runs.old_names import with_new_names

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class CheckpointFiles(TorchCheckpointIO):
    """Writes a `.part` file, flushes it to the disk, then renames it: the old file stays until the new one is whole."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write a checkpoint.

        Raises:
            RunFailed: It could not be written; what was there before is as it was.
        """
        path = Path(path)
        try:
            with replacing(path) as part, part.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            cause = error if isinstance(error, OSError) else error.__context__  # torch hides the file's own error
            if not isinstance(cause, OSError):
                raise
            raise RunFailed(f"{path} could not be written: {cause.strerror}; {_what_is_left(path)}") from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Return a checkpoint's contents, on the CPU.

        Raises:
            UserError: As `read_checkpoint`.
        """
        return read_checkpoint(path)


def is_whole(path: Path) -> bool:
    """Tell whether every byte of a checkpoint is as it was written; torch itself does not compare the checksums."""
    return _is_whole(*_identity(path))


@lru_cache(maxsize=16)
def _is_whole(path: str, *identity: int) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # a flipped bit in the archive's directory raises anything
        return False


def _identity(path: Path) -> tuple[str, int, int, int]:
    """Return what changes when a file is replaced or written to."""
    state = path.stat()
    return str(path.resolve()), state.st_ino, state.st_size, state.st_mtime_ns


_held: dict[tuple[str, int, int, int], dict[str, Any]] = {}
"""The checkpoint that one part of a command has read and the next one will take."""


def updates_done(path: Path) -> int | None:
    """Return how far a checkpoint's own clock has come, None if it is truncated or not one of ours; reads no tensors."""
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["clock"]["updates_done"])
    except Exception:  # bytes that are no pickle raise anything
        return None


def _what_is_left(path: Path) -> str:
    if path.is_file():
        return f"the {path.name} before it is complete; free some space and resume with --resume auto"
    return "no checkpoint was there before; free some space and start again"


def read_checkpoint(path: str | Path, hold: bool = False) -> dict[str, Any]:
    """Return the contents of a checkpoint, on the CPU, loaded without running any code in it.

    Args:
        path: The file.
        hold: Keep the contents for the next call, which then need not read the file again; do not change them.

    Raises:
        UserError: There is no such file, a byte of it is not as it was written, it holds code, or is not a checkpoint
            of this framework.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; runs/<name>/checkpoints/ holds those of a run")
    identity = _identity(path)
    checkpoint = _held.pop(identity, None) or _read(path)
    _held.clear()
    if hold:
        _held[identity] = checkpoint
    return checkpoint


def _read(path: Path) -> dict[str, Any]:
    if not is_whole(path):  # torch reads over flipped bits
        raise UserError(f"{path} is damaged: truncated, changed since it was written, or not a checkpoint")
    try:
        checkpoint: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path} is refused: it holds more than tensors and plain values ({reason[:150]})") from error
    except Exception as error:  # bytes that are no pickle raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:150]
        raise UserError(f"{path} is truncated or not a checkpoint ({reason})") from error
    if not isinstance(checkpoint, dict) or "clock" not in checkpoint or "hyper_parameters" not in checkpoint:
        raise UserError(f"{path} is not a checkpoint of gan-lightning: it has no clock")
    for key in ("clock", "state_dict", "optimizers", "config", "hyper_parameters", "datamodule_hyper_parameters"):
        if key in checkpoint:
            if not isinstance(checkpoint[key], dict):
                raise UserError(f"{path} is not a checkpoint of gan-lightning: its {key} is no dictionary")
            if key not in ("clock", "state_dict", "optimizers"):
                checkpoint[key] = with_home(with_new_names(checkpoint[key]))
    return dict(checkpoint)
