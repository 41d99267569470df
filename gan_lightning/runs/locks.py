"""Locks on run folders: one process trains in a folder at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gan_lightning.errors import UserError

_locks: dict[Path, Any] = {}


def lock(folder: Path) -> None:
    """Keep other processes out of a run folder until `unlock` or the end of this process.

    Raises:
        UserError: Another process is training there.
    """
    import fcntl

    if folder in _locks:
        _locks.pop(folder).close()
    file = (folder / ".lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip() or "another process"
        file.close()
        raise UserError(f"{folder} is in use by {owner}; wait for it to end or give another --name") from None
    except OSError:  # a file system without locks
        pass
    _locks[folder] = file
    file.truncate(0)
    file.write(f"process {os.getpid()} on {os.uname().nodename}")
    file.flush()


def unlock(folder: Path) -> None:
    """Let others into a run folder, if this process kept them out; a folder in which nothing was written goes."""
    file = _locks.pop(folder, None)
    if file is not None:
        if [path.name for path in folder.iterdir()] == [".lock"]:
            (folder / ".lock").unlink()
            folder.rmdir()
        file.close()


def unlock_all() -> None:
    """Let others into every run folder of this process."""
    for folder in list(_locks):
        unlock(folder)
