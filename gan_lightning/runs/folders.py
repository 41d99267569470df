"""Run folders: `runs/<name>/`, one per run, never overwritten, and where a run is resumed from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from gan_lightning.errors import UserError, say


class Place(NamedTuple):
    """Where a run writes and where it goes on from.

    Attributes:
        folder: The run folder.
        checkpoint: The checkpoint to go on from, None for a start from scratch.
    """

    folder: Path
    checkpoint: Path | None


def new_run_folder(runs_dir: str | Path, name: str) -> Path:
    """Make and return `runs_dir/name`, or `name-2`, `name-3`, ... if it exists.

    Raises:
        UserError: The name is not a plain file name.
    """
    check_name(name)
    folder = Path(runs_dir) / name
    for number in range(2, 1_000_000):
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            folder = Path(runs_dir) / f"{name}-{number}"
    raise UserError(f"no free run folder {name}-N under {runs_dir}; choose another --name")


def check_name(name: str) -> None:
    """Raise a UserError unless the name is a plain file name."""
    if not re.fullmatch(r"[\w][\w.+=-]*", name):
        raise UserError(f"name must be letters, digits and . _ - + =, got {name!r}; the run folder is named after it")


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint of a run folder, None if there is none; truncated ones are named and left out."""
    from gan_lightning.runs.checkpoint_files import is_whole  # which reads checkpoints, and those know of runs

    for part in sorted((folder / "checkpoints").glob("*.part")):
        say(f"{part} was still being written when its run died; it is not used")
    found = [path for path in (folder / "checkpoints").glob("*.ckpt") if path.is_file()]
    for path in sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name == "last.ckpt"), reverse=True):
        if is_whole(path):
            return path
        say(f"{path} is torn; it is not used")
    return None


def resume_from(where: str, runs_dir: str | Path, name: str) -> Place:
    """Return what `--resume` means.

    Args:
        where: auto (the folder `runs_dir/name`), a run folder, or a checkpoint.
        runs_dir: Where run folders are.
        name: Name of the run.

    Raises:
        UserError: A path was given that has no checkpoint.
    """
    if where == "auto":
        check_name(name)
        folder = Path(runs_dir) / name
        folder.mkdir(parents=True, exist_ok=True)
        return Place(folder, newest_checkpoint(folder))
    path = Path(where)
    if path.is_dir():
        checkpoint = newest_checkpoint(path)
        if checkpoint is None:
            raise UserError(f"no checkpoint in {path / 'checkpoints'}; --resume takes auto, a run folder or a file")
        return Place(path, checkpoint)
    if not path.is_file():
        raise UserError(f"nothing to resume at {where}; --resume takes auto, a run folder or a checkpoint")
    folder = path.resolve().parent.parent if path.parent.name == "checkpoints" else new_run_folder(runs_dir, name)
    return Place(Path(os.path.relpath(folder)), path)


def without_home(value: Any) -> Any:
    """Return nested plain values with the user's home folder written as `~` at the start of paths."""
    if isinstance(value, dict):
        return {key: without_home(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_home(inner) for inner in value]
    home = str(Path.home())
    if isinstance(value, str) and (value == home or value.startswith(home + os.sep)) and home != os.sep:
        return "~" + value[len(home) :]
    return value
