"""Contract 6: the sharded path equals torch-fidelity's `calculate_metrics` on the same samples, at 1, 2 and 3 ranks.

This file is also the program of one rank: `python -m tests.metrics.test_sharding FOLDER`. It runs every
world size up to its own, so that the interpreters start once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from gan_lightning.metrics.fidelity import (
    Moments,
    chunks,
    frechet_distance,
    gather_rows,
    inception_score,
    kernel_inception_distance,
    precision_recall,
    shard,
)
from tests.cluster.launch import start_ranks
from tests.metrics.registered import registered

SIZES = {
    "real": 333,
    "fake": 290,
    "few": 100,
}  # last chunks of 13, 34 and 36; "few" leaves the third rank without a chunk


def samples(name: str) -> Tensor:
    """Return uint8 images `(SIZES[name], 3, 8, 8)`, smooth enough for their classes and distances to mean something."""
    generator = torch.Generator().manual_seed(sorted(SIZES).index(name))
    contrast = {"real": 60.0, "fake": 45.0, "few": 70.0}[name]
    coarse = torch.randn(SIZES[name], 3, 2, 2, generator=generator)
    images = torch.nn.functional.interpolate(coarse, 8, mode="bilinear") * contrast + 128
    return images.clamp(0, 255).round().to(torch.uint8)


def extract(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return features `(N, 24)` and logits `(N, 7)` of a fixed random projection."""
    generator = torch.Generator().manual_seed(7)
    projection = torch.randn(3 * 8 * 8, 24, generator=generator) / 14
    head = torch.randn(24, 7, generator=generator)
    features = torch.tanh((images.flatten(1).float() / 127.5 - 1) @ projection)
    return features, 2 * features @ head


def run(rank: int, world: int) -> dict[str, tuple[Moments, Tensor, Tensor]]:
    """Return for each sample set the moments, features and logits that this rank ends up with."""
    results = {}
    for name, n in SIZES.items():
        images = samples(name)
        parts = chunks(n)
        moments = Moments()
        features, logits = [], []
        for index in shard(len(parts), rank, world):
            rows, row_logits = extract(images[parts[index].start : parts[index].stop])
            moments.update(rows)
            features.append((index, rows))
            logits.append((index, row_logits))
        results[name] = (moments.reduce(), gather_rows(features), gather_rows(logits))
    return results


def raised_on_this_rank() -> str:
    """Return the message of a chunk index that two ranks both hold: all ranks must raise, or the others would wait."""
    try:
        gather_rows([(0, torch.zeros(2, 3))])
    except ValueError as error:
        return str(error)
    return ""


def main() -> None:
    """Take part in each world that has this rank, and save what it got."""
    rank, largest, folder = int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"]), Path(sys.argv[1])
    torch.set_num_threads(1)
    for world in range(1, largest + 1):
        if rank >= world:
            continue
        dist.init_process_group("gloo", init_method=f"file://{folder}/store-{world}", rank=rank, world_size=world)
        stored = {
            name: (moments.n, moments.total, moments.outer, features, logits)
            for name, (moments, features, logits) in run(rank, world).items()
        }
        error = raised_on_this_rank() if world > 1 else ""
        torch.save({"stored": stored, "error": error}, folder / f"{world}-{rank}.pt")
        dist.barrier()
        dist.destroy_process_group()


# --- the tests ---

SETTINGS = {"isc_splits": 5, "kid_subsets": 10, "kid_subset_size": 60}
LARGEST_WORLD = 3


@pytest.fixture(scope="module")
def reference() -> Iterator[dict[str, dict[str, float]]]:
    """Return what `calculate_metrics` says of (fake, real) and (few, real), through a registered extractor."""
    from torch.utils.data import Dataset
    from torch_fidelity import calculate_metrics

    class Images(Dataset[Tensor]):
        def __init__(self, name: str) -> None:
            self.images = samples(name)

        def __len__(self) -> int:
            return len(self.images)

        def __getitem__(self, index: int) -> Tensor:
            return self.images[index]

    with registered("projection-of-contract-6", extract) as name_of_it:
        yield {
            name: calculate_metrics(
                input1=Images(name),
                input2=Images("real"),
                feature_extractor=name_of_it,
                **dict.fromkeys(("isc", "fid", "kid", "prc"), True),
                **SETTINGS,
                cuda=False,
                cache=False,
                verbose=False,
            )
            for name in ("fake", "few")
        }


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what each rank of each world ended up with: `<world>-<rank>.pt`.

    The ranks meet in a file, which needs no free port.
    """
    folder = tmp_path_factory.mktemp("ranks")
    ended = start_ranks(LARGEST_WORLD, "tests.metrics.test_sharding", str(folder), timeout=120)
    assert all(rank.returncode == 0 for rank in ended), "\n".join(rank.stdout for rank in ended)
    return folder


def metrics_of(stored: dict[str, Any], name: str) -> dict[str, float]:
    real_n, real_total, real_outer, real_features, _ = stored["real"]
    n, total, outer, features, logits = stored[name]
    isc_mean, isc_std = inception_score(logits, splits=SETTINGS["isc_splits"])
    kid_mean, kid_std = kernel_inception_distance(
        real_features, features, SETTINGS["kid_subsets"], SETTINGS["kid_subset_size"]
    )
    precision, recall = precision_recall(real_features, features)
    return {
        "frechet_inception_distance": frechet_distance(
            Moments(real_n, real_total, real_outer), Moments(n, total, outer)
        ),
        "inception_score_mean": isc_mean,
        "inception_score_std": isc_std,
        "kernel_inception_distance_mean": kid_mean,
        "kernel_inception_distance_std": kid_std,
        "precision": precision,
        "recall": recall,
    }


@pytest.mark.parametrize("world", range(1, LARGEST_WORLD + 1))
@pytest.mark.parametrize("name", ["fake", "few"])
def test_sharded_metrics_equal_torch_fidelity(
    worlds: Path, reference: dict[str, dict[str, float]], world: int, name: str
) -> None:
    ranks = [torch.load(worlds / f"{world}-{rank}.pt", weights_only=True)["stored"] for rank in range(world)]
    measured = metrics_of(ranks[0], name)
    expected = {key: reference[name][key] for key in measured}
    assert measured == pytest.approx(expected, rel=1e-6)
    assert 0 < expected["precision"] < 1  # the comparison is of numbers that could differ
    assert 0 < expected["recall"] < 1
    for other in ranks[1:]:
        torch.testing.assert_close(other, ranks[0], rtol=0, atol=0)


def test_an_error_of_the_gathering_reaches_all_ranks(worlds: Path) -> None:
    for rank in range(LARGEST_WORLD):
        assert "own index" in torch.load(worlds / f"{LARGEST_WORLD}-{rank}.pt", weights_only=True)["error"]


if __name__ == "__main__":
    main()
