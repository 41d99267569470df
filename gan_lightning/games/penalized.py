"""HeldCritic: a game whose critic takes penalties and a constraint from the config."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.sampling import SamplingGame
from gan_lightning.stabilisers.base import CriticConstraint, CriticPenalty


class HeldCritic(SamplingGame):
    """A game of samples in which penalties join the critic's loss and a constraint follows its updates.

    Args:
        critic_penalties: Terms added to the critic's loss.
        critic_constraint: What the critic's weights are held to after each of its updates.
    """

    critic_penalties: list[CriticPenalty]  # a ModuleList, so that their state is in the checkpoint

    def __init__(
        self,
        *args: Any,
        critic_penalties: list[CriticPenalty] | None = None,
        critic_constraint: CriticConstraint | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.critic_penalties = nn.ModuleList(critic_penalties or [])  # type: ignore[assignment]
        self.critic_constraint = critic_constraint
        for penalty in self.critic_penalties:
            penalty.attach(self)

    def verdicts(self, logits: Tensor) -> Tensor:
        """Return 1 where the critic's logits `(N,)` take a sample for real, -1 where for generated; the sign of most losses."""
        return logits.sign()

    def own_penalties(self, *penalties: CriticPenalty) -> list[CriticPenalty]:
        """Put the penalties of the family itself first and return them; one of the same kind in the config replaces its."""
        given = {penalty.name for penalty in self.critic_penalties}
        own = [penalty for penalty in penalties if penalty.name not in given]
        for penalty in reversed(own):
            self.critic_penalties.insert(0, penalty)
        return own

    def penalty_terms(self, critic: Any, real: Tensor, fake: Tensor, labels: Tensor | None = None) -> Terms:
        """Return the terms of the penalties that are due, on samples `(N, ...)` as the critic is shown them."""
        return {
            penalty.name: penalty(critic, real, fake, labels, self.noise)
            for penalty in self.critic_penalties
            if self.critic_updates_done % penalty.interval == 0
        }

    def after_critic_update(self) -> None:
        """Hold the critic to its constraint and tell the penalties that keep a memory."""
        if self.critic_constraint is not None:
            self.critic_constraint(self.critic)
        for penalty in self.critic_penalties:
            penalty.after_update(self)

    def check(self) -> None:
        """Raise a UserError that names both sides and the fix if the parts cannot go together."""
        check_kinds("critic_penalties", self.critic_penalties)
        for part in (*self.critic_penalties, self.critic_constraint):
            if part is not None:
                part.check(self)


def check_kinds(socket: str, parts: Any) -> None:
    """Refuse two terms of one name, which would be one in the log."""
    names = [part.name for part in parts]
    if len(set(names)) < len(names):
        raise UserError(f"{socket} has two of one kind among {names}; keep one, with the summed weight")
