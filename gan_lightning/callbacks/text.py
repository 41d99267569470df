"""How far the n-grams of generated text are from those of held-out text, while training and in `validate`."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.metrics.fidelity import chunks, gather_rows, shard
from gan_lightning.metrics.text import LONGEST, ngram_divergence, sampled_ngrams
from gan_lightning.protocols import Spelled

_NAMES = [f"js_{n}" for n in range(1, LONGEST + 1)]


class NgramDivergence(Measuring):
    """Compares generated text with held-out text, at every validation and before the first update.

    Logged are `val/js_1` to `val/js_4`: the Jensen-Shannon divergence in bits between the n-grams of characters of generated
    samples, each position's most probable symbol, and those of all held-out samples. The card has the same numbers for as
    many samples of the training text, of its independent characters (unigram) and of its chain of 4-grams.

    Args:
        n_samples: Generated samples.
        seed: Seed of the generated samples.
        enabled: Measure at all.
    """

    option = "ngrams"

    def __init__(self, n_samples: int = 5000, seed: int = 0, enabled: bool = True) -> None:
        super().__init__(n_samples, seed, enabled)
        self._baselines: dict[str, list[float]] = {}

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; none for data that are no text."""
        return [f"val/{name}" for name in _NAMES] if self.enabled and self.applies(trainer, None) else []

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether the data are text."""
        return isinstance(trainer.datamodule, Spelled)  # type: ignore[attr-defined]

    def measure(self, trainer: Trainer, game: Any) -> Measurement:
        """Compare the n-grams."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        ranges, n_symbols = chunks(self.n_samples), len(data.vocabulary)
        mine = shard(len(ranges), trainer.global_rank, trainer.world_size)
        drawn = zip(mine, game.sample_chunks(mine, seed=self.seed), strict=True)
        symbols = gather_rows([(chunk, samples[: len(ranges[chunk])].argmax(1).cpu()) for chunk, samples in drawn])
        real = data.reference("eval").images

        def divergences(rows: Any) -> list[float]:
            return [ngram_divergence(rows, real, n, n_symbols) for n in range(1, LONGEST + 1) if n <= rows.shape[1]]

        if not self._baselines:
            train, random = data.reference("train").images, torch.Generator().manual_seed(self.seed)
            chosen = torch.randint(len(train), (self.n_samples,), generator=random)
            self._baselines = {
                "js_of_training_text": divergences(train[chosen]),
                "js_of_unigrams": divergences(sampled_ngrams(train, 1, n_symbols, self.n_samples, random)),
                "js_of_4_grams": divergences(
                    sampled_ngrams(train, min(LONGEST, train.shape[1]), n_symbols, self.n_samples, random)
                ),
            }
        facts = {
            "n_held_out": len(real),
            "real_fingerprint": data.reference("eval").fingerprint,
            "n_symbols": n_symbols,
            "data": type(data).__name__,
            **self._baselines,
        }
        values = dict(zip(_NAMES, divergences(symbols), strict=False))
        return Measurement(values, facts, (str(self.n_samples), f"seed{self.seed}"), prefix="ngrams-")
