"""`metrics.csv` of a run folder, which continues after a resume instead of starting over."""

from __future__ import annotations

import csv
import warnings
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only


class RunCSVLogger(CSVLogger):
    """Writes `metrics.csv` into the run folder; rank 0 only.

    Lightning's logger deletes the file of a folder that it opens a second time. This one keeps its rows, but for those
    at or after the first step that is logged again: updates that were lost and are made anew. Step k of a loss is the
    update after k updates, and of `val/...` the state after k updates, so that a validation is kept if the first row
    logged again is the loss of its step.

    Args:
        save_dir: The run folder.
    """

    def __init__(self, save_dir: str = ".") -> None:
        super().__init__(save_dir, name="", version="", flush_logs_every_n_steps=1)
        self._old: list[dict[str, str]] = []

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer, opened without losing the rows that are there."""
        if self._experiment is None:
            path = Path(self.log_dir) / "metrics.csv"
            if path.is_file():
                with path.open(newline="") as file:
                    self._old = list(csv.DictReader(file))
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Experiment logs directory")
                super().experiment  # noqa: B018
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:  # type: ignore[override]
        """Append one row."""
        writer = self.experiment
        if self._old:
            kept = [row for row in self._old if step is None or _is_before(row, step, metrics)]
            writer.metrics = [{k: v for k, v in row.items() if v != ""} for row in kept] + writer.metrics
            self._old = []
        super().log_metrics(metrics, step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write what is left, also of a run that logged nothing new."""
        if self._old:
            self.experiment.metrics = [{k: v for k, v in row.items() if v != ""} for row in self._old]
            self._old = []
        super().finalize(status)


def _is_before(row: dict[str, str], step: int, metrics: dict[str, Any]) -> bool:
    """Tell whether a row was written before `metrics` at `step`: a validation comes before the loss of its step."""
    if float(row["step"]) != step:
        return float(row["step"]) < step
    is_validation = any(value != "" for key, value in row.items() if key.startswith("val/"))
    return is_validation and not any(key.startswith("val/") for key in metrics)
