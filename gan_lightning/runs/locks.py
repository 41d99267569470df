"""Locks on run folders: one process trains in a folder at a time, on any operating system."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout

from gan_lightning.errors import RunFailed, UserError, say

_LOCK, _OWNER = ".lock", ".owner"  # two files: on Windows nobody else can read a locked one
_locks: dict[Path, FileLock] = {}


def lock(folder: Path) -> None:
    """Keep other processes out of a run folder until `unlock` or the end of this process.

    Raises:
        UserError: Another process is training there.
    """
    if folder in _locks:
        return
    held = FileLock(folder / _LOCK)
    owner = folder / _OWNER
    try:
        held.acquire(timeout=0)
    except Timeout:
        name = (owner.read_text().strip() if owner.is_file() else "") or "another process"
        raise UserError(f"{folder} is in use by {name}; wait for it to end or give another --name") from None
    except (OSError, NotImplementedError) as error:  # a file system without locks
        say(f"{folder} cannot be locked ({error}): nothing keeps a second run out of it")
    _locks[folder] = held
    owner.write_text(f"process {os.getpid()} on {platform.node()}")


def unlock(folder: Path) -> None:
    """Let others into a run folder, if this process kept them out; a folder in which nothing was written goes."""
    held = _locks.pop(folder, None)
    if held is None:
        return
    (folder / _OWNER).unlink(missing_ok=True)
    if not folder.is_dir() or {path.name for path in folder.iterdir()} - {_LOCK}:
        held.release()
        return
    if os.name == "posix":  # gone before it is released, so that nobody takes a folder that goes
        (folder / _LOCK).unlink(missing_ok=True)
        folder.rmdir()
    held.release()


def must_be_there(folder: Path) -> None:
    """Stop if a run folder that this process has locked was removed: what came after would lack all that was before.

    Raises:
        RunFailed: It was.
    """
    if folder in _locks and not (folder / _OWNER).exists():
        raise RunFailed(f"the run folder {folder} was removed while the run was writing to it; the run stops")


def unlock_all() -> None:
    """Let others into every run folder of this process."""
    for folder in list(_locks):
        unlock(folder)
