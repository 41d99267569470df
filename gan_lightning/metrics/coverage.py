"""How much of a distribution with known modes a generator covers: no features, no network."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import torch
from torch import Tensor


@dataclass(frozen=True)
class Coverage:
    """What a sample covers of K modes.

    Example:
        >>> Coverage(n_captured=8, high_quality=0.98, reverse_kl=0.01).n_captured
        8

    Attributes:
        n_captured: Modes that are the nearest one of at least one high-quality sample, 0..K.
        high_quality: Share of the samples that are close enough to their mode, in [0, 1].
        reverse_kl: KL(high-quality samples over the modes || uniform) in nats, in [0, log K]; nan if there are none. A
            perfect sampler of M samples has about (K - 1) / (2 M).
    """

    n_captured: int
    high_quality: float
    reverse_kl: float


def mode_coverage(points: Tensor, centres: Tensor, std: float, n_std: float = 3.0) -> Coverage:
    """Return which modes of a mixture of equal isotropic Gaussians `points` cover (Srivastava et al. 2017, sec. 4.1).

    A point is of high quality within `n_std * std` of the nearest centre, in Euclidean distance. In D = 2 a perfect
    sampler has 98.889 % of them at 3 std; **more is a collapse within the modes, not a better sample**. In high
    dimension a Gaussian sample is about sqrt(D) std away: for a bound of k std per dimension (root mean square) give
    `n_std = k * sqrt(D)`.

    Example:
        >>> points = torch.tensor([[0.0, 0.01], [1.0, 0.0], [9.0, 9.0]])
        >>> centres = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
        >>> mode_coverage(points, centres, std=0.01)
        Coverage(n_captured=2, high_quality=0.666..., reverse_kl=0.405...)

    Args:
        points: Samples `(N, D)`; one that is not finite is of low quality.
        centres: The modes `(K, D)`.
        std: Standard deviation of each mode along each axis.
        n_std: Radius in standard deviations.

    Raises:
        ValueError: There are no points, or the shapes, `std` or `n_std` are not as above.
    """
    if points.dim() != 2 or centres.dim() != 2 or points.shape[1] != centres.shape[1] or not len(points):
        raise ValueError(
            f"points must be (N, D) and centres (K, D), got {tuple(points.shape)} and {tuple(centres.shape)}"
        )
    if not (std > 0 and n_std > 0):
        raise ValueError(f"std and n_std must be positive, got {std} and {n_std}")
    # In float64 and without the matrix-product shortcut, whose cancellation is of the size of a small std.
    distances = torch.cdist(
        points.detach().double(),
        centres.to(points.device).double(),
        compute_mode="donot_use_mm_for_euclid_dist",
    )
    nearest, modes = distances.min(1)
    return _coverage(modes, nearest <= n_std * std, len(centres))


def class_coverage(probabilities: Tensor, min_confidence: float = 0.0) -> Coverage:
    """Return which of K classes the samples cover, as a classifier sees them (stacked MNIST in Lin et al. 2018).

    A sample belongs to its most probable class, and is of high quality if that has at least `min_confidence`; the
    published figures count all of them.

    Example:
        >>> class_coverage(torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
        Coverage(n_captured=2, high_quality=1.0, reverse_kl=0.0)

    Args:
        probabilities: Of the classes, `(N, K)`, rows summing to 1: `logits.softmax(1)`.
        min_confidence: In [0, 1].

    Raises:
        ValueError: There are no samples, or these are not probabilities.
    """
    if probabilities.dim() != 2 or not probabilities.numel():
        raise ValueError(f"probabilities must be (N, K), got shape {tuple(probabilities.shape)}")
    sums = probabilities.detach().double().sum(1)
    if (probabilities < 0).any() or ((sums - 1).abs() > 1e-3).any():
        raise ValueError("probabilities must be at least 0 and sum to 1 in each row; take logits.softmax(1)")
    confidence, classes = probabilities.detach().max(1)
    return _coverage(classes, confidence >= min_confidence, probabilities.shape[1])


def stacked_coverage(digits: Tensor, n_classes: int = 10) -> Coverage:
    """Return which of K = n_classes^S rows of S digits the samples cover (stacked MNIST: S = 3, K = 1000).

    A mode is captured if one sample has its digits, and every sample counts (Metz et al. 2017, arXiv:1611.02163; Lin et
    al. 2018, arXiv:1712.04086, section 4.2). Of 26,000 uniform triples, all modes are captured and the reverse KL is
    about 999 / 52,000 = 0.0192.

    Example:
        >>> stacked_coverage(torch.tensor([[0, 1], [1, 1], [1, 1], [0, 1]]), n_classes=2)
        Coverage(n_captured=2, high_quality=1.0, reverse_kl=0.693...)

    Args:
        digits: What a classifier takes each channel for, `(N, S)`, integers in 0..n_classes - 1.
        n_classes: Classes of a channel.

    Raises:
        ValueError: There are no samples, or a digit is out of its range.
    """
    if digits.dim() != 2 or not digits.numel():
        raise ValueError(f"digits must be (N, S), got shape {tuple(digits.shape)}")
    if digits.min() < 0 or digits.max() >= n_classes:
        raise ValueError(f"digits must lie in 0..{n_classes - 1}, got {digits.min()}..{digits.max()}")
    n_stacked = digits.shape[1]
    places = n_classes ** torch.arange(n_stacked - 1, -1, -1, device=digits.device)
    modes = (digits.long() * places).sum(1)
    return _coverage(modes, torch.ones_like(modes, dtype=torch.bool), n_classes**n_stacked)


def wasserstein_1d(real: Tensor, fake: Tensor) -> float:
    """Return the exact first Wasserstein distance of two samples on the line, `(N,)` and `(M,)`.

    It is the area between the two distribution functions; for N = M, the mean absolute difference of the sorted
    samples.

    Example:
        >>> wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0]))
        1.0

    Raises:
        ValueError: A sample is empty or not one-dimensional.
    """
    if real.dim() != 1 or fake.dim() != 1 or not len(real) or not len(fake):
        raise ValueError(f"samples must be (N,) and (M,), got {tuple(real.shape)} and {tuple(fake.shape)}")
    a, b = real.detach().double().sort().values, fake.detach().to(real.device).double().sort().values
    if len(a) == len(b):
        return (a - b).abs().mean().item()
    values = torch.cat([a, b]).sort().values
    below_a = torch.searchsorted(a, values[:-1], right=True).double() / len(a)
    below_b = torch.searchsorted(b, values[:-1], right=True).double() / len(b)
    return ((below_a - below_b).abs() * values.diff()).sum().item()


def _coverage(modes: Tensor, good: Tensor, n_modes: int) -> Coverage:
    counts = modes[good].bincount(minlength=n_modes).double()
    n_good = counts.sum()
    if n_good == 0:
        return Coverage(0, 0.0, nan)
    shares = counts / n_good
    # KL to the uniform distribution is log K - H, with 0 log 0 = 0.
    reverse_kl = torch.xlogy(shares, shares * n_modes).sum().clamp(min=0)  # rounding may leave -1e-16
    return Coverage(int((counts > 0).sum()), good.double().mean().item(), reverse_kl.item())
