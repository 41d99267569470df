"""Checkpoints by generator updates and by wall time, and the best one by FID."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from gan_lightning.errors import UserError, say

_EFFECTS = {
    "processes": "sums are rounded otherwise, and batch statistics are taken over other rows; all else is as it was",
    "batch_size": "the data go on at the same number of batches, not of samples",
    "seed": "sample order and noise are those of another run from here on",
    "precision": "results are rounded otherwise",
}
"""What a run is told if it goes on under other circumstances."""


class Checkpoints(Checkpoint):
    """Keeps `checkpoints/last.ckpt`, and `checkpoints/best.ckpt` with the lowest FID seen.

    Lightning's `ModelCheckpoint(train_time_interval=...)` is silently ignored under manual optimization, which is why
    the schedule is kept here. With several processes it is `Preemption` that asks all of them each round whether the
    minutes are over. All ranks take part in a save, rank 0 writes; each file appears complete or not at all.
    A run that goes on from a checkpoint is told what is not as it was.

    Args:
        every_n_updates: Generator updates between two saves of `last`; 0 saves only by time and at the end.
        every_n_minutes: Minutes between two saves of `last`; 0 saves only by updates and at the end.
        monitor: Logged number of which the lowest is the best; the first one that starts with `val/fid` if not given.
    """

    def __init__(self, every_n_updates: int = 1000, every_n_minutes: float = 15.0, monitor: str | None = None) -> None:
        if every_n_updates < 0 or every_n_minutes < 0:
            raise UserError(
                f"checkpoint intervals must not be negative, got {every_n_updates} updates, {every_n_minutes} minutes"
            )
        self.every_n_updates, self.every_n_minutes, self.monitor = every_n_updates, every_n_minutes, monitor
        self.best: float | None = None
        self._saved_at = time.monotonic()
        self._is_over = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of the wall-time schedule."""
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save `last` when either interval is over."""
        by_updates = self.every_n_updates and trainer.global_step % self.every_n_updates == 0
        if by_updates or (trainer.world_size == 1 and self.time_is_up()):
            self.save(trainer, "last")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save `best` if the monitored number is the lowest so far."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        metrics = trainer.callback_metrics
        name = self.monitor or next((key for key in sorted(metrics) if key.startswith("val/fid")), None)
        if name is None or name not in metrics:
            return
        value = float(metrics[name])
        if self.best is None or value < self.best:
            self.best = value
            self.save(trainer, "best")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save `last`."""
        self.save(trainer, "last")

    def save(self, trainer: Trainer, name: str) -> None:
        """Write `checkpoints/<name>.ckpt` on rank 0; every rank must call it."""
        if self._is_over:
            return
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / f"{name}.ckpt")
        if name == "last":
            self._saved_at = time.monotonic()

    def save_for_good(self, trainer: Trainer) -> None:
        """Write `last` and nothing more: the run is about to stop in the middle."""
        self.save(trainer, "last")
        self._is_over = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what the rounding of a run depends on."""
        checkpoint["circumstances"] = _circumstances(trainer, pl_module)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say in one line what has changed, and whether there is anything left to do."""
        if trainer.state.fn != "fit":
            return
        now, then = _circumstances(trainer, pl_module), checkpoint.get("circumstances", {})
        for name, effect in _EFFECTS.items():
            if name in then and then[name] != now[name]:
                say(f"{name} was {then[name]} and is {now[name]} now: {effect}")
        done = checkpoint["clock"]["updates_done"]
        if 0 < trainer.max_steps <= done:
            say(f"nothing to do: the run made {done} of {trainer.max_steps} updates; raise trainer.max_steps to go on")

    def state_dict(self) -> dict[str, Any]:
        """Return the best number so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the best number so far."""
        self.best = state_dict["best"]

    def time_is_up(self) -> bool:
        """Tell whether the interval in minutes is over by this process's watch."""
        return self.every_n_minutes > 0 and time.monotonic() - self._saved_at >= 60 * self.every_n_minutes


def _circumstances(trainer: Trainer, game: Any) -> dict[str, Any]:
    return {
        "processes": trainer.world_size,
        "batch_size": getattr(trainer.datamodule, "batch_size", None),  # type: ignore[attr-defined]
        "seed": getattr(game, "seed", None),
        "precision": str(trainer.precision),
    }
