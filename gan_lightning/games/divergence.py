"""Divergence: a loss or weight that is no longer finite stops the run before it spoils a checkpoint or a number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import Parameter

from gan_lightning.errors import RunFailed, say
from gan_lightning.execution.ranks import sum_over_ranks
from gan_lightning.protocols import PlayerName

OnDivergence = Literal["stop", "continue"]
EVERY = 50
"""Generator updates between two looks at the device; checkpoints and evaluations look as well."""


class DivergenceWatch:
    """Keeps the terms of recent updates on the device and looks at all of them at once, now and then.

    Nothing waits for the device in between. Every rank must look at the same updates: they agree on what they see.

    Args:
        action: stop raises at the first non-finite number, continue says it once.
    """

    def __init__(self, action: OnDivergence = "stop") -> None:
        self.action = action
        self._recent: list[tuple[int, PlayerName, dict[str, Tensor]]] = []
        self._said = False

    def note(self, update: int, player: PlayerName, terms: dict[str, Tensor]) -> None:
        """Keep the terms, without a graph, of the update that ends in generator update `update`."""
        self._recent.append((update, player, terms))

    def look(self, networks: dict[str, Iterable[Parameter]]) -> None:
        """Look at the terms since the last look, and at the weights.

        Raises:
            RunFailed: Something is not finite, on any rank, and the action is to stop.
        """
        recent, self._recent = self._recent, []
        values = [value for _, _, terms in recent for value in terms.values()]
        places = [(update, f"{player}/{name}") for update, player, terms in recent for name in terms]
        norms = {name: torch._foreach_norm(list(parameters)) for name, parameters in networks.items()}
        values += [torch.stack([norm.double() for norm in norms[name]]).sum() for name in norms if norms[name]]
        places += [(recent[-1][0] if recent else 0, f"the weights of the {name}") for name in norms if norms[name]]
        if not values or self._said:
            return
        finite = torch.stack([value.double() for value in values]).isfinite()
        if not sum_over_ranks((~finite).any().float()).item():
            return
        wrong = (~finite).nonzero().flatten().tolist()
        update, what = places[wrong[0]] if wrong else (places[-1][0], "a number of another rank")
        value = float(values[wrong[0]]) if wrong else float("nan")
        message = (
            f"diverged: {what} is {value} at update {update}; try a lower lr of both optimizers, critic_clip_norm and "
            "generator_clip_norm, or a penalty on the critic"
        )
        if self.action == "stop":
            raise RunFailed(
                f"{message}. The last checkpoint is of before; model.on_divergence=continue trains on regardless"
            )
        self._said = True
        say(f"{message}. It continues, as model.on_divergence asks")
