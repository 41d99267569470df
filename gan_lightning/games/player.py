"""A player: one side of a game, with everything that its updates depend on; the one place where an update is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.utils._pytree import tree_flatten, tree_unflatten

from gan_lightning.errors import UserError
from gan_lightning.optimizers.schedules import Schedule
from gan_lightning.optimizers.specs import SGD, Adam, OptimizerSpec, RMSprop, TorchOptimizer
from gan_lightning.protocols import PLAYERS, PlayerName

_NO_END = 10_000_000
"""Updates of a run without an end that are looked at."""

Terms = dict[str, Tensor]
"""Named, weighted terms of a loss; their sum is minimised."""


class Player:
    """One side of a game: its optimizer, schedule, clipping and accumulation, and the update that they make together.

    Args:
        name: critic or generator, the prefix of what is logged.
        spec: Makes its optimizer.
        schedule: Factor on the learning rate over generator updates; none keeps it constant.
        clip_norm: Clip the gradient to this Euclidean norm.
        accumulation: Micro-batches whose gradients make one update.

    Raises:
        UserError: The clipping norm or the accumulation is out of its range.
    """

    def __init__(
        self,
        name: PlayerName,
        spec: OptimizerSpec,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        accumulation: int = 1,
    ) -> None:
        if accumulation < 1:
            raise UserError(f"{name}_accumulation must be at least 1, got {accumulation}")
        if clip_norm is not None and not clip_norm > 0:
            raise UserError(f"{name}_clip_norm must be above 0, got {clip_norm}; leave it out not to clip")
        self.name, self.spec, self.schedule = name, spec, schedule
        self.clip_norm, self.accumulation = clip_norm, accumulation
        self._terms_seen: dict[str, None] = {}

    @property
    def index(self) -> int:
        """0 for the critic, 1 for the generator: the place of its optimizer, and its number in the noise's key."""
        return PLAYERS.index(self.name)

    def rests_from(self, n_updates: int) -> int | None:
        """Return from which update on the rate is 0 until `n_updates`; None if it is not 0 at the last of them.

        A negative number is a run without an end: of that the first ten million updates are looked at.
        """
        if n_updates < 0:
            n_updates = _NO_END
            if self.schedule is None or self.schedule(n_updates - 1) != 0:
                return None
            first, rests = 0, n_updates - 1  # by halves: a rate that has come to 0 stays there
            while first < rests:
                middle = (first + rests) // 2
                first, rests = (first, middle) if self.schedule(middle) == 0 else (middle + 1, rests)
            return first
        first = n_updates
        while self.schedule is not None and first > 0 and self.schedule(first - 1) == 0:
            first -= 1
        return first if first < n_updates else None

    def optimizer(self, parameters: Iterable[Parameter]) -> Optimizer:
        """Return a new optimizer over those of the parameters that can move."""
        return self.spec([p for p in parameters if p.requires_grad])

    def update(
        self,
        optimizer: Any,
        batch: Any,
        n_updates: int,
        play: Callable[[Any, int], Terms],
        reduce: Callable[[list[Parameter]], None],
    ) -> tuple[Terms, dict[str, Any]]:
        """Make one update and return its terms, without a graph, and the numbers to log.

        Args:
            optimizer: This player's, as Lightning wraps it.
            batch: The process's rows of real data.
            n_updates: Generator updates done.
            play: Adds the gradients of the loss on the rows of a micro-batch, given its index, and returns its terms.
            reduce: Sums gradients over ranks.
        """
        factor = self.schedule(n_updates) if self.schedule else 1.0
        for group in optimizer.param_groups:
            group["lr"] = self.spec.lr * factor
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        total: Terms = {}
        for part, rows in enumerate(split(batch, self.accumulation)):
            for name, value in play(rows, part).items():
                total[name] = total.get(name, 0) + value.detach() / self.accumulation  # type: ignore[operator]
        reduce(parameters)
        logged: dict[str, Any] = {}
        if self.clip_norm is not None:
            logged[f"grad_norm/{self.name}"] = nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self._terms_seen.update(dict.fromkeys(total))
        if len(self._terms_seen) > 1:  # one alone is the loss
            logged |= {f"{self.name}/{name}": value for name, value in total.items()}
        logged[f"loss/{self.name}"] = torch.stack(list(total.values())).sum()
        return total, logged

    def check_state(self, state: dict[str, Any], kind: str | None = None) -> None:
        """Refuse the saved state of another kind of optimizer, which this one could not continue from.

        Args:
            state: The optimizer's, as saved.
            kind: Of which `OptimizerSpec.kind` it is; checkpoints of 0.1.0 do not say, and had three.

        Raises:
            UserError: The state is of another kind.
        """
        group = state["param_groups"][0]
        of_old = isinstance(self.spec, Adam | RMSprop | SGD | TorchOptimizer)
        if kind is None and of_old:
            kind = "Adam" if "betas" in group else "RMSprop" if "alpha" in group else "SGD"
        if kind is not None and kind != self.spec.kind:
            raise UserError(
                f"{self.name}_optimizer was {kind} and is {self.spec.kind} now: its state cannot be carried over; "
                f"resume with {kind}, or start a new run with another --name"
            )

    def take_settings(self, optimizer: Optimizer) -> None:
        """Give an optimizer, restored from a checkpoint, the settings of this run: a checkpoint brings its own along."""
        fresh = self.spec([Parameter(torch.zeros(1, 1))]).param_groups[0]
        for group in optimizer.param_groups:
            group.update({key: value for key, value in fresh.items() if key not in ("params", "lr")})


def split(batch: Any, n_parts: int) -> Iterable[Any]:
    """Cut every tensor of a batch into `n_parts` runs of rows."""
    if n_parts == 1:
        return [batch]
    leaves, spec = tree_flatten(batch)
    n = next(len(leaf) for leaf in leaves if isinstance(leaf, Tensor))
    if n % n_parts:
        raise UserError(f"accumulation must divide the {n} samples of a process's batch, got {n_parts}")
    cut = [leaf.split(n // n_parts) if isinstance(leaf, Tensor) else [leaf] * n_parts for leaf in leaves]
    return [tree_unflatten(list(part), spec) for part in zip(*cut, strict=True)]
