"""Strategy `gan_ddp`: data-parallel training that sums only the moving player's gradients, once per update."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy, Strategy, StrategyRegistry
from torch import Tensor, nn
from torch.nn import Parameter

from gan_lightning.errors import RunFailed, UserError
from gan_lightning.execution.lightning_private import converts_batch_norm, ddp_options, name_of, share_states

_FALLBACK = "ddp_find_unused_parameters_true"


class GANDDPStrategy(DDPStrategy):
    """Distributed data parallel without a wrapper around the game.

    Parameters and buffers are broadcast from rank 0 once, at the start. Gradients are averaged over ranks in flat
    buckets once per optimizer step, before clipping, and only those of the player that moves: `n_critic |critic| +
    |generator|` bytes per generator update. Accumulation needs no `no_sync`, and it does not matter how gradients were
    made.

    Buffers (running statistics) are each rank's own while training. Checkpoints and evaluations take their average, and
    a checkpoint also keeps each rank's, so that as many ranks resume to the bit.

    Args:
        bucket_megabytes: Size of the flat buckets.
        timeout_minutes: How long a rank waits for the others before it gives up. A rank that dies is noticed at once;
            this is for a network that is cut. It must be longer than what one rank does alone, such as packing data.
        process_group_backend: gloo or nccl; what suits the device if not given.
    """

    strategy_name = "gan_ddp"

    def __init__(
        self,
        bucket_megabytes: float = 25.0,
        timeout_minutes: float = 30.0,
        process_group_backend: str | None = None,
    ) -> None:
        for name, value in (("bucket_megabytes", bucket_megabytes), ("timeout_minutes", timeout_minutes)):
            if not value > 0:
                raise UserError(f"{name} of gan_ddp must be above 0, got {value}")
        super().__init__(process_group_backend=process_group_backend, timeout=timedelta(minutes=timeout_minutes))
        self.bucket_bytes = int(bucket_megabytes * 2**20)
        self._restored: Mapping[str, Tensor] = {}
        self._own_buffers: dict[str, Tensor] | None = None

    def configure_ddp(self) -> None:
        """Make all ranks equal to rank 0, but for what each kept for itself; `self.model` stays the bare module."""
        game = self._game
        share_states(game)
        own = dict(game.named_buffers())
        for name, values in self._restored.items():
            own[name].copy_(values[self.global_rank])
        self._restored = {}

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
        for group in _buckets(parameters, self.bucket_bytes):
            flat = torch.cat([p.grad.reshape(-1) for p in group]).div_(self.world_size)  # type: ignore[union-attr]
            pending.append((dist.all_reduce(flat, async_op=True), flat, group))
        for work, flat, group in pending:
            work.wait()
            pieces = flat.split([p.numel() for p in group])
            gradients = [cast(Tensor, p.grad) for p in group]
            torch._foreach_copy_(gradients, [v.view_as(p) for v, p in zip(pieces, group, strict=True)])

    # Buffers --------------------------------------------------------------------------------------------------------

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Return the state, its buffers averaged over ranks; every rank takes part."""
        state = self._game.state_dict()
        self._different = {name: rows for name, rows in self._gather_buffers().items() if name in state}
        return {**state, **self._averages(self._different)}

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any | None = None) -> None:
        """Write on rank 0; if that fails, every rank learns of it.

        Raises:
            RunFailed: The file could not be written.
        """
        checkpoint["rank_buffers"] = {name: rows.cpu() for name, rows in self._different.items()}
        error = None
        if self.is_global_zero:
            try:
                self.checkpoint_io.save_checkpoint(checkpoint, filepath, storage_options=storage_options)
            except RunFailed as failed:
                error = str(failed)
        error = self.broadcast(error)
        if error is not None:
            raise RunFailed(error)

    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Load the state; buffers that were different on each of as many ranks become so again."""
        super().load_model_state_dict(checkpoint, strict)
        kept = checkpoint.get("rank_buffers", {})
        if all(len(rows) == self.world_size for rows in kept.values()):
            self._restored = kept  # set by configure_ddp, after rank 0's were broadcast

    def on_validation_start(self) -> None:
        """Let every rank evaluate the same networks: those that a checkpoint holds."""
        if self._own_buffers is None:
            rows = self._gather_buffers()
            own = dict(self._game.named_buffers())
            self._own_buffers = {name: own[name].clone() for name in rows}
            for name, value in self._averages(rows).items():
                own[name].copy_(value)

    def on_validation_end(self) -> None:
        """Give each rank its own buffers back."""
        if self._own_buffers is not None:
            own = dict(self._game.named_buffers())
            for name, value in self._own_buffers.items():
                own[name].copy_(value)
            self._own_buffers = None

    def _gather_buffers(self) -> dict[str, Tensor]:
        """Return the buffers that are not the same on all ranks, each as `(world_size, *shape)`."""
        buffers = {**dict(self._game.named_buffers()), **(self._own_buffers or {})}
        buffers = {name: value for name, value in buffers.items() if value.numel()}
        if self.world_size == 1 or not buffers:
            return {}
        mine = torch.cat([_bytes(value.to(self.root_device)) for value in buffers.values()])
        rows = mine.new_empty(self.world_size, len(mine))
        dist.all_gather(list(rows.unbind()), mine)
        different = {}
        pieces = rows.split([v.numel() * v.element_size() for v in buffers.values()], dim=1)
        for (name, value), piece in zip(buffers.items(), pieces, strict=True):
            if not bool((piece == piece[0]).all()):
                different[name] = torch.stack([row.clone().view(value.dtype).view(value.shape) for row in piece])
        return different

    def _averages(self, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the mean over ranks of floating buffers, rank 0's of others and of modules that keep their own."""
        return {
            name: values.mean(0) if values.is_floating_point() and not self._is_kept(name) else values[0]
            for name, values in rows.items()
        }

    def _is_kept(self, name: str) -> bool:
        """Tell whether a buffer belongs to a module with `buffers_per_rank`, such as a pool of past samples."""
        return bool(getattr(self._game.get_submodule(name.rpartition(".")[0]), "buffers_per_rank", False))

    @property
    def _game(self) -> nn.Module:
        assert self.lightning_module is not None
        return self.lightning_module


