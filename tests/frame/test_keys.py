"""Keys of turns: how often two share the 32 bits that torch's CPU generator keeps, which is as rare as chance makes it."""

from __future__ import annotations

from collections import Counter

import torch

from gan_lightning.randomness import mix


def test_turns_that_draw_alike_are_as_rare_as_chance_makes_them() -> None:
    """Of n keys of 32 bits n^2 / 2^33 pairs are equal: 3.0 of 160,000; `Noise` says what 600,000 have."""
    turns = [mix(mix(0, update, *player), 1) for update in range(80_000) for player in ((0, 0), (1, 0))]
    assert len(set(turns)) == len(turns)
    kept = Counter(turn & 0xFFFFFFFF for turn in turns)
    pairs = sum(n * (n - 1) // 2 for n in kept.values())
    assert pairs <= 12 and max(kept.values()) <= 2


def test_torch_keeps_32_bits() -> None:
    """When this fails, the sentence in `Noise` can go."""
    one, other = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5 + (7 << 32))
    assert torch.equal(torch.rand(9, generator=one), torch.rand(9, generator=other))
