"""`gan-lightning augment`: a labelled folder of a conditional generator's samples, as training data for a classifier."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from gan_lightning import __version__
from gan_lightning.cli.sample import sampling_game
from gan_lightning.errors import RunFailed, UserError, say
from gan_lightning.evaluation.cards import file_hash
from gan_lightning.evaluation.classifier import SmallClassifier, accuracy, probabilities, train_classifier
from gan_lightning.evaluation.picture_files import empty_folder
from gan_lightning.evaluation.pictures import picture, to_uint8
from gan_lightning.evaluation.reconstruction import held_out
from gan_lightning.games.sampling import SAMPLE_CHUNK
from gan_lightning.randomness import mix
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.shapes import Images

MANIFEST = "manifest.json"
_MOST_DRAWN = 20
"""Samples drawn for each one wanted before a class is given up as it is."""


def write_labelled(
    ckpt_path: str,
    per_class: int,
    out: str,
    seed: int = 0,
    labels: str | None = None,
    truncation: float | None = None,
    keep_confident: float | None = None,
    device: str = "auto",
    trust: bool = False,
) -> None:
    """Write `out/<class>/000000.png`, ..., as many of each class, and `out/manifest.json`, which says how they were made.

    Args:
        ckpt_path: The checkpoint of a conditional generator of images.
        per_class: Pictures of each class.
        out: The folder, which must be empty.
        seed: Classes draw from streams of their own.
        labels: Names or numbers of the classes, with commas between; all if none are given.
        truncation: Draw the latents outside [-truncation, truncation] anew.
        keep_confident: Keep only pictures of whose class a classifier is at least so sure; it is trained on the training
            data that the checkpoint names, and on nothing else. A class that has not got its pictures after 20 times as
            many draws keeps what it has, which is said.
        device: cpu, cuda, ...; auto is a GPU if there is one.
        trust: Import whatever classes the checkpoint names.

    Raises:
        UserError: The checkpoint, the classes or the folder cannot be used.
        RunFailed: The disk is full.
    """
    game, classes = sampling_game(ckpt_path, labels, device, trust)
    if not game.n_classes:
        raise UserError(f"{ckpt_path} is of a generator without classes: a labelled set needs a conditional one")
    if not isinstance(game.shape, Images):
        raise UserError(f"augment writes pictures, and {ckpt_path} makes {game.shape.words}")
    names = game.classes or [str(i) for i in range(game.n_classes)]
    chosen = list(dict.fromkeys(classes if classes is not None else range(game.n_classes)))
    _check_names([names[index] for index in chosen])
    options = {} if truncation is None else {"truncation": truncation}
    game.sample(1, chosen[:1], seed, **options)  # refuses before there is a folder
    folder = empty_folder(out)
    judge, judged = _judge(ckpt_path, names, game.device, trust) if keep_confident is not None else (None, {})
    counts: dict[str, dict[str, int]] = {}
    try:
        with tqdm(total=per_class * len(chosen), desc="augmenting", unit="picture", disable=None) as bar:
            for index in chosen:
                kept, chunk = 0, 0
                own = folder / names[index]
                own.mkdir()
                while kept < per_class and chunk * SAMPLE_CHUNK < _MOST_DRAWN * per_class:
                    (samples,) = game.sample_chunks([chunk], [index], mix(seed, index), **options)
                    pixels = _confident(to_uint8(samples.cpu()), index, judge, keep_confident, game.device)
                    for one in pixels[: per_class - kept]:
                        picture(one).save(own / f"{kept:06d}.png")
                        kept += 1
                        bar.update()
                    chunk += 1
                counts[names[index]] = {"kept": kept, "drawn": chunk * SAMPLE_CHUNK}
        manifest = {
            "schema": 1,
            "checkpoint": str(ckpt_path),
            "checkpoint_sha256": file_hash(Path(ckpt_path)),
            "family": type(game).__name__,
            "update": game.updates_done,
            "weights": "average" if game.ema_decay else "latest",
            "seed": seed,
            "truncation": truncation,
            "classes": counts,
            "keep_confident": keep_confident,
            **judged,
            "gan_lightning": __version__,
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunFailed(f"{folder} cannot be written to any more: {error.strerror}; free some space") from error
    for name, count in counts.items():
        if count["kept"] < per_class:
            say(
                f"class {name}: the classifier is {keep_confident} sure of only {count['kept']} of {count['drawn']} samples"
            )
    n = sum(count["kept"] for count in counts.values())
    print(f"{n} pictures of {len(chosen)} classes of {ckpt_path} (seed {seed}) in {folder}", file=sys.stderr)


def _check_names(names: list[str]) -> None:
    """Refuse names of classes that no folder can have."""
    for name in names:
        if name in ("", ".", "..") or "/" in name or "\\" in name or name.lower() == MANIFEST:
            raise UserError(f"class {name!r} cannot be the name of a folder; leave it out with --labels")


def _judge(
    ckpt_path: str, names: list[str], device: torch.device, trust: bool
) -> tuple[SmallClassifier, dict[str, Any]]:
    """Return a classifier of the checkpoint's training data, and what the manifest says of it."""
    data = held_out(read_checkpoint(ckpt_path), ckpt_path, trust)
    data.prepare_data()
    real, other = data.reference("train"), data.reference("eval")
    if real.labels is None or other.labels is None:
        raise UserError(f"--keep_confident needs labelled training data, and those of {ckpt_path} have no labels")
    classifier = train_classifier(real.images, real.labels, len(names), device=device, shift=1, shows_progress=True)
    share = accuracy(classifier, other.images, other.labels, device)
    say(f"the classifier of --keep_confident is right on {share:.1%} of {len(other.images):,} held-out pictures")
    said = {
        "classifier": f"SmallClassifier, 1,000 updates on {real.description}",
        "classifier_accuracy": share,
        "classifier_accuracy_on": other.description,
    }
    return classifier, said


def _confident(
    pixels: Tensor, index: int, judge: SmallClassifier | None, least: float | None, device: torch.device
) -> Tensor:
    """Return the images `(N, C, H, W)` of whose class the classifier is sure enough, all without one."""
    if judge is None or least is None:
        return pixels
    return pixels[probabilities(judge, pixels, device)[:, index] >= least]
