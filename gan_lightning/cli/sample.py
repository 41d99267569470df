"""`gan-lightning sample`: samples of a checkpoint as pictures or rows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from gan_lightning.cli.devices import chosen_device
from gan_lightning.errors import RunFailed, UserError, nearest
from gan_lightning.evaluation.output import output_folder
from gan_lightning.evaluation.pictures import LARGEST_SIDE, cell
from gan_lightning.evaluation.sample_files import form_of
from gan_lightning.games.restore import load_finite_game
from gan_lightning.games.sampling import SAMPLE_CHUNK, SamplingGame
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.shapes import Shape, Signals, Vectors


def write_samples(
    ckpt_path: str,
    n: int,
    out: str,
    seed: int,
    labels: str | None,
    with_grid: bool,
    device: str,
    truncation: float | None = None,
    trust: bool = False,
) -> None:
    """Write n samples into the folder `out`, and `grid.png` if asked for.

    Images are written as one PNG each, melodies as one MIDI file and sounds as one WAV file each, vectors as rows of
    `samples.csv`, text as lines of `samples.txt`, other shapes as `samples.npy`, `(n, ...)` float32.

    They are drawn and written in chunks of 64, so memory does not grow with n. A grid shows at most 1,024 images and is
    at most 16,384 pixels wide or high.

    Raises:
        UserError: The checkpoint, the labels, the truncation or the folder cannot be used.
        RunFailed: The disk is full.
    """
    game, classes = sampling_game(ckpt_path, labels, device, trust)
    options = {} if truncation is None else {"truncation": truncation}
    game.sample(1, classes, seed, **options)  # refuses before there is a folder
    form = form_of(game.shape, read_checkpoint(ckpt_path))
    folder = output_folder(out, form.first, *(["grid.png"] if with_grid else []))
    shown: list[Tensor] = []
    n_shown = min(n, _largest_grid(game.shape)) if with_grid else 0
    try:
        with tqdm(total=n, desc="sampling", unit="sample", disable=None) as bar:
            for chunk in range(-(-n // SAMPLE_CHUNK)):
                first = chunk * SAMPLE_CHUNK
                for samples in game.sample_chunks([chunk], classes, seed, **options):
                    samples = samples[: n - first].cpu()
                    form.write(samples, first, n, folder)
                    bar.update(len(samples))
                if first < n_shown:
                    shown.append(samples[: n_shown - first])
        if with_grid:
            n_turn = len(classes) if classes else game.n_classes  # samples after which the labels begin again
            n_columns = n_turn * max(1, round(n_shown**0.5 / n_turn)) if 1 < n_turn <= n_shown else None
            form.drawn(torch.cat(shown), n_columns).save(folder / "grid.png")
            if n_shown < n:
                print(f"grid.png shows the first {n_shown:,} of {n:,} samples", file=sys.stderr)
    except OSError as error:
        raise RunFailed(f"{folder} cannot be written to any more: {error.strerror}; free some space") from error
    print(f"{form.words(n)} of {ckpt_path} (update {game.updates_done}, seed {seed}) in {folder}", file=sys.stderr)


def sampling_game(
    ckpt_path: str, labels: str | None = None, device: str = "auto", trust: bool = False
) -> tuple[Any, list[int] | None]:
    """Return the game of a checkpoint on a device, and the indices of the classes that a text names, None without.

    Raises:
        UserError: The checkpoint, the labels or the device cannot be used.
    """
    game = load_finite_game(ckpt_path, trust)
    if not isinstance(game, SamplingGame):
        raise UserError(f"{type(game).__name__} draws no samples from latents")
    game.to(chosen_device(device))
    if labels is not None and not game.n_classes:
        raise UserError(f"--labels {labels} given, but this generator is not conditional; leave them out")
    if labels is None:
        return game, None
    classes = class_indices(labels, game.classes or [str(i) for i in range(game.n_classes)])
    game.label_indices(classes)  # refuses a number that is none of a class
    return game, classes


def class_indices(text: str, names: Sequence[str]) -> list[int]:
    """Return the indices of classes that are written as their names or numbers, with commas between.

    Where a class has a number for a name, numbers are names: 2 of the classes 1, 2 and 10 is never the third.

    Example:
        >>> class_indices("dog,0", ["cat", "dog"])
        [1, 0]

    Raises:
        UserError: There is no such class.
    """
    if text in names:  # a name with a comma
        return [names.index(text)]
    found = []
    are_numbers = any(name.isdecimal() and name != str(index) for index, name in enumerate(names))
    for word in map(str.strip, text.split(",")):
        if word in names:
            found.append(names.index(word))
        elif word.lstrip("-").isdecimal() and not are_numbers:
            found.append(int(word))
        else:
            raise UserError(
                f"--labels: there is no class {word!r}{nearest(word, names)}; the classes are {', '.join(names[:20])}"
            )
    return found


def _largest_grid(shape: Shape) -> int:
    """Return how many samples a grid can show."""
    if isinstance(shape, Vectors):
        return 10_000
    if isinstance(shape, Signals):
        return 64
    height, width = shape.size[-2:]
    return min(1024, max(1, LARGEST_SIDE // cell(height, width)[1]) ** 2)
