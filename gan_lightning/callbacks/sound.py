"""How far the pitches and the spectrum of generated sounds are from those of real ones, while training and in `validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.evaluation.sound_classifier import SoundClassifier, load_sound_classifier
from gan_lightning.evaluation.sound_pictures import waves_of
from gan_lightning.metrics.fidelity import Moments, chunks, frechet_distance, gather_rows, shard
from gan_lightning.metrics.sound import (
    log_spectral_distance,
    pitch_agreement,
    pitch_histogram,
    pitches,
    power_spectrum,
    usual_pitches,
)
from gan_lightning.protocols import Shaped, Sounding
from gan_lightning.shapes import Signals


class SoundStatistics(Measuring):
    """Compares generated sounds with those of the evaluation split, at every validation and before the first update.

    Logged are `val/pitch_tv`, the total variation between the histograms of pitches (semitones by YIN, and "none");
    `val/spectral_distance` in decibels, between the average power spectra; of a conditional game `val/pitch_agreement`, the
    share of samples on the semitone that most training sounds of their class are on; with a classifier
    `val/frechet_sound`, the Fréchet distance between its features of the samples and of the evaluation split. The card has the
    same numbers for the training sounds, and says what the classifier was trained on and how well.

    Args:
        n_samples: Generated samples.
        seed: Seed of the generated samples.
        enabled: Measure at all.
        classifier: File of a classifier that `scripts/train_sound_classifier.py` trained on such recordings; null for none.
    """

    option = "sound"

    def __init__(
        self, n_samples: int = 1000, seed: int = 0, enabled: bool = True, classifier: str | None = None
    ) -> None:
        super().__init__(n_samples, seed, enabled)
        self.classifier = classifier
        self._judge: SoundClassifier | None = None
        self._moments: Moments | None = None
        self._real: tuple[Tensor, Tensor, list[int | None], dict[str, float]] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Read the classifier, and refuse one of other sounds."""
        if self.classifier is not None and self.enabled and self.applies(trainer, pl_module):
            data: Any = trainer.datamodule  # type: ignore[attr-defined]
            path = Path(self.classifier).expanduser()
            self._judge = load_sound_classifier(path)
            self._judge.check(path, data.rate, data.shape.length)

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; none for data that are no sound."""
        if not self.enabled or not self.applies(trainer, None):
            return []
        game: Any = trainer.lightning_module
        names = ["val/pitch_tv", "val/spectral_distance"] + ["val/pitch_agreement"] * bool(game.n_classes)
        return names + ["val/frechet_sound"] * bool(self.classifier)

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether the data are sound."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        return isinstance(data, Sounding) and isinstance(data, Shaped) and isinstance(data.shape, Signals)

    def measure(self, trainer: Trainer, game: Any) -> Measurement:
        """Compare pitches and spectra."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        ranges = chunks(self.n_samples)
        mine = shard(len(ranges), trainer.global_rank, trainer.world_size)
        drawn = zip(mine, game.sample_chunks(mine, seed=self.seed), strict=True)
        waves = gather_rows([(chunk, samples[: len(ranges[chunk]), 0].float().cpu()) for chunk, samples in drawn])
        pitch, spectrum, usual, baseline = self._reference(data)
        found = pitches(waves, data.rate)
        values = {
            "pitch_tv": variation(found, pitch),
            "spectral_distance": log_spectral_distance(power_spectrum(waves), spectrum),
        }
        if game.n_classes:
            labels = torch.arange(self.n_samples) % game.n_classes  # as samples are drawn
            values["pitch_agreement"] = pitch_agreement(found, labels, usual)
        if self._judge is not None and self._moments is not None:
            values["frechet_sound"] = frechet_distance(self._moments, self._judge.moments(waves))
        facts = {
            "n_held_out": len(pitch),
            "real_fingerprint": data.reference("eval").fingerprint,
            "without_pitch": float(found.isnan().float().mean()),
            "without_pitch_held_out": float(pitch.isnan().float().mean()),
            "rate": data.rate,
            "data": type(data).__name__,
            "of_training_sounds": baseline,
            **({} if self._judge is None else {"classifier": self._judge.facts}),
        }
        return Measurement(values, facts, (str(self.n_samples), f"seed{self.seed}"), prefix="sound-")

    def _reference(self, data: Any) -> tuple[Tensor, Tensor, list[int | None], dict[str, float]]:
        """Return pitches and spectrum of the evaluation split, the usual pitches of classes and the training split's numbers."""
        if self._real is None:
            train, held_out = data.reference("train"), data.reference("eval")
            sounds = [waves_of(split.images) for split in (train, held_out)]
            found = [pitches(waves, data.rate) for waves in sounds]
            spectra = [power_spectrum(waves) for waves in sounds]
            baseline = {
                "pitch_tv": variation(found[0], found[1]),
                "spectral_distance": log_spectral_distance(spectra[0], spectra[1]),
            }
            usual: list[int | None] = []
            if train.labels is not None:
                usual = usual_pitches(found[0], train.labels, data.n_classes)
                baseline["pitch_agreement"] = pitch_agreement(found[0], train.labels, usual)
            if self._judge is not None:
                of_train, self._moments = (self._judge.moments(waves) for waves in sounds)
                baseline["frechet_sound"] = frechet_distance(self._moments, of_train)
            self._real = found[1], spectra[1], usual, baseline
        return self._real


def variation(one: Tensor, other: Tensor) -> float:
    """Return the total variation between the histograms of two sets of pitches `(N,)`, 0 to 1."""
    p, q = pitch_histogram(one), pitch_histogram(other)
    return sum(abs(p.get(key, 0) / len(one) - q.get(key, 0) / len(other)) for key in p.keys() | q.keys()) / 2
