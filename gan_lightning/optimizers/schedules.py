"""Schedules as values: written in YAML by class name, compared and stored as plain fields.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from gan_lightning.errors import UserError, require


class Schedule(ABC):
    """The learning rate's factor as a function of the generator updates done."""

    @abstractmethod
    def __call__(self, update: int) -> float:
        """Return the factor in [0, 1] for the round that follows `update` generator updates."""


@dataclass(frozen=True)
class LinearDecay(Schedule):
    """Factor 1 until `start`, then a straight line to `final` at `end`, constant afterwards.

    Example:
        >>> halves = LinearDecay(start=100, end=200)
        >>> [halves(update) for update in (0, 150, 300)]
        [1.0, 0.5, 0.0]

    Args:
        start: Generator updates after which the decay begins.
        end: Generator updates at which it ends.
        final: The factor at the end, in [0, 1].
    """

    end: int
    start: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an empty or reversed interval."""
        if not 0 <= self.start < self.end:
            raise UserError(f"LinearDecay needs 0 <= start < end, got start {self.start} and end {self.end}")
        if not 0 <= self.final <= 1:
            raise UserError(f"LinearDecay needs final in [0, 1], got {self.final}")

    def __call__(self, update: int) -> float:
        """Return the factor after `update` generator updates."""
        done = min(max(update - self.start, 0) / (self.end - self.start), 1.0)
        return 1.0 + (self.final - 1.0) * done


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Factor from 1 to `final` along half a cosine until `end`, constant afterwards, as R3GAN's (arXiv:2501.05441).

    Example:
        >>> [round(CosineDecay(end=200)(update), 3) for update in (0, 100, 200)]
        [1.0, 0.5, 0.0]

    Args:
        end: Generator updates at which it ends.
        final: The factor at the end, in [0, 1].
    """

    end: int
    final: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an empty interval."""
        if self.end < 1:
            raise UserError(f"CosineDecay needs end of at least 1, got {self.end}")
        if not 0 <= self.final <= 1:
            raise UserError(f"CosineDecay needs final in [0, 1], got {self.final}")

    def __call__(self, update: int) -> float:
        """Return the factor after `update` generator updates."""
        done = min(max(update, 0) / self.end, 1.0)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight line up to 1 over the first `n_updates`, times what another schedule says, whose clock it shares.

    The first update has the factor 1 / n_updates, update n_updates - 1 and all later ones have 1.

    Example:
        >>> warm = WarmUp(n_updates=4, then=LinearDecay(start=100, end=200))
        >>> [warm(update) for update in (0, 1, 3, 150)]
        [0.25, 0.5, 1.0, 0.5]

    Args:
        n_updates: Generator updates until the rate is full.
        then: The schedule of the full rate; none keeps it constant.
    """

    n_updates: int
    then: Schedule | None = None

    def __post_init__(self) -> None:
        """Refuse an empty interval."""
        require("WarmUp", n_updates=self.n_updates)

    def __call__(self, update: int) -> float:
        """Return the factor after `update` generator updates."""
        risen = min((max(update, 0) + 1) / self.n_updates, 1.0)
        return risen * (self.then(update) if self.then is not None else 1.0)
