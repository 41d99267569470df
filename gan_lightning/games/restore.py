"""A checkpoint alone is enough to rebuild its game."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gan_lightning.errors import UserError
from gan_lightning.games.game import Game
from gan_lightning.runs.folders import newest_checkpoint


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
    return Game.load_from_checkpoint(path, trust=trust).eval()


def load(path: str | Path, trust: bool = False) -> Any:
    """Return a trained game, in evaluation mode on the CPU: `game.sample(16)`, `game.encode(samples)` of ALI and BiGAN.

    Samples are those of the generator's running average. `game.classes` are the names of the classes, which
    `game.sample(4, labels=["cat", "dog"])` takes; `game.to("cuda")` moves it.

    Args:
        path: A checkpoint, or a run folder, of which the checkpoint that is furthest is taken.
        trust: As `load_game`.

    Raises:
        UserError: There is no checkpoint, or as `load_game`.
    """
    place = Path(path).expanduser()
    if place.is_dir():
        found = newest_checkpoint(place)
        if found is None:
            raise UserError(f"no checkpoint in {place / 'checkpoints'}; load takes a checkpoint or a run folder")
        place = found
    return load_game(place, trust)
