"""A callback with which a run under test tells where it is, and breaks where it is asked to."""

from __future__ import annotations

import os
import time
from typing import Any

from lightning.pytorch import Callback


class Tell(Callback):
    """Prints the process of each rank, and every update that was made.

    Args:
        pause: Seconds to wait after each update, so that there is time to do something to the run.
    """

    def __init__(self, pause: float = 0.05) -> None:
        self.pause = pause

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        os.write(1, f"rank {trainer.global_rank} is process {os.getpid()}\n".encode())

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if str(pl_module.updates_done) == os.environ.get("GAN_LIGHTNING_TEST_BREAK_AT"):
            pl_module.generator.forward = _break

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.is_global_zero:
            os.write(1, f"played {pl_module.updates_done}\n".encode())
        time.sleep(self.pause)


def _break(*_: Any) -> Any:
    raise RuntimeError("broken on purpose")
