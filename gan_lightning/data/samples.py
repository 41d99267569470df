"""A whole split of samples, and what they are to be made from where they are pairs."""

from __future__ import annotations

import ctypes
import hashlib
import math
import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gan_lightning.errors import UserError


@dataclass(eq=False)
class RealSamples:
    """A whole split, in memory or mapped from a file.

    Example:
        >>> len(RealSamples(torch.zeros(4, 2), None, "four points"))
        4

    Attributes:
        images: uint8 images `(N, C, H, W)` in 0..255, int16 sound `(N, C, L)`, or float32 vectors `(N, D)`, on the CPU,
            contiguous. Never write to it.
        labels: Class indices `(N,)`, int64, or None.
        description: What it is, for people: data set, split, count, shape.
        digest: The content's hash where it is already known; `fingerprint` computes it otherwise.

    Raises:
        UserError: The samples are no such tensor, are not finite, or lie in another range; or the labels are not one
            whole number from 0 for each sample.
    """

    images: Tensor
    labels: Tensor | None
    description: str
    digest: str | None = None

    def __post_init__(self) -> None:
        """Take arrays of numpy for tensors, and refuse what no game can be trained on."""
        self.images = _as_tensor("images", self.images)
        _check_images(self.images)
        advise(self.images.numpy(), "random")
        if self.labels is not None:
            self.labels = _checked_labels(_as_tensor("labels", self.labels), len(self.images))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, dtype and values of the samples (not of the labels), as hexadecimal digits."""
        return self.digest or fingerprint(self.images.numpy())

    @cached_property
    def labels_fingerprint(self) -> str | None:
        """SHA-256 of the labels, None without."""
        return None if self.labels is None else fingerprint(self.labels.numpy())

    def is_whole(self) -> bool:
        """Tell whether the samples are what their hash says; it reads all of them."""
        return self.digest is None or fingerprint(self.images.numpy()) == self.digest

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.images)


class Sources(ABC):
    """What the samples of a split are to be made from.

    Attributes:
        is_paired: Whether each source belongs to the sample of its row; otherwise they are a set of their own, in an order
            of their own.
    """

    is_paired: bool = True

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of sources."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """What tells these sources from others of the same samples."""

    @abstractmethod
    def take(self, rows: np.ndarray, targets: Tensor | None, keys: Sequence[int]) -> Tensor:
        """Return new uint8 sources `(N, c, h, w)`.

        Args:
            rows: Which ones, `(N,)`.
            targets: Their samples, uint8 `(N, C, H, W)`; None where sources are not paired.
            keys: A number for each, from which comes whatever is random about it.
        """


@dataclass(eq=False)
class StoredSources(Sources):
    """Sources that are pictures of their own.

    Example:
        >>> sources = StoredSources(torch.zeros(4, 1, 8, 8, dtype=torch.uint8))
        >>> sources.take(np.array([3, 0]), None, [0, 0]).shape
        torch.Size([2, 1, 8, 8])

    Attributes:
        images: uint8 `(N, c, h, w)`, in memory or mapped from a file. Never write to it.
        digest: Their hash where it is already known.
        is_paired: Whether each belongs to the sample of its row.
    """

    images: Tensor
    digest: str | None = None
    is_paired: bool = True

    def __len__(self) -> int:
        """Return the number of sources."""
        return len(self.images)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, dtype and values."""
        return self.digest or fingerprint(self.images.numpy())

    def take(self, rows: np.ndarray, targets: Tensor | None, keys: Sequence[int]) -> Tensor:
        """Return copies of the rows."""
        return torch.from_numpy(np.take(self.images.numpy(), rows, axis=0))


@dataclass(eq=False)
class PairedSamples(RealSamples):
    """A split of samples with what they are to be made from.

    Example:
        >>> grey = StoredSources(torch.zeros(4, 1, 8, 8, dtype=torch.uint8))
        >>> len(PairedSamples(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), None, "four pairs", sources=grey))
        4

    Attributes:
        sources: The sources.

    Raises:
        UserError: There are not as many sources as samples, and they are paired.
    """

    sources: Sources = field(kw_only=True)

    def __post_init__(self) -> None:
        """Refuse what cannot be pairs."""
        super().__post_init__()
        if self.sources.is_paired and len(self.sources) != len(self.images):
            raise UserError(f"{len(self.sources)} sources cannot be paired with {len(self.images)} samples")


