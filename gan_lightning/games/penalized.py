"""HeldCritic: a game whose critic takes penalties and a constraint from the config."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.execution.process_state import nothing_kept
from gan_lightning.games.game import Terms
from gan_lightning.games.player import split
from gan_lightning.games.sampling import SAMPLE_CHUNK, SamplingGame
from gan_lightning.protocols import PlayerName, Verdicts
from gan_lightning.randomness import Noise, Shard, mix
from gan_lightning.stabilizers.base import CriticConstraint, CriticPenalty
from gan_lightning.stabilizers.critic_of_turn import Judged
from gan_lightning.stabilizers.slopes import couples_batch, gradient_norms, interpolate, judged_both


class HeldCritic(SamplingGame):
    """A game of samples in which penalties join the critic's loss and a constraint follows its updates.

    Args:
        critic_penalties: Terms added to the critic's loss.
        critic_constraint: What the critic's weights are held to after each of its updates.

    Attributes:
        has_logits: Whether the family's losses are of the critic's logits, not of its features.
    """

    has_logits: bool = True
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
        self._known: list[tuple[Tensor, Tensor]] = []
        self._due: list[CriticPenalty] = []
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

    @contextmanager
    def remembered_logits(self) -> Iterator[list[tuple[Tensor, Tensor]]]:
        """Give a list that takes note of all samples, as the critic is shown them, and their logits, if a penalty is due."""
        hooks = [self.critic.register_forward_hook(self._note_pass)] if self.due_penalties() else []
        try:
            yield self._known
        finally:
            for hook in hooks:
                hook.remove()
            self._known = []  # a graph must not outlive its turn

    def _note_pass(self, critic: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> None:
        self.note_logits(inputs[0], logits)

    def note_logits(self, samples: Tensor, logits: Tensor) -> None:
        """Take note of the loss's logits `(N,)` of these very samples, for a family that calls the critic's parts."""
        self._known.append((samples, logits))

    def judge_both(
        self,
        judge: Callable[[Tensor, Tensor | None], Tensor],
        real: Tensor,
        fake: Tensor,
        labels: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return what the critic, or a part of it, makes of real and generated samples `(N, ...)` of the same labels.

        It is one pass if the critic judges each sample by itself, as in `judged_both`.
        """
        of_real, of_fake = judged_both(self.critic, (real, labels), (fake, labels), judge)
        if judge is self.critic:
            self.note_logits(real, of_real)
            self.note_logits(fake, of_fake)
        return of_real, of_fake

    @abstractmethod
    def shown(self, batch: Any) -> tuple[Tensor, Judged, Tensor | None]:
        """Return fresh fakes `(N, ...)` for a batch, both kinds as the critic is shown them, and the labels it is shown."""

    def judge(self, batch: Any) -> Verdicts:
        """Return what the critic makes of a batch's first micro-batch and of fresh fakes, in training mode.

        Draws come from a key of their own, and buffers and global random generators are put back, so that training goes
        on as if nothing had been asked. Each rank judges its own rows; all must ask, because layers may look at all ranks.
        """
        n_parts = self.players[0].accumulation
        batch = next(iter(split(batch, n_parts)))
        key, shard = mix(self.seed, self.updates_done, 0xD1), Shard(self._rank, self._world_size, 0, n_parts)
        self.noise = Noise(key, self.device, self.dtype_of_samples, shard, self.updates_done)
        with nothing_kept(self, self.device):
            return self._judged(batch)

    def _judged(self, batch: Any) -> Verdicts:
        with torch.no_grad():
            made, (critic, real, fake), labels = self.shown(batch)
            logits = features = None
            if self.has_logits:
                logits = critic(real, labels).flatten(), critic(fake, labels).flatten()
            if not self.judges_pairs:
                features = critic.features(real, labels).flatten(1), critic.features(fake, labels).flatten(1)
        slopes = None
        if self.has_logits and not couples_batch(self.critic):
            points = interpolate(real, fake, self.noise)[:SAMPLE_CHUNK]
            slopes = gradient_norms(critic, points, None if labels is None else labels[:SAMPLE_CHUNK]).detach()
        ends = self.verdicts(torch.tensor([-1e4, 1e4], device=self.device))
        return Verdicts(batch.real, made, logits, features, bool(ends[1] > ends[0]), slopes)

    def penalty_terms(self, shown: Judged, whole: Judged, labels: Tensor | None = None) -> Terms:
        """Return the terms of the penalties that are due.

        Args:
            shown: Samples as the critic is shown them.
            whole: Samples before that, packed where it is shown packs, with a critic that observes them.
            labels: The labels that the critic is shown.
        """
        return {
            penalty.name: penalty(*(whole if penalty.per_sample else shown), labels, self.noise)
            for penalty in self.due_penalties()
        }

    def due_penalties(self) -> list[CriticPenalty]:
        """Return the penalties that join the loss of the critic's next update."""
        if self.tracing:
            return self._due
        return [penalty for penalty in self.critic_penalties if self.critic_updates_done % penalty.interval == 0]

    def variant(self, player: PlayerName) -> Hashable:
        """Add which penalties are due."""
        due = [penalty.name for penalty in self.due_penalties()] if player == "critic" else []
        return super().variant(player), tuple(due)

    def prepare_tracing(self) -> None:
        """Keep the penalties that are due."""
        super().prepare_tracing()
        self._due = self.due_penalties()

    def before_critic_update(self, batch: Any) -> None:
        """Show the penalties that are due the whole real batch."""
        for penalty in self.due_penalties():
            penalty.before_update(self, batch.real)

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
