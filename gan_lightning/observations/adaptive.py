"""Augmentation whose strength follows how much the critic overfits (Karras 2020, arXiv:2006.06676)."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gan_lightning.errors import UserError
from gan_lightning.execution.ranks import sum_over_ranks
from gan_lightning.observations.augmentations import Augmentation
from gan_lightning.observations.base import Observation
from gan_lightning.protocols import Host
from gan_lightning.randomness import Noise


@final
class AdaptiveAugment(Observation):
    """Each augmentation with probability p for each sample; p drives r = E sign f(x) to a target (arXiv:2006.06676).

    Karras et al. 2020, "Training GANs with Limited Data", section 3.1, with its heuristic r_t of overfitting. Every
    `interval` critic updates, r is the mean over all ranks of sign f(x) on the real batch as the critic was shown it.
    The sign is that of the distance from the family's threshold, such as 1/2 for LSGAN's targets 0 and 1. p, in [0, 1],
    takes a step up if r is above the target and down if it is below. The authors average over the `interval` batches;
    here r is of the last one, from an additional forward pass without gradients that leaves the critic's buffers alone.
    p is in the checkpoint and in the log (`augmentation/probability`). Above about 0.8 augmentations leak into the
    samples (their section 2.2).

    Example:
        >>> from gan_lightning.observations import HorizontalFlip, Translation
        >>> augment = AdaptiveAugment([HorizontalFlip(), Translation()], target=0.6)
        >>> augment.p  # rises once the critic overfits
        tensor(0.)

    Args:
        augmentations: In the order in which they are made.
        target: The aim of r, in (-1, 1).
        interval: Critic updates between two steps of p.
        kimg: Real images, in thousands, in which p can go from 0 to 1.
    """

    p: Tensor
    signs: Tensor

    def __init__(
        self, augmentations: list[Augmentation], target: float = 0.6, interval: int = 4, kimg: float = 500.0
    ) -> None:
        super().__init__()
        if not augmentations:
            raise UserError("AdaptiveAugment needs augmentations, got none; give some, such as Translation()")
        if not -1 < target < 1 or interval < 1 or not kimg > 0:
            raise UserError(
                "AdaptiveAugment needs target in (-1, 1), interval of at least 1 and kimg above 0, "
                f"got {target}, {interval} and {kimg}; the paper's are 0.6, 4 and 500"
            )
        self.augmentations: list[Augmentation] = nn.ModuleList(augmentations)  # type: ignore[assignment]
        self.target, self.interval, self.kimg = target, interval, kimg
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("signs", torch.zeros(2), persistent=False)  # sum of signs, their number

    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Return images `(N, C, H, W)`, each augmented with probability p by each augmentation, and their labels."""
        for augmentation in self.augmentations:
            samples = augmentation.sometimes(samples, noise, self.p)
        return samples, labels

    @torch.no_grad()
    def watch(self, game: Host, real: Tensor, labels: Tensor | None) -> None:
        """Count the signs of the real samples' logits in every `interval`-th critic update."""
        if self._is_due(game):
            buffers = {name: buffer.clone() for name, buffer in game.critic.named_buffers()}
            logits = functional_call(game.critic, buffers, (real, labels))
            self.signs += torch.stack([game.verdicts(logits).sum(), self.signs.new_tensor(logits.numel())])

    def after_critic_update(self, game: Host) -> None:
        """Move p by one step."""
        if self._is_due(game):
            total, n = sum_over_ranks(self.signs)
            n_images = n * game.pack
            step = n_images * self.interval / (1000 * self.kimg)
            self.p.add_(step * (total / n - self.target).sign()).clamp_(0, 1)
            self.signs.zero_()
        game.record({"augmentation/probability": self.p.clone()})

    def check(self, game: Host) -> None:
        """Refuse losses for which the sign of a logit means nothing, and what the augmentations refuse."""
        if game.shift_invariant:
            raise UserError(
                f"AdaptiveAugment follows the sign of the critic's logits, but {type(game).__name__}'s loss does not "
                "fix their level (a constant added to all changes nothing); take the augmentations alone in Compose"
            )
        for augmentation in self.augmentations:
            augmentation.check(game)

    def _is_due(self, game: Host) -> bool:
        return game.critic_updates_done % self.interval == self.interval - 1
