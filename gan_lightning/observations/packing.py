"""Packing: several samples are shown to the critic as one."""

from __future__ import annotations

from typing import final

from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.observations.base import Observation
from gan_lightning.protocols import PLAYERS, Host
from gan_lightning.randomness import Noise


@final
class Packing(Observation):
    """m independent samples shown as one, along the channels (PacGAN; Lin 2018, arXiv:1712.04086).

    The critic gives one logit per pack, so a batch has m times fewer of them; its first layer grows, the generator
    stays. A pack must be of one class, which a batch of labelled data is not: the critic must be unconditional.

    Example:
        >>> view, labels = Packing(2)(torch.rand(4, 3, 8, 8), None, noise)
        >>> view.shape
        torch.Size([2, 6, 8, 8])

    Args:
        pack: m; consecutive samples of the batch make a pack.
    """

    def __init__(self, pack: int = 2) -> None:
        super().__init__()
        if pack < 2:
            raise UserError(f"pack must be at least 2, got {pack}; leave Packing out to show single samples")
        self.pack = pack

    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Return packs `(N / m, m C, H, W)` of images `(N, C, H, W)`, `(N / m, m D)` of vectors, and no labels."""
        return samples.reshape(len(samples) // self.pack, -1, *samples.shape[2:]), None

    def check(self, game: Host) -> None:
        """Refuse labels, and batches that do not divide into packs."""
        if game.critic.n_classes:
            raise UserError(
                f"Packing shows packs that mix classes, but {type(game.critic).__name__} judges a sample by its label "
                f"(n_classes {game.critic.n_classes}); set n_classes to 0 on both networks, or leave Packing out"
            )
        for player in PLAYERS:
            share = game.share(player)
            if share is not None and share.rows % self.pack:
                raise UserError(
                    f"Packing makes packs of {self.pack}, but a process's share of the batch of {share.batch_size} is "
                    f"{share.rows} samples; set data.batch_size to a multiple of {self.pack * share.n_shares}"
                )
