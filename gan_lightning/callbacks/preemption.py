"""Stopping on a signal: at the end of a round, with the state saved, on all ranks alike."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from gan_lightning.callbacks.checkpoints import Checkpoints
from gan_lightning.execution.lightning_private import keep_signals
from gan_lightning.runs.signals import forget, heard, listen, wait_for_the_round

_SAVE, _STOP = 1, 2  # what a rank asks for; all ranks do the largest of their requests


@final
class Preemption(Checkpoint):
    """Ends a run that was sent SIGTERM, SIGUSR1, SIGINT or SIGHUP (on any of its ranks) after the round, with `last.ckpt` saved.

    No validation follows, because little time is left after a signal. Lightning's own handlers are not installed: they
    save in the middle of a step, or communicate with other ranks from within the handler. Its broadcast of a flag before
    every batch is removed too; this callback's flag is one byte on a CPU group.

    It is a checkpoint callback because Lightning calls those last, when the others' state is up to date.

    Attributes:
        stopped_by: Name of the signal that ended the run, None if none did.
    """

    def __init__(self) -> None:
        self.stopped_by: str | None = None
        self._group: Any = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen for signals, and keep Lightning from doing so."""
        if stage == "fit":
            wait_for_the_round()  # the ranks have met
            listen()
            keep_signals(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the CPU group if the ranks' own is on devices."""
        if trainer.world_size > 1 and dist.get_backend() != "gloo":
            self._group = dist.new_group(backend="gloo")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop if any rank was sent a signal; save if by the clock of any a checkpoint is due."""
        keepers = [callback for callback in trainer.checkpoint_callbacks if isinstance(callback, Checkpoints)]
        request = _STOP if heard() is not None else _SAVE if any(keeper.is_due(trainer) for keeper in keepers) else 0
        flag = torch.tensor([request], dtype=torch.uint8)
        if trainer.world_size > 1:
            dist.all_reduce(flag, op=dist.ReduceOp.MAX, group=self._group)
        if flag.item() == _SAVE:
            for keeper in keepers:
                keeper.save(trainer, "last")
        if flag.item() == _STOP:
            self.stopped_by = heard() or "a signal on another rank"
            forget()
            for keeper in keepers:
                keeper.save_for_good(trainer)
            trainer.limit_val_batches = 0
            trainer.should_stop = True
