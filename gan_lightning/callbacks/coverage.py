"""Modes that the averaged generator covers of a mixture whose centres are known, while training and in `validate`."""

from __future__ import annotations

from math import isnan, nan
from typing import Any

from lightning.pytorch import Trainer

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.errors import UserError
from gan_lightning.metrics.coverage import mode_coverage
from gan_lightning.metrics.fidelity import chunks, gather_rows, shard
from gan_lightning.protocols import Mixture


class Coverage(Measuring):
    """Counts the modes of a mixture that generated vectors hit, at every validation and before the first update.

    Data with `centres` `(K, D)` and `std`, such as `Ring` and `Grid`, are measured; on other data it does nothing.
    Logged are `val/modes` (captured, 0 ... K), `val/high_quality` (share of the samples near a centre; 0.98889 for a
    perfect sampler in two dimensions at 3 std, more means collapsed modes) and `val/reverse_kl` (nats; left out while
    no sample is of high quality); all are nan if a sample is not finite. Each evaluation leaves a card in
    `evaluation/`. Ranks share the samples in chunks that are the same however many ranks there are; every rank then
    holds all of them.

    Args:
        n_samples: Generated samples; 2,500 in VEEGAN and PacGAN.
        n_std: Distance from the nearest centre, in std, up to which a sample is of high quality. In high dimension D
            a real sample is about sqrt(D) std away: give k * sqrt(D).
        seed: Seed of the generated samples.
        enabled: Measure at all.

    Raises:
        UserError: n_samples or n_std is not positive.
    """

    option = "coverage"

    def __init__(self, n_samples: int = 2500, n_std: float = 3.0, seed: int = 0, enabled: bool = True) -> None:
        super().__init__(n_samples, seed, enabled)
        if not n_std > 0:
            raise UserError(f"coverage.n_std must be above 0, got {n_std}; the published figures take 3")
        self.n_std = n_std

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; none for data without known modes."""
        return ["val/modes", "val/high_quality", "val/reverse_kl"] if self.enabled and _mixture(trainer) else []

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether the modes of the data are known."""
        return _mixture(trainer) is not None

    def measure(self, trainer: Trainer, game: Any) -> Measurement:
        """Count the modes that the samples hit."""
        data = _mixture(trainer)
        assert data is not None and data.centres is not None and data.std is not None
        ranges = chunks(self.n_samples)
        mine = shard(len(ranges), trainer.global_rank, trainer.world_size)
        drawn = zip(mine, game.sample_chunks(mine, seed=self.seed), strict=True)
        points = gather_rows([(chunk, samples[: len(ranges[chunk])].cpu()) for chunk, samples in drawn])
        found = mode_coverage(points, data.centres.cpu(), data.std, self.n_std)
        values: dict[str, float] = {"modes": float(found.n_captured), "high_quality": found.high_quality}
        if not isnan(found.reverse_kl):
            values["reverse_kl"] = found.reverse_kl
        if not points.isfinite().all():
            values = dict.fromkeys(("modes", "high_quality", "reverse_kl"), nan)
        facts = {
            "n_modes": len(data.centres),
            "std": data.std,
            "n_std": self.n_std,
            "labels": "all classes in turn" if game.n_classes else None,
            "data": type(data).__name__,
        }
        differs = (str(self.n_samples), f"{self.n_std:g}std", f"seed{self.seed}")
        return Measurement(values, facts, differs, prefix="coverage-")


def _mixture(trainer: Trainer) -> Mixture | None:
    """Return the data if their modes are known."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data if isinstance(data, Mixture) and data.centres is not None and data.std else None
