"""FID, IS and KID of features and logits, and the sharding that makes them independent of the ranks.

The numbers are torch-fidelity's: `Moments` and `gather_rows` bring the features of all ranks together in one fixed
order, and torch-fidelity's own functions, wrapped here and nowhere else, compare them. A sample set is cut into
`chunks`; chunk j is drawn from a generator seeded (seed, j) by rank `j % world`; nothing is padded or counted twice.

Features or logits that are not finite, as of a diverged generator, give nan in every metric.

All functions here may be called without `torch.distributed`. `Moments.reduce` and `gather_rows` are collective: every
rank calls them, ranks without samples included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite, nan

import torch
import torch.distributed as dist
from torch import Tensor

from gan_lightning.execution.ranks import are_several, sum_over_ranks
from gan_lightning.metrics.neighbors import precision_recall as precision_recall  # it was here in 0.1.0

SEED = 2020  # torch-fidelity's, which shuffles before the splits of IS and draws the subsets of KID


@dataclass(eq=False)
class Moments:
    """Count, sum and sum of outer products of features, in float64, accumulated batch by batch.

    In float64 the cancellation in the covariance stays below the rounding of the float32 features themselves, however
    far their mean is from zero. The three fields are all there is, to store and to build it from again.

    Example:
        >>> moments = Moments()
        >>> moments.update(torch.tensor([[0.0, 1.0], [2.0, 3.0]]))
        >>> moments.n, moments.mean
        (2, tensor([1., 2.], dtype=torch.float64))

    Args:
        n: Number of samples.
        total: Sum over the samples, `(F,)` float64; None as long as there are none.
        outer: Sum of the outer products, `(F, F)` float64; None as long as there are none.
    """

    n: int = 0
    total: Tensor | None = None
    outer: Tensor | None = None
    _root: Tensor | None = field(default=None, init=False, repr=False)
    _root_is_triangular: bool = field(default=False, init=False, repr=False)

    def update(self, features: Tensor) -> None:
        """Add the rows of `features`, `(N, F)`; the sums stay on the device of the first ones.

        Raises:
            ValueError: The features are no matrix, or their width has changed.
        """
        if features.dim() != 2:
            raise ValueError(f"features must be a matrix (N, F), got shape {tuple(features.shape)}")
        # Apple's MPS has no float64.
        rows = (features.detach().cpu() if features.device.type == "mps" else features.detach()).double()
        self._add(len(rows), rows.sum(0), rows.T @ rows)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of the samples of both, leaving both as they are."""
        merged = Moments()
        for part in (self, other):
            if part.total is not None and part.outer is not None:
                merged._add(part.n, part.total, part.outer)
        return merged

    def reduce(self) -> Moments:
        """Return the moments of the samples of all ranks, on the CPU of every rank, leaving this rank's as they are.

        One all_reduce of F^2 + F + 1 numbers, after one of a single number that tells F to ranks without samples.
        """
        device = _collective_device()
        if device is None:
            return self.merge(Moments()).cpu()
        width = torch.tensor(0 if self.total is None else len(self.total), device=device)
        dist.all_reduce(width, op=dist.ReduceOp.MAX)
        n_features = int(width)
        flat = torch.zeros(1 + n_features + n_features**2, dtype=torch.float64, device=device)
        if self.total is not None and self.outer is not None:
            flat[0] = self.n
            flat[1 : 1 + n_features] = self.total
            flat[1 + n_features :] = self.outer.flatten()
        flat = sum_over_ranks(flat).cpu()
        if n_features == 0:
            return Moments()
        return Moments(int(flat[0]), flat[1 : 1 + n_features], flat[1 + n_features :].view(n_features, n_features))

    @staticmethod
    def of(mean: Tensor, covariance: Tensor, n: int) -> Moments:
        """Return the moments of n samples that have this mean `(F,)` and unbiased covariance `(F, F)`, in float64.

        Raises:
            ValueError: The shapes are not these, or n is below 2.
        """
        mean, covariance = mean.double(), covariance.double()
        if mean.dim() != 1 or covariance.shape != (len(mean), len(mean)) or n < 2:
            raise ValueError(
                f"mean and covariance must be (F,) and (F, F) of at least 2 samples, got {tuple(mean.shape)}, "
                f"{tuple(covariance.shape)} and {n}"
            )
        return Moments(n, n * mean, (n - 1) * covariance + n * torch.outer(mean, mean))

    def cpu(self) -> Moments:
        """Return these moments on the CPU."""
        if self.total is None or self.outer is None:
            return Moments()
        return Moments(self.n, self.total.cpu(), self.outer.cpu())

    @property
    def mean(self) -> Tensor:
        """The mean, `(F,)` float64; a ValueError with fewer than 2 samples."""
        return self._sums()[0] / self.n

    @property
    def covariance(self) -> Tensor:
        """The unbiased covariance, `(F, F)` float64, as `numpy.cov`; a ValueError with fewer than 2 samples."""
        total, outer = self._sums()
        return (outer - torch.outer(total, total) / self.n) / (self.n - 1)

    @property
    def root(self) -> Tensor:
        """A square root R `(F, r)` of the covariance R R^T of rank r, float64; computed once and kept until samples come.

        It is lower triangular if there are more samples than features and the covariance is well enough conditioned.
        Otherwise eigenvalues of rounding size are left out.
        """
        if self._root is None:
            covariance = self.covariance
            triangle, failed = torch.linalg.cholesky_ex(covariance)
            if self.n > len(covariance) and not failed:
                self._root = triangle
            else:
                values, vectors = torch.linalg.eigh(covariance)
                kept = values > values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
                self._root = vectors[:, kept] * values[kept].sqrt()
            self._root_is_triangular = self._root is triangle
        return self._root

    @property
    def variance(self) -> float:
        """The trace of the covariance."""
        total, outer = self._sums()
        return float((outer.diagonal() - total.square() / self.n).sum() / (self.n - 1))

    def is_finite(self) -> bool:
        """Tell whether all features were finite."""
        return all(part is None or bool(part.isfinite().all()) for part in (self.total, self.outer))

    def _add(self, n: int, total: Tensor, outer: Tensor) -> None:
        self._root = None
        if self.total is None or self.outer is None:
            self.n, self.total, self.outer = n, total, outer
            return
        if len(total) != len(self.total):
            raise ValueError(f"features must stay {len(self.total)} wide, got {len(total)}")
        self.n += n
        self.total = self.total + total.to(self.total.device)
        self.outer = self.outer + outer.to(self.outer.device)

    def _sums(self) -> tuple[Tensor, Tensor]:
        if self.n < 2 or self.total is None or self.outer is None:
            raise ValueError(f"moments need at least 2 samples, got {self.n}")
        return self.total, self.outer


