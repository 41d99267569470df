"""FID, IS, KID and precision/recall of the averaged generator, while training and in `validate`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import Any, Literal, NamedTuple, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.errors import UserError, say
from gan_lightning.evaluation.moments import keep_moments, read_moments
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.metrics.extractors import ExtractorUnavailable, FeatureExtractor, Inception
from gan_lightning.metrics.fidelity import (
    Moments,
    chunks,
    frechet_distance,
    gather_rows,
    inception_score,
    kernel_inception_distance,
    precision_recall,
    proportional_labels,
    shard,
)
from gan_lightning.protocols import Classed, Sampler

_CACHE_FORMAT = 2


class _Measured(NamedTuple):
    moments: Moments
    features: Tensor | None
    logits: Tensor | None


class Fidelity(Measuring):
    """Measures generated against real samples at every validation, and before the first update.

    Numbers are logged as `val/fid`, `val/isc_mean`, ... when they come from Inception, and with the extractor's name
    behind (`val/fid_digits`) when they do not: numbers of two extractors cannot be compared. Precision and recall always
    carry it (`val/precision_inception`): torch-fidelity's default, and what is published, has a VGG16's features. Each
    evaluation leaves a card in `evaluation/`. Ranks share the samples in chunks of 64 that are the same however many ranks
    there are. Moments of the real side are kept under the user's cache folder, by a key over all that they depend on.

    Args:
        extractor: Network whose features are compared; Inception if none is given.
        n_samples: Generated samples.
        metrics: Which to compute: fid, isc (Inception score), kid, prc (precision and recall).
        split: Part of the real data to compare with: eval (held out) or train (the usual protocol of CIFAR-10 figures).
        seed: Seed of the generated samples.
        required: Stop before training if the extractor is not available; otherwise say so once and continue without.
        isc_splits: Parts into which the Inception score's samples are cut.
        labels: Classes of a conditional generator's samples: data (as frequent as in the split compared with) or
            uniform (all in turn). It is the same where the classes of the split are equally frequent.
        enabled: Measure at all.
    """

    option = "fidelity"
    libraries = ("torch", "torch-fidelity", "lightning")

    def __init__(
        self,
        extractor: FeatureExtractor | None = None,
        n_samples: int = 10_000,
        metrics: list[Literal["fid", "isc", "kid", "prc"]] | None = None,
        split: Literal["eval", "train"] = "eval",
        seed: int = 0,
        required: bool = False,
        isc_splits: int = 10,
        labels: Literal["data", "uniform"] = "data",
        enabled: bool = True,
    ) -> None:
        if labels not in ("data", "uniform"):
            raise UserError(f"fidelity.labels must be data or uniform, got {labels}")
        super().__init__(n_samples, seed, enabled, least=2)
        self.extractor = extractor or Inception()
        self.metrics, self.split, self.required, self.isc_splits = (
            metrics or ["fid", "isc"],
            split,
            required,
            isc_splits,
        )
        self.labels = labels
        self._is_unavailable = False
        self._real: _Measured | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load the extractor before anything is trained."""
        self.enabled = self.enabled and isinstance(pl_module, Sampler)
        if not self.enabled:
            return
        game = cast(Sampler, pl_module)
        self.extractor.check(game.shape)
        if self.n_samples < game.n_classes:
            say(f"fidelity.n_samples {self.n_samples} is below the {game.n_classes} classes: some are not measured")
        try:
            self.extractor.load()
        except ExtractorUnavailable as error:
            if self.required:
                raise UserError(f"{error} (fidelity.required is set)") from error
            say(f"continuing without FID: {error}")
            self.enabled, self._is_unavailable = False, True

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; the same if there is no extractor on this machine."""
        if not (self.enabled or self._is_unavailable):
            return []
        known = {"fid": ["fid"], "isc": ["isc_mean", "isc_std"], "kid": ["kid_mean", "kid_std"]}
        known["prc"] = ["precision", "recall"]
        found = [
            name for metric in self.metrics for name in known[metric] if metric != "isc" or self.extractor.has_logits
        ]
        return [self.key(name) for name in found]

    def key(self, name: str) -> str:
        """Return the extractor's key, so that numbers of two cannot be confused."""
        return self.extractor.key(name)

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Measure all samples that the extractor takes."""
        return True

    def measure(self, trainer: Trainer, game: Any) -> Measurement:
        """Compare generated with real samples."""
        self.extractor.to(game.device)
        reference = trainer.datamodule.reference(self.split)  # type: ignore[attr-defined]
        if self._real is None:
            self._real = self._measure_real(trainer, reference)

        labels = self._labels_of_fakes(game, reference)
        given = {} if labels is None else {"labels": labels}

        def generate(indices: Iterable[int]) -> Iterable[Tensor]:
            yield from game.sample_chunks(indices, seed=self.seed, **given)

        is_8_bit = reference.images.dtype == torch.uint8  # otherwise fakes are compared as the floats they are
        fake = self._measure(trainer, self.n_samples, generate, to_uint8 if is_8_bit else None)
        facts = {
            "labels": self._labels_for_people(game, reference),
            "classes": game.classes if game.n_classes and isinstance(game, Classed) else None,
            "real": reference.description,
            "real_split": self.split,
            "n_real": len(reference.images),
            "real_fingerprint": reference.fingerprint,
            "extractor": self.extractor.name,
            "extractor_fingerprint": self.extractor.fingerprint(),
            "isc_splits": self.isc_splits,
        }
        differs = [self.extractor.name, self.split, str(self.n_samples), f"seed{self.seed}"]
        differs += [] if self.labels == "data" else [self.labels]
        return Measurement(self._values(self._real, fake), facts, tuple(differs))

    def _labels_of_fakes(self, game: Any, reference: Any) -> Tensor | None:
        """Return the classes of the fakes, None for all in turn or for no classes."""
        if not game.n_classes or self.labels == "uniform" or reference.labels is None:
            return None
        counts = torch.as_tensor(reference.labels).bincount(minlength=game.n_classes)
        return None if (counts == counts[0]).all() else proportional_labels(counts, self.n_samples)

    def _values(self, real: _Measured, fake: _Measured) -> dict[str, float]:
        values: dict[str, float] = {}
        if "fid" in self.metrics:
            values["fid"] = frechet_distance(real.moments, fake.moments)
        if "isc" in self.metrics and fake.logits is not None:
            values["isc_mean"], values["isc_std"] = inception_score(fake.logits, self.isc_splits)
        if real.features is not None and fake.features is not None:
            n = min(len(real.features), len(fake.features))
            if "kid" in self.metrics:
                size = min(1000, n)
                values["kid_mean"], values["kid_std"] = kernel_inception_distance(
                    real.features, fake.features, subset_size=size
                )
            if "prc" in self.metrics:
                values["precision"], values["recall"] = precision_recall(real.features, fake.features)
        return values

    def _measure(
        self,
        trainer: Trainer,
        n: int,
        draw: Callable[[Iterable[int]], Iterable[Tensor]],
        prepare: Callable[[Tensor], Tensor] | None = None,
    ) -> _Measured:
        """Return what the n samples measure that all ranks draw together, each its own chunks.

        Features and logits of a sample that is not finite are nan, whatever a pixel or a network makes of it.
        """
        ranges = chunks(n)
        mine = shard(len(ranges), trainer.global_rank, trainer.world_size)
        moments, features, logits = Moments(), [], []
        for chunk, samples in zip(mine, draw(mine), strict=True):
            samples = samples[: len(ranges[chunk])]
            found, classes = self.extractor(samples if prepare is None else prepare(samples))
            broken = ~samples.isfinite().flatten(1).all(1).to(found.device)
            found = found.masked_fill(broken[:, None], torch.nan)
            classes = None if classes is None else classes.masked_fill(broken[:, None], torch.nan)
            moments.update(found)
            if self._keeps_features:
                features.append((chunk, found.cpu()))
            if classes is not None and "isc" in self.metrics:
                logits.append((chunk, classes.cpu()))
        return _Measured(
            moments.reduce(),
            gather_rows(features) if self._keeps_features else None,
            gather_rows(logits) if "isc" in self.metrics and self.extractor.has_logits else None,
        )

    def _measure_real(self, trainer: Trainer, reference: Any) -> _Measured:
        def read(indices: Iterable[int]) -> Iterable[Tensor]:
            ranges = chunks(len(reference))
            for chunk in indices:
                yield reference.images[ranges[chunk].start : ranges[chunk].stop]

        def whole() -> Any:
            data: Any = trainer.datamodule  # type: ignore[attr-defined]
            return reference if reference.is_whole() else data.reference(self.split, whole=True)

        if self._keeps_features:
            reference = whole()
            return self._measure(trainer, len(reference), read)
        key = {
            "format": _CACHE_FORMAT,
            "data": reference.fingerprint,
            "n": len(reference),
            "extractor": [self.extractor.name, self.extractor.fingerprint()],
            "torch-fidelity": version("torch-fidelity"),
        }
        name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
        kept = trainer.strategy.broadcast(read_moments(name, len(reference)) if trainer.is_global_zero else None)
        if kept is not None:
            return _Measured(kept, None, None)
        reference = whole()
        say(f"features of {len(reference)} real samples ({reference.description})")
        metrics, self.metrics = self.metrics, ["fid"]
        measured = self._measure(trainer, len(reference), read)
        self.metrics = metrics
        if trainer.is_global_zero:
            keep_moments(name, measured.moments)
        return measured

    @property
    def _keeps_features(self) -> bool:
        return "kid" in self.metrics or "prc" in self.metrics

    def _labels_for_people(self, game: Any, reference: Any) -> str | None:
        if not game.n_classes:
            return None
        in_turn = self._labels_of_fakes(game, reference) is None
        return "all classes in turn" if in_turn else f"as frequent as in the {self.split} split"
