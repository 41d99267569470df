"""`gan-lightning upscale`: pictures 2 or 4 times as large, in pieces that fit in memory."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from gan_lightning import __version__
from gan_lightning.cli.devices import chosen_device
from gan_lightning.data.base import scale
from gan_lightning.errors import UserError
from gan_lightning.evaluation.cards import file_hash
from gan_lightning.evaluation.enlarging import in_tiles
from gan_lightning.evaluation.picture_files import (
    PictureFiles,
    as_taken,
    empty_folder,
    refuse_idle_range,
    write_card,
    write_picture,
)
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.families.srgan import SRGAN
from gan_lightning.games.restore import load_finite_game

CARD = "upscale.json"
_FAR = 64
"""Small pixels beyond which what a deep network could look at makes no difference of a grey level."""


def write_upscaled(
    source: str,
    ckpt_path: str,
    out: str,
    tile: int = 256,
    overlap: int | None = None,
    value_range: list[float] | None = None,
    device: str = "auto",
    trust: bool = False,
) -> None:
    """Write `out/<name>.png` of each picture, and `out/upscale.json`, which says how they were made.

    Grey pictures stay grey; transparency is enlarged bicubically.

    Args:
        source: A picture, or a folder or zip of pictures.
        ckpt_path: The checkpoint, of SRGAN; nothing else is needed.
        out: The folder, new or empty.
        tile: Side of the pieces, in small pixels.
        overlap: Small pixels around a piece that are computed with it; what the network looks at, at most 64, if None.
        value_range: The values that are black and white in pixels deeper than 8 bits.
        device: cpu, cuda, ...; auto is a GPU if there is one.
        trust: Import whatever classes the checkpoint names.

    Raises:
        UserError: A picture, the checkpoint, the device or the folder cannot be used.
        RunFailed: The disk is full.
    """
    pictures = PictureFiles(source, value_range)
    refuse_idle_range(value_range, pictures)
    game = load_finite_game(ckpt_path, trust)
    if not isinstance(game, SRGAN):
        raise UserError(f"{ckpt_path} is of {type(game).__name__}; upscale takes a checkpoint of SRGAN")
    game.to(chosen_device(device))
    reach = game.generator.reach
    around = overlap if overlap is not None else _FAR if reach is None else min(reach, _FAR)
    folder = empty_folder(out)
    found: dict[str, Any] = {}
    n_channels = game.shape.size[0]
    with tqdm(total=len(pictures.names), desc="upscaling", unit="picture", disable=None) as bar:
        for name, picture in pictures:
            begun = time.perf_counter()
            colours = scale(as_taken(picture.colours, picture.alpha, n_channels), torch.float32)
            made = to_uint8(in_tiles(game.upscale, colours, game.factor, tile, around))[0]
            alpha = None if picture.alpha is None else _enlarged(picture.alpha, game.factor)
            path = write_picture(folder, name, made[:3].expand(3, -1, -1), alpha, picture.is_grey or n_channels == 1)
            found[name] = {"file": path.name, "seconds": round(time.perf_counter() - begun, 2)}
            bar.update()
    card = {
        "schema": 1,
        "checkpoint": ckpt_path,
        "checkpoint_sha256": file_hash(Path(ckpt_path)),
        "update": game.updates_done,
        "weights": "average" if game.ema_decay else "latest",
        "factor": game.factor,
        "tile": tile,
        "overlap": around,
        "pictures": found,
        "gan_lightning": __version__,
    }
    write_card(folder / CARD, card)
    print(f"{len(found)} pictures, {game.factor} times as large, in {folder}", file=sys.stderr)


def _enlarged(alpha: Tensor, factor: int) -> Tensor:
    """Return a transparency `(H, W)` enlarged bicubically by Pillow."""
    import numpy as np
    from PIL import Image

    height, width = alpha.shape
    image = Image.fromarray(alpha.contiguous().numpy())
    large = image.resize((factor * width, factor * height), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.asarray(large).copy())
