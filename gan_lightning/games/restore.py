"""A checkpoint alone is enough to rebuild its game."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from gan_lightning.description import rebuild
from gan_lightning.errors import UserError
from gan_lightning.games.game import Game
from gan_lightning.runs.folders import newest_checkpoint
from gan_lightning.runs.home import with_home
from gan_lightning.runs.old_names import with_new_names
from gan_lightning.runs.safetensors import read_tensors

WEIGHTS, MODEL = "generator.safetensors", "model.json"
"""Files of a shared folder: the averaged generator's weights, and what rebuilds its game. Exported files hold the latter."""


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
        path: A checkpoint; a run folder, of which the checkpoint that is furthest is taken; or what `gan-lightning share`
            or `export` to `.safetensors` has written, which has the averaged generator alone.
        trust: As `load_game`.

    Raises:
        UserError: There is no checkpoint, or as `load_game`.
    """
    place = Path(path).expanduser()
    if place.suffix == ".safetensors" or (place / WEIGHTS).is_file():
        return _load_generator(place if place.suffix == ".safetensors" else place / WEIGHTS, trust)
    if place.is_dir():
        found = newest_checkpoint(place)
        if found is None:
            raise UserError(
                f"no checkpoint in {place / 'checkpoints'}; load takes a checkpoint, a run folder, or a shared one"
            )
        place = found
    return load_game(place, trust)


def _load_generator(path: Path, trust: bool) -> Any:
    """Return the game of an exported generator: as trained for sampling, with a critic that is as new."""
    weights, about = read_tensors(path)
    try:
        facts = json.loads(about[MODEL])
        parameters, done = with_home(with_new_names(facts["hyper_parameters"])), int(facts["updates_done"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not say what it is of: its header has no {MODEL} of gan_lightning") from error
    with torch.random.fork_rng(devices=[]):
        game = rebuild(Game, parameters, trust)
    for network in (game.generator, game.generator_average):
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"the weights in {path} are not those of its {MODEL}") from error
    game.updates_done = done
    return game.eval()
