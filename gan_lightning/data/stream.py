"""The counter-based stream of real samples: which one comes when is a function of a seed and a counter."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.protocols import Batch, check_shares

_ORDER, _FLIP, _NOISE = 1, 2, 3  # one family of random streams per purpose
_MASK = 2**64 - 1


@dataclass(eq=False)
class RealSamples:
    """A whole split, in memory or mapped from a file.

    Example:
        >>> len(RealSamples(torch.zeros(4, 2), None, "four points"))
        4

    Attributes:
        images: uint8 images `(N, C, H, W)` in 0..255, or float32 vectors `(N, D)`, on the CPU, contiguous. Never write
            to it.
        labels: Class indices `(N,)`, int64, or None.
        description: What it is, for people: data set, split, count, shape.
        digest: The content's hash where it is already known; `fingerprint` computes it otherwise.

    Raises:
        UserError: The samples are no such tensor, are not finite, or lie in another range; or the labels are not one
            whole number from 0 for each sample.
    """

    images: Tensor
    labels: Tensor | None
    description: str
    digest: str | None = None

    def __post_init__(self) -> None:
        """Take arrays of numpy for tensors, and refuse what no game can be trained on."""
        self.images = _as_tensor("images", self.images)
        _check_images(self.images)
        if self.labels is not None:
            self.labels = _checked_labels(_as_tensor("labels", self.labels), len(self.images))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, dtype and values of the samples (not of the labels), as hexadecimal digits."""
        return self.digest or fingerprint(self.images.numpy())

    @cached_property
    def labels_fingerprint(self) -> str | None:
        """SHA-256 of the labels, None without."""
        return None if self.labels is None else fingerprint(self.labels.numpy())

    def is_whole(self) -> bool:
        """Tell whether the samples are what their hash says; it reads all of them."""
        return self.digest is None or fingerprint(self.images.numpy()) == self.digest

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.images)


def _as_tensor(name: str, values: Any) -> Tensor:
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(np.ascontiguousarray(values))
    if not isinstance(values, Tensor):
        raise UserError(f"{name} must be a tensor or a numpy array, got {type(values).__name__}")
    return values.detach().cpu()


def _check_images(images: Tensor) -> None:
    shape, dtype = tuple(images.shape), str(images.dtype).removeprefix("torch.")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise UserError(f"samples must be uint8 in 0..255 or floating point, got {dtype} {shape}")
    if images.ndim < 2:
        raise UserError(f"samples must be images (N, C, H, W) or vectors (N, D), got {shape}")
    if images.ndim == 4 and shape[3] in (1, 3, 4) and shape[1] > 4 and shape[2] != shape[3]:
        raise UserError(f"images must be (N, C, H, W), got {shape}, which looks like (N, H, W, C); permute(0, 3, 1, 2)")
    if images.dtype == torch.uint8 or not images.numel():
        return
    low, high = (value.item() for value in images.aminmax())
    if not -math.inf < low <= high < math.inf:
        raise UserError("samples must be finite; some are nan or infinite")
    if images.ndim == 4 and (low < -1 or high > 1 or low >= 0 < high):
        mend = "x / 127.5 - 1, or give uint8" if high > 1 else "2 * x - 1" if low >= 0 else "scale them"
        raise UserError(f"floating-point images must lie in [-1, 1], got [{low:g}, {high:g}]; {mend}")


def _checked_labels(labels: Tensor, n: int) -> Tensor:
    if labels.is_floating_point() or labels.is_complex() or labels.shape != (n,):
        dtype = str(labels.dtype).removeprefix("torch.")
        raise UserError(
            f"labels must be one whole number for each of {n} samples, got {dtype} {tuple(labels.shape)}; "
            "of one-hot rows take argmax(1)"
        )
    if n and labels.min() < 0:
        raise UserError(f"labels must count from 0, got {labels.min()}; leave samples without a class out")
    return labels.to(torch.int64)


def fingerprint(samples: np.ndarray) -> str:
    """Return the SHA-256 of an array's shape, dtype and values; the array may be mapped from a file.

    Example:
        >>> fingerprint(np.zeros(3))[:8]
        '7e9aa208'
    """
    digest = hashlib.sha256(f"{samples.dtype.str}{samples.shape}".encode())
    for start in range(0, len(samples), 4096):  # in pieces, so that a mapped file need not fit in memory
        digest.update(np.ascontiguousarray(samples[start : start + 4096]).data)
    return digest.hexdigest()


