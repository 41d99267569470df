#!/usr/bin/env python
"""Measure how cost grows: with batch, image size, width, images, classes and processes; one line for each step.

    python scripts/benchmark_scale.py                   all of it, minutes on one core
    python scripts/benchmark_scale.py images classes    some of it

`batch`, `size` and `width` time the turns of an SNGAN of residual networks; `images` maps a sparse file of so many
images of 3x32x32 into memory and times the start, a batch and the hash that the first checkpoint takes; `classes` is a
conditional GAN of small networks; `processes` are gloo ranks of one machine, each on its rows of the same global batch.
Times are medians of processor seconds. The last column is how much the cost grew for how much the number grew.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_rounds import bare_trainer, silence
from lightning.pytorch import Callback

import gan_lightning as gl

_RANK_OF = "GAN_LIGHTNING_SCALE_RANKS"


@silence()
def main() -> None:
    """Measure what is asked for and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(TABLES)}; all if none")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of each step")
    parser.add_argument("--most_images", type=int, default=10_000_000)
    options = parser.parse_args()
    if unknown := [what for what in options.what if what not in TABLES]:
        parser.error(f"there is no table {unknown[0]}; take of {', '.join(TABLES)}")
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    torch.set_num_threads(1)
    if world := os.environ.get(_RANK_OF):
        play_as_rank(int(world), options.rounds)
        return
    print(f"torch {torch.__version__}, one thread a process")
    for what in options.what or TABLES:
        TABLES[what](options)


def table(title: str, steps: list[int], cost: Callable[[int], dict[str, float]]) -> None:
    """Print one line for each step: its costs, and how the first of them grew since the step before."""
    before: tuple[int, float] | None = None
    for step in steps:
        found = cost(step)
        if before is None:
            print(f"\n| {title} | {' | '.join(found)} | grew |\n|{'---|' * (len(found) + 2)}")
        first = next(iter(found.values()))
        grew = "" if before is None else f"{first / before[1]:.2f} for {step / before[0]:g}"
        print(f"| {step:,} | {' | '.join(f'{value:,.4g}' for value in found.values())} | {grew} |", flush=True)
        before = step, first


def rounds(game: Any, data: Any, n: int, **options: Any) -> float:
    """Return the median processor seconds of a round of training, after one that is not timed."""
    times: list[float] = []

    class Clock(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            times.append(time.process_time())

    bare_trainer(Clock(), n + 1, **{"devices": 1, **options}).fit(game, datamodule=data)
    return statistics.median(later - earlier for earlier, later in zip(times, times[1:], strict=False))


def sngan(n: int, batch: int = 32, size: int = 32, width: int = 32, **options: Any) -> float:
    """Return the seconds of a round with one critic update."""
    images = torch.randint(0, 256, (max(batch, 64), 3, size, size), dtype=torch.uint8)
    data = gl.data.data_of(images, batch_size=batch)
    generator = partial(gl.networks.SNGANResNetGenerator, width=width)
    critic = partial(gl.networks.SNGANResNetCritic, width=width)
    return rounds(gl.families.SNGAN(generator, critic, shape=data.shape, n_critic=1), data, n, **options)


def of_batch(options: argparse.Namespace) -> None:
    """SNGAN of width 32 at 32x32."""
    table("batch", [16, 32, 64, 128], lambda step: {"round, s": sngan(options.rounds, batch=step)})


def of_size(options: argparse.Namespace) -> None:
    """SNGAN of width 16, batch 16."""
    table("image size", [16, 32, 64, 128], lambda step: {"round, s": sngan(options.rounds, 16, step, 16)})


def of_width(options: argparse.Namespace) -> None:
    """SNGAN at 32x32, batch 16."""
    table("width", [16, 32, 64, 128], lambda step: {"round, s": sngan(options.rounds, 16, 32, step)})


def of_images(options: argparse.Namespace) -> None:
    """A sparse file, mapped."""

    def cost(n: int) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "images.u8"
            with path.open("wb") as file:
                file.truncate(n * 3 * 32 * 32)
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            start = time.process_time()
            images = np.memmap(path, np.uint8, "r+", shape=(n, 3, 32, 32))
            data = gl.data.data_of(images, batch_size=64)
            data.setup("fit")
            source = data.reference("train")
            stream = gl.data.stream.Rounds(
                source, batch_size=64, seed=0, rank=0, world_size=1, clock=lambda: (0, 0),
                batches_in_round=lambda update: 1, rounds_per_epoch=1,
            )  # fmt: skip
            stream.batch(0)
            first = time.process_time() - start
            batches = [timed(partial(stream.batch, k)) for k in range(1, 51)]
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used) / 2**10
            digest = timed(lambda: source.fingerprint)
            batch = 1000 * statistics.median(batches)
            return {
                "batch of 64, ms": batch,
                "start and first batch, s": first,
                "memory, MiB": grown,
                "hash, s": digest,
            }

    table("images", [n for n in (10**4, 10**5, 10**6, 10**7) if n <= options.most_images], cost)


