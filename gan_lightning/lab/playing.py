"""How the lab trains: Lightning's Trainer on one process, silent, and the generators and data of one dimension."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from gan_lightning.data import data_of
from gan_lightning.execution.process_state import process_kept
from gan_lightning.games.game import Game
from gan_lightning.networks import MLPCritic
from gan_lightning.networks.base import Generator
from gan_lightning.optimizers import SGD, Adam
from gan_lightning.shapes import Shape


def play(game: Game, data: Any, n_updates: int, callbacks: list[Callback] | None = None) -> Game:
    """Train a game for so many generator updates on the CPU and return it."""
    with process_kept():
        trainer = Trainer(
            max_steps=n_updates,
            accelerator="cpu",
            devices=1,
            logger=False,
            callbacks=callbacks,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
        )
        trainer.fit(game, datamodule=data)
    return game


class Affine(Generator):
    """mu + sigma z: N(mu, sigma^2) of latents N(0, 1), in each of the shape's dimensions; or held still.

    Args:
        shape: Vectors.
        mu: Mean at first.
        sigma: Standard deviation at first.
    """

    def __init__(self, shape: Shape, mu: float = 0.0, sigma: float = 1.0) -> None:
        super().__init__()
        self.latent_dim = shape.n_values
        self.mu, self.sigma = nn.Parameter(torch.tensor(mu)), nn.Parameter(torch.tensor(sigma))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples `(N, D)`."""
        return self.mu + self.sigma * latents


STILL = SGD(lr=1e-30)
"""An optimizer that leaves the generator where it is, to within rounding."""


def normal_data(mean: float, std: float, n: int = 50_000, dim: int = 1, batch_size: int = 256, seed: int = 0) -> Any:
    """Return a data module of draws of N(mean, std^2)."""
    random = torch.Generator().manual_seed(1000 + seed)
    return data_of(mean + std * torch.randn(n, dim, generator=random), batch_size=batch_size)


def critic_of(width: int = 64, **options: Any) -> Any:
    """Return what builds a small critic."""
    return partial(MLPCritic, width=width, n_layers=2, **options)


def adam(lr: float) -> Adam:
    """Return Adam without momentum."""
    return Adam(lr=lr, betas=(0.0, 0.99))
