"""Held-out sources, what a game makes of them, and what they are to look like: in chunks, and as a picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from gan_lightning.data.base import drawn, scale
from gan_lightning.data.decoding import with_channels
from gan_lightning.evaluation.pictures import grid, to_uint8
from gan_lightning.metrics.fidelity import chunks, gather_rows, shard
from gan_lightning.randomness import mix

if TYPE_CHECKING:
    from PIL.Image import Image

SplitName = Literal["train", "eval"]


class Translated:
    """What a game that translates makes of the sources of a split, in the place of samples from latents.

    Chunk j is the same wherever it is made. Which sources they are depends on nothing but their number.

    Args:
        game: The game, a `protocols.Translating`.
        data: Its data, `protocols.Paired`.
        split: Of which split the sources are.
        n: At most how many of them.
    """

    def __init__(self, game: Any, data: Any, split: SplitName, n: int) -> None:
        self.game, self.data, self.split = game, data, split
        self.rows = drawn(data.n_sources(split), min(n, data.n_sources(split)))

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self.rows)

    def sources(self, chunk: int) -> Tensor:
        """Return the sources of a chunk, uint8 `(N, c, h, w)`."""
        ranges = chunks(len(self.rows))
        return self.data.sources(self.split, self.rows[ranges[chunk].start : ranges[chunk].stop])

    def sample_chunks(self, indices: Iterable[int], seed: int = 0) -> Iterator[Tensor]:
        """Yield the translations of these chunks, `(N, C, H, W)` in [-1, 1]."""
        for chunk in indices:
            yield self.game.translate(scale(self.sources(chunk), torch.float32), seed=mix(seed, chunk))

    def untranslated(self, indices: Iterable[int]) -> Iterator[Tensor]:
        """Yield the sources of these chunks as if they were targets, uint8 `(N, C, H, W)`: of grey, all colours alike."""
        for chunk in indices:
            yield as_target(self.sources(chunk), self.game.shape.target.size)

    def can_be_compared(self) -> bool:
        """Tell whether sources have the size of targets, and channels that can be made theirs."""
        source, target = self.game.shape.source.size, self.game.shape.target.size
        return source[1:] == target[1:] and (source[0] == target[0] or {source[0], target[0]} == {1, 3})


def as_target(sources: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return uint8 sources `(N, c, H, W)` with as many channels as targets of a size `(C, H, W)` have, grey or colours."""
    return with_channels(sources, size[0])


def target_distances(translated: Translated, with_sources: bool, seed: int, rank: int, world_size: int) -> list[float]:
    """Return the mean absolute distance of translations from their targets, in [-1, 1], and if asked for that of the sources.

    Collective: all ranks call it, and each translates its chunks.
    """
    data, rows = translated.data, []
    targets, ranges = data.reference(translated.split), chunks(len(translated))
    for chunk in shard(len(ranges), rank, world_size):
        own = torch.tensor(translated.rows[ranges[chunk].start : ranges[chunk].stop])
        real = scale(targets.images[own], torch.float32)
        (made,) = translated.sample_chunks([chunk], seed)
        columns = [_distance(made.float().cpu(), real)]
        if with_sources:
            given = as_target(translated.sources(chunk), tuple(real.shape[1:]))
            columns.append(_distance(scale(given, torch.float32), real))
        rows.append((chunk, torch.stack(columns, dim=1)))
    return gather_rows(rows).double().mean(0).tolist()


def cycle_distance(translated: Translated, direction: str, seed: int, rank: int, world_size: int) -> float:
    """Return the mean absolute distance, in [-1, 1], of what comes back from what went in this direction first.

    Collective, as `target_distances`. For BtoA it is of as many targets as there are sources, or of all.
    """
    back = "BtoA" if direction == "AtoB" else "AtoB"
    targets, rows = translated.data.reference(translated.split), []
    chosen = drawn(len(targets), min(len(translated), len(targets)))
    ranges = chunks(len(translated) if direction == "AtoB" else len(chosen))
    for chunk in shard(len(ranges), rank, world_size):
        part = ranges[chunk]
        given = (
            translated.sources(chunk)
            if direction == "AtoB"
            else targets.images[torch.tensor(chosen[part.start : part.stop])]
        )
        images, own = scale(given, torch.float32), mix(seed, chunk)
        again = translated.game.translate(translated.game.translate(images, direction, own), back, own)
        rows.append((chunk, _distance(again.float().cpu(), images)))
    return float(gather_rows(rows).double().mean())


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Return the mean absolute difference `(N,)` of each of images `(N, C, H, W)`."""
    return (one - other).abs().flatten(1).mean(1)


def draw_translations(game: Any, data: Any, n_rows: int, n_columns: int, seed: int = 0) -> Image:
    """Return a picture of held-out sources, always the same ones: input, ours, target, in columns of three.

    Without pairs the third is what comes back, and the lower half are images of B: input, ours, back.
    """
    n_groups = max(1, n_columns // 3)
    n = n_rows * n_groups
    both = "BtoA" in game.directions
    parts = []
    for direction in game.directions:
        back = "BtoA" if direction == "AtoB" else "AtoB"
        of_targets = direction == "BtoA"
        n_mine = n - n // 2 if both and not of_targets else n // 2 if both else n
        if not n_mine:
            continue
        pool = data.reference("eval").images if of_targets else None
        rows = drawn(len(pool) if pool is not None else data.n_sources("eval"), n_mine)
        given = pool[torch.tensor(rows)] if pool is not None else data.sources("eval", rows)
        made = game.translate(scale(given, torch.float32), direction, seed)
        third = (
            to_uint8(game.translate(made, back, seed)) if both else data.reference("eval").images[torch.tensor(rows)]
        )
        trio = [in_colours(given), in_colours(to_uint8(made).cpu()), in_colours(third.cpu())]
        parts += [torch.stack(trio, dim=1).flatten(0, 1)]
    return grid(torch.cat(parts), 3 * n_groups)


def in_colours(images: Tensor) -> Tensor:
    """Return uint8 images `(N, C, H, W)` with three channels, the first three if there are more."""
    return images[:, :3] if images.shape[1] >= 3 else images[:, :1].repeat(1, 3, 1, 1)
