"""`gan-lightning export`: the generator of a checkpoint as a program that needs torch only."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import torch

from gan_lightning.errors import UserError
from gan_lightning.evaluation.output import write_whole
from gan_lightning.games.restore import load_game
from gan_lightning.games.sampling import SamplingGame


def write_program(ckpt_path: str, out: str, trust: bool = False) -> None:
    """Write the averaged generator as a `torch.export` program of latents (and labels) with a free batch size.

    Raises:
        UserError: The checkpoint has no generator of samples, or there can be no such file.
        RunFailed: The disk is full.
    """
    game = load_game(ckpt_path, trust)
    if not isinstance(game, SamplingGame):
        raise UserError(f"{type(game).__name__} has no generator from latents to export")
    latents = game.sample_latents(2, torch.Generator().manual_seed(0))
    inputs: tuple[Any, ...] = (latents, torch.zeros(2, dtype=torch.long)) if game.n_classes else (latents,)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in inputs)
    program = torch.export.export(game.generator_average, inputs, dynamic_shapes=shapes)
    whole = io.BytesIO()  # torch's own writer ends the process where the disk is full
    torch.export.save(program, whole)
    write_whole(Path(out), lambda file: file.write(whole.getbuffer()))
    print(f"generator of {ckpt_path} in {out}; load it with torch.export.load(path).module()", file=sys.stderr)