def of_classes(options: argparse.Namespace) -> None:
    """A conditional GAN of MLPs of width 64 on 1x8x8."""

    def cost(n: int) -> dict[str, float]:
        images = torch.randint(0, 256, (max(n, 64), 1, 8, 8), dtype=torch.uint8)
        data = gl.data.data_of(images, torch.arange(len(images)) % n, batch_size=64)
        start = time.process_time()
        generator = partial(gl.networks.MLPGenerator, width=64, n_classes=n)
        critic = partial(gl.networks.MLPCritic, width=64, n_classes=n)
        game = gl.families.NonSaturatingGAN(generator, critic, shape=data.shape)
        built = time.process_time() - start
        millions = sum(p.numel() for p in (*game.generator.parameters(), *game.critic.parameters())) / 1e6
        return {"round, s": rounds(game, data, options.rounds), "built, s": built, "million parameters": millions}

    table("classes", [10, 1000, 100_000], cost)


def of_processes(options: argparse.Namespace) -> None:
    """Gloo ranks; their processor seconds are summed, the bytes are those that one rank hands to all-reduce."""

    def cost(world: int) -> dict[str, float]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        ranks = [
            subprocess.Popen(
                [sys.executable, __file__, "--rounds", str(options.rounds)],
                env={**os.environ, _RANK_OF: str(world), "LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": str(world),
                     "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE, text=True,
            )
            for rank in range(world)
        ]  # fmt: skip
        found = [[float(word) for word in rank.communicate()[0].split()[-2:]] for rank in ranks]
        if any(rank.returncode for rank in ranks):
            sys.exit(f"a rank of {world} ended with {[rank.returncode for rank in ranks]}")
        return {"round, s of all ranks": sum(seconds for seconds, _ in found), "MB a rank sums in a round": found[0][1]}

    table("processes", [1, 2, 4, 8], cost)


def play_as_rank(world: int, n: int) -> None:
    """Train as one of the ranks and print the seconds of a round and the megabytes that it summed in one."""
    handed = 0
    reduce = torch.distributed.all_reduce

    def counted(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        nonlocal handed
        handed += tensor.numel() * tensor.element_size()
        return reduce(tensor, *args, **kwargs)

    torch.distributed.all_reduce = counted
    options: dict[str, Any] = {"devices": world, "strategy": "gan_ddp"} if world > 1 else {}
    seconds = sngan(n, batch=32, size=32, width=16, **options)
    print(seconds, handed / 1e6 / (n + 1))


def timed(call: Callable[[], Any]) -> float:
    """Return the processor seconds of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


TABLES: dict[str, Callable[[argparse.Namespace], None]] = {
    "batch": of_batch,
    "size": of_size,
    "width": of_width,
    "images": of_images,
    "classes": of_classes,
    "processes": of_processes,
}

if __name__ == "__main__":
    main()
