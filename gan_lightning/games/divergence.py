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

PATIENCE = 150
"""Generator updates for which a slow kind of failure must last before it is said."""

_SATURATED, _COLLAPSED = 1e-3, 1e-2


class DivergenceWatch:
    """Keeps the terms of recent updates on the device and looks at all of them at once, now and then.

    Nothing waits for the device in between. Every rank must look at the same updates: they agree on what they see. Two
    slow kinds of failure are said once and stop nothing: a critic's loss that has reached its least value, and generated
    samples that hardly differ.

    Args:
        action: stop raises at the first non-finite number, continue says it once.

    Attributes:
        vanishing_term: The critic's term that is 0 when it tells every sample, None if the loss has no least value.
    """

    def __init__(self, action: OnDivergence = "stop") -> None:
        self.action = action
        self._recent: list[tuple[int, PlayerName, dict[str, Tensor]]] = []
        self._said = False
        self.vanishing_term: str | None = None
        self._spreads: list[tuple[int, Tensor]] = []
        self._since: dict[str, int | None] = {"saturated": None, "collapsed": None}  # None: not so at the last look
        self._told: set[str] = set()

    def note(self, update: int, player: PlayerName, terms: dict[str, Tensor]) -> None:
        """Keep the terms, without a graph, of the update that ends in generator update `update`."""
        self._recent.append((update, player, terms))

    def note_spread(self, update: int, spread: Tensor) -> None:
        """Keep how much the generated samples of an update differ, as `spread_of` tells it."""
        self._spreads.append((update, spread))

    def _look_for_slow_kinds(self) -> None:
        losses = [
            (update, terms[self.vanishing_term])
            for update, player, terms in self._recent
            if player == "critic" and self.vanishing_term in terms
        ]
        spreads, self._spreads = self._spreads, []
        for kind, found, limit in (("saturated", losses, _SATURATED), ("collapsed", spreads, _COLLAPSED)):
            if not found or kind in self._told:
                continue
            value = float(torch.stack([number.float() for _, number in found]).max())
            if not value < limit:
                self._since[kind] = None
                continue
            start = self._since[kind]
            self._since[kind] = start = found[0][0] if start is None else start
            if found[-1][0] - start >= PATIENCE:
                self._told.add(kind)
                say(_ADVICE[kind].format(value=value, start=start, end=found[-1][0]))

    def look(self, networks: dict[str, Iterable[Parameter]]) -> None:
        """Look at the terms since the last look, and at the weights.

        Raises:
            RunFailed: Something is not finite, on any rank, and the action is to stop.
        """
        self._look_for_slow_kinds()
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
        value = float(values[wrong[0]].detach()) if wrong else float("nan")
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


@torch.no_grad()
def spread_of(real: Tensor, fake: Tensor) -> Tensor:
    """Return how much generated samples `(N, ...)` differ, as a share of how much the real ones do."""
    spreads = [samples.float().std(0).mean() for samples in (fake, real)]
    return spreads[0] / spreads[1].clamp(min=1e-12)


_ADVICE = {
    "saturated": "saturated: the critic has told all samples from update {start} to {end} (its loss is at most {value:.1e}), and "
    "the generator learns little from it; try a lower lr of the critic, InstanceNoise, R1, or another family",
    "collapsed": "collapsed: the samples of a batch differed by at most {value:.1%} of what real ones do from update {start} to "
    "{end}: the generator makes one sample; resume from an earlier checkpoint with a lower lr, or try Packing, "
    "MinibatchDiscrimination or another family",
}
