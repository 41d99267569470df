"""Diagnostics: numbers that tell why a GAN does not train, now and then while it trains."""

from __future__ import annotations

from math import nan
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from gan_lightning.errors import require
from gan_lightning.evaluation.pictures import log_histograms
from gan_lightning.loggers.rows import log_row
from gan_lightning.metrics.diagnosis import mean_distance, singular_values, told_apart
from gan_lightning.protocols import Judging, Verdicts


class Diagnostics(Callback):
    """Logs what docs/when_it_does_not_train.md reads, of one round in every `every_n_updates`.

    `grad_norm/<player>` and `update_ratio/<player>` are of the player's last update in that round: the gradient's norm over
    all ranks, before clipping, and how far the update moved the weights, as a share of their norm. `sigma/<layer>` is the
    largest singular value of each of the critic's weights. Of games on samples there are also the critic's logits
    (`logits/...`, with a histogram for loggers that show one), the norm of its gradient between real and generated samples
    (`slope/between`), and how different generated samples are, as a share of how different real ones are
    (`spread/samples`, and `spread/features` in the critic's last hidden layer). They are of fresh fakes for the round's last
    batch, after its updates, on rank 0's share: nothing of it enters training.

    Args:
        every_n_updates: Generator updates between two looks; 0 never looks.
    """

    def __init__(self, every_n_updates: int = 500) -> None:
        require("the diagnostics", every_n_updates=every_n_updates)
        self.every_n_updates = every_n_updates
        self._due = False
        self._before: dict[str, list[Tensor]] = {}
        self._norms: dict[str, Tensor] = {}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Tell whether this round is looked at."""
        game: Any = pl_module
        self._before, self._norms = {}, {}
        self._due = self.every_n_updates > 0 and (game.updates_done + 1) % self.every_n_updates == 0

    @torch.no_grad()
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Keep the player's weights, and the norm of its gradient, which is the same on all ranks by now."""
        if not self._due:
            return
        game: Any = pl_module
        player = game.players[trainer.optimizers.index(optimizer)]
        parameters = _parameters(optimizer)
        self._before[player.name] = [p.detach().clone() for p in parameters]
        if player.clip_norm is None:  # else the game logs it, of before clipping
            self._norms[player.name] = _norm([p.grad for p in parameters if p.grad is not None])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the players and log."""
        if not self._due:
            return
        game: Any = pl_module
        verdicts = game.judge(batch[-1]) if isinstance(game, Judging) else None
        found: dict[str, Any] = {f"grad_norm/{name}": norm for name, norm in self._norms.items()}
        for player, optimizer in zip(game.players, trainer.optimizers, strict=True):
            if player.name not in self._before:  # a round in which the critic rests
                continue
            before = self._before[player.name]
            moved = [now.detach() - then for now, then in zip(_parameters(optimizer), before, strict=True)]
            found[f"update_ratio/{player.name}"] = _norm(moved) / _norm(before).clamp(min=1e-30)
        self._due, self._before, self._norms = False, {}, {}
        if not trainer.is_global_zero:
            return
        if verdicts is not None:
            found |= numbers_of(verdicts)
        found |= {f"sigma/{name}": value for name, value in singular_values(game.critic).items()}
        log_row(trainer, found, game.updates_done - 1)
        if verdicts is not None and verdicts.logits is not None:
            real, fake = verdicts.logits
            log_histograms(trainer, {"logits/real": real, "logits/fake": fake}, game.updates_done - 1)


def numbers_of(verdicts: Verdicts) -> dict[str, float]:
    """Return the numbers of what a critic makes of samples, by the keys that they are logged as."""
    found: dict[str, float] = {}
    if verdicts.logits is not None:
        real, fake = verdicts.logits
        for side, logits in (("real", real), ("fake", fake)):
            found |= {
                f"logits/{side}_mean": float(logits.mean()),
                f"logits/{side}_std": float(logits.std(correction=0)),
            }
        found["logits/told_apart"] = told_apart(real, fake) if verdicts.higher_is_real else told_apart(fake, real)
    if verdicts.slopes is not None:
        found["slope/between"] = float(verdicts.slopes.mean())
    found["spread/samples"] = _share(verdicts.fake, verdicts.real)
    if verdicts.features is not None:
        real, fake = verdicts.features
        found["spread/features"] = _share(fake, real)
    return found


def _share(fake: Tensor, real: Tensor) -> float:
    """Return the mean distance of generated rows as a share of that of real ones; nan if the real ones are all equal."""
    of_real = mean_distance(real)
    return mean_distance(fake) / of_real if of_real else nan


def _parameters(optimizer: Any) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _norm(tensors: list[Tensor]) -> Tensor:
    """Return the Euclidean norm of all entries of some tensors."""
    norms = [torch.linalg.vector_norm(tensor.double()) for tensor in tensors if tensor.numel()]
    return torch.linalg.vector_norm(torch.stack(norms)) if norms else torch.zeros(())
