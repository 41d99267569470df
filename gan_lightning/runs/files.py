"""Files that are whole or not there: written under another name, flushed to the disk, then renamed."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`, whose folder is made; rename it to `path` if the block succeeds.

    Otherwise it is removed, and what was at `path` stays. What processes of this machine that have died left half
    written of the same file is removed too.

    Raises:
        OSError: What the operating system refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent, path.name)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{_owner()}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes it private, but the file may be shared
        _flush(temporary, os.O_RDWR)
        os.replace(temporary, path)
        if os.name == "posix":
            with suppress(OSError):  # some network file systems cannot; the rename itself is atomic there as well
                _flush(path.parent, os.O_RDONLY)
    finally:
        with suppress(OSError):  # the reason to remove it is the one to be told
            temporary.unlink(missing_ok=True)


def sweep(folder: Path, name: str = "") -> None:
    """Remove what dead processes of this machine have left half written in a folder, of one file or of all."""
    for part in folder.glob(f".{escape(name)}*.{socket.gethostname()}.*.part"):
        pid = part.name.split(".")[-3]
        if os.name == "posix" and pid.isdecimal() and not _is_alive(int(pid)):
            part.unlink(missing_ok=True)


def _owner() -> str:
    return f"{socket.gethostname()}.{os.getpid()}"


def _flush(path: Path, how: int) -> None:
    descriptor = os.open(path, how)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def set_aside(path: Path) -> Path:
    """Rename a file to `stem.1.suffix`, or the first number that is free, and return where it is now."""
    number = 1
    while (place := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return path.rename(place)