def _as_tensor(name: str, values: Any) -> Tensor:
    if isinstance(values, np.ndarray):
        values = torch.from_numpy(np.ascontiguousarray(values))
    if not isinstance(values, Tensor):
        raise UserError(f"{name} must be a tensor or a numpy array, got {type(values).__name__}")
    values = values.detach().cpu()
    return values.float() if values.dtype == torch.bfloat16 else values  # which numpy does not have


def _check_images(images: Tensor) -> None:
    shape, dtype = tuple(images.shape), str(images.dtype).removeprefix("torch.")
    if images.dtype == torch.int16 and images.ndim == 3:
        return
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise UserError(f"samples must be uint8 in 0..255 or floating point, got {dtype} {shape}")
    if images.ndim < 2:
        raise UserError(f"samples must be images (N, C, H, W) or vectors (N, D), got {shape}")
    if images.ndim == 4 and shape[3] in (1, 3, 4) and shape[1] > 4 and shape[2] != shape[3]:
        raise UserError(f"images must be (N, C, H, W), got {shape}, which looks like (N, H, W, C); permute(0, 3, 1, 2)")
    if images.dtype == torch.uint8 or not images.numel():
        return
    low, high = (value.item() for value in images.aminmax())
    if not -math.inf < low <= high < math.inf:
        raise UserError("samples must be finite; some are nan or infinite")
    if images.ndim == 4 and (low < -1 or high > 1 or low >= 0 < high):
        mend = "x / 127.5 - 1, or give uint8" if high > 1 else "2 * x - 1" if low >= 0 else "scale them"
        raise UserError(f"floating-point images must lie in [-1, 1], got [{low:g}, {high:g}]; {mend}")


def _checked_labels(labels: Tensor, n: int) -> Tensor:
    if labels.is_floating_point() or labels.is_complex() or labels.shape != (n,):
        dtype = str(labels.dtype).removeprefix("torch.")
        raise UserError(
            f"labels must be one whole number for each of {n} samples, got {dtype} {tuple(labels.shape)}; "
            "of one-hot rows take argmax(1)"
        )
    if n and labels.min() < 0:
        raise UserError(f"labels must count from 0, got {labels.min()}; leave samples without a class out")
    return labels.to(torch.int64)


def advise(samples: np.ndarray, order: Literal["random", "sequential"]) -> None:
    """Tell the kernel in which order the rows of a large array will be read, which may be mapped from a file.

    Without it each row of a mapped file that is not in memory yet brings its neighbors along, which a random order has
    no use for: 64 images of a file of 30 GB took 0.4 s and take 0.6 ms. Arrays below 1 GiB are left to the kernel,
    which has read them whole soon enough.
    """
    if os.name != "posix" or samples.nbytes < 2**30 or not samples.flags["C_CONTIGUOUS"]:
        return
    start = samples.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE
    length = samples.ctypes.data + samples.nbytes - start
    advice = mmap.MADV_RANDOM if order == "random" else mmap.MADV_SEQUENTIAL
    # a hint: what it returns does not matter
    ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), ctypes.c_int(advice))


def fingerprint(samples: np.ndarray) -> str:
    """Return the SHA-256 of an array's shape, dtype and values; the array may be mapped from a file.

    Example:
        >>> fingerprint(np.zeros(3))[:8]
        '7e9aa208'
    """
    digest = hashlib.sha256(f"{samples.dtype.str}{samples.shape}".encode())
    advise(samples, "sequential")
    for start in range(0, len(samples), 4096):  # in pieces, so that a mapped file need not fit in memory
        digest.update(np.ascontiguousarray(samples[start : start + 4096]).data)
    advise(samples, "random")
    return digest.hexdigest()
