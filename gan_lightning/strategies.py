"""Strategy `gan_ddp`: data-parallel training that sums only the moving player's gradients, once per update."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.distributed as dist
from lightning.pytorch.overrides.distributed import _sync_module_states
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from torch import Tensor
from torch.nn import Parameter

_BUCKET_BYTES = 25 * 2**20


class GANDDPStrategy(DDPStrategy):
    """Distributed data parallel without a wrapper around the game.

    Parameters and buffers are broadcast from rank 0 once, at the start. Gradients are averaged over ranks in flat buckets
    once per optimizer step, before clipping, and only those of the player that moves. Accumulation needs no `no_sync`.
    """

    strategy_name = "gan_ddp"

    def configure_ddp(self) -> None:
        """Make all ranks equal to rank 0; `self.model` stays the bare LightningModule."""
        assert self.lightning_module is not None
        _sync_module_states(self.lightning_module)

    def pre_backward(self, closure_loss: Tensor) -> None:
        """Do nothing: there is no reducer to arm."""

    def post_backward(self, closure_loss: Tensor) -> None:
        """Do nothing: gradients are reduced once per optimizer step."""

    @torch.no_grad()
    def reduce_gradients(self, parameters: Iterable[Parameter]) -> None:
        """Replace each gradient by its mean over ranks; a missing one counts as zero, on every rank alike."""
        parameters = list(parameters)
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        pending = []
        for group in _buckets(parameters):
            flat = torch.cat([p.grad.reshape(-1) for p in group]).div_(self.world_size)  # type: ignore[union-attr]
            pending.append((dist.all_reduce(flat, async_op=True), flat, group))
        for work, flat, group in pending:
            work.wait()
            pieces = flat.split([p.numel() for p in group])
            torch._foreach_copy_([p.grad for p in group], [v.view_as(p) for v, p in zip(pieces, group, strict=True)])


def _buckets(parameters: list[Parameter]) -> Iterator[list[Parameter]]:
    """Yield runs of parameters of one type and at most `_BUCKET_BYTES`, last layers first."""
    group: list[Parameter] = []
    size = 0
    for parameter in reversed(parameters):
        n_bytes = parameter.numel() * parameter.element_size()
        if group and (size + n_bytes > _BUCKET_BYTES or parameter.dtype != group[0].dtype):
            yield group
            group, size = [], 0
        group.append(parameter)
        size += n_bytes
    if group:
        yield group


StrategyRegistry.register("gan_ddp", GANDDPStrategy, description=GANDDPStrategy.__doc__ or "", start_method="popen")
