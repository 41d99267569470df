"""Twenty updates of four families in double precision: `python -m tests.cluster.equal_ranks FOLDER`, on each rank."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

import gan_lightning.execution.gan_ddp  # noqa: F401  registers gan_ddp
from gan_lightning.callbacks import Diagnostics
from gan_lightning.execution.ranks import close_process_group
from gan_lightning.families import ACGAN, ALI, SNGAN, WGANGP
from gan_lightning.networks import MLPGenerator, SNGANResNetCritic, WGANGPCNNCritic
from tests.cases import COLOUR, LABELLED, N_CLASSES, Case, classifying
from tests.training import train

UPDATES = 20
BATCH_SIZE = 12

FOUR = [
    Case(
        WGANGP,
        data=COLOUR,
        n_critic=2,
        generator=partial(MLPGenerator, latent_dim=3, width=8),
        critic=partial(WGANGPCNNCritic, width=4),
        critic_clip_norm=1.0,
    ),
    Case(
        SNGAN,
        n_critic=2,
        generator=partial(MLPGenerator, latent_dim=3, width=8),
        critic=partial(SNGANResNetCritic, width=4),
    ),
    Case(ACGAN, data=LABELLED, **classifying(N_CLASSES)),
    Case(ALI),
]
"""One row for each family of the acceptance criterion, without batch statistics."""


def main(folder: Path, world_size: int, rank: int) -> None:
    """Train every case on so many ranks; rank r writes `<case>.<world_size>.<r>.pt`."""
    options: dict[str, Any] = {"devices": world_size, "strategy": "gan_ddp"} if world_size > 1 else {}
    for case in FOUR:
        game = case.game()
        watched = {**options, "precision": "64-true", "callbacks": [Diagnostics(7)]}  # which changes nothing
        train(game, case.data(batch_size=BATCH_SIZE), folder, UPDATES, **watched)
        torch.save(game.state_dict(), folder / f"{case.name}.{world_size}.{rank}.pt")
    close_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_RANK"]))
