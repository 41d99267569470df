"""A checkpoint alone is enough to rebuild its game."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_lightning.description import rebuild
from gan_lightning.errors import UserError, in_one_line, say
from gan_lightning.games.game import Game
from gan_lightning.protocols import Classed, Notated, Spelled
from gan_lightning.runs.checkpoint_files import read_checkpoint
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


def load_finite_game(path: str | Path, trust: bool = False) -> Any:
    """Return the game of a checkpoint as `load_game` does, for what is to be made by its averaged generator.

    Raises:
        UserError: As `load_game`, or weights of the averaged generator are not finite.
    """
    game = load_game(path, trust)
    weights = game.generator_average.state_dict()
    wrong = [name for name, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if wrong:
        raise UserError(
            f"{path} has a generator whose weights are not finite ({len(wrong)} of {len(weights)} tensors, such as "
            f"{wrong[0]}): its run has diverged; take an earlier checkpoint"
        )
    return game


def load(path: str | Path, trust: bool = False) -> Any:
    """Return a trained game, in evaluation mode on the CPU: `game.sample(16)`, `game.encode(samples)` of ALI and BiGAN.

    Samples are those of the generator's running average. `game.classes` are the names of the classes, which
    `game.sample(4, labels=["cat", "dog"])` takes; `game.to("cuda")` moves it.

    Args:
        path: A checkpoint; a run folder, of which the checkpoint that is furthest is taken; what `gan-lightning share`
            or `export` to `.safetensors` has written, which has the averaged generator alone; or, where there is no such
            file, the id "owner/name" of a shared folder on the Hugging Face hub (`pip install gan-lightning[hub]`), with
            "@revision" behind it or not.
        trust: As `load_game`.

    Raises:
        UserError: There is no checkpoint, or as `load_game`.
    """
    place = _place(path)
    if place.suffix == ".safetensors" or (place / WEIGHTS).is_file():
        return _load_generator(place if place.suffix == ".safetensors" else place / WEIGHTS, trust)
    return load_game(_checkpoint_in(place), trust)


class Start(NamedTuple):
    """Weights to start from.

    Attributes:
        path: The file.
        updates_done: Generator updates that they are old.
        weights: Tensors by their names in a game: `generator.*`, `generator_average.*`, and `critic.*` if the file has it.
        meaning: What numbers mean there: the names of classes, the vocabulary of texts, the notation of music.
    """

    path: Path
    updates_done: int
    weights: dict[str, Tensor]
    meaning: dict[str, Any] = {}


def read_start(path: str | Path) -> Start:
    """Return the weights of what `load` takes, without building its game, so that none of its classes are needed.

    Raises:
        UserError: There is no such file, or it is none of these.
    """
    place = _place(path)
    if place.suffix == ".safetensors" or (place / WEIGHTS).is_file():
        place = place if place.suffix == ".safetensors" else place / WEIGHTS
        tensors, about = read_tensors(place)
        facts = _facts(place, about)
        done = int(facts["updates_done"])
        both = {
            f"{player}.{name}": value
            for player in ("generator", "generator_average")
            for name, value in tensors.items()
        }
        return Start(place, done, both, {"classes": facts.get("classes") or [], **facts.get("samples", {})})
    place = _checkpoint_in(place)
    checkpoint = read_checkpoint(place)
    weights = {name: value for name, value in checkpoint["state_dict"].items() if name.partition(".")[0] in _NETWORKS}
    parts = [part for part in checkpoint.values() if isinstance(part, dict)]
    meaning = {key: part[key] for part in parts for key in ("classes", "vocabulary", "notation") if key in part}
    return Start(place, checkpoint["clock"]["updates_done"], weights, meaning)


@torch.no_grad()
def start_from(game: Game, start: Start | str | Path, data: Any = None) -> None:
    """Give a new game the weights of another one, as far as they fit; its clock and optimizers stay new.

    A tensor is taken if the game has one of this name and shape. A layer that is parametrized, as by spectral normalisation,
    is taken whole or not at all. The generator's average starts from theirs. Sizes, classes and families may differ: what is
    not taken is told by name and shape.

    Args:
        game: The game, before its training.
        start: What `load` takes, or what `read_start` has returned.
        data: The data that the game is to be trained on: what their symbols mean is compared.

    Raises:
        UserError: As `read_start`, or nothing of it fits.
    """
    start = start if isinstance(start, Start) else read_start(start)
    own = {name: value for name, value in game.state_dict().items() if name.partition(".")[0] in _NETWORKS}
    other = {
        name for name, value in own.items() if name not in start.weights or start.weights[name].shape != value.shape
    }
    halves = {name.partition(".parametrizations.")[0] for name in other if ".parametrizations." in name}
    other |= {
        name for name in own if name.partition(".parametrizations.")[0] in halves and ".parametrizations." in name
    }
    taken = [name for name in own if name not in other]
    if not taken:
        raise UserError(f"nothing of {start.path} fits this model; build networks as its run did (its config says how)")
    for name in taken:
        own[name].copy_(start.weights[name])
    for player in ("generator", "critic"):
        mine = [name for name in own if name.startswith(f"{player}.")]
        n = sum(name not in other for name in mine)
        say(f"{n} of {len(mine)} tensors of the {player} are those of {start.path} (update {start.updates_done:,})")
        here = [f"{name} {_sizes(own[name])}" for name in mine if name in other]
        there = [
            f"{name} {_sizes(value)}"
            for name, value in start.weights.items()
            if name.startswith(f"{player}.") and (name not in own or name in other)
        ]
        if here:
            say(f"as new in the {player}: {', '.join(here)}")
        if there:
            say(f"left there: {', '.join(there)}")

    for line in _other_meanings(game, start, data):
        say(line)


def _other_meanings(game: Game, start: Start, data: Any) -> Iterator[str]:
    """Yield a line for each kind of number, such as a class, that means something else here than where weights come from."""
    now = {
        "classes": list(game.classes) if isinstance(game, Classed) and game.n_classes else [],
        "vocabulary": list(data.vocabulary) if isinstance(data, Spelled) else [],
    }
    for key, here in now.items():
        there = list(start.meaning.get(key) or [])
        moved = [place for place, (one, other) in enumerate(zip(there, here, strict=False)) if one != other]
        if moved:
            one, other = there[moved[0]], here[moved[0]]
            yield (
                f"{key} are in another order: what {start.path} has learned of {one!r}, number {moved[0]}, goes to {other!r} "
                f"here, and so for {len(moved)} of {len(here)}; name or sort them alike, or start without --init_from"
            )
    notation = data.notation._asdict() if isinstance(data, Notated) else None
    if notation is not None and start.meaning.get("notation") not in (None, notation):
        yield f"notes mean something else: {start.meaning['notation']} in {start.path}, and {notation} here"


_NETWORKS = ("generator", "critic", "generator_average")


def _sizes(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "scalar"


def _place(path: str | Path) -> Path:
    """Return where something to load is: a path, or the folder that a hub's id is downloaded to."""
    place = Path(path).expanduser()
    hub_id = re.fullmatch(r"([\w-][\w.-]*/[\w.-]*\w)(?:@([\w./-]+))?", path) if isinstance(path, str) else None
    if hub_id is None or place.exists() or place.suffix in (".ckpt", ".safetensors"):
        return place
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UserError(
            f"there is nothing at {path}; if it is an id on the Hugging Face hub: pip install 'gan-lightning[hub]'"
        ) from error
    name, revision = hub_id.groups()
    try:  # weights and what says what they are; nothing that could be run
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=[WEIGHTS, MODEL]))
    except (OSError, ValueError) as error:  # all of the hub's own errors are of these
        raise UserError(
            f"there is nothing at {path}, and the hub does not give it: {in_one_line(error)[:150]}"
        ) from error
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{path} on the hub has no {WEIGHTS}; gan-lightning share writes such a folder")
    return folder


