"""What a checkpoint alone is enough for: rebuilding its module, sampling, exporting."""

from __future__ import annotations

import inspect
import pickle
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from gan_lightning.description import rebuild
from gan_lightning.errors import UserError, fail
from gan_lightning.game import Game
from gan_lightning.pictures import grid, picture, scatter, to_uint8


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn the user's mistakes into one line and exit code 2; everything else passes with its traceback.

    A mistake is a `UserError`, also one that jsonargparse has wrapped, or a configuration that Lightning refuses.
    """
    try:
        yield
    except MisconfigurationException as error:
        fail(str(error))
    except (ValueError, TypeError) as error:
        mistake = _mistake(error)
        if mistake is None:
            raise
        fail(str(mistake))


def _mistake(error: BaseException) -> UserError | None:
    """Return the user's mistake that an exception is, or that jsonargparse has wrapped into it."""
    while not isinstance(error, UserError):
        frames = traceback.extract_tb(error.__traceback__)
        wrapped = error.__cause__ or error.__context__
        if wrapped is None or not frames or "jsonargparse" not in Path(frames[-1].filename).parts:
            return None
        error = wrapped
    return error


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return the contents of a checkpoint, on the CPU, loaded without running any code in it.

    Raises:
        UserError: There is no such file, it is torn, holds code, or is not a checkpoint of this framework.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; runs/<name>/checkpoints/ holds those of a run")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path} is refused: it holds more than tensors and plain values ({reason[:150]})") from error
    except Exception as error:  # bytes that are no pickle raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:150]
        raise UserError(f"{path} is torn or not a checkpoint ({reason})") from error
    if not isinstance(checkpoint, dict) or "clock" not in checkpoint or "hyper_parameters" not in checkpoint:
        raise UserError(f"{path} is not a checkpoint of gan-lightning: it has no clock")
    return checkpoint


def load_game(path: str | Path) -> Any:
    """Return the game of a checkpoint with its weights and clock, in evaluation mode, on the CPU.

    Raises:
        UserError: As `read_checkpoint`, or the module cannot be rebuilt without its config.
    """
    checkpoint = read_checkpoint(path)
    with torch.random.fork_rng(devices=[]):
        game = rebuild(Game, checkpoint["hyper_parameters"])
    game.load_state_dict(checkpoint["state_dict"])
    game.on_load_checkpoint(checkpoint)
    return game.eval()


def write_samples(
    ckpt_path: str,
    n: int,
    out: str,
    seed: int,
    labels: Sequence[int] | None,
    with_grid: bool,
    device: str,
    truncation: float | None = None,
) -> None:
    """Write n samples into the folder `out`: one PNG each, or `samples.csv` for vectors; and `grid.png` if asked for.

    Raises:
        UserError: The checkpoint, the labels, the truncation or the folder cannot be used.
    """
    game = load_game(ckpt_path)
    if not hasattr(game, "sample"):
        raise UserError(f"{type(game).__name__} draws no samples from latents")
    options = {} if truncation is None else {"truncation": truncation}
    if options and "truncation" not in inspect.signature(game.sample).parameters:
        raise UserError(f"{type(game).__name__} has no truncation; leave --truncation out")
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
    if game.image_size == 0:
        rows = "\n".join(",".join(f"{value:.9g}" for value in row) for row in samples.tolist())
        (folder / "samples.csv").write_text(rows + "\n")
    else:
        samples = to_uint8(samples)
        for index, pixels in enumerate(samples):
            picture(pixels).save(folder / f"{index:06d}.png")
    if with_grid:
        n_turn = len(labels) if labels else game.n_classes  # samples after which the labels begin again
        n_columns = n_turn * max(1, round(n**0.5 / n_turn)) if 1 < n_turn <= n else None
        image = grid(samples, n_columns) if game.image_size else scatter(samples)
        image.save(folder / "grid.png")
    what = "samples.csv" if game.image_size == 0 else f"{n} pictures"
    print(f"{what} of {ckpt_path} (update {game.updates_done}, seed {seed}) in {folder}", file=sys.stderr)


def write_program(ckpt_path: str, out: str) -> None:
    """Write the averaged generator as a `torch.export` program of latents (and labels) with a free batch size.

    Raises:
        UserError: The checkpoint has no generator of samples.
    """
    game = load_game(ckpt_path)
    if not hasattr(game, "sample_latents"):
        raise UserError(f"{type(game).__name__} has no generator from latents to export")
    latents = game.sample_latents(2, torch.Generator().manual_seed(0))
    inputs: tuple[Any, ...] = (latents, torch.zeros(2, dtype=torch.long)) if game.n_classes else (latents,)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in inputs)
    program = torch.export.export(game.generator_average, inputs, dynamic_shapes=shapes)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, out)
    print(f"generator of {ckpt_path} in {out}; load it with torch.export.load(path).module()", file=sys.stderr)
