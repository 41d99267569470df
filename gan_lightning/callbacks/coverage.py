"""Modes that the averaged generator covers of a mixture whose centres are known, while training and in `validate`."""

from __future__ import annotations

import time
from importlib.metadata import version
from math import isnan, nan
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from gan_lightning.errors import UserError
from gan_lightning.evaluation.cards import write_card
from gan_lightning.metrics.coverage import mode_coverage
from gan_lightning.metrics.fidelity import chunks, gather_rows, shard


class Coverage(Callback):
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

    def __init__(self, n_samples: int = 2500, n_std: float = 3.0, seed: int = 0, enabled: bool = True) -> None:
        if n_samples < 1:
            raise UserError(f"coverage.n_samples must be at least 1, got {n_samples}")
        if not n_std > 0:
            raise UserError(f"coverage.n_std must be above 0, got {n_std}; the published figures take 3")
        self.n_samples, self.n_std, self.seed, self.enabled = n_samples, n_std, seed, enabled
        self.history: list[tuple[int, dict[str, float]]] = []

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; none for data without known modes."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not self.enabled or getattr(data, "centres", None) is None or not getattr(data, "std", None):
            return []
        return ["val/modes", "val/high_quality", "val/reverse_kl"]

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, log and write the card."""
        self._evaluate(trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, log and write the card."""
        self._evaluate(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers so far."""
        return {"history": [[update, dict(values)] for update, values in self.history]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the numbers so far."""
        self.history = [(update, values) for update, values in state_dict["history"]]

    def _evaluate(self, trainer: Trainer, game: Any) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        centres, std = getattr(data, "centres", None), getattr(data, "std", None)
        if not self.enabled or centres is None or not std or not hasattr(game, "sample_chunks"):
            return
        start = time.perf_counter()
        ranges = chunks(self.n_samples)
        mine = shard(len(ranges), trainer.global_rank, trainer.world_size)
        drawn = zip(mine, game.sample_chunks(mine, seed=self.seed), strict=True)
        points = gather_rows([(chunk, samples[: len(ranges[chunk])].cpu()) for chunk, samples in drawn])
        found = mode_coverage(points, centres.cpu(), std, self.n_std)
        values: dict[str, float] = {"modes": float(found.n_captured), "high_quality": found.high_quality}
        if not isnan(found.reverse_kl):
            values["reverse_kl"] = found.reverse_kl
        if not points.isfinite().all():
            values = dict.fromkeys(("modes", "high_quality", "reverse_kl"), nan)
        named = {f"val/{name}": value for name, value in values.items()}
        self.history.append((game.updates_done, named))
        if trainer.sanity_checking:  # Lightning drops what is logged there: this is the number before the first update
            for logger in trainer.loggers:
                logger.log_metrics(named, step=game.updates_done)
        else:
            # Lightning takes a number of this name for the loggers' x-axis; its own is one update behind.
            step = {"step": float(game.updates_done)} if trainer.loggers else {}
            game.log_dict(named | step, batch_size=1)
        if trainer.is_global_zero:
            self._write_card(trainer, game, values, time.perf_counter() - start)

    def _write_card(self, trainer: Trainer, game: Any, values: dict[str, float], seconds: float) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        facts = {
            "n_modes": len(data.centres),
            "std": data.std,
            "n_std": self.n_std,
            "update": game.updates_done,
            "kimg": game.samples_seen / 1000,
            "n_generated": self.n_samples,
            "seed": self.seed,
            "labels": "all classes in turn" if game.n_classes else None,
            "data": type(data).__name__,
            "family": type(game).__name__,
            "ema_decay": game.ema_decay,
            "trainer_precision": str(trainer.precision),
            "seconds": round(seconds, 3),
            "versions": {name: version(name) for name in ("torch", "lightning")},
        }
        write_card(trainer, values, facts, "coverage-", str(self.n_samples), f"{self.n_std:g}std", f"seed{self.seed}")
