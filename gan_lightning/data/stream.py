"""The counter-based stream of real samples: which one comes when is a function of a seed and a counter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.samples import PairedSamples, RealSamples, fingerprint
from gan_lightning.errors import UserError
from gan_lightning.protocols import Batch, check_shares

# one family of random streams per purpose
_ORDER, _FLIP, _NOISE, _SOURCE_ORDER, _SOURCE_FLIP = 1, 2, 3, 5, 6
_MASK = 2**64 - 1
__all__ = ["Batch", "PairedSamples", "RealSamples", "Rounds", "fingerprint", "generator", "mix"]


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


def _mirrored(pixels: np.ndarray) -> np.ndarray:
    """Return images with their rows reversed; bytes by words of up to eight, in a third of the time of one by one."""
    size = math.gcd(pixels.shape[-1], 8)
    if pixels.dtype != np.uint8 or size == 1:
        return pixels[..., ::-1]
    return pixels.view(f"u{size}")[..., ::-1].byteswap().view(np.uint8)


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
        self._permutations: dict[int, tuple[int, Tensor]] = {}  # a cache: the latest pass of a stream, and its order

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
        """Return this rank's slice of global batch `k`: uint8 (or dequantised) images or vectors, labels and sources."""
        per_rank = self.batch_size // self.world_size
        first = k * self.batch_size + self.rank * per_rank
        rows = self._rows(first, first + per_rank, len(self.source), _ORDER)
        # numpy.take copies whole rows, from memory or a mapped file: several times faster than X[rows]
        real = torch.from_numpy(np.take(self.source.images.numpy(), rows.numpy(), axis=0))
        source = None
        if isinstance(self.source, PairedSamples):
            sources, keys = self.source.sources, range(first, first + per_rank)
            if sources.is_paired:
                source = sources.take(rows.numpy(), real, keys)
            else:
                own = self._rows(first, first + per_rank, len(sources), _SOURCE_ORDER)
                source = sources.take(own.numpy(), None, keys)
        if self.flip:
            self._mirror(real, _FLIP, k)
            if source is not None and isinstance(self.source, PairedSamples):
                self._mirror(source, _FLIP if self.source.sources.is_paired else _SOURCE_FLIP, k)
        if self.dequantize:
            noise = torch.stack(
                [torch.rand(real.shape[1:], generator=generator(self.seed, _NOISE, first + i)) for i in range(per_rank)]
            )
            # folded at both ends; to_uint8 gives the grey level back
            grey = 255 - (255 - real.float().add_(noise).sub_(0.5).abs_()).abs_()
            real = grey.div_(127.5).sub_(1)
        labels = None if self.source.labels is None else self.source.labels[rows]
        return Batch(real, labels, source)

    def _mirror(self, images: Tensor, stream: int, k: int) -> None:
        """Mirror this rank's images of global batch k in place, each with probability 1/2."""
        mirrored = torch.rand(self.batch_size, generator=generator(self.seed, stream, k)) < 0.5
        mine = mirrored[self.rank * len(images) : (self.rank + 1) * len(images)].numpy()
        pixels = images.numpy()  # numpy mirrors in less than half of torch's time
        pixels[mine] = _mirrored(pixels[mine])

    def _rows(self, start: int, stop: int, n: int, stream: int) -> Tensor:
        """Return the index, among n, at each position of `[start, stop)` of a stream's endless order."""
        pieces = []
        while start < stop:
            n_pass, offset = divmod(start, n)
            piece = self._order_of(n_pass, n, stream)[offset : offset + stop - start]
            pieces.append(piece)
            start += len(piece)
        return torch.cat(pieces)

    def _order_of(self, n_pass: int, n: int, stream: int) -> Tensor:
        if self._permutations.get(stream, (-1,))[0] != n_pass:
            order = torch.randperm(n, generator=generator(self.seed, stream, n_pass))
            self._permutations[stream] = (n_pass, order)
        return self._permutations[stream][1]
