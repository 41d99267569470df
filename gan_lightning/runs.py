"""Run folders: `runs/<name>/`, one per run, never overwritten; and the newest checkpoint in one."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

RUN_FOLDER_VARIABLE = "GAN_LIGHTNING_RUN_FOLDER"
"""Tells the processes that Lightning's launcher starts which folder rank 0 has made."""


def new_run_folder(runs_dir: str | Path, name: str) -> Path:
    """Make and return `runs_dir/name`, or `name-2`, `name-3`, ... if it exists.

    Raises:
        ValueError: The name is not a plain file name.
    """
    check_name(name)
    folder = Path(runs_dir) / name
    for number in range(2, 1_000_000):
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            folder = Path(runs_dir) / f"{name}-{number}"
    raise ValueError(f"no free run folder {name}-N under {runs_dir}; choose another --name")


def check_name(name: str) -> None:
    """Raise a ValueError unless the name is a plain file name."""
    if not re.fullmatch(r"[\w][\w.+=-]*", name):
        raise ValueError(f"name must be letters, digits and . _ - + =, got {name!r}; the run folder is named after it")


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint of a run folder that was written last, None if there is none."""
    found = [path for path in (folder / "checkpoints").glob("*.ckpt") if path.is_file()]
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name == "last.ckpt"), default=None)


def resume_from(where: str, runs_dir: str | Path, name: str) -> tuple[Path, Path | None]:
    """Return the run folder and the checkpoint that `--resume` means.

    Args:
        where: auto (the folder `runs_dir/name`), a run folder, or a checkpoint.
        runs_dir: Where run folders are.
        name: Name of the run.

    Raises:
        ValueError: A path was given that has no checkpoint.
    """
    if where == "auto":
        check_name(name)
        folder = Path(runs_dir) / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder, newest_checkpoint(folder)
    path = Path(where)
    if path.is_dir():
        checkpoint = newest_checkpoint(path)
        if checkpoint is None:
            raise ValueError(f"no checkpoint in {path / 'checkpoints'}; --resume takes auto, a run folder or a checkpoint")
        return path, checkpoint
    if not path.is_file():
        raise ValueError(f"nothing to resume at {where}; --resume takes auto, a run folder or a checkpoint")
    folder = path.resolve().parent.parent if path.parent.name == "checkpoints" else new_run_folder(runs_dir, name)
    return Path(os.path.relpath(folder)), path


@rank_zero_only
def say(message: str) -> None:
    """Print one line on standard error, on rank 0."""
    print(f"gan-lightning: {message}", file=sys.stderr, flush=True)
