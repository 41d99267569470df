"""Starting runs as a user does, in processes of their own, and comparing what they leave behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import yaml

ROOT = Path(__file__).parents[2]

_marks: dict[int, str] = {}

CONFIG: dict[str, Any] = {
    "trainer": {
        "accelerator": "cpu",
        "devices": 1,
        "max_steps": 20,
        "val_check_interval": 1_000_000,
        "num_sanity_val_steps": 0,
        "log_every_n_steps": 5,
        "logger": [{"class_path": "gan_lightning.loggers.RunCSVLogger"}],
    },
    "data": {"class_path": "RandomImages", "init_args": {"image_size": 8, "channels": 1, "n": 64, "batch_size": 12}},
    "model": {
        "class_path": "DCGAN",
        "init_args": {
            "generator": {"class_path": "DCGANGenerator", "init_args": {"width": 4, "latent_dim": 4}},
            "critic": {"class_path": "DCGANCritic", "init_args": {"width": 4}},
        },
    },
    "samples": {"every_n_updates": 0},
    "fidelity": {"enabled": False},
    "checkpoints": {"every_n_updates": 0},
}
"""A run of batch-normalised networks, whose running statistics differ from rank to rank: the hard case of resuming."""


def write_config(folder: Path, **changes: Any) -> Path:
    """Write the config, with sections updated by `changes`, and return its path."""
    config = {key: {**CONFIG.get(key, {}), **changes.get(key, {})} for key in {**CONFIG, **changes}}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a run: one thread, and nothing left over from this process's own runs."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GAN_LIGHTNING", "SLURM", "TORCHELASTIC", "PL_"))}
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        kept.pop(name, None)
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "GLOO_SOCKET_IFNAME": "lo", **more}


def command(config: Path, *options: str) -> list[str]:
    """Return the command that trains with this config, into `runs/` beside it."""
    return [
        sys.executable, "-m", "gan_lightning", "fit", "--config", str(config),
        "--runs_dir", str(config.parent / "runs"), *options,
    ]  # fmt: skip


def popen(arguments: list[str], log: Path, cwd: Path, **more: str) -> subprocess.Popen[str]:
    """Start a command whose output goes to `log`, and whose processes `end_group` finds by a mark in their environment."""
    mark = uuid.uuid4().hex
    with log.open("a") as output:
        process = subprocess.Popen(
            arguments,
            env=environment(**more, TEST_MARK=mark),
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    _marks[id(process)] = mark
    return process


def start(config: Path, *options: str, log: Path | None = None, **more: str) -> subprocess.Popen[str]:
    """Start a run; its output goes to `log`, `output.log` beside the config if none is given."""
    return popen(command(config, *options), log or config.parent / "output.log", config.parent, **more)


def fit(config: Path, *options: str, timeout: float = 900, **more: str) -> subprocess.CompletedProcess[str]:
    """Run to the end and return code and output."""
    return subprocess.run(
        command(config, *options),
        env=environment(**more),
        cwd=config.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )


def fit_here(config: Path, *options: str) -> None:
    """Run to the end in this process, which spares the imports."""
    from gan_lightning.cli.training import run

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        run(["fit", "--config", str(config), "--runs_dir", str(config.parent / "runs"), *options])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start_ranks(
    world_size: int, module: str, *arguments: str, timeout: float = 900
) -> list[subprocess.CompletedProcess[str]]:
    """Run `python -m module` on so many ranks, started as Lightning's launcher does, and return how each ended."""
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(world_size)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment(**common, NODE_RANK="0", LOCAL_RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(world_size)
    ]
    ended = []
    try:
        for process in processes:
            output, _ = process.communicate(timeout=timeout)
            ended.append(subprocess.CompletedProcess(process.args, process.returncode, output))
    finally:
        for process in processes:
            process.kill()
    return ended


def wait_for(pattern: str, log: Path, process: subprocess.Popen[str], timeout: float = 600) -> None:
    """Wait until a line of the log matches.

    Raises:
        AssertionError: The run ended or the time was over before.
    """
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if log.is_file() and re.search(pattern, log.read_text()):
            return
        assert process.poll() is None, log.read_text()[-3000:]
        time.sleep(0.02)
    raise AssertionError(f"{pattern!r} not seen in {timeout} s:\n{log.read_text()[-3000:]}")


def end_group(process: subprocess.Popen[str]) -> None:
    """Kill whatever is left of what `popen` started."""
    for pid in _members(process):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def group_is_gone(process: subprocess.Popen[str], timeout: float) -> bool:
    """Wait for all processes of what `popen` started to end and tell whether they did."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        process.poll()
        if not _members(process):
            return True
        time.sleep(0.05)
    return False


def _members(process: subprocess.Popen[str]) -> list[int]:
    """Return the living processes with the mark; a process group's number could be somebody else's by now."""
    mark = f"TEST_MARK={_marks[id(process)]}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):  # empty for one that has ended
                    found.append(int(entry.name))
    return found


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def content(path: Path) -> dict[str, Any]:
    """Return what training goes on from: all of a checkpoint but Lightning's counters of epochs and where it lies."""
    checkpoint = load(path)
    keys = ("state_dict", "optimizer_states", "clock", "global_step", "rank_buffers")
    return {key: checkpoint[key] for key in keys if key in checkpoint}
