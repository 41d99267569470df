"""Checkpoints by generator updates and by wall time, and the best one by a measured number."""

from __future__ import annotations

import time
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from gan_lightning.callbacks.lost_updates import forget_lost_updates
from gan_lightning.callbacks.measuring import Measuring
from gan_lightning.errors import UserError, nearest, require, say
from gan_lightning.execution.lightning_private import before_running, validate_first
from gan_lightning.protocols import Data
from gan_lightning.runs.files import set_aside
from gan_lightning.runs.locks import must_be_there

_EFFECTS = {
    "processes": "sums are rounded otherwise, and batch statistics are taken over other rows; all else is as it was",
    "batch_size": "the data continue at the same number of batches, not of samples",
    "seed": "sample order and noise are those of another run from here on",
    "precision": "results are rounded otherwise",
}
"""What a run is told if it resumes under other circumstances."""

_LONG = 10.0
"""Seconds of an evaluation before which it is worth while to save."""

_DIRECTIONS: dict[str, Literal["min", "max"]] = {
    "fid": "min",
    "kid_mean": "min",
    "reverse_kl": "min",
    "isc_mean": "max",
    "fd_infinity": "min",
    "class_fid": "min",
    "cmmd": "min",
    "precision": "max",
    "recall": "max",
    "density": "max",
    "coverage": "max",
    "class_spread": "max",
    "vendi": "max",
    "classes_found": "max",
    "classes_effective": "max",
    "js": "min",
    "modes": "max",
    "high_quality": "max",
    "ndcg": "max",
    "map": "max",
    "mrr": "max",
    "l1": "min",
    "cycle_error": "min",
    "psnr": "max",
    "ssim": "max",
    "distance": "min",
    "pitch_class_tv": "min",
    "duration_tv": "min",
    "interval_js": "min",
    "in_key_gap": "min",
    "pitch_tv": "min",
    "spectral_distance": "min",
    "frechet_sound": "min",
    "pitch_agreement": "max",
}
"""Whether the least or the greatest of our metrics is the best."""


