"""What an experiment is: rows that compare a number with the known one, and a picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch


@dataclass(frozen=True)
class Row:
    """A number of ours beside the one that is known.

    Example:
        >>> Row("log 2", 0.6931, 0.693147, 1e-3).holds
        True

    Attributes:
        name: What the number is.
        ours: What was computed or trained here.
        known: What it should be.
        tolerance: Largest difference with which the row still holds, in the unit of the numbers.
        source: Where the known number comes from: exact (a formula), or a paper.
        bound: Whether ours must be near the known number, or only not above or not below it.
    """

    name: str
    ours: float
    known: float
    tolerance: float
    source: str = "exact"
    bound: Literal["near", "at most", "at least"] = "near"

    @property
    def difference(self) -> float:
        """Ours less the known number."""
        return self.ours - self.known

    @property
    def holds(self) -> bool:
        """Whether the known answer was found; a number that is not finite never is."""
        if not math.isfinite(self.ours):
            return False
        if self.bound == "at most":
            return self.difference <= self.tolerance
        if self.bound == "at least":
            return self.difference >= -self.tolerance
        return abs(self.difference) <= self.tolerance


@dataclass
class Found:
    """What an experiment found.

    Attributes:
        rows: Numbers beside the known ones.
        figure: A figure of matplotlib, which a reader understands without the code.
        notes: Sentences that belong under the table.
        table: Further rows to show that have no known answer: a heading and cells.
    """

    rows: list[Row]
    figure: Any
    notes: list[str] = field(default_factory=list)
    table: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class Experiment:
    """An experiment of the lab.

    Attributes:
        name: What `gan-lightning lab NAME` calls it.
        sentence: What it shows.
        seconds: About how long it takes on one core.
        played: Plays it at a seed.
    """

    name: str
    sentence: str
    seconds: int
    played: Callable[[int], Found]

    def play(self, seed: int) -> Found:
        """Play it, with networks that start from the seed whatever the process drew before."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.played(seed)