def mix(*counters: int) -> int:
    """Return 63 well mixed bits of a sequence of integers (SplitMix64 chained; Steele et al. 2014,
    doi:10.1145/2660193.2660195).

    A generator seeded with neighbouring integers starts in related states, and torch's CPU generator keeps only the low
    32 bits of its seed, so counters are mixed before they seed anything.

    Example:
        >>> mix(0, 1) == mix(0, 1), mix(0, 1) == mix(1, 0)
        (True, False)
    """
    state = 0
    for counter in counters:
        state = ((state ^ (counter & _MASK)) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def generator(*counters: int) -> torch.Generator:
    """Return a CPU generator seeded with the mix of the counters.

    Example:
        >>> torch.rand(1, generator=generator(3, 7)) == torch.rand(1, generator=generator(3, 7))
        tensor([True])
    """
    return torch.Generator().manual_seed(mix(*counters))


class Rounds:
    """Iterable over the rounds of a game: one item is the list of batches that one generator update consumes.

    Batch `k` (counted from the start of training) covers positions `[k * B, (k + 1) * B)` of the endless concatenation
    of one permutation of the set per pass; it may straddle passes, and it may be larger than the set. The object has no
    state: every iterator starts at the update that `clock` returns, and never ends. The length only tells Lightning how
    many rounds make an epoch, and keeps it from prefetching. Each of R ranks gathers its slice of the same global batch,
    so the result does not depend on R.

    Example:
        >>> points = RealSamples(torch.arange(8.0)[:, None], None, "eight points")
        >>> rounds = Rounds(
        ...     points, batch_size=4, seed=0, rank=0, world_size=1, clock=lambda: (0, 0),
        ...     batches_in_round=lambda update: 2, rounds_per_epoch=1,
        ... )
        >>> [batch.real.shape for batch in next(iter(rounds))]
        [torch.Size([4, 1]), torch.Size([4, 1])]

    Args:
        source: The split to draw from.
        batch_size: Size B of a global batch, summed over ranks.
        seed: Seed of the order, the flips and the dequantisation noise.
        rank: This process.
        world_size: Number of processes R; must divide the batch size.
        clock: Returns the generator updates done and the batches consumed so far; asked whenever an iterator is made.
        batches_in_round: Maps the index of a generator update to the number of batches in its round.
        rounds_per_epoch: What `len` returns.
        flip: Mirror each image horizontally with probability 1/2, decided per position of the global batch.
        dequantize: Yield float32 images in [-1, 1] instead of uint8: uniform over those that round to the grey level,
            (x + U(-1/2, 1/2)) / 127.5 - 1, at black and white folded back into the range. The noise is drawn on the CPU
            from one generator per position, only for this rank's slice: about 1.5 ms per 64 images of 3x32x32, and four
            times the bytes to the device.

    Raises:
        UserError: The set is empty or the batch size is not a positive multiple of the number of processes.
    """

    def __init__(
        self,
        source: RealSamples,
        *,
        batch_size: int,
        seed: int,
        rank: int,
        world_size: int,
        clock: Callable[[], tuple[int, int]],
        batches_in_round: Callable[[int], int],
        rounds_per_epoch: int,
        flip: bool = False,
        dequantize: bool = False,
    ) -> None:
        if len(source) == 0:
            raise UserError(f"there is no sample to train on in {source.description}")
        check_shares(batch_size, world_size)
        self.source = source
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.clock = clock
        self.batches_in_round = batches_in_round
        self.rounds_per_epoch = rounds_per_epoch
        self.flip = flip
        self.dequantize = dequantize
        self._permutation: tuple[int, Tensor] = (
            -1,
            torch.empty(0, dtype=torch.int64),
        )  # a cache: the latest pass and its order

    def __len__(self) -> int:
        """Return what is called an epoch."""
        return self.rounds_per_epoch

    def __iter__(self) -> Iterator[list[Batch]]:
        """Return an endless iterator that starts where the clock stands now."""
        return self._rounds(*self.clock())

    def _rounds(self, update: int, k: int) -> Iterator[list[Batch]]:
        while True:
            n = self.batches_in_round(update)
            yield [self.batch(k + i) for i in range(n)]
            update, k = update + 1, k + n

    def batch(self, k: int) -> Batch:
        """Return this rank's slice of global batch `k`: uint8 (or dequantised) images or vectors, and labels."""
        per_rank = self.batch_size // self.world_size
        first = k * self.batch_size + self.rank * per_rank
        rows = self._rows(first, first + per_rank)
        # numpy copies whole rows, from memory or a mapped file, and mirrors them, several times faster than torch
        taken = np.take(self.source.images.numpy(), rows.numpy(), axis=0)
        if self.flip:
            mirrored = torch.rand(self.batch_size, generator=generator(self.seed, _FLIP, k)) < 0.5
            mine = mirrored[self.rank * per_rank : (self.rank + 1) * per_rank].numpy()
            taken[mine] = taken[mine][..., ::-1]
        real = torch.from_numpy(taken)
        if self.dequantize:
            noise = torch.stack(
                [torch.rand(real.shape[1:], generator=generator(self.seed, _NOISE, first + i)) for i in range(per_rank)]
            )
            # folded at both ends; to_uint8 gives the grey level back
            grey = 255 - (255 - real.float().add_(noise).sub_(0.5).abs_()).abs_()
            real = grey.div_(127.5).sub_(1)
        labels = None if self.source.labels is None else self.source.labels[rows]
        return Batch(real, labels)

    def _rows(self, start: int, stop: int) -> Tensor:
        """Return the sample index at each position of `[start, stop)` of the endless order."""
        pieces = []
        while start < stop:
            n_pass, offset = divmod(start, len(self.source))
            piece = self._order_of(n_pass)[offset : offset + stop - start]
            pieces.append(piece)
            start += len(piece)
        return torch.cat(pieces)

    def _order_of(self, n_pass: int) -> Tensor:
        if self._permutation[0] != n_pass:
            order = torch.randperm(len(self.source), generator=generator(self.seed, _ORDER, n_pass))
            self._permutation = (n_pass, order)
        return self._permutation[1]