def frechet_distance(real: Moments, fake: Moments, as_published: bool = True) -> float:
    """Return the Fréchet distance |m1 - m2|^2 + Tr(C1 + C2 - 2 sqrt(C1 C2)) between Gaussians (Heusel et al. 2017).

    With Inception's 2048 features this is FID. It is biased upwards by about 1/N: compare equal sample sizes only.
    Features that are not finite, as of a diverged generator, give nan.

    Example:
        >>> real, fake = Moments(), Moments()
        >>> real.update(torch.tensor([[-1.0], [1.0]]))
        >>> fake.update(torch.tensor([[2.0], [4.0]]))
        >>> round(frechet_distance(real, fake), 3)
        9.0

    Args:
        real: Moments of the real features; their `root` is computed once.
        fake: Moments of the generated features.
        as_published: Where a side has no more samples than features, C1 C2 has eigenvalues of 0, whose rounding is part of
            what torch-fidelity returns: 3e-5 of Inception's distance of 90 from 70 images. True calls it there; False
            takes them for 0, and is faster.

    Raises:
        ValueError: Either side has fewer than 2 samples, or their widths differ.
    """
    if len(real.mean) != len(fake.mean):
        raise ValueError(f"real and fake features must be equally wide, got {len(real.mean)} and {len(fake.mean)}")
    if not (real.is_finite() and fake.is_finite()):
        return nan  # eigenvalues would raise
    real, fake = (m if m._sums()[0].device.type == "cpu" else m.cpu() for m in (real, fake))
    if as_published and min(real.n, fake.n) <= len(real.mean):
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

        statistics = [{"mu": m.mean.numpy(), "sigma": m.covariance.numpy()} for m in (fake, real)]
        return float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])
    difference = real.mean - fake.mean
    # C1 C2 has the eigenvalues of the symmetric R^T C2 R with R R^T = C1: no complex numbers, and a third of the time.
    root, covariance = real.root, fake.covariance
    if real._root_is_triangular:
        from scipy.linalg.lapack import dsygst  # a quarter of the multiplications of R^T C2 R

        below, _ = dsygst(covariance.numpy().T, root.numpy(), itype=2, lower=1, overwrite_a=1)
        product = torch.from_numpy(below)
    else:
        product = root.T @ (covariance @ root)
    roots = torch.linalg.eigvalsh(product, UPLO="L").clamp(min=0).sqrt()
    return float(difference @ difference) + real.variance + fake.variance - 2 * float(roots.sum())


