"""Run folders: `runs/<name>/`, one per run, never overwritten, and where a run is resumed from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from gan_lightning.errors import UserError, say
from gan_lightning.runs.home import with_home


class Place(NamedTuple):
    """Where a run writes and where it resumes from.

    Attributes:
        folder: The run folder.
        checkpoint: The checkpoint to resume from, None for a start from scratch.
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
    """Return the whole checkpoint of a run folder that is furthest by its own clock, `last.ckpt` among equals.

    None if there is none. Truncated ones are named and left out. When a file was written says nothing: it may be a copy.
    """
    from gan_lightning.runs.checkpoint_files import is_whole, updates_done  # slow to import

    for part in sorted((folder / "checkpoints").glob("*.part")):
        say(f"{part} was still being written when its run died; it is not used")
    found = [(updates_done(path), path) for path in (folder / "checkpoints").glob("*.ckpt") if path.is_file()]
    for updates, path in sorted(found, key=lambda f: (f[0] is None, f[0] or 0, f[1].name == "last.ckpt"), reverse=True):
        if updates is not None and is_whole(path):
            return path
        say(f"{path} is truncated; it is not used")
    return None


def checkpoint_path(given: str, runs_dir: str | Path, name: str) -> Path:
    """Return the file that `--ckpt_path` means: a path, or `last` or `best` of the run folder `runs_dir/name`.

    Raises:
        UserError: There is no such file.
    """
    path = Path(runs_dir) / name / "checkpoints" / f"{given}.ckpt" if given in ("last", "best") else Path(given)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; --ckpt_path takes a file, or last or best of runs_dir/name")
    return path


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
    goes_on = path.parent.name == "checkpoints" and not _is_behind(path, path.with_name("last.ckpt"))
    folder = path.resolve().parent.parent if goes_on else new_run_folder(runs_dir, name)
    return Place(Path(os.path.relpath(folder)), path)


def _is_behind(path: Path, last: Path) -> bool:
    """Tell whether resuming from a checkpoint in its own folder would lose updates that `last` has."""
    from gan_lightning.runs.checkpoint_files import updates_done

    reached = updates_done(last) if last.is_file() else None
    return reached is not None and (updates_done(path) or 0) < reached


def moved_run(config: Path, runs_dir: str, name: str) -> Path | None:
    """Return the folder of a run's own `config.yaml` if it is the run `name`, moved or renamed; else None.

    It is that run if it has checkpoints and its config differs neither in `runs_dir` nor in `name` from what is asked
    for, but for the folder's name now.
    """
    import yaml

    folder = config.resolve().parent
    if config.name != "config.yaml" or not (folder / "checkpoints").is_dir():
        return None
    then = yaml.safe_load(config.read_text())
    if not isinstance(then, dict) or with_home(then.get("runs_dir", "runs")) != runs_dir:
        return None
    return Path(os.path.relpath(folder)) if name in (then.get("name"), folder.name) else None
