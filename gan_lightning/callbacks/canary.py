"""The canary: it tells when ranks that must hold the same weights do not."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from gan_lightning.errors import RunFailed, require


@final
class Canary(Callback):
    """Compares a checksum of every parameter over ranks, and stops the run if they have diverged.

    Ranks stay equal because they start equal and take equal steps. A gradient that was not summed, or a faulty device,
    makes them diverge without an error, and a checkpoint then holds the weights of rank 0 alone. Each check sends eight
    bytes per parameter tensor. Nothing is done on one rank.

    Args:
        every_n_updates: Generator updates between two checks; 0 checks never.
    """

    def __init__(self, every_n_updates: int = 100) -> None:
        require("the canary", every_n_updates=every_n_updates)
        self.every_n_updates = every_n_updates

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check when the interval is over."""
        if trainer.world_size > 1 and self.every_n_updates and trainer.global_step % self.every_n_updates == 0:
            check_ranks_agree(trainer, pl_module)


@torch.no_grad()
def check_ranks_agree(trainer: Trainer, module: LightningModule) -> None:
    """Compare the parameters of a module over ranks; every rank must call it.

    Raises:
        RunFailed: A parameter is not the same on all ranks.
    """
    names, parameters = zip(*module.named_parameters(), strict=True)
    mine = torch.stack([checksum(parameter) for parameter in parameters]).to(trainer.strategy.root_device)
    rows = [torch.empty_like(mine) for _ in range(trainer.world_size)]
    dist.all_gather(rows, mine)
    for rank, row in enumerate(rows):
        wrong = (row != rows[0]).nonzero().flatten().tolist()
        if wrong:
            raise RunFailed(
                f"the ranks have diverged: after update {trainer.global_step}, {names[wrong[0]]} (and {len(wrong) - 1} "
                f"more of {len(names)} parameters) of rank {rank} is not rank 0's; the newest checkpoint is older than "
                "this check. Look for gradients or draws that are not the same on all ranks, or a faulty device"
            )


def checksum(values: Tensor) -> Tensor:
    """Return the sum of the bit patterns of `values` as a 64-bit integer, a scalar: equal values give equal sums."""
    patterns = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[values.element_size()]
    return values.detach().contiguous().view(patterns).sum(dtype=torch.int64)