def _checkpoint_in(place: Path) -> Path:
    """Return a checkpoint, or the one of a run folder that is furthest."""
    if not place.is_dir():
        return place
    found = newest_checkpoint(place)
    if found is None:
        raise UserError(f"no checkpoint in {place / 'checkpoints'}; give a checkpoint, a run folder, or a shared one")
    return found


def _facts(path: Path, about: dict[str, str]) -> dict[str, Any]:
    """Return what an exported generator says of itself."""
    try:
        facts = json.loads(about[MODEL])
        return {
            **facts,
            "hyper_parameters": dict(facts["hyper_parameters"]),
            "updates_done": int(facts["updates_done"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} does not say what it is of: its header has no {MODEL} of gan_lightning") from error


def _load_generator(path: Path, trust: bool) -> Any:
    """Return the game of an exported generator: as trained for sampling, with a critic that is as new."""
    weights, about = read_tensors(path)
    facts = _facts(path, about)
    parameters = with_home(with_new_names(facts["hyper_parameters"]))
    with torch.random.fork_rng(devices=[]):
        game = rebuild(Game, parameters, trust)
    for network in (game.generator, game.generator_average):
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"the weights in {path} are not those of its {MODEL}") from error
    game.updates_done = facts["updates_done"]
    return game.eval()
