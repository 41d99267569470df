"""LeCam: logits are tied to running means of the other side's."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.execution.ranks import sum_over_ranks
from gan_lightning.networks.base import Critic
from gan_lightning.protocols import Host
from gan_lightning.randomness import Noise
from gan_lightning.stabilizers.base import CriticPenalty


@final
class LeCam(CriticPenalty):
    """E (f(x) - a_F)^2 + E (f(G(z)) - a_R)^2, a: running means of the logits (Tseng 2021, arXiv:2104.03310, eq. 4).

    The logits are those of the family's loss: the critic makes no further pass.
    a_R follows the logits of real samples, a_F those of generated ones, over the batches of all ranks and up to the
    update before this one; they start at 0. (The authors' code also puts a ReLU around the differences; the paper does
    not.) The anchors are in the checkpoint.

    Example:
        >>> lecam = LeCam()
        >>> round(lecam(critic, real, fake, None, noise).item(), 3)  # 0.3 (2^2 + 0^2): the anchors start at 0
        1.2

    Args:
        weight: lambda of the paper.
        decay: Decay of the running means in one critic update.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates, which alone move the
            anchors.
    """

    name = "lecam"
    per_sample = False
    anchors: Tensor
    sums: Tensor

    def __init__(self, weight: float = 0.3, decay: float = 0.99, interval: int = 1) -> None:
        super().__init__(weight, interval)
        if not 0 <= decay < 1:
            raise UserError(f"decay of LeCam must be in [0, 1), got {decay}; the authors' is 0.99")
        self.decay = decay
        self.register_buffer("anchors", torch.zeros(2))  # real, fake
        self.register_buffer("sums", torch.zeros(3), persistent=False)  # of real logits, of fake logits, their number

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the mean squared distance of the logits from the other side's anchor."""
        real_logits, fake_logits = critic(real, labels), critic(fake, labels)
        with torch.no_grad():
            number = self.sums.new_tensor(real_logits.numel())
            self.sums += torch.stack([real_logits.sum(), fake_logits.sum(), number]).to(self.sums.dtype)
        real_anchor, fake_anchor = self.anchors.clone()  # the update after this turn must not reach into its graph
        return (real_logits - fake_anchor).square().mean() + (fake_logits - real_anchor).square().mean()

    def after_update(self, game: Host) -> None:
        """Move the anchors towards this update's means over all ranks and micro-batches."""
        if game.critic_updates_done % self.interval:
            return
        total = sum_over_ranks(self.sums)
        self.anchors.lerp_(total[:2] / total[2], 1 - self.decay)
        self.sums.zero_()
