"""A checkpoint alone is enough to rebuild its game."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gan_lightning.description import rebuild
from gan_lightning.games.game import Game
from gan_lightning.runs.checkpoint_files import read_checkpoint


def load_game(path: str | Path, trust: bool = False) -> Any:
    """Return the game of a checkpoint with its weights and clock, in evaluation mode, on the CPU.

    Args:
        path: The checkpoint.
        trust: Import whatever modules the checkpoint names, such as an own family's, which runs their code. Otherwise
            classes of this package, torch.nn, torch.optim and torchvision.datasets are found, and nothing else is
            imported.

    Raises:
        UserError: As `read_checkpoint`, or the module cannot be rebuilt without its config, or names other classes.
    """
    checkpoint = read_checkpoint(path)
    with torch.random.fork_rng(devices=[]):
        game = rebuild(Game, checkpoint["hyper_parameters"], trust)
    game.load_state_dict(checkpoint["state_dict"])
    game.on_load_checkpoint(checkpoint)
    return game.eval()
