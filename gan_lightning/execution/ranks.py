"""Collectives: what the ranks of a run add up and gather; on one process each is the identity."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor


def are_several() -> bool:
    """Tell whether this process is in a process group: collectives wait for others then."""
    return dist.is_available() and dist.is_initialized()


def sum_over_ranks(values: Tensor) -> Tensor:
    """Return the sum of all ranks' `values`, without gradients; the values themselves on one rank."""
    values = values.detach().clone()
    if are_several():
        dist.all_reduce(values)
    return values


class _Sum(torch.autograd.Function):
    """The sum of all ranks' tensors; its gradient is the sum of all ranks' gradients, so it has derivatives of any order."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return sum_over_ranks(values)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return _Sum.apply(gradients[0].contiguous())


def mean_over_ranks(values: Tensor) -> Tensor:
    """Return the mean of all ranks' `values`, differentiable; the values themselves on one rank.

    A loss that every rank computes of it, whose gradients are averaged over ranks, has the gradient that one process would
    have found. Every rank must call it, and run backward, as often as the others.
    """
    if not are_several():
        return values
    return cast(Tensor, _Sum.apply(values)) / dist.get_world_size()


def rows_of_all_ranks(rows: Tensor) -> Tensor:
    """Return all ranks' `rows` `(N, ...)`, `(k N, ...)` in the ranks' order, differentiable as `mean_over_ranks` is."""
    if not are_several():
        return rows
    rank, world_size = dist.get_rank(), dist.get_world_size()
    blocks = [rows if index == rank else torch.zeros_like(rows) for index in range(world_size)]
    return cast(Tensor, _Sum.apply(torch.cat(blocks)))


def close_process_group() -> None:
    """Wait for the other ranks and leave the process group.

    Lightning leaves gloo's open, and a rank was seen to abort at the interpreter's exit for it.
    """
    if are_several():
        cast(Any, dist).barrier()
    if (
        dist.is_available() and dist.is_initialized()
    ):  # of one rank too: Lightning takes the next run for a distributed one
        dist.destroy_process_group()
