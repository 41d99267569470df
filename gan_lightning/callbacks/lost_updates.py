"""What a run has left of updates that were lost when it was killed, and that it makes anew."""

from __future__ import annotations

import re
from pathlib import Path

from lightning.pytorch import Trainer

from gan_lightning.errors import say
from gan_lightning.loggers.csv import RunCSVLogger

_OF_TRAINING = re.compile(r"(?:\w+-)?(\d{6,})(?:-\d+)?\.\w+")
"""Names of the cards and samples that training leaves; those of `validate` and `test` have more words."""


def forget_lost_updates(trainer: Trainer, update: int) -> None:
    """Remove rows, cards and samples of a run that are of later updates than those it goes on from, and say so, on rank 0.

    A run that goes on from a checkpoint of another folder has none.

    Otherwise the newest card would be of weights that are no more, and with other settings nothing would replace it.

    Args:
        trainer: The trainer of the run.
        update: Generator updates of the checkpoint that it goes on from.
    """
    folder = Path(trainer.default_root_dir)
    is_own = Path(trainer.ckpt_path or "").resolve().parent == (folder / "checkpoints").resolve()
    if not (is_own and trainer.is_global_zero):
        return
    late = [
        path
        for path in [*(folder / "evaluation").glob("*.json"), *(folder / "samples").glob("*.*")]
        if (found := _OF_TRAINING.fullmatch(path.name)) and int(found.group(1)) > update
    ]
    for path in late:
        path.unlink()
    n_rows = sum(one.forget_after(update) for one in trainer.loggers if isinstance(one, RunCSVLogger))
    if late or n_rows:
        say(
            f"updates after {update:,} were lost, and are made anew: {len(late)} cards and samples and {n_rows} rows of "
            "metrics.csv are removed"
        )
