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
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.evaluation.reconstruction import held_out
from gan_lightning.evaluation.sample_files import form_of
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
    """Write as many samples of each class into `out/<class>/`, and `out/manifest.json`, which says how they were made.

    They are written as `sample` writes them: `000000.png`, ..., of images, lines of `samples.txt` of text, WAV files of sound.

    Args:
        ckpt_path: The checkpoint of a conditional generator.
        per_class: Samples of each class.
        out: The folder, which must be empty.
        seed: Classes draw from streams of their own.
        labels: Names or numbers of the classes, with commas between; all if none are given.
        truncation: Draw the latents outside [-truncation, truncation] anew.
        keep_confident: Keep only images of whose class a classifier is at least so sure; it is trained on the training
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
    if keep_confident is not None and not isinstance(game.shape, Images):
        raise UserError(
            f"--keep_confident has a classifier of images, and {ckpt_path} makes {game.shape.words}; leave it out"
        )
    names = game.classes or [str(i) for i in range(game.n_classes)]
    chosen = list(dict.fromkeys(classes if classes is not None else range(game.n_classes)))
    _check_names([names[index] for index in chosen])
    options = {} if truncation is None else {"truncation": truncation}
    game.sample(1, chosen[:1], seed, **options)  # refuses before there is a folder
    form = form_of(game.shape, read_checkpoint(ckpt_path))
    folder = empty_folder(out)
    judge, judged = _judge(ckpt_path, names, game.device, trust) if keep_confident is not None else (None, {})
    counts: dict[str, dict[str, int]] = {}
    try:
        with tqdm(total=per_class * len(chosen), desc="augmenting", unit="sample", disable=None) as bar:
            for index in chosen:
                kept, chunk = 0, 0
                own = folder / names[index]
                own.mkdir()
                while kept < per_class and chunk * SAMPLE_CHUNK < _MOST_DRAWN * per_class:
                    (samples,) = game.sample_chunks([chunk], [index], mix(seed, index), **options)
                    sure = _confident(samples.cpu(), index, judge, keep_confident, game.device)[: per_class - kept]
                    form.write(sure, kept, per_class, own)
                    kept += len(sure)
                    bar.update(len(sure))
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
    what = "pictures" if isinstance(game.shape, Images) else "samples"
    print(f"{n} {what} of {len(chosen)} classes of {ckpt_path} (seed {seed}) in {folder}", file=sys.stderr)


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
    is_new = other.fingerprint != real.fingerprint
    which = "held-out pictures" if is_new else "pictures that it was trained on, as the data hold none out"
    say(f"the classifier of --keep_confident is right on {share:.1%} of {len(other.images):,} {which}")
    said = {
        "classifier": f"SmallClassifier, 1,000 updates on {real.description}",
        "classifier_accuracy": share,
        "classifier_accuracy_on": other.description,
    }
    return classifier, said


def _confident(
    samples: Tensor, index: int, judge: SmallClassifier | None, least: float | None, device: torch.device
) -> Tensor:
    """Return the samples `(N, ...)` of whose class the classifier is sure enough, all without one."""
    if judge is None or least is None:
        return samples
    return samples[(probabilities(judge, to_uint8(samples), device)[:, index] >= least).to(samples.device)]
