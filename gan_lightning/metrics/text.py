"""Sequences of symbols: how they are spelled, and how far their n-grams are from those of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor

UNKNOWN, PADDING = "\N{REPLACEMENT CHARACTER}", ""
"""The first two symbols of every vocabulary: any symbol that is not in it, and what stands behind the end of a line."""

LONGEST = 4
"""The length of the longest n-grams that are compared."""


def spelled(samples: Tensor, vocabulary: Sequence[str]) -> list[str]:
    """Return the most probable symbols of samples `(N, V, L)`, one text each on one line; a line feed is written ↵.

    Example:
        >>> spelled(torch.eye(4)[:, [2, 3, 1]][None], [UNKNOWN, PADDING, "a", "b"])
        ['ab']
    """
    rows = samples.argmax(1).tolist()
    return ["".join(vocabulary[symbol] for symbol in row).replace("\n", "↵").replace("\r", "␍") for row in rows]


def ngram_counts(symbols: Tensor, n: int, n_symbols: int) -> tuple[Tensor, Tensor]:
    """Return the n-grams in rows of symbols `(N, L)`, as numbers in ascending order, and how often each stands there.

    Example:
        >>> ngram_counts(torch.tensor([[0, 1, 0, 1]]), n=2, n_symbols=2)
        (tensor([1, 2]), tensor([2, 1]))
    """
    windows = symbols.long().unfold(1, n, 1)
    powers = n_symbols ** torch.arange(n - 1, -1, -1)
    return torch.unique((windows * powers).sum(-1), return_counts=True)


def ngram_divergence(one: Tensor, other: Tensor, n: int, n_symbols: int) -> float:
    """Return the Jensen-Shannon divergence, in bits, between the n-grams of two sets of rows `(N, L)`, 0 to 1.

    As in WGAN-GP's code for text (Gulrajani et al. 2017, igul222/improved_wgan_training). Few samples have a divergence of
    their own: compare with sets of one size.

    Example:
        >>> ngram_divergence(torch.tensor([[0, 0]]), torch.tensor([[1, 1]]), n=1, n_symbols=2)
        1.0
    """
    (keys, counts), (keys_other, counts_other) = (ngram_counts(rows, n, n_symbols) for rows in (one, other))
    both, place = torch.unique(torch.cat([keys, keys_other]), return_inverse=True)
    p, q = torch.zeros(2, len(both), dtype=torch.float64)
    p[place[: len(keys)]] = counts.double() / counts.sum()
    q[place[len(keys) :]] = counts_other.double() / counts_other.sum()
    middle = (p + q) / 2
    return sum(float(torch.special.xlogy(r, r / middle).sum()) for r in (p, q)) / (2 * log(2))


def sampled_ngrams(rows: Tensor, n: int, n_symbols: int, n_samples: int, generator: torch.Generator) -> Tensor:
    """Return sequences `(n_samples, L)` of a chain of n-grams: each symbol as often as after the n - 1 before it.

    It starts as rows start; with n = 1 symbols are independent. The baseline of a generator of text.

    Example:
        >>> sampled_ngrams(torch.tensor([[0, 1, 0, 1]]), 2, 2, 1, torch.Generator())
        tensor([[0, 1, 0, 1]])

    Args:
        rows: Real sequences `(N, L)`.
        n: Length of the n-grams.
        n_symbols: Size of the vocabulary.
        n_samples: Number of sequences.
        generator: What is drawn from.
    """
    rows = rows.long()
    length = rows.shape[1]
    if n == 1:
        flat = rows.flatten()
        return flat[torch.randint(len(flat), (n_samples, length), generator=generator)]
    powers = n_symbols ** torch.arange(n - 2, -1, -1)
    windows = rows.unfold(1, n, 1).flatten(0, 1)
    keys, order = (windows[:, :-1] * powers).sum(1).sort()
    following = windows[:, -1][order]
    found = rows[torch.randint(len(rows), (n_samples,), generator=generator), : n - 1]
    for _ in range(length - n + 1):
        key = (found[:, found.shape[1] - n + 1 :] * powers).sum(1)
        begin, end = torch.searchsorted(keys, key), torch.searchsorted(keys, key, right=True)
        # a context that stands at the end of rows only has nothing behind it: any symbol then
        place = begin + (torch.rand(n_samples, generator=generator) * (end - begin)).long()
        anything = torch.randint(len(following), (n_samples,), generator=generator)
        chosen = following[torch.where(end > begin, place, anything)]
        found = torch.cat([found, chosen[:, None]], dim=1)
    return found
