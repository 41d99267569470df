"""Metrics of features of the averaged generator's samples, while training and in `validate`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.errors import UserError, say
from gan_lightning.evaluation.measures import (
    METRICS,
    OF_LOGITS,
    Draw,
    Measured,
    MetricName,
    Numbers,
    check_metrics,
    check_pairs,
    check_sizes,
    compared,
    measure,
    names_of,
    with_spread,
)
from gan_lightning.evaluation.moments import measure_kept
from gan_lightning.evaluation.path_length import check_path_length, path_length
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.evaluation.translated import Translated
from gan_lightning.metrics.extractors import ExtractorUnavailable, FeatureExtractor, Inception
from gan_lightning.metrics.fidelity import chunks, proportional_labels
from gan_lightning.protocols import Classed, Sampler, Translating
from gan_lightning.shapes import Pair


class Fidelity(Measuring):
    """Measures generated against real samples at every validation, and before the first update.

    Numbers are logged as `val/fid`, `val/isc_mean`, ... when they come from Inception, and with the extractor's name
    behind (`val/fid_digits`) when they do not: numbers of two extractors cannot be compared. Precision and recall always
    carry it (`val/precision_inception`): torch-fidelity's default, and what is published, has a VGG16's features. Each
    evaluation leaves a card for each extractor in `evaluation/` (docs/metrics.md). Samples are drawn once for all
    extractors and metrics. Of a game that translates, at most `n_samples` sources of the split are, and the card has
    `fid_of_sources`, the Fréchet distance of the sources themselves. Ranks share them in chunks of 64 that are the same
    however many ranks there are. What is computed of the real side is kept under the user's cache folder, by a key over
    all that it depends on.

    Args:
        extractor: Network whose features are compared; Inception if none is given.
        n_samples: Generated samples.
        metrics: Which to compute: fid, isc (Inception score), kid, prc (precision and recall), dc (density and
            coverage), fd_infinity, class_fid, class_spread, cmmd, memorization (with AuthPct), vendi, classes, ppl.
        split: Part of the real data to compare with: eval (held out) or train (the usual protocol of CIFAR-10 figures).
        seed: Seed of the generated samples.
        required: Stop before training if the extractor is not available; otherwise say so once and continue without.
        isc_splits: Parts into which the Inception score's samples are cut.
        labels: Classes of a conditional generator's samples: data (as frequent as in the split compared with) or
            uniform (all in turn). It is the same where the classes of the split are equally frequent.
        enabled: Measure at all.
        extractors: Several networks instead of `extractor`; each has its own keys and cards.
        n_seeds: Sets of samples, from seeds `seed`, `seed + 1`, ...: numbers are the means over them, and their standard
            deviations are logged as `val/spread_<metric>`.
    """

    option = "fidelity"
    libraries = ("torch", "torch-fidelity", "lightning")

    def __init__(
        self,
        extractor: FeatureExtractor | None = None,
        n_samples: int = 10_000,
        metrics: list[MetricName] | None = None,
        split: Literal["eval", "train"] = "eval",
        seed: int = 0,
        required: bool = False,
        isc_splits: int = 10,
        labels: Literal["data", "uniform"] = "data",
        enabled: bool = True,
        extractors: list[FeatureExtractor] | None = None,
        n_seeds: int = 1,
    ) -> None:
        if labels not in ("data", "uniform"):
            raise UserError(f"fidelity.labels must be data or uniform, got {labels}")
        if extractor is not None and extractors:
            raise UserError("fidelity.extractor and fidelity.extractors both name networks; put all into extractors")
        if n_seeds < 1:
            raise UserError(f"fidelity.n_seeds must be at least 1, got {n_seeds}")
        check_metrics(metrics or [])
        super().__init__(n_samples, seed, enabled, least=2)
        self.extractors: list[FeatureExtractor] = list(extractors or [extractor or Inception()])
        suffixes = [one.log_suffix for one in self.extractors]
        if len(set(suffixes)) < len(suffixes):
            raise UserError(f"fidelity.extractors has two whose numbers would have one name, {suffixes}")
        self.metrics: list[str] = list(metrics or ["fid", "isc"])
        self.split: Literal["eval", "train"] = split
        self.required, self.isc_splits, self.labels, self.n_seeds = required, isc_splits, labels, n_seeds
        self._prints: dict[str, str] = {}  # names and weights
        self._lost: list[FeatureExtractor] = []  # whose weights are not here
        self._real: list[Measured] | None = None
        self._training: list[Measured] = []
        self._of_sources: dict[str, float | None] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Load the extractors before anything is trained, and refuse what cannot be measured."""
        self.enabled = self.enabled and self.watches(pl_module)
        if not self.enabled:
            return
        check_pairs(self.metrics, self.extractors, "fidelity.metrics [ppl]")
        if "ppl" in self.metrics:
            check_path_length(pl_module, "fidelity.metrics")
        game = cast(Sampler, pl_module)
        n_classes = game.n_classes if isinstance(game, Sampler) else 0
        for extractor in self.extractors:
            extractor.check(game.shape.target if isinstance(game.shape, Pair) else game.shape)
            check_sizes(self.metrics, self.n_samples, None, self.isc_splits, extractor.has_logits)
        if self.n_samples < n_classes:
            say(f"fidelity.n_samples {self.n_samples} is below the {n_classes} classes: some are not measured")
        by_class = [metric for metric in self.metrics if METRICS[metric].labels]
        if by_class and not n_classes:
            raise UserError(f"fidelity.metrics {by_class[0]} is of classes, and this generator has none; leave it out")
        for extractor in list(self.extractors):
            try:
                extractor.load()
            except ExtractorUnavailable as error:
                if self.required:
                    raise UserError(f"{error} (fidelity.required is set)") from error
                what = "FID" if len(self.extractors) == 1 else f"{extractor.name}'s numbers"
                say(f"continuing without {what}: {error}")
                self.extractors.remove(extractor)
                self._lost.append(extractor)
        self.enabled = bool(self.extractors)

    def settings(self) -> dict[str, Any]:
        """Return the settings that the numbers depend on: extractors with a hash of their weights, if these are here."""
        for one in self.extractors:
            if one.is_loaded and one.name not in self._prints:
                self._prints[one.name] = f"{one.name} {one.fingerprint()[:16]}"
        names = sorted(self._prints.get(one.name, one.name) for one in [*self.extractors, *self._lost])
        return {**super().settings(), "extractors": names}

    def watches(self, game: Any) -> bool:
        """Tell whether the game draws samples, or translates sources."""
        return isinstance(game, Sampler | Translating)

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; the same if there is no extractor on this machine."""
        if not (self.enabled or self._lost):
            return []
        found = [one.key(name) for one in [*self.extractors, *self._lost] for name in names_of(self.metrics, one)]
        spreads = [one.key(f"spread_{name}") for one in self.extractors for name in names_of(self.metrics, one)]
        return found + (spreads if self.n_seeds > 1 else [])

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Measure all samples that the extractor takes."""
        return True

    def measure(self, trainer: Trainer, game: Any) -> list[Measurement]:
        """Compare generated with real samples."""
        for extractor in self.extractors:
            extractor.to(game.device)
        reference = trainer.datamodule.reference(self.split)  # type: ignore[attr-defined]
        if self._real is None:
            for extractor in self.extractors:
                check_sizes(self.metrics, self.n_samples, len(reference), self.isc_splits, extractor.has_logits)
            self._real = self._measure_real(trainer, self.split, self._needs("both")) if self._needs_features else []
            if "memorization" in self.metrics:
                data = trainer.datamodule  # type: ignore[attr-defined]
                if self.split == "train" or data.reference("train").fingerprint == reference.fingerprint:
                    raise UserError(
                        "fidelity.metrics memorization compares with held-out samples, and these data have none apart "
                        "from the training samples; set fidelity.split to eval and hold some out, or leave it out"
                    )
                self._training = self._measure_real(trainer, "train", True)

        n_classes = game.n_classes if isinstance(game, Sampler) else 0
        n_samples, sampler, of_sources = self.n_samples, game, {}
        if isinstance(game, Translating):
            sampler = Translated(game, trainer.datamodule, self.split, self.n_samples)  # type: ignore[attr-defined]
            n_samples, of_sources = len(sampler), self._measure_sources(trainer, sampler)
        labels = self._labels_of_fakes(game, reference) if n_classes else None
        given = {} if labels is None else {"labels": labels}
        is_8_bit = reference.images.dtype == torch.uint8  # otherwise fakes are compared as the floats they are
        classes = None
        if n_classes:
            classes = torch.arange(n_samples) % n_classes if labels is None else labels
        seeds = [self.seed + index for index in range(self.n_seeds)]
        numbers: list[list[Any]] = [[] for _ in self.extractors]
        for seed in seeds:

            def generate(indices: Iterable[int], seed: int = seed) -> Iterable[Tensor]:
                yield from sampler.sample_chunks(indices, seed=seed, **given)

            fakes = measure(
                self.extractors if self._needs_features else [],
                n_samples,
                generate,
                keep=self._needs("both") or self._needs("fake"),
                logits=any(name in self.metrics for name in OF_LOGITS),
                prepare=to_uint8 if is_8_bit else None,
                labels=classes,
                rank=trainer.global_rank,
                world_size=trainer.world_size,
            )
            names = list(game.classes) if n_classes and isinstance(game, Classed) else []
            for index, (real, fake) in enumerate(zip(self._real, fakes, strict=True)):
                training = self._training[index] if self._training else None
                numbers[index].append(compared(self.metrics, real, fake, self.isc_splits, training, names))
            for index, extractor in enumerate(self.extractors if "ppl" in self.metrics else []):
                ranks = trainer.global_rank, trainer.world_size
                length = path_length(game, extractor, self.n_samples, seed, classes, None, *ranks)
                before = numbers[index].pop() if self._needs_features else Numbers({}, {})
                numbers[index].append(Numbers(before.values | length.values, before.details | length.facts))
        facts = {
            "labels": self._labels_for_people(game, reference) if n_classes else None,
            "classes": game.classes if n_classes and isinstance(game, Classed) else None,
            "real": reference.description,
            "real_split": self.split,
            "n_real": len(reference.images),
            "real_fingerprint": reference.fingerprint,
            "isc_splits": self.isc_splits,
            **({"seeds": seeds} if self.n_seeds > 1 else {}),
        }
        found = []
        for extractor, rows in zip(self.extractors, numbers, strict=True):
            values, spread = with_spread([row.values for row in rows])
            values |= {f"spread_{name}": value for name, value in spread.items()}
            differs = [extractor.name.replace(" ", "_"), self.split, str(self.n_samples), f"seed{self.seed}"]
            differs += [f"{self.n_seeds}seeds"] if self.n_seeds > 1 else []
            differs += [] if self.labels == "data" else [self.labels]
            own = {
                **facts,
                "extractor": extractor.name,
                "extractor_fingerprint": extractor.fingerprint(),
                "extractor_resize": extractor.resize,
                **rows[0].details,
            }
            if of_sources:
                own |= {
                    "n_translated": n_samples,
                    "fid_of_sources": of_sources.get(extractor.name),
                    "sources_fingerprint": reference.sources.fingerprint,
                }
            is_first = extractor is self.extractors[0] or trainer.state.fn != "fit"
            prefix = "" if is_first else f"{extractor.log_suffix.strip('_') or extractor.name}-"
            found.append(Measurement(values, own, tuple(differs), extractor.key, prefix))
        return found

    def _measure_sources(self, trainer: Trainer, sources: Translated) -> dict[str, float | None]:
        """Return the Fréchet distance of the sources themselves from the targets, by the extractor; None if not comparable."""
        if not self._of_sources:
            self._of_sources = dict.fromkeys((one.name for one in self.extractors), None)
            if sources.can_be_compared() and self._real:
                ranks = trainer.global_rank, trainer.world_size
                found = measure(self.extractors, len(sources), sources.untranslated, False, False, None, None, *ranks)
                for extractor, real, given in zip(self.extractors, self._real, found, strict=True):
                    self._of_sources[extractor.name] = compared(["fid"], real, given).values["fid"]
        return self._of_sources

    @property
    def _needs_features(self) -> bool:
        return any(metric != "ppl" for metric in self.metrics)

    def _labels_of_fakes(self, game: Any, reference: Any) -> Tensor | None:
        """Return the classes of the fakes, None for all in turn or for no classes."""
        if not game.n_classes or self.labels == "uniform" or reference.labels is None:
            return None
        counts = torch.as_tensor(reference.labels).bincount(minlength=game.n_classes)
        return None if (counts == counts[0]).all() else proportional_labels(counts, self.n_samples)

    def _needs(self, side: str) -> bool:
        """Tell whether a metric takes the features of both sides, or of the fakes alone."""
        return any(METRICS[metric].features == side for metric in self.metrics)

    def _measure_real(self, trainer: Trainer, split: Literal["eval", "train"], keep: bool) -> list[Measured]:
        """Return what each extractor makes of a split."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        reference = data.reference(split)

        def read() -> Draw:
            whole = reference if reference.is_whole() else data.reference(split, whole=True)
            ranges = chunks(len(whole))
            return lambda indices: (whole.images[ranges[i].start : ranges[i].stop] for i in indices)

        return measure_kept(
            self.extractors,
            len(reference),
            reference.fingerprint,
            reference.description,
            read,
            keep,
            reference.labels,
            trainer.global_rank,
            trainer.world_size,
            trainer.strategy.broadcast,
        )

    def _labels_for_people(self, game: Any, reference: Any) -> str | None:
        if not game.n_classes:
            return None
        in_turn = self._labels_of_fakes(game, reference) is None
        return "all classes in turn" if in_turn else f"as frequent as in the {self.split} split"
