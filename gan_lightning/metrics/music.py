"""Melodies: their notes, and how far pitches, lengths and intervals are from those of real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log

import torch
from torch import Tensor

REST, HOLD, FIRST = 0, 1, 2
"""What symbols mean: silence, what sounded before goes on, and from 2 on a pitch that is struck."""

_SCALE = frozenset((0, 2, 4, 5, 7, 9, 11))

Melody = list[tuple[int, int, int]]
"""Notes: where each begins and how long it is, in positions, and its MIDI number."""


def symbols_of(samples: Tensor) -> Tensor:
    """Return the symbols `(N, L)` of melodies as probabilities `(N, V, L)`, or `(N C, L)` of rolls `(N, C, H, L)`.

    The melodies' are the most probable ones. In a roll, in [-1, 1], the lightest row sounds if it is above 0; the same row
    as before is a hold.

    Example:
        >>> roll = torch.tensor([[-1.0, 1.0, 1.0], [-1.0, -1.0, 0.5]])  # the upper row sounds at last
        >>> symbols_of(roll[None, None])
        tensor([[0, 3, 1]])
    """
    if samples.ndim == 3:
        return samples.argmax(1)
    level, row = samples.flatten(0, 1).max(1)
    pitch = torch.where(level > 0, FIRST + samples.shape[2] - 1 - row, REST)
    held = (pitch[:, 1:] == pitch[:, :-1]) & (pitch[:, 1:] != REST)
    pitch[:, 1:] = torch.where(held, HOLD, pitch[:, 1:])
    return pitch


def melodies_of(symbols: Tensor, low: int) -> list[Melody]:
    """Return the notes in each row of symbols `(N, L)`; a hold with nothing before it is a rest.

    Example:
        >>> melodies_of(torch.tensor([[1, 2, 1, 0, 4]]), low=60)
        [[(1, 2, 60), (4, 1, 62)]]
    """
    found = []
    for row in symbols.tolist():
        notes: Melody = []
        for place, symbol in enumerate(row):
            if symbol >= FIRST:
                notes.append((place, 1, low + symbol - FIRST))
            elif symbol == HOLD and notes and sum(notes[-1][:2]) == place:
                notes[-1] = (notes[-1][0], notes[-1][1] + 1, notes[-1][2])
        found.append(notes)
    return found


def pitch_classes(melodies: Iterable[Melody]) -> Counter[int]:
    """Return how many notes there are of each pitch class, 0 for C.

    Example:
        >>> pitch_classes([[(0, 1, 60), (1, 1, 72)], [(0, 1, 67)]])
        Counter({0: 2, 7: 1})
    """
    return Counter(pitch % 12 for melody in melodies for _, _, pitch in melody)


def durations(melodies: Iterable[Melody]) -> Counter[int]:
    """Return how many notes there are of each length in positions.

    Example:
        >>> durations([[(0, 2, 60), (2, 2, 62), (4, 1, 64)]])
        Counter({2: 2, 1: 1})
    """
    return Counter(length for melody in melodies for _, length, _ in melody)


def interval_ngrams(melodies: Iterable[Melody], n: int) -> Counter[tuple[int, ...]]:
    """Return how often each sequence of n intervals, in semitones, stands in melodies; rests between notes do not count.

    Example:
        >>> interval_ngrams([[(0, 1, 60), (1, 1, 62), (3, 1, 59)]], n=2)
        Counter({(2, -3): 1})
    """
    counts: Counter[tuple[int, ...]] = Counter()
    for melody in melodies:
        steps = [after[2] - before[2] for before, after in zip(melody, melody[1:], strict=False)]
        counts.update(zip(*(steps[place:] for place in range(n)), strict=False))
    return counts


def total_variation(one: Counter[int], other: Counter[int]) -> float:
    """Return half the sum of the absolute differences of two histograms' proportions, 0 to 1; 1 if one is empty.

    Example:
        >>> total_variation(Counter(a=1, b=1), Counter(a=3))
        0.5
    """
    if not one or not other:
        return 1.0
    keys, n, n_other = one.keys() | other.keys(), one.total(), other.total()
    return sum(abs(one[key] / n - other[key] / n_other) for key in keys) / 2


def jensen_shannon(one: Counter[tuple[int, ...]], other: Counter[tuple[int, ...]]) -> float:
    """Return the Jensen-Shannon divergence of two histograms' proportions in bits, 0 to 1; 1 if one is empty.

    Example:
        >>> jensen_shannon(Counter({(0,): 2}), Counter({(1,): 1}))
        1.0
    """
    if not one or not other:
        return 1.0
    n, n_other = one.total(), other.total()
    total = 0.0
    for key in one.keys() | other.keys():
        p, q = one[key] / n, other[key] / n_other
        total += sum(x * log(2 * x / (p + q)) for x in (p, q) if x)
    return total / (2 * log(2))


def share_in_key(melodies: Iterable[Melody], in_c: bool) -> float:
    """Return the share of notes in the scale of C major, which is A minor's; nan without notes.

    Of melodies in keys of their own (not `in_c`) it is the scale, among all twelve, that holds most notes of each melody.

    Example:
        >>> share_in_key([[(0, 1, 60), (1, 1, 66)]], in_c=True)
        0.5
    """
    n_in = n = 0
    for melody in melodies:
        tonics = [0] if in_c else range(12)
        n_in += max(sum((pitch - tonic) % 12 in _SCALE for _, _, pitch in melody) for tonic in tonics)
        n += len(melody)
    return n_in / n if n else float("nan")


def shuffled(melodies: Sequence[Melody], generator: torch.Generator) -> list[Melody]:
    """Return melodies with the pitches of each in random order: what any order would come to.

    Example:
        >>> sorted(pitch for _, _, pitch in shuffled([[(0, 1, 60), (1, 1, 62)]], torch.Generator())[0])
        [60, 62]
    """
    found = []
    for melody in melodies:
        order = torch.randperm(len(melody), generator=generator).tolist()
        found.append([(start, length, melody[i][2]) for (start, length, _), i in zip(melody, order, strict=True)])
    return found
