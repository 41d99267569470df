"""What the processes of one launch agree on: rank 0 decides, the others learn of it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from gan_lightning.errors import RunFailed, UserError
from gan_lightning.runs.files import replacing
from gan_lightning.runs.folders import Place
from gan_lightning.runs.signals import ending_at_once

RUN_FOLDER_VARIABLE = "GAN_LIGHTNING_RUN_FOLDER"
"""Tells the processes that Lightning's launcher starts what rank 0 has decided."""


_PATIENCE = 300.0
"""Seconds that a process waits for rank 0's decision."""


def agree(decide: Callable[[], Place], runs_dir: str | Path, resumes: bool) -> Place:
    """Return, on every process of a launch, the place that rank 0 decides on; only rank 0 calls `decide`.

    Ranks that Lightning's launcher starts inherit it. torchrun's ask the agent's store, Slurm's read a file under
    `runs_dir`, whose name has the job, the step and the restart in it.

    Raises:
        UserError: What `decide` raised, or this process cannot know what rank 0 decided.
        RunFailed: Rank 0 stopped with another exception.
    """
    inherited = _inherited()
    if inherited is not None:
        return inherited
    environment = os.environ
    if environment.get("TORCHELASTIC_RUN_ID") and int(environment.get("WORLD_SIZE", "1")) > 1:
        if environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and not resumes:
            raise UserError("this torchrun shares no store with its processes: give --name NAME --resume auto")
        if environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
            place = decide()
        else:
            with ending_at_once():
                place = _by_store(decide)
    elif _is_slurm_step() and int(environment.get("SLURM_NTASKS", "1")) > 1:
        with ending_at_once():
            place = _by_file(decide, Path(runs_dir))
    elif rank() > 0 and not resumes:
        raise UserError("started by hand, a process cannot know rank 0's run folder: give --name NAME --resume auto")
    else:
        place = decide()
    environment[RUN_FOLDER_VARIABLE] = json.dumps({"pid": os.getpid(), **_as_text(place)})
    return place


def is_launched_by_lightning() -> bool:
    """Tell whether this process is a rank that another rank's launcher started."""
    return _inherited() is not None


def die_with_launcher() -> None:
    """Let a rank that Lightning's launcher started die when that rank dies (Linux): nobody waits for a dead one."""
    import ctypes
    import signal

    if is_launched_by_lightning():
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    elif os.environ.get(RUN_FOLDER_VARIABLE) and os.environ.get("LOCAL_RANK", "0") != "0":
        sys.exit(1)  # the launcher died while this process was starting


def _inherited() -> Place | None:
    text = os.environ.get(RUN_FOLDER_VARIABLE)
    if not text:
        return None
    given = json.loads(text)
    return _as_place(given) if given["pid"] == os.getppid() else None


def _by_store(decide: Callable[[], Place]) -> Place:
    from torch.distributed import TCPStore

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=_PATIENCE))
    key = f"gan_lightning/{os.environ['TORCHELASTIC_RUN_ID']}/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    if rank() == 0:
        return _publish(decide, lambda text: store.set(key, text))
    return _as_place(json.loads(store.get(key)))


def _by_file(decide: Callable[[], Place], runs_dir: Path) -> Place:
    parts = ("SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT", "SLURM_JOB_START_TIME")
    path = runs_dir / ".launches" / "-".join(os.environ.get(part, "0") for part in parts)
    if rank() == 0:

        def write(text: str) -> None:
            with replacing(path) as part:
                part.write_text(text)

        return _publish(decide, write)
    start = time.monotonic()
    while time.monotonic() - start < _PATIENCE:
        if path.parent.is_dir() and path.name in os.listdir(path.parent):  # listing wakes up network file systems
            return _as_place(json.loads(path.read_text()))
        time.sleep(0.1)
    raise UserError(f"rank 0 left no {path} within {_PATIENCE:.0f} s; runs_dir must be a folder that all nodes share")


def _publish(decide: Callable[[], Place], tell: Callable[[str], Any]) -> Place:
    try:
        place = decide()
    except UserError as error:
        tell(json.dumps({"error": str(error)}))
        raise
    except Exception as error:  # a bug of ours: rank 0 shows its traceback, and nobody waits for it
        tell(json.dumps({"bug": f"rank 0 stopped with {type(error).__name__}: {error}"}))
        raise
    tell(json.dumps(_as_text(place)))
    return place


def _as_text(place: Place) -> dict[str, str | None]:
    return {"folder": str(place.folder), "checkpoint": None if place.checkpoint is None else str(place.checkpoint)}


def _as_place(given: dict[str, Any]) -> Place:
    if "error" in given:
        raise UserError(given["error"])
    if "bug" in given:
        raise RunFailed(given["bug"])
    return Place(Path(given["folder"]), Path(given["checkpoint"]) if given["checkpoint"] else None)


def _is_slurm_step() -> bool:
    return "SLURM_PROCID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive")


def rank() -> int:
    """Return this process's rank as far as its environment tells, before there is a process group."""
    if "RANK" in os.environ:
        return int(os.environ["RANK"])
    if _is_slurm_step():
        return int(os.environ["SLURM_PROCID"])
    return max(int(os.environ.get(name, "0")) for name in ("LOCAL_RANK", "NODE_RANK"))
