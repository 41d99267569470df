"""One row of numbers for every logger of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer


def log_row(trainer: Trainer, numbers: Mapping[str, Any], step: int) -> None:
    """Hand numbers to all loggers at generator update `step`.

    Lightning's own rows would repeat a lazy term's old value in rounds that have none, count epochs, be an update behind
    in an evaluation, and be left out at a sanity check.
    """
    row = {key: float(value) for key, value in numbers.items()}
    for logger in trainer.loggers:
        logger.log_metrics(row, step=step)
        logger.save()
