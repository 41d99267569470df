"""`gan-lightning translate`: what a checkpoint makes of pictures, of any size."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from gan_lightning import __version__
from gan_lightning.cli.devices import chosen_device
from gan_lightning.data.base import scale
from gan_lightning.data.degradations import Degradation
from gan_lightning.description import rebuild
from gan_lightning.errors import UserError
from gan_lightning.evaluation.cards import file_hash
from gan_lightning.evaluation.picture_files import (
    PictureFiles,
    as_taken,
    empty_folder,
    refuse_idle_range,
    write_card,
    write_picture,
)
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.games.restore import load_finite_game
from gan_lightning.protocols import Translating
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.shapes import Images, Pair

CARD = "translate.json"


def write_translations(
    source: str,
    ckpt_path: str,
    out: str,
    direction: str = "AtoB",
    seed: int = 0,
    value_range: list[float] | None = None,
    device: str = "auto",
    degrade: bool = False,
    trust: bool = False,
) -> None:
    """Write `out/<name>.png` of each picture, of its size, and `out/translate.json`, which says how they were made.

    Colours become grey where the checkpoint takes grey ones, and grey all three colours. Transparency is kept as it is.

    Args:
        source: A picture, or a folder or zip of pictures.
        ckpt_path: The checkpoint, of a game that translates; nothing else is needed.
        out: The folder, new or empty.
        direction: AtoB, or BtoA of CycleGAN.
        seed: Of what is random about a translation; a picture's does not depend on the others.
        value_range: The values that are black and white in pixels deeper than 8 bits.
        device: cpu, cuda, ...; auto is a GPU if there is one.
        degrade: The pictures are such as targets: the degradation of the training data is applied first.
        trust: Import whatever classes the checkpoint names.

    Raises:
        UserError: A picture, the checkpoint, the direction, the device or the folder cannot be used.
        RunFailed: The disk is full.
    """
    game = load_finite_game(ckpt_path, trust)
    if not isinstance(game, Translating):
        raise UserError(f"{ckpt_path} is of {type(game).__name__}; translate takes a checkpoint of Pix2Pix or CycleGAN")
    if direction not in game.directions:
        raise UserError(
            f"--direction {direction}: {type(game).__name__} translates {' and '.join(game.directions)} alone; CycleGAN does both"
        )
    degradation = _degradation(ckpt_path, direction) if degrade else None
    pictures = PictureFiles(source, value_range)
    refuse_idle_range(value_range, pictures)
    network: Any = game
    network.to(chosen_device(device))
    folder = empty_folder(out)
    assert isinstance(game.shape, Pair)
    taken = game.shape.source if direction == "AtoB" else game.shape.target
    assert isinstance(taken, Images)
    with tqdm(total=len(pictures.names), desc="translating", unit="picture", disable=None) as bar:
        for name, picture in pictures:
            if degradation is not None:
                pixels = degradation(as_taken(picture.colours, picture.alpha, game.shape.target.size[0]), [seed])
            else:
                pixels = as_taken(picture.colours, picture.alpha, taken.channels)
            made = to_uint8(game.translate(scale(pixels, torch.float32), direction, seed)[0].cpu())
            colours = made[:3] if len(made) >= 3 else made[:1].repeat(3, 1, 1)
            write_picture(folder, name, colours, picture.alpha, len(made) == 1)
            bar.update()
    card = {
        "schema": 1,
        "checkpoint": ckpt_path,
        "checkpoint_sha256": file_hash(Path(ckpt_path)),
        "family": type(game).__name__,
        "update": game.updates_done,
        "weights": "average" if game.ema_decay else "latest",
        "direction": direction,
        "seed": seed,
        "degradation": None if degradation is None else str(degradation),
        "pictures": pictures.names,
        "gan_lightning": __version__,
    }
    write_card(folder / CARD, card)
    print(
        f"{len(pictures.names)} pictures, translated {direction} by {ckpt_path} (update {game.updates_done}), in {folder}",
        file=sys.stderr,
    )


def _degradation(ckpt_path: str, direction: str) -> Degradation:
    """Return what the sources of a checkpoint's training data were made by.

    Raises:
        UserError: They were not made of their targets, or the direction is the way back.
    """
    data = read_checkpoint(ckpt_path).get("config", {}).get("data", {})
    found = data.get("init_args", {}).get("degradation")
    if found is None or direction != "AtoB":
        raise UserError(
            f"--degrade makes sources of targets as the training data did, and {ckpt_path} "
            f"{'has no degradation in its config' if found is None else 'is asked for ' + direction}; leave it out"
        )
    return rebuild(Degradation, {"_class_path": found["class_path"], **found.get("init_args", {})})
