"""Modes that the averaged generator covers of data whose modes are known, while training and in `validate`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import isnan, nan
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.errors import UserError
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.metrics.coverage import mode_coverage, stacked_coverage
from gan_lightning.metrics.extractors import Digits, ExtractorUnavailable, FeatureExtractor
from gan_lightning.metrics.fidelity import chunks, gather_rows, shard
from gan_lightning.protocols import Mixture, NeedsClassifier, Stacked


class Coverage(Measuring):
    """Counts the modes that generated samples hit, at every validation and before the first update.

    Measured are data with `centres` `(K, D)` and `std`, such as `Ring` and `Grid`, and images whose channels are pictures
    of `channel_classes` classes each, such as `StackedDigits`; on other data it does nothing.

    Logged are `val/modes` (captured, 0 ... K), `val/reverse_kl` (of the samples over the modes to the uniform
    distribution, in nats; left out while no sample is of high quality) and, of vectors, `val/high_quality` (share of the
    samples near a centre; 0.98889 for a perfect sampler in two dimensions at 3 std, more means collapsed modes); all are
    nan if a sample is not finite. Each evaluation leaves a card in `evaluation/`. Ranks share the samples in chunks that
    are the same however many ranks there are; every rank then holds all of them.

    Args:
        n_samples: Generated samples; 2,500 in VEEGAN and PacGAN, 26,000 of stacked digits.
        n_std: Distance from the nearest centre, in std, up to which a vector is of high quality. In high dimension D
            a real sample is about sqrt(D) std away: give k * sqrt(D).
        classifier: Tells the class of each channel of stacked images; the shipped classifier of digits if none is given,
            for `StackedDigits` alone.
        seed: Seed of the generated samples.
        enabled: Measure at all.

    Raises:
        UserError: n_samples or n_std is not positive, the classifier gives no classes, or, before training, it has not
            learnt the data's.
    """

    option = "coverage"

    def __init__(
        self,
        n_samples: int = 2500,
        n_std: float = 3.0,
        seed: int = 0,
        enabled: bool = True,
        classifier: FeatureExtractor | None = None,
    ) -> None:
        super().__init__(n_samples, seed, enabled)
        if not n_std > 0:
            raise UserError(f"coverage.n_std must be above 0, got {n_std}; the published figures take 3")
        self.n_std = n_std
        self._is_given = classifier is not None
        self.classifier = classifier or Digits()
        if not self.classifier.has_logits:
            raise UserError(f"coverage.classifier {self.classifier.name} has no classes; take Digits")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load the classifier before anything is trained, if it will be asked."""
        if self.measures(trainer, pl_module) and (data := _stacked(trainer)) is not None:
            if not self._is_given and isinstance(data, NeedsClassifier):
                raise UserError(
                    f"coverage.classifier must be given for {type(data).__name__}: the one that ships knows "
                    "scikit-learn's digits; scripts/train_digits_classifier.py --mnist trains one, or set coverage.enabled: false"
                )
            try:
                self.classifier.load()
            except ExtractorUnavailable as error:
                raise UserError(f"{error}; or set coverage.enabled: false") from error

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; none for data without known modes."""
        if not self.enabled:
            return []
        if _stacked(trainer) is not None:
            return ["val/modes", "val/reverse_kl"]
        return ["val/modes", "val/high_quality", "val/reverse_kl"] if _mixture(trainer) else []

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether the modes of the data are known."""
        return _mixture(trainer) is not None or _stacked(trainer) is not None

    def measure(self, trainer: Trainer, game: Any) -> Measurement:
        """Count the modes that the samples hit."""
        common = {
            "labels": "all classes in turn" if game.n_classes else None,
            "data": type(trainer.datamodule).__name__,  # type: ignore[attr-defined]
        }
        stacked = _stacked(trainer)
        if stacked is not None:
            values, facts = self._measure_stacked(trainer, game, stacked)
            differs = [self.classifier.name.replace(" ", "_")]
        else:
            values, facts = self._measure_mixture(trainer, game)
            differs = [f"{self.n_std:g}std"]
        return Measurement(
            values, facts | common, (str(self.n_samples), *differs, f"seed{self.seed}"), prefix="coverage-"
        )

    def _measure_mixture(self, trainer: Trainer, game: Any) -> tuple[dict[str, float], dict[str, Any]]:
        data = _mixture(trainer)
        assert data is not None and data.centres is not None and data.std is not None
        points = self._drawn(trainer, game, lambda samples: samples)
        found = mode_coverage(points, data.centres.cpu(), data.std, self.n_std)
        values: dict[str, float] = {"modes": float(found.n_captured), "high_quality": found.high_quality}
        if not isnan(found.reverse_kl):
            values["reverse_kl"] = found.reverse_kl
        if not points.isfinite().all():
            values = dict.fromkeys(("modes", "high_quality", "reverse_kl"), nan)
        facts = {"n_modes": len(data.centres), "std": data.std, "n_std": self.n_std}
        digest = hashlib.sha256(data.centres.float().cpu().numpy().tobytes()).hexdigest()
        return values, facts | {"centres_fingerprint": digest}

    def _measure_stacked(self, trainer: Trainer, game: Any, data: Stacked) -> tuple[dict[str, float], dict[str, Any]]:
        self.classifier.to(game.device)
        digits = self._drawn(trainer, game, lambda images: self._classes(images, data.channel_classes))
        found = stacked_coverage(digits.clamp(min=0), data.channel_classes)
        values = {"modes": float(found.n_captured), "reverse_kl": found.reverse_kl}
        if (digits < 0).any():
            values = dict.fromkeys(values, nan)
        facts = {
            "n_modes": data.channel_classes ** digits.shape[1],
            "classifier": self.classifier.name,
            "classifier_fingerprint": self.classifier.fingerprint(),
        }
        return values, facts

    def _classes(self, images: Tensor, n_classes: int) -> Tensor:
        """Return the class of each channel `(N, C)` of images `(N, C, H, W)` in [-1, 1]; -1 in an image not finite."""
        _, logits = self.classifier(to_uint8(images.flatten(0, 1).unsqueeze(1)))
        assert logits is not None
        if logits.shape[1] != n_classes:
            raise UserError(
                f"coverage.classifier {self.classifier.name} tells {logits.shape[1]} classes apart, the channels of the "
                f"data have {n_classes}; take a classifier of these"
            )
        classes = logits.argmax(1).unflatten(0, images.shape[:2])
        return classes.masked_fill(~images.isfinite().flatten(1).all(1, keepdim=True), -1)

    def _drawn(self, trainer: Trainer, game: Any, of: Callable[[Tensor], Tensor]) -> Tensor:
        """Return what `of` makes of each chunk of samples, of all ranks, `(n_samples, ...)` on the CPU."""
        ranges = chunks(self.n_samples)
        mine = shard(len(ranges), trainer.global_rank, trainer.world_size)
        drawn = zip(mine, game.sample_chunks(mine, seed=self.seed), strict=True)
        return gather_rows([(chunk, of(samples[: len(ranges[chunk])]).cpu()) for chunk, samples in drawn])


def _mixture(trainer: Trainer) -> Mixture | None:
    """Return the data if their modes are known."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data if isinstance(data, Mixture) and data.centres is not None and data.std else None


def _stacked(trainer: Trainer) -> Stacked | None:
    """Return the data if each channel of an image is a picture with a class of its own."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data if isinstance(data, Stacked) else None
