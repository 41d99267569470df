#!/usr/bin/env python
"""Time batches of real images: this package's stream against DataLoader, and a packed folder against PIL each epoch.

    python scripts/benchmark_data.py                   about a minute on one core

In memory: 50,000 images of 3x32x32, batches of 64 with random flips, as float32 in [-1, 1]; the other side is
TensorDataset + DataLoader(shuffle=True) on uint8, scaled and flipped by batch. Folder: so many PNG files, read once and
packed against opened by PIL in each epoch (a Dataset in a DataLoader); `first` is the epoch that packs. Both sides run
on one thread, in turns; printed are medians of the ratio of CPU times with quartiles.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset

BATCH = 64


def main() -> None:
    """Time both and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--files", type=int, default=2000, help="PNG files of 64x64 in the folder")
    options = parser.parse_args()
    for name, value, least in (("repeats", options.repeats, 1), ("files", options.files, BATCH)):
        if value < least:
            parser.error(f"--{name} must be at least {least}, got {value}")
    torch.set_num_threads(1)
    print(f"{'what':24}{'theirs s':>10}{'ours s':>10}{'CPU ratio':>22}")
    images = torch.randint(0, 256, (50_000, 3, 32, 32), dtype=torch.uint8)
    compare("50,000 in memory", plain_epoch(images), our_epoch(images), options.repeats)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        for i in range(options.files):
            pixels = np.random.default_rng(i).integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{i:06}.png")
        start = time.process_time()
        packed = packed_images(folder, Path(place) / "cache")
        first = time.process_time() - start
        compare(f"{options.files:,} PNG of 64x64", pil_epoch(folder), our_epoch(packed), options.repeats)
        print(f"{'  first, which packs':24}{'':>10}{first:>10.3f}")


def compare(name: str, theirs: Callable[[], int], ours: Callable[[], int], repeats: int) -> None:
    """Run both in turns, see that they gave as many images, and print a line."""
    times: dict[str, list[float]] = {"theirs": [], "ours": []}
    for turn in range(repeats + 1):
        seen = []
        for side, epoch in (("theirs", theirs), ("ours", ours)):
            start = time.process_time()
            seen.append(epoch())
            if turn:  # the first is not counted
                times[side].append(time.process_time() - start)
        if len(set(seen)) > 1:
            raise RuntimeError(f"{name}: {seen} images")
    ratios = [a / b for a, b in zip(times["theirs"], times["ours"], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive") if repeats > 1 else ratios * 3
    seconds = [statistics.median(times[side]) for side in ("theirs", "ours")]
    print(f"{name:24}{seconds[0]:>10.3f}{seconds[1]:>10.3f}{f'{middle:.1f} ({low:.1f}-{high:.1f})':>22}", flush=True)


def our_epoch(images: torch.Tensor) -> Callable[[], int]:
    """Return what plays the package's stream over one pass of the images."""
    from gan_lightning.data.base import scale
    from gan_lightning.data.stream import RealSamples, Rounds

    n = len(images) // BATCH
    rounds = Rounds(
        RealSamples(images, None, "images"),
        batch_size=BATCH,
        seed=0,
        rank=0,
        world_size=1,
        clock=lambda: (0, 0),
        batches_in_round=lambda update: 1,
        rounds_per_epoch=n,
        flip=True,
    )

    def epoch() -> int:
        stream = iter(rounds)
        return sum(len(scale(next(stream)[0].real, torch.float32)) for _ in range(n))

    return epoch


def plain_epoch(images: torch.Tensor) -> Callable[[], int]:
    """Return what plays TensorDataset and DataLoader over one pass, scaled and flipped by batch."""
    loader = DataLoader(TensorDataset(images), BATCH, shuffle=True, drop_last=True)
    return lambda: sum(len(prepared(batch)) for (batch,) in loader)


def prepared(batch: torch.Tensor) -> torch.Tensor:
    """Return a batch as float32 in [-1, 1], each image flipped or not."""
    flipped = torch.rand(len(batch)) < 0.5
    return torch.where(flipped[:, None, None, None], batch.flip(-1), batch).float() / 127.5 - 1


class Pictures(Dataset[torch.Tensor]):
    """The files of a folder, opened whenever they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.iterdir())

    def __len__(self) -> int:
        """Return how many."""
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Return one as uint8 `(C, H, W)`."""
        with Image.open(self.files[index]) as picture:
            return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)


def pil_epoch(folder: Path) -> Callable[[], int]:
    """Return what opens every file once more."""
    loader = DataLoader(Pictures(folder), BATCH, shuffle=True, drop_last=True)
    return lambda: sum(len(prepared(batch)) for batch in loader)


def packed_images(folder: Path, cache: Path) -> torch.Tensor:
    """Return the folder's images as the package maps them once it has packed them."""
    from gan_lightning.data import ImageFolder

    data: Any = ImageFolder(root=str(folder), image_size=64, cache_dir=str(cache))
    data.prepare_data()
    data.setup("fit")
    return data.load_split("train").images


if __name__ == "__main__":
    main()
