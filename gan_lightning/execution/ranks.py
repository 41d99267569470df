"""Collectives: what the ranks of a run add up and gather; on one process each is the identity."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor


def sum_over_ranks(values: Tensor) -> Tensor:
    """Return the sum of all ranks' `values`, without gradients; the values themselves on one rank."""
    values = values.detach().clone()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(values)
    return values


def close_process_group() -> None:
    """Wait for the other ranks and leave the process group.

    Lightning leaves gloo's open, and a rank was seen to abort at the interpreter's exit for it.
    """
    if dist.is_available() and dist.is_initialized():
        cast(Any, dist).barrier()
        dist.destroy_process_group()
