"""`metrics.csv` of a run folder, which continues after a resume instead of starting over."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

from gan_lightning.errors import say
from gan_lightning.execution.lightning_private import require
from gan_lightning.runs.files import replacing


class RunCSVLogger(CSVLogger):
    """Writes `metrics.csv` into the run folder; rank 0 only.

    Lightning's logger deletes the file of a folder that it opens a second time. This one keeps its rows, but for those
    at or after the first step that is logged again: updates that were lost and are made anew. Step k of a loss is the
    update after k updates, and of `val/...` the state after k updates, so that a validation is kept if the first row
    logged again is the loss of its step. Rows that a dying machine has left broken are dropped, with a line. The file
    is replaced as a whole or appended to, never emptied.

    Args:
        save_dir: The run folder.
    """

    def __init__(self, save_dir: str = ".") -> None:
        super().__init__(save_dir, name="", version="", flush_logs_every_n_steps=1)
        require(self, "_experiment")
        require(ExperimentWriter, "_check_log_dir_exists", "_record_new_keys")
        self._old: list[dict[str, str]] = []

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer, opened without losing the rows that are there."""
        if self._experiment is None:
            path = Path(self.log_dir) / "metrics.csv"
            self._old, n_broken = sound_rows(path)
            if n_broken:
                say(f"{path} was left with {n_broken} broken rows, which are dropped; {len(self._old)} are kept")
            self._experiment = _Writer(self.log_dir)
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

    def forget_after(self, update: int) -> int:
        """Remove the rows of later updates than a run goes on from, and return how many; call it on rank 0.

        Step k of a loss is the update after k updates, and of all else, such as `val/...`, the state after k updates.
        """
        path = Path(self.log_dir) / "metrics.csv"
        rows, _ = sound_rows(path)
        kept = [row for row in rows if not _is_lost(row, update)]
        self._old = [row for row in self._old if not _is_lost(row, update)]
        if len(kept) < len(rows):
            with replacing(path) as part, part.open("w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows(kept)
        return len(rows) - len(kept)


def _is_lost(row: dict[str, str], update: int) -> bool:
    step = float(row["step"])
    return step > update or (step == update and any(row[name] for name in row if name.startswith("loss/")))


class _Writer(ExperimentWriter):
    """Lightning's writer, without a moment in which a kill would lose rows that were there."""

    _header: tuple[str, ...] | None = None  # that of the file, None before this process has written it

    def _check_log_dir_exists(self) -> None:
        """Leave the file there, which Lightning's removes."""

    def save(self) -> None:
        """Append the recorded rows; the first time, and when there are new columns, replace the file by a whole one."""
        if not self.metrics:
            return
        path = Path(self.metrics_file_path)
        self._record_new_keys()
        if self._header != tuple(self.metrics_keys):
            rows: list[dict[str, Any]] = [] if self._header is None else [*sound_rows(path)[0]]
            with replacing(path) as part, part.open("w", newline="") as file:
                self._write([*rows, *self.metrics], file, header=True)
            self._header = tuple(self.metrics_keys)
        else:
            with path.open("a", newline="") as file:
                self._write(self.metrics, file)
        self.metrics = []

    def _write(self, rows: list[dict[str, Any]], file: Any, header: bool = False) -> None:
        writer = csv.DictWriter(file, fieldnames=self.metrics_keys)
        if header:
            writer.writeheader()
        writer.writerows(rows)
        file.flush()


def sound_rows(path: Path) -> tuple[list[dict[str, str]], int]:
    """Return the rows of a `metrics.csv` that are as they were written, and the number of those that are not.

    A row is sound if its line is ended, every column has a value or is empty, and its step is a number. Without a
    sound header there are no sound rows; without a file there are none either.
    """
    if not path.is_file():
        return [], 0
    lines = path.read_bytes().decode(errors="replace").splitlines(keepends=True)
    header = _fields(lines[0]) if lines else []
    found = [
        dict(zip(header, fields, strict=False)) for line in lines[1:] if len(fields := _fields(line)) == len(header)
    ]
    rows = [row for row in found if _is_number(row.get("step", ""))]
    return rows, max(len(lines) - 1, 0) - len(rows) + (len(lines) > 0 and "step" not in header)


def _fields(line: str) -> list[str]:
    """Return the fields of a line, none if it is truncated."""
    if not line.endswith("\n") or "\0" in line or "\N{REPLACEMENT CHARACTER}" in line:
        return []
    return next(csv.reader([line]), [])


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_before(row: dict[str, str], step: int, metrics: dict[str, Any]) -> bool:
    """Tell whether a row was written before `metrics` at `step`: a validation comes before the loss of its step."""
    if float(row["step"]) != step:
        return float(row["step"]) < step
    is_validation = any(value != "" for key, value in row.items() if key.startswith("val/"))
    return is_validation and not any(key.startswith("val/") for key in metrics)
