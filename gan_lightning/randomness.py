"""Random numbers as a function of (seed, update, turn, position in the global batch)."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lightning.errors import UserError

_MASK = (1 << 64) - 1


def mix(*numbers: int) -> int:
    """Return a 63-bit seed that depends on each of the numbers and on their order (splitmix64's finaliser)."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state + (number & _MASK) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


@dataclass(frozen=True)
class Shard:
    """Which rows of the global batch this process is working on.

    Attributes:
        rank: Index of this process.
        world_size: Number of processes.
        part: Index of the micro-batch under gradient accumulation.
        n_parts: Number of micro-batches.
    """

    rank: int = 0
    world_size: int = 1
    part: int = 0
    n_parts: int = 1


class Noise:
    """The random draws of one turn.

    Every draw is made for the global batch and cut down to this process's rows, so the numbers that a sample meets do not
    depend on how many processes or micro-batches share the work. The draws of a turn depend on nothing but its key and
    on the order in which they are made. On k ranks each rank makes the whole draw (k times the work of its own rows).

    torch's CPU generator keeps 32 bits of a key, so a few turns draw what an earlier one drew: 39 to 49 pairs of 600,000
    (seeds 0 to 3; 42 expected), none of three. That does not matter: each turn's draws are distributed as they should be,
    such pairs lie at unrelated updates, and the variance of a mean over all turns is 1 + 2 * 42 / 600,000 = 1.00014 times
    that of independent ones.

    Attributes:
        update: Generator updates done so far, for whatever is annealed.
    """

    def __init__(
        self, key: int, device: torch.device, dtype: torch.dtype, shard: Shard = Shard(), update: int = 0
    ) -> None:
        self.device, self.dtype, self.shard, self.update = device, dtype, shard, update
        self.generator = torch.Generator(device).manual_seed(key)

    def repeated(self) -> Noise:
        """Return the source of the draws that this one is about to make; it makes them again, and leaves this one alone."""
        twin = copy.copy(self)
        twin.generator = torch.Generator(self.device)
        twin.generator.set_state(self.generator.get_state())
        return twin

    def normal(self, n: int, *shape: int) -> Tensor:
        """Return N(0, 1) draws `(n, *shape)` for the n rows of this process."""
        return self._rows(torch.randn, n, shape)

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Return U[0, 1) draws `(n, *shape)` for the n rows of this process."""
        return self._rows(torch.rand, n, shape)

    def integers(self, high: int, n: int, *shape: int) -> Tensor:
        """Return integers of {0, ..., high - 1}, `(n, *shape)`, for the n rows of this process."""
        return (self.uniform(n, *shape) * high).long().clamp_(max=high - 1)

    def _rows(self, draw, n: int, shape: tuple[int, ...]) -> Tensor:  # type: ignore[no-untyped-def]
        shard = self.shard
        rows = n * shard.world_size * shard.n_parts
        start = n * (shard.rank * shard.n_parts + shard.part)
        numbers = draw(rows, *shape, generator=self.generator, device=self.device, dtype=self.dtype)
        return numbers[start : start + n]


def truncate(normal: Tensor, threshold: float, generator: torch.Generator) -> Tensor:
    """Return N(0, 1) draws of any shape with those outside [-threshold, threshold] drawn anew until they are inside.

    The new draws come from one uniform number each, through the inverse of the truncated distribution, so that a small
    threshold takes no longer than a large one.

    Raises:
        UserError: The threshold is not above 0.
    """
    if not threshold > 0:
        raise UserError(f"truncation must be above 0, got {threshold}; leave it out not to truncate")
    share = 2 * torch.rand(normal.shape, generator=generator, dtype=torch.float64) - 1
    inside = 2**0.5 * torch.erfinv(share * math.erf(threshold / 2**0.5))
    return torch.where(normal.abs() > threshold, inside.clamp(-threshold, threshold).to(normal.dtype), normal)


def between(one: Tensor, other: Tensor, n: int) -> Tensor:
    """Return n latents from `one` to `other`, both `(D,)`, with both ends: `(n, D)` along the great circle.

    Directions turn evenly and lengths change evenly (White 2016, arXiv:1609.04468), so that the latents on the way are as
    long as N(0, 1) draws are; a straight line would pass near the origin.

    Raises:
        UserError: n is below 2.
    """
    if n < 2:
        raise UserError(f"an interpolation has at least 2 steps, got {n}")
    t = torch.linspace(0, 1, n, dtype=torch.float64)[:, None]
    a, b = one.double(), other.double()
    lengths = a.norm(), b.norm()
    u, v = a / lengths[0].clamp(min=1e-300), b / lengths[1].clamp(min=1e-300)
    angle = torch.arccos((u @ v).clamp(-1, 1))
    if angle < 1e-6 or math.pi - angle < 1e-6:  # one direction, or no single way round
        return torch.lerp(a.expand(n, -1), b.expand(n, -1), t).to(one.dtype)
    direction = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / torch.sin(angle)
    return (direction * torch.lerp(lengths[0], lengths[1], t)).to(one.dtype)
