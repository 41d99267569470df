"""A small classifier of sounds, trained on the recordings in hand: its features are what their Fréchet distance is of."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_lightning.errors import UserError, in_one_line
from gan_lightning.evaluation.cards import short_hash
from gan_lightning.evaluation.classifier import SmallClassifier, accuracy, train_classifier
from gan_lightning.evaluation.output import write_whole
from gan_lightning.evaluation.sound_pictures import decibels, waves_of
from gan_lightning.metrics.fidelity import Moments

_RANGE, _EVERY = 70, 2


class SoundClassifier(NamedTuple):
    """A trained classifier.

    Attributes:
        network: What tells the class of a spectrogram.
        facts: What it was trained on and how well, for cards: `rate`, `length`, `classes`, `accuracy`, ...
    """

    network: SmallClassifier
    facts: dict[str, Any]

    @torch.no_grad()
    def moments(self, waves: Tensor) -> Moments:
        """Return the moments of the features `(N, 128)` of sounds `(N, L)`."""
        moments = Moments()
        for part in images_of(waves).split(250):
            moments.update(self.network.features(part / 127.5 - 1))
        return moments

    def save(self, path: Path) -> None:
        """Write it to a file, whole or not at all."""
        content = {"state": self.network.state_dict(), "facts": self.facts}
        write_whole(path, partial(torch.save, content))

    def check(self, path: Path, rate: int, length: int) -> None:
        """Refuse it for sounds of another kind than it was trained on.

        Raises:
            UserError: The rate or the length is another.
        """
        own = self.facts["rate"], self.facts["length"]
        if own != (rate, length):
            raise UserError(
                f"sound.classifier {path} was trained on sounds of {own[1]} samples at {own[0]} Hz, and the data have {length} "
                f"at {rate} Hz; train another with scripts/train_sound_classifier.py"
            )


def images_of(waves: Tensor) -> Tensor:
    """Return the spectrograms of sounds `(N, L)` as images `(N, 1, F, T)`, uint8: 255 is the loudest place, 0 is 70 dB below."""
    pictures = torch.stack([decibels(wave)[:, ::_EVERY] for wave in waves.float().cpu()])
    return ((pictures / _RANGE + 1).clamp(0, 1) * 255).round().to(torch.uint8)[:, None]


def train_sound_classifier(data: Any, seed: int = 0, n_updates: int = 400) -> SoundClassifier:
    """Return a classifier of a labelled data module's training recordings, and how well it does on the held-out ones.

    Args:
        data: An `AudioFolder` with classes.
        seed: Of the weights and the order.
        n_updates: Updates of 64 recordings.

    Raises:
        UserError: The data have no classes.
    """
    train, held_out = data.reference("train"), data.reference("eval")
    if train.labels is None or held_out.labels is None:
        raise UserError(
            f"a classifier needs classes, and {train.description} have none; give a folder with sub-folders"
        )
    images, others = images_of(waves_of(train.images)), images_of(waves_of(held_out.images))
    network = train_classifier(images, train.labels, data.n_classes, seed, n_updates, shows_progress=True)
    facts = {
        "rate": data.rate,
        "length": data.length,
        "classes": list(data.classes),
        "trained_on": train.description,
        "n_updates": n_updates,
        "accuracy": accuracy(network, others, held_out.labels),
        "accuracy_on": held_out.description,
    }
    return SoundClassifier(network, facts)


def load_sound_classifier(path: Path) -> SoundClassifier:
    """Return the classifier in a file, with the file's name and hash among its facts.

    Raises:
        UserError: There is no such file, or it holds no classifier of sounds.
    """
    try:
        given = torch.load(path, map_location="cpu", weights_only=True)
        network = SmallClassifier(1, len(given["facts"]["classes"]))
        network.load_state_dict(given["state"])
    except Exception as error:  # bytes that are no archive raise anything
        raise UserError(
            f"sound.classifier {path} holds no classifier of sounds ({in_one_line(error)}); write one with "
            "scripts/train_sound_classifier.py"
        ) from error
    facts = {**given["facts"], "file": path.name, "sha256": short_hash(path)}
    return SoundClassifier(network.eval(), facts)