class Checkpoints(Checkpoint):
    """Keeps `checkpoints/last.ckpt`, and `checkpoints/best.ckpt` with the best monitored number seen; stops early if asked.

    Lightning's `ModelCheckpoint(train_time_interval=...)` is silently ignored under manual optimization, which is why
    the schedule is kept here. With several processes it is `Preemption` that asks all of them each round whether the
    minutes are over. `last` is saved before an evaluation too, if the one before took more than ten seconds: a run that is killed
    in it loses nothing, and makes it up when it resumes. All ranks take part in a save, rank 0 writes; each file appears
    complete or not at all. A run that resumes is told what has changed since the checkpoint.

    Args:
        every_n_updates: Generator updates between two saves of `last`; 0 saves only by time, after the last one and at the end.
        every_n_minutes: Minutes between two saves of `last`; 0 saves only by updates, after the last one and at the end.
        monitor: Logged number that tells the best, such as val/isc_mean; the first one that starts with `val/fid` if
            not given. One that is not finite is never the best.
        mode: Whether the least (min) or the greatest (max) is the best; known for the package's own metrics if not
            given.
        patience: Stop after this many evaluations in a row without a new best; never if not given.
        alarm: Say once, with what to try, that `val/fid...` has become more than so many times its best; 0 never does.
        stop_on_alarm: Stop then, too; `best` is from before.

    Raises:
        UserError: An interval is negative, or, before training, nothing measures `monitor` or its direction is not
            known.
    """

    def __init__(
        self,
        every_n_updates: int = 1000,
        every_n_minutes: float = 15.0,
        monitor: str | None = None,
        mode: Literal["min", "max"] | None = None,
        patience: int | None = None,
        alarm: float = 3.0,
        stop_on_alarm: bool = False,
    ) -> None:
        require("checkpoints", every_n_updates=every_n_updates, every_n_minutes=every_n_minutes)
        if mode not in ("min", "max", None):
            raise UserError(f"checkpoints.mode must be min, max or null, got {mode}")
        if mode is not None and monitor is None:
            raise UserError(f"checkpoints.mode {mode} says which end of checkpoints.monitor is best; give monitor too")
        self.every_n_updates, self.every_n_minutes, self.monitor = every_n_updates, every_n_minutes, monitor
        if patience is not None and patience < 1:
            raise UserError(f"checkpoints.patience must be at least 1, got {patience}; leave it out not to stop early")
        if alarm != 0 and not 1 < alarm < inf:
            raise UserError(f"checkpoints.alarm must be above 1, or 0 for none, got {alarm}")
        self.mode, self.patience, self.alarm, self.stop_on_alarm = mode, patience, alarm, stop_on_alarm
        self.best: float | None = None
        self._since_best = 0
        self._best_fids: dict[str, float] = {}
        self._alarmed: set[str] = set()
        self._anew = False  # numbers so far are of another kind, or were measured otherwise
        self._saved_at, self._saved_after = time.monotonic(), 0
        self._evaluation_began, self._evaluation_took = inf, 0.0
        self._is_over = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a monitor that nothing will measure, or of which nobody has said what is better, and what has none to watch."""
        if stage != "fit":
            return
        measured = _measured_names(trainer)
        watcher = "stop_on_alarm" if self.stop_on_alarm else "patience" if self.patience and not self.monitor else None
        if watcher is not None and not any(name.startswith("val/fid") for name in measured):
            what = f"measured are {', '.join(measured)}" if measured else "this run measures nothing"
            mend = "leave it out" if self.stop_on_alarm else "give checkpoints.monitor"
            raise UserError(f"checkpoints.{watcher} has no Fréchet distance to watch: {what}; {mend}")
        if self.monitor is not None:
            self._check_monitor(self.monitor, measured)
        if trainer.limit_val_batches == 0 and (self.patience or self.stop_on_alarm):
            name = "patience" if self.patience else "stop_on_alarm"
            raise UserError(f"checkpoints.{name} watches evaluations, and trainer.limit_val_batches 0 leaves them out")
        if trainer.limit_val_batches == 0 and self.monitor is not None:
            say(f"no best.ckpt: checkpoints.monitor {self.monitor} is not measured, as trainer.limit_val_batches is 0")

    def _check_monitor(self, monitor: str, measured: list[str]) -> None:
        """Refuse a monitor that is not measured, or of which nobody has said what is better."""
        if self.mode or (monitor in measured and _direction(monitor)):
            return
        what = f"measured are {', '.join(measured)}" if measured else "this run measures nothing"
        raise UserError(
            f"checkpoints.monitor {monitor} is not a number whose best is known{nearest(monitor, measured)}: {what}; for a "
            "number of your own set checkpoints.mode to min or max"
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of the wall-time schedule."""
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save `last` when an interval is over, before a long evaluation, and after the last update."""
        must_be_there(Path(trainer.default_root_dir))
        by_updates = self.every_n_updates and trainer.global_step % self.every_n_updates == 0
        if by_updates or trainer.global_step == trainer.max_steps or (trainer.world_size == 1 and self.is_due(trainer)):
            self.save(trainer, "last")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of the evaluation."""
        self._evaluation_began = time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save `best` if the monitored number is the best so far."""
        self._evaluation_took = time.monotonic() - self._evaluation_began
        game: Any = pl_module
        if trainer.state.fn != "fit" or (trainer.sanity_checking and game.updates_done == 0):
            return
        metrics: dict[str, Any] = dict(trainer.callback_metrics)
        if trainer.sanity_checking:  # an evaluation is made up: Lightning keeps no numbers of it
            metrics = {
                name: value
                for callback in _measuring(trainer)
                for update, values in callback.history[-1:]
                if update == game.updates_done
                for name, value in values.items()
            }
        self._watch(trainer, metrics, game.updates_done)
        name = self.monitor or next((key for key in sorted(metrics) if key.startswith("val/fid")), None)
        if name is None:
            return
        if name not in metrics:
            if name not in _measured_names(trainer):  # those may be left out, such as the divergence of no good sample
                raise UserError(f"checkpoints.monitor {name} was not logged{nearest(name, metrics)}")
            return
        value = float(metrics[name])
        sign = -1 if (self.mode or _direction(name)) == "max" else 1
        if isfinite(value) and (self.best is None or sign * value < sign * self.best):
            self.best, self._since_best = value, 0
            there = Path(trainer.default_root_dir) / "checkpoints" / "best.ckpt"
            if self._anew and trainer.is_global_zero and there.is_file():
                say(f"checkpoints/best.ckpt was the best by another measure: it is {set_aside(there).name} now")
            self._anew = False
            self.save(trainer, "best")
            return
        self._since_best += 1
        if self.patience is not None and self._since_best >= self.patience:
            best = "none was finite" if self.best is None else f"the best is {self.best:.6g}, in checkpoints/best.ckpt"
            say(
                f"stopping at update {game.updates_done}: {self._since_best} evaluations without a better {name}; {best}"
            )
            trainer.should_stop = True

    def _watch(self, trainer: Trainer, metrics: dict[str, Any], update: int) -> None:
        """Say once that a Fréchet distance is far above its best, which a run seldom recovers from by itself."""
        for name, number in metrics.items():
            value = float(number)
            if not name.startswith("val/fid") or not isfinite(value):
                continue
            best = min(value, self._best_fids.get(name, inf))
            self._best_fids[name] = best
            if self.alarm and value > self.alarm * best > 0 and name not in self._alarmed:
                self._alarmed.add(name)
                say(
                    f"{name} is {value:.6g} at update {update}, more than {self.alarm:g} times its best, {best:.6g}: the run "
                    "has collapsed or diverges; resume from checkpoints/best.ckpt with a lower lr, try R1 or a larger "
                    "ema_decay, or look at report.html"
                    + ("; stopping, as checkpoints.stop_on_alarm asks" if self.stop_on_alarm else "")
                )
                trainer.should_stop = trainer.should_stop or self.stop_on_alarm

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep an evaluation that a resumed run has made up."""
        if pl_module.clock() != (0, 0):  # type: ignore[operator]
            self.save(trainer, "last")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save `last`."""
        self.save(trainer, "last")

    def save(self, trainer: Trainer, name: str) -> None:
        """Write `checkpoints/<name>.ckpt` on rank 0; every rank must call it."""
        if self._is_over:
            return
        must_be_there(Path(trainer.default_root_dir))
        trainer.save_checkpoint(Path(trainer.default_root_dir) / "checkpoints" / f"{name}.ckpt")
        if name == "last":
            self._saved_at, self._saved_after = time.monotonic(), trainer.global_step

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
        if changes := _measured_otherwise(trainer, checkpoint.get("callbacks", {})):
            self._anew = True
            say(f"{'; '.join(changes)}: numbers do not compare with those before; the best is looked for anew")
        done = checkpoint["clock"]["updates_done"]
        forget_lost_updates(trainer, done)
        before_running(trainer, partial(_make_up_evaluation, trainer, pl_module))
        if 0 < trainer.max_steps <= done:
            say(
                f"nothing to do: the run made {done} of {trainer.max_steps} updates; raise trainer.max_steps to continue"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the best numbers so far, and for how many evaluations the best has been it."""
        return {
            "best": self.best,
            "by": [self.monitor, self.mode],
            "anew": self._anew,
            "since_best": self._since_best,
            "best_fids": dict(self._best_fids),
            "alarmed": sorted(self._alarmed),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best number so far."""
        best = state_dict["best"]
        by = [self.monitor, self.mode]
        self._anew = self._anew or state_dict.get("anew", False) or state_dict.get("by", by) != by
        is_same = not self._anew
        self.best = best if is_same and best is not None and isfinite(best) else None
        self._since_best = state_dict.get("since_best", 0) if is_same else 0  # 0.1.0 did not count
        self._best_fids = dict(state_dict.get("best_fids", {})) if is_same else {}
        self._alarmed = set(state_dict.get("alarmed", []))

    def is_due(self, trainer: Trainer) -> bool:
        """Tell by this process's clock whether the interval in minutes is over, or an evaluation comes that takes long."""
        if self.every_n_minutes > 0 and time.monotonic() - self._saved_at >= 60 * self.every_n_minutes:
            return True
        every = trainer.val_check_interval
        is_next = (
            isinstance(every, int) and every > 0 and trainer.global_step % every == 0 and trainer.limit_val_batches != 0
        )
        return is_next and self._evaluation_took > _LONG and self._saved_after != trainer.global_step


def _measured_names(trainer: Trainer) -> list[str]:
    """Return what the run's own metrics are logged as, also where they are left out this time."""
    return [name for callback in _measuring(trainer) for name in callback.names(trainer)]


def _measuring(trainer: Trainer) -> list[Measuring]:
    return [callback for callback in trainer.callbacks if isinstance(callback, Measuring)]  # type: ignore[attr-defined]


def _make_up_evaluation(trainer: Trainer, game: Any) -> None:
    """Begin with the evaluation that was due at the update resumed from, if the run was stopped before it was over."""
    done, interval = game.updates_done, trainer.val_check_interval
    is_due = isinstance(interval, int) and interval > 0 and done % interval == 0
    is_due = is_due or 0 < trainer.max_steps <= done
    if is_due and done and any(callback.is_missing(trainer, game) for callback in _measuring(trainer)):
        say(f"the evaluation after update {done} was not finished: it is made first")
        validate_first(trainer)


def _direction(name: str) -> Literal["min", "max"] | None:
    """Return which end of a metric is the best, None if it is not ours; an extractor's name may follow it."""
    words = name.removeprefix("val/").split("_")
    bases = ("_".join(words[:n]) for n in range(len(words), 0, -1))
    return next((_DIRECTIONS[base] for base in bases if base in _DIRECTIONS), None) if "/" in name else None


def _circumstances(trainer: Trainer, game: Any) -> dict[str, Any]:
    data = trainer.datamodule  # type: ignore[attr-defined]
    return {
        "processes": trainer.world_size,
        "batch_size": data.batch_size if isinstance(data, Data) else None,
        "seed": game.seed,
        "precision": str(trainer.precision),
    }


def _measured_otherwise(trainer: Trainer, states: dict[str, Any]) -> list[str]:
    """Return "fidelity.n_samples was 1000 and is 50 now" for each setting of what was measured, and is."""
    return [
        f"{one.option}.{name} was {then[name]} and is {value} now"
        for one in _measuring(trainer)
        if one.enabled and states.get(one.state_key, {}).get("history")
        for then in [states[one.state_key].get("settings", {})]
        for name, value in one.settings().items()
        if name in then and then[name] != value
    ]
