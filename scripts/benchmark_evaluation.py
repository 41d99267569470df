#!/usr/bin/env python
"""What evaluation costs beside torch-fidelity, and beside the forward passes that it cannot do without.

    python scripts/benchmark_evaluation.py                    the distance stage and a whole evaluation, one thread
    python scripts/benchmark_evaluation.py --memory 50000     memory and time of precision and recall of so many samples

Ratios are medians of pairs taken in turn in one process, of processor time. The whole evaluation is FID, IS, KID, precision
and recall with EfficientNet-Lite0 of samples of the SNGAN of configs/sngan/cifar10.yaml, untrained, against drawing the same
samples and giving them to the same extractor.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor

import gan_lightning as gl
from gan_lightning.evaluation.measures import compared, measure
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.metrics import EfficientNetLite0
from gan_lightning.metrics.fidelity import Moments, chunks, frechet_distance, precision_recall
from gan_lightning.networks import SNGANResNetCritic, SNGANResNetGenerator
from gan_lightning.shapes import Images

WIDTH = 2048


def main() -> None:
    """Measure and print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3, help="pairs of which the median is taken")
    parser.add_argument("--samples", type=int, default=1000, help="samples of the whole evaluation")
    parser.add_argument("--width", type=int, default=WIDTH, help="features of that")
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="precision and recall of N samples, alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        memory(options.memory, options.width)
        return
    print("| what | ours, s | theirs, s | theirs / ours | smallest and largest |\n|---|---|---|---|---|")
    for n in (3000, 1000):
        distances(n, options.pairs)
    whole(options.samples, options.pairs)


def features(n: int, seed: int, width: int = WIDTH) -> Tensor:
    """Return float32 features `(n, width)` with a spectrum that falls as those of images do."""
    generator = torch.Generator().manual_seed(seed)
    scale = torch.arange(1, width + 1).float().rsqrt()
    return (torch.randn(n, width, generator=generator) * scale + seed * 0.01).relu()


def moments_of(n: int, seed: int) -> Moments:
    """Return the moments of such features."""
    moments = Moments()
    moments.update(features(n, seed))
    return moments


def distances(n: int, pairs: int) -> None:
    """Compare the distance stage: from two means and covariances to the number."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

    real, fake = moments_of(n, 1), moments_of(n, 2)
    statistics_of = [{"mu": m.mean.numpy(), "sigma": m.covariance.numpy()} for m in (fake, real)]
    frechet_distance(real, fake)  # the real side's root, which the cache keeps
    values: dict[str, float] = {}

    def ours() -> None:
        values["ours"] = frechet_distance(real, fake)

    def theirs() -> None:
        values["theirs"] = fid_statistics_to_metric(*statistics_of, verbose=False)[KEY_METRIC_FID]

    row(f"Fréchet distance of {WIDTH} features, {n} samples", ours, theirs, pairs)
    apart = abs(values["ours"] / values["theirs"] - 1)
    free = frechet_distance(real, fake, as_published=False)
    print(
        f"  the numbers are {apart:.1e} apart; without the rounding of eigenvalues of 0: {abs(free / values['theirs'] - 1):.1e}"
    )


def whole(n: int, pairs: int) -> None:
    """Compare an evaluation with the passes through generator and extractor that it consists of."""
    shape = Images(32, 32, 3)
    game = gl.families.SNGAN(SNGANResNetGenerator, SNGANResNetCritic, shape=shape)
    extractor = EfficientNetLite0().load()
    images = torch.randint(0, 256, (n, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    ranges = chunks(n)

    def given(indices: range) -> list[Tensor]:
        return [images[ranges[i].start : ranges[i].stop] for i in indices]

    (real,) = measure([extractor], n, given, keep=True, logits=False)
    metrics = ["fid", "isc", "kid", "prc"]

    def ours() -> None:
        (fake,) = measure([extractor], n, game.sample_chunks, True, True, lambda x: to_uint8(x))
        compared(metrics, real, fake, 10, None, [])

    def passes() -> None:
        for samples in game.sample_chunks(range(len(ranges))):
            extractor(to_uint8(samples))

    row(
        f"FID, IS, KID, precision and recall of {n} samples; 'theirs' is sampling and the extractor alone",
        ours,
        passes,
        pairs,
    )


def row(what: str, ours: Callable[[], None], theirs: Callable[[], None], pairs: int) -> None:
    """Measure both in turn and print a row."""
    seconds = [(timed(ours), timed(theirs)) for _ in range(pairs)]
    ratios = [other / own for own, other in seconds]
    own, other = (statistics.median(column) for column in zip(*seconds, strict=True))
    print(
        f"| {what} | {own:.2f} | {other:.2f} | {statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |",
        flush=True,
    )


def timed(work: Callable[[], None]) -> float:
    """Return the processor seconds that a call takes."""
    before = time.process_time()
    work()
    return time.process_time() - before


def memory(n: int, width: int) -> None:
    """Print what precision and recall of n real and n generated samples add to the memory that the features take."""
    real, fake = features(n, 1, width), features(n, 2, width)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    precision, recall = precision_recall(real, fake)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{n} x {width}: precision {precision:.4f}, recall {recall:.4f}, {time.process_time() - start:.0f} s, "
        f"{(peak - before) / 2**20:.2f} GiB above the {before / 2**20:.2f} GiB that were held before"
    )


if __name__ == "__main__":
    main()