def frechet_infinity(real: Moments, fake: Tensor, smallest: int | None = None, n_sizes: int = 15) -> float:
    """Return the Fréchet distance extrapolated to infinitely many fakes (Chong & Forsyth 2020, arXiv:1911.07023).

    Distances of random subsets of the fakes, of sizes evenly spaced from `smallest` to all, are fitted by a line in
    1 / size, whose value at 0 is the answer. It can be slightly negative. The bias of the real side stays.

    Example:
        >>> points = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
        >>> real = Moments()
        >>> real.update(points)
        >>> abs(frechet_infinity(real, points)) < 0.1
        True

    Args:
        real: Moments of the real features.
        fake: Features of the fakes `(M, F)`, in an order that does not matter.
        smallest: Size of the smallest subset; if not given 5,000, or half of the fakes where that is less.
        n_sizes: Number of sizes.

    Raises:
        ValueError: There are fewer than 4 fakes, `smallest` is not from 2 to M - 1, or `n_sizes` is below 2.
    """
    n = len(fake)
    smallest = min(5000, n // 2) if smallest is None else smallest
    if n < 4 or not 2 <= smallest < n or n_sizes < 2:
        raise ValueError(
            f"at least 4 fakes, smallest from 2 to one less, and n_sizes of at least 2 are needed, got {n}, {smallest} "
            f"and {n_sizes}"
        )
    if not fake.isfinite().all():
        return nan
    sizes = torch.linspace(smallest, n, n_sizes, dtype=torch.float64).long().unique().tolist()
    generator = torch.Generator().manual_seed(SEED)
    found = []
    for size in sizes:
        moments = Moments()
        moments.update(fake[torch.randperm(n, generator=generator)[:size]])
        found.append(frechet_distance(real, moments, as_published=False))
    if not all(map(isfinite, found)):
        return nan
    x, y = 1 / torch.tensor(sizes, dtype=torch.float64), torch.tensor(found, dtype=torch.float64)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return float(y.mean() - slope * x.mean())


def inception_score(logits: Tensor, splits: int = 10) -> tuple[float, float]:
    """Return mean and standard deviation over `splits` of exp E KL(p(y|x), p(y)), in [1, K] (Salimans et al. 2016).

    Example:
        >>> sure = 20 * torch.eye(2)
        >>> score, spread = inception_score(sure, splits=1)
        >>> round(score, 3)
        2.0

    Args:
        logits: `(N, K)`, in the order of the samples, which torch-fidelity then shuffles with its fixed seed.
        splits: Number of equal parts; 1 gives a standard deviation of 0.

    Raises:
        ValueError: There are fewer samples than splits.
    """
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

    if not 1 <= splits <= len(logits):
        raise ValueError(f"splits must be between 1 and the number of samples, {len(logits)}, got {splits}")
    if not logits.isfinite().all():
        return nan, nan
    score = isc_features_to_metric(logits.detach().cpu(), splits, shuffle=True, rng_seed=SEED)
    return score[KEY_METRIC_ISC_MEAN], score[KEY_METRIC_ISC_STD]


def kernel_inception_distance(
    real: Tensor, fake: Tensor, subsets: int = 100, subset_size: int = 1000
) -> tuple[float, float]:
    """Return mean and standard deviation over random subsets of the unbiased squared MMD (Bińkowski et al. 2018).

    The kernel is (x.y / F + 1)^3. Unbiased: 0 on average for equal distributions, and slightly negative half of the
    time.

    Example:
        >>> same = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
        >>> mean, std = kernel_inception_distance(same, same + 9, subsets=2, subset_size=8)
        >>> mean > 0
        True

    Args:
        real: Features `(N, F)`.
        fake: Features `(M, F)`.
        subsets: Number of subsets.
        subset_size: Samples of each side in a subset, drawn without replacement.

    Raises:
        ValueError: A side has fewer samples than `subset_size`.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

    available = min(len(real), len(fake))
    if not 2 <= subset_size <= available:
        raise ValueError(f"subset_size must be between 2 and the number of samples, {available}, got {subset_size}")
    if subsets < 1:
        raise ValueError(f"subsets must be at least 1, got {subsets}")
    if not (real.isfinite().all() and fake.isfinite().all()):
        return nan, nan
    distance = kid_features_to_metric(
        fake.detach().cpu(),
        real.detach().cpu(),
        kid_subsets=subsets,
        kid_subset_size=subset_size,
        rng_seed=SEED,
        verbose=False,
    )
    return distance[KEY_METRIC_KID_MEAN], distance[KEY_METRIC_KID_STD]


def proportional_labels(counts: Tensor, n: int) -> Tensor:
    """Return n classes `(n,)`, int64, as frequent as `counts` `(K,)` says and evenly interleaved.

    Shares are rounded by largest remainder, to the lower class where these are equal. Classes that are equally frequent
    come in turn.

    Example:
        >>> proportional_labels(torch.tensor([2, 1]), 6)
        tensor([0, 1, 0, 0, 1, 0])

    Raises:
        ValueError: `counts` is no vector of at least 0 with a positive sum, or n is below 1.
    """
    if counts.dim() != 1 or (counts < 0).any() or not counts.sum() > 0 or n < 1:
        raise ValueError(f"counts must be (K,), at least 0 and not all 0, and n at least 1, got {counts} and {n}")
    n_classes, total = len(counts), int(counts.sum())
    if (counts == counts[0]).all():
        return torch.arange(n) % n_classes
    quotas = counts.long().cpu() * n  # integers: rounding must not differ between machines
    shares, remainders = quotas // total, quotas % total
    largest = remainders.argsort(descending=True, stable=True)[: n - int(shares.sum())]
    shares[largest] += 1
    classes = torch.repeat_interleave(torch.arange(n_classes), shares)
    starts = torch.repeat_interleave(shares.cumsum(0) - shares, shares)
    # The j-th of a class's m samples belongs at (j + 1/2) / m of the whole.
    places = (torch.arange(n) - starts + 0.5).double() / shares[classes]
    return classes[places.argsort(stable=True)]


def chunks(n: int, chunk: int = 64) -> list[range]:
    """Return the positions 0..n-1 cut into ranges of `chunk`, the last one shorter.

    Example:
        >>> chunks(5, 2)
        [range(0, 2), range(2, 4), range(4, 5)]

    Raises:
        ValueError: `n` is negative or `chunk` is not positive.
    """
    if n < 0 or chunk < 1:
        raise ValueError(f"n must be at least 0 and chunk at least 1, got {n} and {chunk}")
    return [range(start, min(start + chunk, n)) for start in range(0, n, chunk)]


def shard(n_chunks: int, rank: int, world: int) -> range:
    """Return the chunk indices of `rank`: rank, rank + world, ...; none for a rank beyond the last chunk.

    Example:
        >>> list(shard(5, rank=1, world=2))
        [1, 3]

    Raises:
        ValueError: There is no such rank among `world`.
    """
    if not 0 <= rank < world:
        raise ValueError(f"rank must be between 0 and {world - 1}, got {rank}")
    return range(rank, n_chunks, world)


def gather_rows(local: Sequence[tuple[int, Tensor]]) -> Tensor:
    """Return the rows of all chunks of all ranks in the order of the chunks, on the CPU of every rank.

    Example:
        >>> gather_rows([(1, torch.ones(1)), (0, torch.zeros(1))])
        tensor([0., 1.])

    Args:
        local: This rank's chunks, as (chunk index, rows `(n, ...)`); n may differ, a rank may have none.

    Raises:
        ValueError: No rank has a chunk, two chunks have one index, or their rows differ in shape or type; on all ranks
            alike.
    """
    kinds = {(tuple(rows.shape[1:]), rows.dtype) for _, rows in local}
    header = (kinds, [(index, len(rows)) for index, rows in local])
    device = _collective_device()
    headers = [header]
    if device is not None:
        headers = [header] * dist.get_world_size()
        dist.all_gather_object(headers, header)

    # Every rank sees every header, so all of them raise or none: one that left alone would leave the others waiting.
    kinds = set[tuple[tuple[int, ...], torch.dtype]]().union(*(header[0] for header in headers))
    indices = [index for _, lengths in headers for index, _ in lengths]
    if len(kinds) != 1:
        raise ValueError(
            f"chunks must have rows of one shape and type, got {sorted(map(str, kinds)) or 'no chunks at all'}"
        )
    if len(set(indices)) != len(indices):
        raise ValueError(f"each chunk must have its own index, got {sorted(indices)}")

    if device is None:
        parts = list(local)
    else:
        (shape, dtype) = kinds.pop()
        counts = [sum(n for _, n in lengths) for _, lengths in headers]
        padded = torch.zeros(max(counts), *shape, dtype=dtype, device=device)
        if local:
            padded[: counts[dist.get_rank()]] = torch.cat([rows.detach().to(device) for _, rows in local])
        gathered = [torch.empty_like(padded) for _ in headers]
        dist.all_gather(gathered, padded)
        parts = []
        for (_, lengths), count, rows in zip(headers, counts, gathered, strict=True):
            pieces = rows[:count].cpu().split([n for _, n in lengths])
            parts += [(index, piece) for (index, _), piece in zip(lengths, pieces, strict=True)]
    return torch.cat([rows.detach().cpu() for _, rows in sorted(parts, key=lambda part: part[0])])


def _collective_device() -> torch.device | None:
    """Return the device that collectives of the default group take tensors on; None without a process group."""
    if not are_several():
        return None
    # "cpu:gloo,cuda:nccl", Lightning's choice for several devices of both kinds, takes either.
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
