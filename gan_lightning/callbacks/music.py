"""How far the notes of generated melodies are from those of held-out pieces, while training and in `validate`."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.metrics.fidelity import chunks, gather_rows, shard
from gan_lightning.metrics.music import (
    Melody,
    durations,
    interval_ngrams,
    jensen_shannon,
    melodies_of,
    pitch_classes,
    share_in_key,
    shuffled,
    symbols_of,
    total_variation,
)
from gan_lightning.protocols import Notated

_LONGEST = 3
_NAMES = [
    "pitch_class_tv",
    "duration_tv",
    *(f"interval_js_{n}" for n in range(1, _LONGEST + 1)),
    "in_key",
    "in_key_gap",
]


class MelodyStatistics(Measuring):
    """Compares generated melodies with held-out ones, at every validation and before the first update.

    Of rolls each voice is a melody. Logged are, of each position's most probable symbol or row: `val/pitch_class_tv` and
    `val/duration_tv`, the total variation
    between the histograms; `val/interval_js_1` to `_3`, the Jensen-Shannon divergence in bits between the n-grams of
    intervals; `val/in_key`, the share of notes in the scale of the key, and `val/in_key_gap`, how far it is from that of the
    held-out notes. The card has the same numbers for as many training windows, and for held-out ones with the notes of each
    shuffled.

    Args:
        n_samples: Generated samples.
        seed: Seed of the generated samples.
        enabled: Measure at all.
    """

    option = "music"

    def __init__(self, n_samples: int = 2000, seed: int = 0, enabled: bool = True) -> None:
        super().__init__(n_samples, seed, enabled)
        self._baselines: dict[str, dict[str, float]] = {}

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; none for data that are no melodies."""
        return [f"val/{name}" for name in _NAMES] if self.enabled and self.applies(trainer, None) else []

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether the data are melodies."""
        return isinstance(trainer.datamodule, Notated)  # type: ignore[attr-defined]

    def measure(self, trainer: Trainer, game: Any) -> Measurement:
        """Compare the notes."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        ranges, notation = chunks(self.n_samples), data.notation
        mine = shard(len(ranges), trainer.global_rank, trainer.world_size)
        drawn = zip(mine, game.sample_chunks(mine, seed=self.seed), strict=True)
        symbols = gather_rows([(chunk, symbols_of(samples[: len(ranges[chunk])].cpu())) for chunk, samples in drawn])
        real = melodies_of(real_symbols(data.reference("eval").images), notation.low)
        if not self._baselines:
            train, random = data.reference("train").images, torch.Generator().manual_seed(self.seed)
            chosen = torch.randint(len(train), (self.n_samples,), generator=random)
            self._baselines = {
                "of_training_melodies": statistics(
                    melodies_of(real_symbols(train[chosen]), notation.low), real, notation.in_c
                ),
                "of_shuffled_notes": statistics(shuffled(real, random), real, notation.in_c),
            }
        generated = melodies_of(symbols, notation.low)
        facts = {
            "n_held_out": len(real),
            "real_fingerprint": data.reference("eval").fingerprint,
            "notes_per_sample": sum(map(len, generated)) / len(generated),
            "notes_per_held_out": sum(map(len, real)) / len(real),
            "in_key_of_held_out": share_in_key(real, notation.in_c),
            "data": type(data).__name__,
            **self._baselines,
        }
        return Measurement(
            statistics(generated, real, notation.in_c),
            facts,
            (str(self.n_samples), f"seed{self.seed}"),
            prefix="music-",
        )


def real_symbols(kept: Tensor) -> Tensor:
    """Return the symbols `(N, L)` of samples as data keep them: symbols, or rolls `(N, C, H, L)` of 0 and 255."""
    return kept if kept.ndim == 2 else symbols_of(kept.float() / 127.5 - 1)


def statistics(melodies: list[Melody], real: list[Melody], in_c: bool) -> dict[str, float]:
    """Return the numbers of melodies beside real ones, by the names they are logged as."""
    in_key = share_in_key(melodies, in_c)
    return {
        "pitch_class_tv": total_variation(pitch_classes(melodies), pitch_classes(real)),
        "duration_tv": total_variation(durations(melodies), durations(real)),
        **{
            f"interval_js_{n}": jensen_shannon(interval_ngrams(melodies, n), interval_ngrams(real, n))
            for n in range(1, _LONGEST + 1)
        },
        "in_key": in_key,
        "in_key_gap": abs(in_key - share_in_key(real, in_c)),
    }
