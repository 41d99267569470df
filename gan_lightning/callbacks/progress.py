"""The progress bar in generator updates, and the throughput."""

from __future__ import annotations

import sys
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from tqdm import tqdm

from gan_lightning.callbacks.measuring import Measuring
from gan_lightning.loggers.rows import log_row


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
        game: Any = pl_module
        then, seen = self._start
        seconds = time.perf_counter() - then
        if seconds > 0:
            self.images_per_second = (game.samples_seen - seen) / seconds
        self._restart(pl_module)
        log_row(trainer, {"perf/images_per_second": self.images_per_second}, game.updates_done - 1)

    def _restart(self, game: Any) -> None:
        self._start = (time.perf_counter(), game.samples_seen)


class UpdateBar(ProgressBar):
    """One bar over the whole run: generator updates, both losses, images per second, the newest FID.

    Rank 0 draws it. On a terminal it is redrawn every half second; in a log file a line is printed every ten seconds.
    Drawing is the only time that training waits for the device.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._drawn = 0.0
        self._started = (0.0, 0)

    def disable(self) -> None:
        """Stay on: only rank 0 holds a bar."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar."""
        self._started = (time.monotonic(), trainer.global_step)
        if self._is_terminal:
            total = trainer.max_steps if trainer.max_steps > 0 else None
            self._bar = tqdm(total=total, initial=trainer.global_step, unit=" updates", dynamic_ncols=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Redraw when it is time."""
        if time.monotonic() - self._drawn >= (0.5 if self._is_terminal else 10.0):
            self._draw(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the end and close the bar."""
        self._draw(trainer)
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal in order."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, trainer: Trainer) -> None:
        self._drawn = time.monotonic()
        shown = self._numbers(trainer)
        if self._bar is not None:
            self._bar.set_postfix(shown, refresh=False)
            self._bar.update(trainer.global_step - self._bar.n)
            self._bar.refresh()
        elif not self._is_terminal:
            start, first = self._started
            rate = (trainer.global_step - first) / max(self._drawn - start, 1e-9)
            total = f"/{trainer.max_steps}" if trainer.max_steps > 0 else ""
            numbers = "".join(f", {name} {value}" for name, value in shown.items())
            print(f"{trainer.global_step}{total} updates ({rate:.2f}/s){numbers}", file=sys.stderr, flush=True)

    def _numbers(self, trainer: Trainer) -> dict[str, str]:
        metrics = trainer.callback_metrics
        shown = {}
        for key, label in (("loss/critic", "critic"), ("loss/generator", "generator")):
            if key in metrics:
                shown[label] = f"{float(metrics[key]):.3f}"
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Throughput) and callback.images_per_second:
                shown["images/s"] = f"{callback.images_per_second:.0f}"
            for update, values in callback.history[-1:] if isinstance(callback, Measuring) else []:
                for key, value in values.items():
                    if key.startswith("val/fid"):
                        shown[key.removeprefix("val/")] = f"{value:.2f} at {update}"
        return shown
