"""What two sets of samples are compared by: their features in one pass, and the numbers made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from gan_lightning.errors import UserError, nearest
from gan_lightning.metrics.diversity import class_spread, classes_found, cmmd, vendi_score
from gan_lightning.metrics.extractors import FeatureExtractor
from gan_lightning.metrics.fidelity import (
    Moments,
    chunks,
    frechet_distance,
    frechet_infinity,
    gather_rows,
    inception_score,
    kernel_inception_distance,
    shard,
)
from gan_lightning.metrics.neighbors import density_coverage, memorization, precision_recall

MetricName = Literal[
    "fid",
    "isc",
    "kid",
    "prc",
    "dc",
    "fd_infinity",
    "class_fid",
    "class_spread",
    "cmmd",
    "memorization",
    "vendi",
    "classes",
    "ppl",
]


Draw = Callable[[Iterable[int]], Iterable[Tensor]]
"""Yields the samples of the chunks with the given indices."""


class Metric(NamedTuple):
    """What a metric is called, and what it needs.

    Attributes:
        names: The numbers that it gives.
        words: What it is, for people.
        features: Whether it needs the features of `both` sides, of the `fake` one, or of none, moments being enough.
        least: Samples that it needs on each side whose features it takes.
        labels: Whether it needs classes.
        real: Whether it needs the real side at all.
    """

    names: tuple[str, ...]
    words: str
    features: Literal["both", "fake", "none"] = "both"
    least: int = 2
    labels: bool = False
    real: bool = True


METRICS: dict[str, Metric] = {
    "fid": Metric(("fid",), "Fréchet distance", "none"),
    "isc": Metric(("isc_mean", "isc_std"), "Inception score", "none", real=False),
    "kid": Metric(("kid_mean", "kid_std"), "kernel Inception distance"),
    "prc": Metric(("precision", "recall"), "improved precision and recall", least=4),
    "dc": Metric(("density", "coverage"), "density and coverage", least=6),
    "fd_infinity": Metric(("fd_infinity",), "Fréchet distance for infinitely many samples", "fake", least=8),
    "class_fid": Metric(("class_fid",), "Fréchet distance within each class, on average", labels=True),
    "class_spread": Metric(("class_spread",), "mean distance within a class", "fake", labels=True, real=False),
    "cmmd": Metric(("cmmd",), "CMMD", least=1),
    "memorization": Metric(("memorization", "authpct"), "how near to the training samples", least=2),
    "vendi": Metric(("vendi",), "Vendi score", "fake", least=1, real=False),
    "classes": Metric(
        ("classes_found", "classes_effective"), "classes that the extractor finds", "none", least=1, real=False
    ),
    "ppl": Metric(("ppl_mean", "ppl_std"), "perceptual path length", "none", real=False),
}
"""The metrics by what an option calls them."""

OF_LOGITS = ("isc", "classes")
"""Those that take an extractor that classifies; from others they are left out."""


@dataclass(eq=False)
class Measured:
    """What one extractor makes of a set of samples.

    Attributes:
        n: Number of samples.
        moments: Of the features; None where they were not asked for.
        features: `(N, F)`, None where moments are enough.
        logits: `(N, K)`, None where no metric takes them.
        labels: Classes `(N,)`, None without.
    """

    n: int
    moments: Moments
    features: Tensor | None = None
    logits: Tensor | None = None
    labels: Tensor | None = None


def check_metrics(metrics: Sequence[str], where: str = "fidelity.metrics") -> None:
    """Refuse a name that is no metric.

    Raises:
        UserError: There is one.
    """
    for name in metrics:
        if name not in METRICS:
            raise UserError(
                f"{where}: there is no metric {name}{nearest(name, METRICS)}; there are {', '.join(METRICS)}"
            )


def names_of(metrics: Sequence[str], extractor: FeatureExtractor) -> list[str]:
    """Return what the numbers of the metrics are called that can be had from an extractor."""
    return [
        name for metric in metrics for name in METRICS[metric].names if metric not in OF_LOGITS or extractor.has_logits
    ]


def check_pairs(metrics: Sequence[str], extractors: Sequence[FeatureExtractor], where: str) -> None:
    """Refuse features of an extractor that compares pairs only.

    Raises:
        UserError: They are asked for.
    """
    others = [metric for metric in metrics if metric != "ppl"]
    for extractor in extractors:
        if extractor.of_pairs and others:
            raise UserError(
                f"{type(extractor).__name__} compares pairs of images and has no features for {others[0]}; take it for ppl "
                f"alone: {where}"
            )


def check_sizes(metrics: Sequence[str], n_fake: int, n_real: int | None, isc_splits: int, has_logits: bool) -> None:
    """Refuse fewer samples than a metric can be computed of.

    Args:
        metrics: The metrics.
        n_fake: Generated samples.
        n_real: Real samples, None if not known yet.
        isc_splits: Parts of the Inception score.
        has_logits: Whether there is an Inception score.

    Raises:
        UserError: There are fewer.
    """
    if "isc" in metrics and has_logits and n_fake < isc_splits:
        raise UserError(
            f"n_samples {n_fake} is below isc_splits {isc_splits}: the Inception score cuts the samples into that many "
            f"parts; give at least {isc_splits} samples, or isc_splits {n_fake}"
        )
    for metric in metrics:
        needed = METRICS[metric]
        if n_fake < needed.least:
            raise UserError(f"n_samples {n_fake}: {metric} needs at least {needed.least}; give more, or leave it out")
        if n_real is not None and needed.real and n_real < needed.least:
            raise UserError(f"{n_real} real samples: {metric} needs at least {needed.least}; leave it out")


_CHUNKS_AT_ONCE = 16
"""Chunks whose moments are added together: sixteen small products of 2048 features take three times as long as a large one."""


def measure(
    extractors: Sequence[FeatureExtractor],
    n: int,
    draw: Draw,
    keep: bool,
    logits: bool,
    prepare: Callable[[Tensor], Tensor] | None = None,
    labels: Tensor | None = None,
    rank: int = 0,
    world_size: int = 1,
) -> list[Measured]:
    """Return what each extractor makes of n samples that all ranks draw together, each its own chunks.

    Every sample is drawn once. Features and logits of a sample that is not finite are nan, whatever a pixel or a network
    makes of it. On a terminal rank 0 shows how far it is, if it takes more than two seconds.

    Args:
        extractors: The extractors.
        n: Number of samples.
        draw: Yields the samples of the chunks with the given indices, in the order of `chunks(n)`.
        keep: Keep the features.
        logits: Keep the logits of those that have them.
        prepare: Turns finite or broken samples into what the extractors take.
        labels: Classes `(n,)`, None without.
        rank: This process.
        world_size: Number of processes.
    """
    ranges = chunks(n)
    mine = shard(len(ranges), rank, world_size)
    moments = [Moments() for _ in extractors]
    pending: list[list[Tensor]] = [[] for _ in extractors]
    rows: list[list[tuple[int, Tensor]]] = [[] for _ in extractors]
    classes: list[list[tuple[int, Tensor]]] = [[] for _ in extractors]
    bar = tqdm(mine, desc="evaluating", unit="chunk", leave=False, delay=2, disable=True if rank else None)
    for chunk, samples in zip(bar, draw(mine), strict=True):
        samples = samples[: len(ranges[chunk])]
        prepared = samples if prepare is None else prepare(samples)
        finite = samples.isfinite().flatten(1).all(1)
        for index, extractor in enumerate(extractors):
            found, scores = extractor(prepared)
            broken = ~finite.to(found.device)
            found = found.masked_fill(broken[:, None], nan)
            pending[index].append(found)
            if len(pending[index]) == _CHUNKS_AT_ONCE:
                moments[index].update(torch.cat(pending[index]))
                pending[index].clear()
            if keep:
                rows[index].append((chunk, found.cpu()))
            if scores is not None and logits:
                classes[index].append((chunk, scores.masked_fill(broken[:, None], nan).cpu()))
    for own, left in zip(moments, pending, strict=True):
        if left:
            own.update(torch.cat(left))
    return [
        Measured(
            n,
            moments[index].reduce(),
            gather_rows(rows[index]) if keep else None,
            gather_rows(classes[index]) if logits and extractor.has_logits else None,
            labels,
        )
        for index, extractor in enumerate(extractors)
    ]


class Numbers(NamedTuple):
    """What a comparison gives.

    Attributes:
        values: The numbers, by their names.
        details: What else belongs on the card, such as the FID of each class.
    """

    values: dict[str, float]
    details: dict[str, Any]


def compared(
    metrics: Sequence[str],
    real: Measured | None,
    fake: Measured,
    isc_splits: int = 10,
    training: Measured | None = None,
    classes: Sequence[str] = (),
) -> Numbers:
    """Return the numbers of the metrics that what was measured is enough for.

    Args:
        metrics: Names of `METRICS`.
        real: The real side; None where no metric takes it.
        fake: The generated side.
        isc_splits: Parts into which the Inception score's samples are cut.
        training: Samples that the generator was trained on, for memorization, which takes the real side for held out.
        classes: Names of the classes.
    """
    values: dict[str, float] = {}
    details: dict[str, Any] = {}
    found, had = fake.features, None if real is None else real.features
    if "fid" in metrics and real is not None:
        values["fid"] = frechet_distance(real.moments, fake.moments)
    if "isc" in metrics and fake.logits is not None:
        values["isc_mean"], values["isc_std"] = inception_score(fake.logits, isc_splits)
    if "classes" in metrics and fake.logits is not None:
        values["classes_found"], values["classes_effective"] = classes_found(fake.logits)
    if found is not None and had is not None:
        if "kid" in metrics:
            size = min(1000, len(had), len(found))
            values["kid_mean"], values["kid_std"] = kernel_inception_distance(had, found, subset_size=size)
            details["kid_subset_size"] = size
        if "prc" in metrics:
            values["precision"], values["recall"] = precision_recall(had, found)
        if "dc" in metrics:
            values["density"], values["coverage"] = density_coverage(had, found)
        if "cmmd" in metrics:
            values["cmmd"] = cmmd(had, found)
        if "memorization" in metrics and training is not None and training.features is not None:
            near = memorization(training.features, had, found)
            values |= {"memorization": near.share, "authpct": near.authpct}
            details["n_training"] = training.n
        if "class_fid" in metrics and real is not None and real.labels is not None and fake.labels is not None:
            by_class = class_distances(had, real.labels, found, fake.labels)
            details["fid_of_classes"] = {
                classes[label] if label < len(classes) else str(label): value for label, value in by_class.items()
            }
            values["class_fid"] = sum(by_class.values()) / len(by_class) if by_class else nan
    if found is not None:
        if "fd_infinity" in metrics and real is not None:
            values["fd_infinity"] = frechet_infinity(real.moments, found)
        if "vendi" in metrics:
            values["vendi"] = vendi_score(found)
        if "class_spread" in metrics and fake.labels is not None:
            values["class_spread"] = class_spread(found, fake.labels)
            if had is not None and real is not None and real.labels is not None:
                details["class_spread_of_real"] = class_spread(had, real.labels)
    return Numbers(values, details)


def class_distances(real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor) -> dict[int, float]:
    """Return the Fréchet distance of each class that has at least two samples on both sides."""
    found = {}
    for label in real_labels.unique().tolist():
        sides = real[real_labels == label], fake[fake_labels == label]
        if min(map(len, sides)) > 1:
            of_real, of_fake = Moments(), Moments()
            of_real.update(sides[0])
            of_fake.update(sides[1])
            found[int(label)] = frechet_distance(of_real, of_fake, as_published=False)
    return found


def with_spread(numbers: Sequence[dict[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the mean of each number over the seeds, and its standard deviation, that of a sample."""
    rows = {name: torch.tensor([values[name] for values in numbers], dtype=torch.float64) for name in numbers[0]}
    means = {name: row.mean().item() for name, row in rows.items()}
    return means, {name: row.std().item() for name, row in rows.items()} if len(numbers) > 1 else {}
