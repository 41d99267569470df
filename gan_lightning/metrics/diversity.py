"""Metrics of how much samples differ, and of kernels: Vendi score, spread within classes, CMMD.

Features that are not finite give nan in every metric.
"""

from __future__ import annotations

from math import nan

import torch
from torch import Tensor

from gan_lightning.metrics.neighbors import distances

_BLOCK = 500  # rows of a block of kernel values in float64; with 50,000 columns 0.2 GB a matrix


def vendi_score(features: Tensor) -> float:
    """Return the effective number of different samples, in [1, min(N, F)] (Friedman & Dieng 2023, arXiv:2210.02410).

    It is the exponential of the entropy of the eigenvalues of K / N, with K the cosine similarities of the features:
    1 for one repeated sample, N for N orthogonal ones. A feature of all zeros is its own kind.

    Example:
        >>> round(vendi_score(torch.eye(4)), 6), round(vendi_score(torch.ones(4, 3)), 6)
        (4.0, 1.0)

    Args:
        features: `(N, F)`.

    Raises:
        ValueError: There are none.
    """
    if features.dim() != 2 or not len(features):
        raise ValueError(f"features must be (N, F) with N at least 1, got {tuple(features.shape)}")
    if not features.isfinite().all():
        return nan
    rows = features.detach().cpu().double()
    norms = rows.norm(dim=1, keepdim=True)
    n_zeros = int((norms == 0).sum())
    rows = rows[norms[:, 0] > 0] / norms[norms[:, 0] > 0]
    n, width = len(features), rows.shape[1]
    gram = rows.T @ rows if len(rows) > width else rows @ rows.T  # the nonzero eigenvalues of both are the same
    values = torch.linalg.eigvalsh(gram / n).clamp(min=0)
    values = torch.cat([values, torch.full((n_zeros,), 1 / n, dtype=values.dtype)])
    return torch.exp(-torch.xlogy(values, values).sum()).item()


def class_spread(features: Tensor, labels: Tensor) -> float:
    """Return the mean distance of two different samples of one class, averaged over the classes with at least two.

    0 says that each class is one repeated sample; compare with the same number of real samples.

    Example:
        >>> class_spread(torch.tensor([[0.0], [2.0], [5.0], [5.0]]), torch.tensor([0, 0, 1, 1]))
        1.0

    Args:
        features: `(N, F)`.
        labels: Classes `(N,)`, int64.

    Raises:
        ValueError: The labels are not one for each sample, or no class has two samples.
    """
    if labels.shape != features.shape[:1]:
        raise ValueError(f"labels must be one for each of {len(features)} samples, got shape {tuple(labels.shape)}")
    groups = [features[labels == label].detach() for label in labels.unique()]
    groups = [rows for rows in groups if len(rows) > 1]
    if not groups:
        raise ValueError("no class has two samples")
    if not features.isfinite().all():
        return nan
    means = [
        sum(distances(part, rows).double().sum().item() for part in rows.split(_BLOCK)) / (len(rows) * (len(rows) - 1))
        for rows in groups
    ]
    return sum(means) / len(means)


def classes_found(logits: Tensor) -> tuple[float, float]:
    """Return how many classes a classifier takes at least one sample for, and the effective number of them.

    The first is how modes are counted on stacked MNIST (Metz et al. 2017, arXiv:1611.02163, section 4.4): any sample will do,
    and a classifier errs, so that many samples reach all classes. The second is exp of the entropy of the classes'
    frequencies, between 1 and the first: K equally frequent classes have K. Logits that are not finite give nan.

    Example:
        >>> classes_found(torch.eye(3)[[0, 0, 2, 2]])
        (2.0, 2.0)

    Args:
        logits: `(N, K)`.
    """
    if not logits.isfinite().all():
        return nan, nan
    shares = logits.argmax(1).bincount(minlength=logits.shape[1]).double() / len(logits)
    return float((shares > 0).sum()), float(torch.special.entr(shares).sum().exp())


def cmmd(real: Tensor, fake: Tensor, sigma: float = 10.0, scale: float = 1000.0) -> float:
    """Return CMMD, at least 0: the squared MMD of features of unit length, times 1000 (Jayasumana et al. 2024).

    The kernel is exp(-|x - y|^2 / (2 sigma^2)), the estimate the biased one of the authors' code (arXiv:2401.09603). Its
    published figures have CLIP's features (`TorchFidelity` with `clip-vit-l-14-336px`).

    Example:
        >>> cmmd(torch.eye(2), torch.eye(2))
        0.0

    Args:
        real: Features `(N, F)`; each is divided by its length, a feature of all zeros stays.
        fake: Features `(M, F)`.
        sigma: Width of the kernel.
        scale: What the squared MMD is multiplied by.

    Raises:
        ValueError: A side is empty, or their widths differ.
    """
    if real.dim() != 2 or fake.dim() != 2 or real.shape[1] != fake.shape[1] or not len(real) or not len(fake):
        raise ValueError(f"features must be (N, F) and (M, F), got {tuple(real.shape)} and {tuple(fake.shape)}")
    if not (real.isfinite().all() and fake.isfinite().all()):
        return nan
    sides = [torch.nn.functional.normalize(side.detach().cpu().double(), dim=1, eps=1e-300) for side in (real, fake)]

    def mean(a: Tensor, b: Tensor) -> float:
        norms = b.square().sum(1)
        total = 0.0
        for rows in a.split(_BLOCK):
            squares = torch.addmm(rows.square().sum(1)[:, None] + norms, rows, b.T, alpha=-2).clamp(min=0)
            total += torch.exp(-squares / (2 * sigma**2)).sum().item()
        return total / (len(a) * len(b))

    a, b = sides
    return max(0.0, scale * (mean(a, a) + mean(b, b) - 2 * mean(a, b)))
