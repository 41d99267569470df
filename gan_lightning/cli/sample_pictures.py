"""Pictures of a checkpoint's samples: between latents, under several truncations, beside real ones, over training."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lightning.data.base import scale
from gan_lightning.errors import RunFailed, UserError
from gan_lightning.evaluation.output import output_folder
from gan_lightning.evaluation.pictures import drawn
from gan_lightning.evaluation.reconstruction import held_out
from gan_lightning.evaluation.report import grids_in
from gan_lightning.evaluation.run_pictures import frames, write_film
from gan_lightning.games.latents import NormalLatents
from gan_lightning.games.sampling import SamplingGame
from gan_lightning.metrics.neighbors import nearest_indices
from gan_lightning.randomness import between, mix, truncate
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.shapes import Images

_ROWS, _NEIGHBORS, _COLUMNS = 8, 7, 8


def write_pictures(
    game: SamplingGame,
    ckpt_path: str,
    out: str,
    seed: int = 0,
    classes: Sequence[int] | None = None,
    steps: int | None = None,
    truncations: Sequence[float] = (),
    neighbors: bool = False,
    film: bool = False,
    truncation: float | None = None,
    trust: bool = False,
) -> None:
    """Write what is asked for into the folder `out`.

    `interpolation.png` has a row for each of eight pairs of latents, of one class each; `truncation.png` a row for each
    bound of the same latents, the last without one; `neighbours.png` in each row a sample and the training samples nearest to it,
    by their pixels; `film.gif` the sample grids of the checkpoint's run. `truncation` is of the first and the third.

    Raises:
        UserError: The truncation cannot be used, the generator makes no images, the checkpoint carries no data or lies in no
            run folder, or the folder is in use.
        RunFailed: The disk is full.
    """
    if not isinstance(game.shape, Images) and (steps or truncations or neighbors):
        raise UserError(f"--interpolate, --truncations and --neighbours are of images, got {game.shape.words}")
    options = {} if truncation is None else {"truncation": truncation}
    game.sample(1, classes, seed, **options)  # refuses
    asked = {"interpolation.png": steps, "truncation.png": truncations, "neighbours.png": neighbors, "film.gif": film}
    grids = _grids(ckpt_path) if film else []
    pictures: dict[str, Any] = {}
    if steps:
        pictures["interpolation.png"] = drawn(_interpolated(game, steps, seed, classes, truncation), game.shape, steps)
    if truncations:
        rows = [game.sample(_COLUMNS, classes, seed, bound) for bound in (*truncations, None)]
        names = [*(f"{bound:g}" for bound in truncations), "none"]
        pictures["truncation.png"] = drawn(torch.cat(rows), game.shape, _COLUMNS, names)
    if neighbors:
        samples = game.sample(_ROWS, classes, seed, **options).cpu()
        data = held_out(read_checkpoint(ckpt_path), ckpt_path, trust)
        data.prepare_data()
        real = data.reference("train").images
        if tuple(real.shape[1:]) != tuple(samples.shape[1:]):
            raise UserError(f"the data have samples of {tuple(real.shape[1:])}, the generator makes {game.shape.size}")
        found = nearest_indices(samples.flatten(1), scale(real, samples.dtype).flatten(1), _NEIGHBORS)
        rows = [torch.cat([samples[i : i + 1], scale(real[found[i]], samples.dtype)]) for i in range(len(samples))]
        pictures["neighbours.png"] = drawn(torch.cat(rows), game.shape, rows[0].shape[0])
    folder = output_folder(out, *(name for name, is_asked in asked.items() if is_asked))
    try:
        for name, image in pictures.items():
            image.save(folder / name)
        if film:
            write_film(grids, folder / "film.gif")
    except OSError as error:
        raise RunFailed(f"{folder} cannot be written to any more: {error.strerror}; free some space") from error
    words = [*pictures, *(["film.gif"] if film else [])]
    print(f"{', '.join(words)} of {ckpt_path} (update {game.updates_done}, seed {seed}) in {folder}", file=sys.stderr)


@torch.no_grad()
def _interpolated(
    game: SamplingGame, steps: int, seed: int, classes: Sequence[int] | None, truncation: float | None
) -> Tensor:
    """Return samples of eight interpolations, row after row: on the sphere for normal latents, else on a line."""
    generator = torch.Generator().manual_seed(mix(seed, 0x1E))
    latents = game.sample_latents(2 * _ROWS, generator)
    if truncation is not None:
        latents = truncate(latents, truncation, generator)
    is_normal = isinstance(game.latent_distribution, NormalLatents)
    paths = []
    for one, other in zip(latents[::2], latents[1::2], strict=True):
        t = torch.linspace(0, 1, steps)[:, None]
        paths.append(between(one, other, steps) if is_normal else torch.lerp(one.expand(steps, -1), other, t))
    labels = None
    if game.n_classes:
        chosen = list(classes) if classes else list(range(game.n_classes))
        labels = torch.tensor([chosen[row % len(chosen)] for row in range(_ROWS) for _ in range(steps)])
    rows = torch.cat(paths).to(game.device, game.dtype_of_samples)
    parts = rows.split(64)
    given = [None] * len(parts) if labels is None else labels.to(game.device).split(64)
    return torch.cat([game.generator_average(part, own) for part, own in zip(parts, given, strict=True)])


def _grids(ckpt_path: str) -> list[Any]:
    """Return the grids of the run that a checkpoint lies in, in order."""
    folder = Path(ckpt_path).expanduser().resolve().parent.parent
    found = frames(grids_in(folder))
    if len(found) < 2:
        raise UserError(
            f"--film is made of the sample grids of a run, and {folder / 'samples'} has {len(found)}; give a checkpoint in "
            "the run's checkpoints/ folder"
        )
    return found
