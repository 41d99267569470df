"""What every callback that measures the averaged generator has in common: when, in which log, on which card."""

from __future__ import annotations

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, ClassVar, NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer

from gan_lightning.errors import UserError
from gan_lightning.evaluation.cards import write_card
from gan_lightning.loggers.rows import log_row
from gan_lightning.metrics.extractors import FeatureExtractor
from gan_lightning.protocols import Sampler

_NO_MEASURE = ("enabled", "required", "n_rows", "n_columns")
"""Arguments of callbacks that change no number."""


class Measurement(NamedTuple):
    """What a callback found.

    Attributes:
        values: The numbers, by the names of their metrics.
        facts: What they depend on, for the card.
        differs: Settings in which two measurements of one checkpoint may differ, as words of the card's file name.
        key: What a number is logged as, by the name of its metric.
        prefix: What the card's file name starts with.
    """

    values: dict[str, float]
    facts: dict[str, Any]
    differs: tuple[str, ...]
    key: Callable[[str], str] = lambda name: f"val/{name}"
    prefix: str = ""


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, str | int | float | None):
        return value
    return value.name if isinstance(value, FeatureExtractor) else type(value).__name__


class Measuring(Callback, ABC):
    """Measures the averaged generator at every validation, and before the first update.

    Each evaluation is logged under its `key` at the update it was made after, kept in `history`, and leaves a
    card in `evaluation/`. While training, what it took is logged beside it: `perf/<option>_seconds`, and
    `perf/<option>_share`, all evaluations as a share of the time since training began in this process.

    Args:
        n_samples: Generated samples.
        seed: Seed of the generated samples.
        enabled: Measure at all.

    Attributes:
        history: Updates done, and the numbers as they are logged.
        option: What the config calls this callback.
        libraries: Whose versions are on the card.
    """

    option: ClassVar[str]
    libraries: ClassVar[tuple[str, ...]] = ("torch", "lightning")

    def __init__(self, n_samples: int, seed: int, enabled: bool, least: int = 1) -> None:
        if n_samples < least:
            raise UserError(f"{self.option}.n_samples must be at least {least}, got {n_samples}")
        self.n_samples, self.seed, self.enabled = n_samples, seed, enabled
        self.history: list[tuple[int, dict[str, float]]] = []
        self._comparable_from = 0
        self._began: float | None = None
        self._seconds = 0.0

    @abstractmethod
    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as, also where they are left out this time."""

    @abstractmethod
    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether there is something to measure of this game on these data."""

    @abstractmethod
    def measure(self, trainer: Trainer, game: Any) -> Measurement | list[Measurement]:
        """Measure; every rank takes part and gets the same numbers. Each measurement leaves a card of its own."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock of the share of the run."""
        self._began, self._seconds = time.perf_counter(), 0.0

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, log and write the card."""
        self._evaluate(trainer, pl_module)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, log and write the card."""
        self._evaluate(trainer, pl_module)

    def settings(self) -> dict[str, Any]:
        """Return the settings that the numbers depend on, as plain values; those of pictures and of when to measure are none."""
        names = [name for name in inspect.signature(type(self)).parameters if name not in _NO_MEASURE]
        return {name: _plain(vars(self)[name]) for name in names if name in vars(self)}

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers so far, and how they were measured."""
        history = [[update, dict(values)] for update, values in self.history]
        return {"history": history, "settings": self.settings(), "comparable_from": self._comparable_from}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the numbers so far."""
        self.history = [(update, values) for update, values in state_dict["history"]]
        is_same = state_dict.get("settings", self.settings()) == self.settings()  # 0.1.0 did not say
        self._comparable_from = state_dict.get("comparable_from", 0) if is_same else len(self.history)

    @property
    def comparable(self) -> list[tuple[int, dict[str, float]]]:
        """The end of `history` that was measured with the settings of now."""
        return self.history[self._comparable_from :]

    def is_missing(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether this would measure the game as it is now, and has not."""
        is_new = not self.history or self.history[-1][0] != game.updates_done
        return is_new and self.measures(trainer, game)

    def watches(self, game: Any) -> bool:
        """Tell whether the game is of the kind that is measured: one that draws samples, unless a subclass says otherwise."""
        return isinstance(game, Sampler)

    def measures(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether this run's evaluations have numbers of this callback."""
        return self.enabled and self.watches(game) and self.applies(trainer, game)

    def _costs(self, trainer: Trainer, seconds: float) -> dict[str, float]:
        """Return what this evaluation took, and all of them as a share of this process's training so far."""
        if trainer.state.fn != "fit" or self._began is None:
            return {}
        share = self._seconds / max(time.perf_counter() - self._began, 1e-9)
        return {f"perf/{self.option}_seconds": seconds, f"perf/{self.option}_share": share}

    def _evaluate(self, trainer: Trainer, module: LightningModule) -> None:
        game: Any = module
        if not self.measures(trainer, game):
            return
        if trainer.sanity_checking and game.updates_done and not self.is_missing(trainer, game):
            return
        start = time.perf_counter()
        measured = self.measure(trainer, game)
        found = [measured] if isinstance(measured, Measurement) else measured
        named = {one.key(name): value for one in found for name, value in one.values.items()}
        seconds = time.perf_counter() - start
        self._seconds += seconds
        self.history.append((game.updates_done, named))
        log_row(trainer, {**named, **self._costs(trainer, seconds)}, game.updates_done)
        if not trainer.sanity_checking:
            # for Lightning's own callbacks, such as EarlyStopping; validate and test print what is "for loggers"
            module.log_dict(named, batch_size=1, logger=False if trainer.state.fn == "fit" else None)
        if not trainer.is_global_zero:
            return
        for one in found:
            facts = {
                "update": game.updates_done,
                "kimg": game.samples_seen / 1000,
                **({"n_generated": self.n_samples, "seed": self.seed} if isinstance(game, Sampler) else {}),
                **one.facts,
                "family": type(game).__name__,
                "weights": "average" if game.ema_decay else "latest",
                "ema_decay": game.ema_decay,
                "truncation": None,
                "trainer_precision": str(trainer.precision),
                "seconds": round(seconds, 3),
                "versions": {name: version(name) for name in self.libraries},
            }
            write_card(trainer, one.values, facts, one.prefix, *one.differs)
