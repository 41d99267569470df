"""`gan-lightning sample`: samples of a checkpoint as pictures or rows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from gan_lightning.errors import UserError
from gan_lightning.evaluation.pictures import grid, picture, scatter, to_uint8
from gan_lightning.games.restore import load_game
from gan_lightning.games.sampling import SamplingGame
from gan_lightning.shapes import Images


def write_samples(
    ckpt_path: str,
    n: int,
    out: str,
    seed: int,
    labels: Sequence[int] | None,
    with_grid: bool,
    device: str,
    truncation: float | None = None,
    trust: bool = False,
) -> None:
    """Write n samples into the folder `out`: one PNG each, or `samples.csv` for vectors; and `grid.png` if asked for.

    Raises:
        UserError: The checkpoint, the labels, the truncation or the folder cannot be used.
    """
    game = load_game(ckpt_path, trust)
    if not isinstance(game, SamplingGame):
        raise UserError(f"{type(game).__name__} draws no samples from latents")
    options = {} if truncation is None else {"truncation": truncation}
    device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    try:
        game.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device!r} cannot be used: {str(error).splitlines()[0]}") from error
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(f"--out {folder} is a file; give a folder") from error
    samples = game.sample(n, labels, seed, **options).cpu()
    if not isinstance(game.shape, Images):
        rows = "\n".join(",".join(f"{value:.9g}" for value in row) for row in samples.tolist())
        (folder / "samples.csv").write_text(rows + "\n")
    else:
        samples = to_uint8(samples)
        for index, pixels in enumerate(samples):
            picture(pixels).save(folder / f"{index:06d}.png")
    if with_grid:
        n_turn = len(labels) if labels else game.n_classes  # samples after which the labels begin again
        n_columns = n_turn * max(1, round(n**0.5 / n_turn)) if 1 < n_turn <= n else None
        image = grid(samples, n_columns) if isinstance(game.shape, Images) else scatter(samples)
        image.save(folder / "grid.png")
    what = "samples.csv" if not isinstance(game.shape, Images) else f"{n} pictures"
    print(f"{what} of {ckpt_path} (update {game.updates_done}, seed {seed}) in {folder}", file=sys.stderr)