def check_strategy(strategy: Strategy, training: bool = True) -> None:
    """Raise a UserError with the fix if a game cannot be trained right under this strategy."""
    if isinstance(strategy, GANDDPStrategy):
        if converts_batch_norm(strategy) and strategy.root_device.type != "cuda":
            raise UserError(
                "sync_batchnorm works on GPUs only (torch's SyncBatchNorm refuses other devices); leave it out: "
                "each process then normalises with the statistics of its own rows"
            )
        return
    if not training:
        return
    if isinstance(strategy, DDPStrategy):
        options = ddp_options(strategy)
        if options.get("static_graph"):
            raise UserError(
                "static_graph is refused: the players' graphs alternate, and gradients would silently stay different "
                "on each process; use trainer.strategy=gan_ddp"
            )
        if not options.get("find_unused_parameters"):
            raise UserError(
                "strategy ddp is refused: it waits for gradients of the player at rest and fails at the second update; "
                f"use trainer.strategy=gan_ddp, or {_FALLBACK} (which sends every gradient in every update)"
            )
    elif not isinstance(strategy, SingleDeviceStrategy):
        raise UserError(
            f"strategy {name_of(strategy)} is "
            "refused: it shards or wraps the module, and neither the two players nor second derivatives of the critic "
            "were tried with that; use trainer.strategy=gan_ddp"
        )


def check_compiled(strategy: Strategy) -> None:
    """Raise a UserError if compiled gradients would stay each process's own."""
    if isinstance(strategy, DDPStrategy) and not isinstance(strategy, GANDDPStrategy):
        raise UserError(
            f"model.compile does not go with {name_of(strategy)}, which sums gradients while backward runs; use "
            "trainer.strategy=gan_ddp"
        )


def share_buffers(strategy: Strategy, game: nn.Module) -> None:
    """Let every rank evaluate rank 0's networks under Lightning's own DDP, which sends buffers at training steps only."""
    if isinstance(strategy, DDPStrategy) and not isinstance(strategy, GANDDPStrategy) and dist.is_initialized():
        for buffer in game.buffers():
            dist.broadcast(buffer, 0)


def _bytes(value: Tensor) -> Tensor:
    return value.detach().contiguous().view(-1).view(torch.uint8)


def _buckets(parameters: list[Parameter], bucket_bytes: int) -> Iterator[list[Parameter]]:
    """Yield runs of parameters of one type and at most so many bytes, last layers first."""
    group: list[Parameter] = []
    size = 0
    for parameter in reversed(parameters):
        n_bytes = parameter.numel() * parameter.element_size()
        if group and (size + n_bytes > bucket_bytes or parameter.dtype != group[0].dtype):
            yield group
            group, size = [], 0
        group.append(parameter)
        size += n_bytes
    if group:
        yield group


StrategyRegistry.register("gan_ddp", GANDDPStrategy, description=GANDDPStrategy.__doc__ or "")
