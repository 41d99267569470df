"""The progress bar in generator updates, and the throughput."""

from __future__ import annotations

import sys
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm


class Throughput(Callback):
    """Logs `perf/images_per_second`: real samples shown to the critic, over all ranks, per second of training.

    Time spent in validation is not counted.
    """

    def __init__(self) -> None:
        self.images_per_second = 0.0
        self._start = (0.0, 0)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._restart(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock again, leaving out the validation."""
        self._restart(pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure and log at the loggers' interval."""
        if trainer.global_step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        then, seen = self._start
        seconds = time.perf_counter() - then
        if seconds > 0:
            self.images_per_second = (pl_module.samples_seen - seen) / seconds  # type: ignore[operator]
        self._restart(pl_module)
        for logger in trainer.loggers:
            logger.log_metrics({"perf/images_per_second": self.images_per_second}, step=trainer.global_step - 1)

    def _restart(self, game: Any) -> None:
        self._start = (time.perf_counter(), game.samples_seen)


class UpdateBar(ProgressBar):
    """One bar over the whole run: generator updates, both losses, images per second, the newest FID.

    Rank 0 draws it, at most every `refresh_seconds`, which is also how often it waits for the device.

    Args:
        refresh_seconds: Seconds between two drawings.
    """

    def __init__(self, refresh_seconds: float = 0.5) -> None:
        super().__init__()
        self.refresh_seconds = refresh_seconds
        self._bar: Any = None
        self._drawn = 0.0

    def disable(self) -> None:
        """Draw nothing (Lightning calls this on ranks other than 0)."""
        self._enabled = False

    def enable(self) -> None:
        """Draw."""
        self._enabled = True

    _enabled = True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar."""
        if self._enabled:
            total = trainer.max_steps if trainer.max_steps > 0 else None
            # On a terminal redraw often; in a log file every few seconds, so that it stays readable.
            self.refresh_seconds = self.refresh_seconds if sys.stderr.isatty() else max(10.0, self.refresh_seconds)
            self._bar = tqdm(
                total=total, initial=trainer.global_step, unit=" updates", dynamic_ncols=True, mininterval=0, miniters=1
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Redraw when it is time."""
        if self._bar is not None and time.monotonic() - self._drawn >= self.refresh_seconds:
            self._draw(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._draw(trainer)
            self._bar.close()
            self._bar = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal in order."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, trainer: Trainer) -> None:
        self._drawn = time.monotonic()
        metrics = trainer.callback_metrics
        shown = {}
        for key, label in (("loss/critic", "critic"), ("loss/generator", "generator")):
            if key in metrics:
                shown[label] = f"{float(metrics[key]):.3f}"
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Throughput) and callback.images_per_second:
                shown["images/s"] = f"{callback.images_per_second:.0f}"
            for update, values in getattr(callback, "history", [])[-1:]:
                for key, value in values.items():
                    if key.startswith("val/fid"):
                        shown[key.removeprefix("val/")] = f"{value:.2f} at {update}"
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update(trainer.global_step - self._bar.n)
        self._bar.refresh()
