"""Samples that are there already: tensors, arrays, or what somebody else's loader yields, as a data module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.stream import RealSamples
from gan_lightning.errors import UserError

_IMAGE_KEYS = ("real", "image", "images", "img", "pixel_values", "x")
_LABEL_KEYS = ("label", "labels", "class", "target", "targets", "y")


def data_of(
    samples: Any,
    labels: Any = None,
    *,
    evaluation: RealSamples | None = None,
    classes: list[str] | None = None,
    batch_size: int = 64,
    seed: int | None = None,
    flip: bool = False,
    dequantize: bool = False,
    limit: int | None = None,
) -> RealData:
    """Return a data module for `Trainer.fit(game, datamodule=...)` of samples that fit in memory.

    A loader or data set is read once, whole and in its own order, so transforms that draw random numbers are frozen;
    its items are samples, `(samples, labels)`, or dictionaries with keys such as `image` and `label`.

    Example:
        >>> data = data_of(torch.zeros(6, 3, 8, 8, dtype=torch.uint8), torch.arange(6) % 2, classes=["cat", "dog"])
        >>> data.found()
        '6 images of 3x8x8, 2 classes: cat 3, dog 3'

    Args:
        samples: uint8 images `(N, C, H, W)`, floating-point ones in [-1, 1], or vectors `(N, D)`, as a tensor or array;
            or a `DataLoader` or `Dataset` of them.
        labels: Class indices `(N,)` from 0, None without, or if the loader yields them.
        evaluation: What metrics compare with; the training samples if None.
        classes: Names of the classes in the order of their indices; their numbers if None.
        batch_size: Size of the global batch: the one a critic update sees, summed over processes.
        seed: Seed of sample order, flips and noise; None takes the module's seed.
        flip: Mirror training images at random.
        dequantize: Add uniform noise of one grey level to training images.
        limit: Train on a fixed random subset of this many samples.

    Raises:
        UserError: The samples or labels are not such.
    """
    if isinstance(samples, Dataset) and not isinstance(samples, DataLoader):
        samples = DataLoader(samples, batch_size=64)
    if isinstance(samples, DataLoader):
        samples, found = _read(samples)
        labels = found if labels is None else labels
    training = RealSamples(samples, labels, "given samples")
    return _Loaded(training, evaluation or training, classes, batch_size, seed, flip, dequantize, limit)


@final
class _Loaded(RealData):
    """Samples in memory; they are not written into checkpoints, only their fingerprint."""

    def __init__(
        self, training: RealSamples, evaluation: RealSamples, classes: list[str] | None, *options: Any
    ) -> None:
        super().__init__(*options)
        self._samples: dict[Split, RealSamples] = {"train": training, "eval": evaluation}
        channels, *sides = training.images.shape[1:]
        self.image_size, self.channels = list(sides) or 0, channels
        largest = max((int(s.labels.max()) + 1 for s in self._samples.values() if s.labels is not None), default=0)
        self.n_classes = largest if classes is None else len(classes)
        if classes is not None:
            self.classes = list(classes)

    def load_split(self, split: Split) -> RealSamples:
        """Return the split."""
        return self._samples[split]


def _read(loader: DataLoader[Any]) -> tuple[Tensor, Tensor | None]:
    """Return all samples and labels of a loader in the order of its data set."""
    in_order = DataLoader(loader.dataset, batch_size=loader.batch_size or 64, collate_fn=loader.collate_fn)
    samples, labels = [], []
    for item in in_order:
        real, label = _parts(item)
        samples.append(torch.as_tensor(real))
        labels += [] if label is None else [torch.as_tensor(label)]
    if not samples:
        raise UserError("the loader yields no samples")
    return torch.cat(samples), torch.cat(labels) if labels else None


def _parts(item: Any) -> tuple[Any, Any]:
    if isinstance(item, Tensor | np.ndarray):
        return item, None
    if isinstance(item, list | tuple) and 1 <= len(item) <= 2:
        return item[0], item[1] if len(item) == 2 else None
    if isinstance(item, Mapping):
        image = next((key for key in _IMAGE_KEYS if key in item), None)
        if image is not None:
            return item[image], next((item[key] for key in _LABEL_KEYS if key in item), None)
        raise UserError(f"the loader's dictionaries have the keys {', '.join(map(str, item))}; name one of them image")
    raise UserError(
        f"the loader yields {type(item).__name__} of {len(item) if isinstance(item, list | tuple) else 'unknown'} parts; "
        "it must yield samples, (samples, labels), or dictionaries"
    )
