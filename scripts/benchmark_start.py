#!/usr/bin/env python
"""Time what a user waits for: help, the first update of a run on the digits, and samples of its checkpoint.

    python scripts/benchmark_start.py                  about a minute on one core
    python scripts/benchmark_start.py --repeats 5

Each is a process of its own, from its start to what is waited for, run by the Python that runs this script. Printed are
medians over the repeats of wall seconds and of the CPU seconds of the process and its children; on a machine that is
shared the second are the ones to compare. `imports` is what `python -c "import ..."` takes for the packages that training
cannot do without: the floor of the rest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "gan_lightning"]
FIT = ["fit", "--config", "sngan/digits", "--fidelity.enabled", "false", "--trainer.accelerator", "cpu"]


def main() -> None:
    """Time each and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error(f"--repeats must be at least 1, got {options.repeats}")
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        one_update = [*COMMAND, *FIT, "--runs_dir", folder, "--trainer.max_steps", "1", "--name", "start"]
        checkpoint = str(runs / "start" / "checkpoints" / "last.ckpt")
        sample = [*COMMAND, "sample", "--ckpt_path", checkpoint, "--n", "64", "--out"]
        rows = {
            "imports": lambda i: [sys.executable, "-c", "import torch, lightning.pytorch, jsonargparse"],
            "help": lambda i: [*COMMAND, "--help"],
            "one update": lambda i: [*one_update[:-1], "start" if i == 0 else f"start-{i}"],
            "sample 64": lambda i: [*sample, str(runs / f"samples-{i}")],
        }
        print(f"{'what':12}{'wall s':>9}{'CPU s':>9}")
        for name, command in rows.items():
            taken = [seconds(command(i)) for i in range(options.repeats)]
            wall, cpu = (statistics.median(pair[k] for pair in taken) for k in (0, 1))
            print(f"{name:12}{wall:>9.2f}{cpu:>9.2f}", flush=True)


def seconds(command: list[str]) -> tuple[float, float]:
    """Return wall and CPU seconds of a command.

    Raises:
        SystemExit: It failed; its last line of output is told.
    """
    start, before = time.perf_counter(), os.times()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}")
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, spent


if __name__ == "__main__":
    main()
