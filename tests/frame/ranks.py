"""What every rank of a few processes runs for test_ranks.py: `python -m tests.frame.ranks FOLDER`.

The processes are started as Lightning's launcher starts them: LOCAL_RANK, WORLD_SIZE and MASTER_PORT in the environment.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch

import gan_lightning.execution.gan_ddp  # noqa: F401  registers gan_ddp
from gan_lightning.families import DCGAN, SNGAN, WGANGP
from gan_lightning.networks import DCGANCritic, DCGANGenerator, MLPCritic, MLPGenerator
from tests.cases import CASES, LABELLED, VECTORS, Case, cnn, resnet
from tests.training import SaveAt, train

BATCH_SIZE = 12  # shared by 1, 2 and 3 ranks, and by two micro-batches in each
UPDATES = 3
STRATEGIES = ("gan_ddp", "ddp_find_unused_parameters_true")

RESUMED = [
    Case(DCGAN, **cnn(DCGANGenerator, DCGANCritic)),
    Case(SNGAN, data=LABELLED, n_critic=2, **resnet(3), name="conditional"),
    Case(WGANGP, data=VECTORS, n_critic=2, critic_accumulation=2, name="vectors"),
]
"""Rows whose resuming is tried on two ranks: batch norm, spectral norm, accumulation."""

COMPILED = Case(
    WGANGP,
    data=VECTORS,
    critic_accumulation=2,
    generator_accumulation=2,
    name="vectors-accumulated",
    compile=True,
)
"""The row that is compiled as well."""

DRAWN = Case(
    WGANGP,
    data=VECTORS,
    n_critic=2,
    generator=partial(MLPGenerator, latent_dim=2, width=4, n_layers=1),
    critic=partial(MLPCritic, width=4, n_layers=1),
)
"""The row whose latents and real samples are compared over ranks."""


def play(case: Case, folder: Path, updates: int = UPDATES, **options: Any) -> Any:
    """Train in double precision on the global batch and return the game."""
    game = case.game()
    train(game, case.data(batch_size=BATCH_SIZE), folder, updates, precision="64-true", **options)
    return game


def play_and_record(folder: Path, **options: Any) -> dict[str, list[torch.Tensor]]:
    """Return the latents and the real samples of each turn."""
    game = DRAWN.game()
    drawn: dict[str, list[torch.Tensor]] = {"latents": [], "real": []}
    latents, turn = game.latents, game.critic_turn

    def watched_latents(n: int) -> torch.Tensor:
        drawn["latents"].append(latents(n))
        return drawn["latents"][-1]

    def watched_turn(batch: Any) -> Any:
        drawn["real"].append(batch.real.clone())
        return turn(batch)

    game.latents, game.critic_turn = watched_latents, watched_turn
    train(game, DRAWN.data(batch_size=BATCH_SIZE), folder, UPDATES, **options)
    return drawn


def main(folder: Path) -> None:
    """Play every scene of this number of ranks; rank 0 writes what it got."""
    rank, world_size = int(os.environ["LOCAL_RANK"]), int(os.environ["WORLD_SIZE"])
    options: dict[str, Any] = {"devices": world_size, "strategy": "gan_ddp"}
    for case in CASES:
        if not case.is_coupled:
            game = play(case, folder, **options)
            torch.save(game.state_dict(), folder / f"{case.name}.{rank}.pt")
    with mock.patch("torch.compile", lambda graph, **_: graph):  # as it was traced
        torch.save(play(COMPILED, folder, **options).state_dict(), folder / f"compiled.{rank}.pt")
    torch.save(play_and_record(folder, **options), folder / f"drawn.{rank}.pt")
    if world_size == 2:
        for strategy in STRATEGIES:
            options["strategy"] = strategy
            for case in RESUMED:
                at = folder / strategy / case.name
                save = SaveAt(at, {2, 4})
                play(case, at, 4, callbacks=[save], **options)
                start = at / "2.ckpt"
                again = SaveAt(at / "resumed", {4})
                train(
                    case.game(),
                    case.data(batch_size=BATCH_SIZE),
                    at,
                    4,
                    start,
                    callbacks=[again],
                    precision="64-true",
                    **options,
                )
    print("played", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
