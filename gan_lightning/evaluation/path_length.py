"""Perceptual path length of a generator: how much its samples change per step between latents."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.games.latents import NormalLatents
from gan_lightning.games.sampling import SAMPLE_CHUNK, SamplingGame
from gan_lightning.metrics.extractors import FeatureExtractor
from gan_lightning.metrics.fidelity import chunks, gather_rows, shard
from gan_lightning.randomness import mix, truncate
from gan_lightning.shapes import Images

EPSILON = 1e-4
DISCARDED = (1.0, 99.0)
"""torch-fidelity's: the step, and the percentiles below and above which a distance is left out."""


class PathLength(NamedTuple):
    """Mean and standard deviation over the paths that count, and what they depend on, for the card."""

    mean: float
    std: float
    facts: dict[str, Any]

    @property
    def values(self) -> dict[str, float]:
        """The two numbers, by the names that cards and logs give them."""
        return {"ppl_mean": self.mean, "ppl_std": self.std}


def check_path_length(game: Any, where: str) -> None:
    """Refuse what draws no images from latents.

    Raises:
        UserError: It does not.
    """
    if not isinstance(game, SamplingGame) or not isinstance(game.shape, Images):
        raise UserError(f"{where} ppl is of a generator of images from latents; leave it out")


@torch.no_grad()
def path_length(
    game: SamplingGame,
    similarity: FeatureExtractor,
    n: int,
    seed: int = 0,
    labels: Tensor | None = None,
    truncation: float | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> PathLength:
    """Return the perceptual path length (Karras et al. 2019, arXiv:1812.04948, section 4.1), as torch-fidelity defines it.

    Of n pairs of latents the first is moved by `EPSILON` of the way to the other, on the sphere (`slerp_any`) if latents are
    normal and on a line (`lerp`) if not. The two samples, as 8-bit images, are compared, and the distance is divided by the
    step's square. Distances below the first and above the last of the percentiles `DISCARDED` are left out. Ranks share the
    pairs in chunks of 64 that are the same however many ranks there are.

    Args:
        game: Its averaged generator makes the samples.
        similarity: Compares pairs of images; LPIPS in the paper, else the squared distance of features.
        n: Number of pairs.
        seed: Seed of the latents.
        labels: Classes `(n,)` of a conditional generator's samples; all in turn if not given.
        truncation: As in `SamplingGame.sample`.
        rank: This process.
        world_size: Number of processes.
    """
    mode = "slerp_any" if isinstance(game.latent_distribution, NormalLatents) else "lerp"
    ranges = chunks(n, SAMPLE_CHUNK)
    rows = []
    for chunk in shard(len(ranges), rank, world_size):
        generator = torch.Generator().manual_seed(mix(seed, chunk, 0x99))
        ends = game.sample_latents(2 * SAMPLE_CHUNK, generator)
        if truncation is not None:
            ends = truncate(ends, truncation, generator)
        own = None
        if game.n_classes:
            places = torch.arange(ranges[chunk].start, ranges[chunk].stop)
            own = places % game.n_classes if labels is None else labels[places]
        one, other = (part[: len(ranges[chunk])] for part in ends.chunk(2))
        rows.append((chunk, path_distances(game, similarity, one, other, own, mode=mode).cpu()))
    mean, std = trimmed(gather_rows(rows))
    facts = {"epsilon": EPSILON, "interpolation": mode, "discarded": list(DISCARDED), "similarity": similarity.name}
    return PathLength(mean, std, {f"ppl_{name}": value for name, value in facts.items()})


@torch.no_grad()
def path_distances(
    game: SamplingGame,
    similarity: FeatureExtractor,
    one: Tensor,
    other: Tensor,
    labels: Tensor | None = None,
    epsilon: float = EPSILON,
    mode: str = "slerp_any",
) -> Tensor:
    """Return the distance `(N,)` per squared step from latents `one` to `other` `(N, D)`; nan where a sample is not finite."""
    from torch_fidelity.utils import batch_interp  # its rounding in float32 is part of its number

    moved = batch_interp(one, other, epsilon, mode)
    latents = torch.cat([one, moved]).to(game.device, game.dtype_of_samples)
    classes = None if labels is None else torch.cat([labels, labels]).to(game.device)
    samples = game.generator_average(latents, classes)
    finite = samples.isfinite().flatten(1).all(1)
    found = similarity.distances(*to_uint8(samples).chunk(2)) / epsilon**2
    return found.masked_fill(~finite.view(2, -1).all(0).to(found.device), float("nan"))


def trimmed(distances: Tensor, discarded: tuple[float, float] = DISCARDED) -> tuple[float, float]:
    """Return mean and standard deviation of the distances `(N,)` that lie within two percentiles; nan if one is nan."""
    values = distances.numpy()
    if not np.isfinite(values).all():
        return float("nan"), float("nan")
    low = np.percentile(values, discarded[0], method="lower")
    high = np.percentile(values, discarded[1], method="higher")
    kept = values[(low <= values) & (values <= high)]
    return float(kept.mean()), float(kept.std())
