"""Samples that are there already: tensors, arrays, or what somebody else's loader yields, as a data module."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sized
from typing import Any, NamedTuple, Protocol, final, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.decoding import Crop, ImageSize, check_range, file_shape, resize, to_pixels, with_channels
from gan_lightning.data.stream import RealSamples
from gan_lightning.errors import UserError, say
from gan_lightning.protocols import Classed
from gan_lightning.shapes import Images

_IMAGE_KEYS = ("real", "image", "images", "img", "pixel_values", "x")
_LABEL_KEYS = ("label", "labels", "class", "target", "targets", "y")


def data_of(
    samples: Any,
    labels: Any = None,
    *,
    evaluation: RealSamples | None = None,
    classes: list[str] | None = None,
    batch_size: int | None = None,
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
        batch_size: Size of the global batch: the one a critic update sees, summed over processes; None takes the
            loader's, and 64 of what is no loader.
        seed: Seed of sample order, flips and noise; None takes the module's seed.
        flip: Mirror training images at random.
        dequantize: Add uniform noise of one grey level to training images.
        limit: Train on a fixed random subset of this many samples.

    Raises:
        UserError: The samples or labels are not such.
    """
    if batch_size is None:
        batch_size = (samples.batch_size if isinstance(samples, DataLoader) else None) or 64
    if isinstance(samples, Dataset) and not isinstance(samples, DataLoader):
        samples = DataLoader(samples, batch_size=64)
    if isinstance(samples, DataLoader):
        samples, found = _read(samples)
        labels = found if labels is None else labels
    if isinstance(samples, Tensor | np.ndarray) and samples.ndim == 2 and samples.dtype in (torch.uint8, np.uint8):
        samples = torch.as_tensor(samples).float()  # vectors: only pixels are scaled
    if classes is not None and (twice := [name for name in classes if classes.count(name) > 1]):
        raise UserError(f"classes has {twice[0]!r} twice; give each class a name of its own")
    training = RealSamples(samples, labels, "given samples")
    return _Loaded(training, evaluation or training, classes, batch_size, seed, flip, dequantize, limit)


def from_dataset(
    dataset: Any,
    labels: Any = None,
    *,
    evaluation: Any = None,
    image_size: ImageSize | None = None,
    channels: int | None = None,
    crop: Crop = "center",
    value_range: tuple[float, float] | None = None,
    classes: list[str] | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    flip: bool = False,
    dequantize: bool = False,
    limit: int | None = None,
) -> RealData:
    """Return a data module of any data set that fits in memory: a torch `Dataset`, a Hugging Face one, an array, a tensor.

    Its items are samples, `(sample, label)`, or dictionaries with keys such as `image` and `label`; a sample is a picture
    of Pillow, or an image or vector as array, tensor or nested list, channels first or last. Pictures and whole numbers
    in 0..255 become uint8 images. Names of classes are the data set's own (torchvision's `classes`, Hugging Face's
    `ClassLabel`); labels that are texts are the names. The data set is read once, so random transforms are frozen.

    Example:
        >>> pairs = [(torch.zeros(8, 8, 3, dtype=torch.uint8), "cat"), (torch.ones(8, 8, 3, dtype=torch.uint8), "dog")]
        >>> from_dataset(pairs).found()
        '2 images of 3x8x8, 2 classes: cat 1, dog 1'

    Args:
        dataset: The samples; of data in splits one of them, such as `dataset["train"]`.
        labels: Class indices or names `(N,)`, if the items have none.
        evaluation: What metrics compare with, in the same form; the training samples if None.
        image_size: Height and width that images are resized to; their own if None, which must be the same for all.
        channels: 1, 3 or 4; as the first picture if None.
        crop: How images of another ratio become so: "center" keeps the middle, "none" squeezes the whole.
        value_range: The values of black and white, such as (0, 1) or (0, 16); if None, 0..255 for whole numbers, and for
            floating point [-1, 1], or [0, 1] if no value is negative, which is said in one line.
        classes: Names of the classes in the order of their indices.
        batch_size: Size of the global batch: the one a critic update sees, summed over processes; None takes the
            loader's, and 64 of what is no loader.
        seed: Seed of sample order, flips and noise; None takes the module's seed.
        flip: Mirror training images at random.
        dequantize: Add uniform noise of one grey level to training images.
        limit: Train on a fixed random subset of this many samples.

    Raises:
        UserError: The items are not such, or differ in size.
    """
    check_range(None if value_range is None else list(value_range))
    wanted = _Wanted(image_size, channels, crop, value_range)
    found = _collected(dataset, wanted)
    names = classes if classes is not None else found.classes
    given = found.labels if labels is None else labels
    if given is None and classes is not None:
        raise UserError(
            f"classes names {len(classes)} classes, and the samples have no labels; give labels, or leave it out"
        )
    if given is None:
        names = None
    elif _are_texts(given):
        names = sorted(set(map(str, given))) if names is None else list(names)
        given = _indices(given, names)
    measured = None
    if evaluation is not None:
        other = _collected(evaluation, wanted)
        own = _indices(other.labels, names or []) if _are_texts(other.labels) else other.labels
        measured = RealSamples(other.samples, _numbers(own), "given samples")
    if batch_size is None and isinstance(dataset, DataLoader):
        batch_size = dataset.batch_size
    return data_of(
        found.samples,
        _numbers(given),
        evaluation=measured,
        classes=names,
        batch_size=batch_size,
        seed=seed,
        flip=flip,
        dequantize=dequantize,
        limit=limit,
    )


class _Wanted(NamedTuple):
    image_size: ImageSize | None
    channels: int | None
    crop: Crop
    value_range: tuple[float, float] | None


class _Collected(NamedTuple):
    samples: Tensor
    labels: Any
    classes: list[str] | None


@runtime_checkable
class _Featured(Protocol):
    """A Hugging Face data set, whose features tell the names of classes."""

    features: Mapping[str, Any]


@runtime_checkable
class _ClassLabel(Protocol):
    """The feature of a label of a Hugging Face data set."""

    names: list[str]


def _collected(dataset: Any, wanted: _Wanted) -> _Collected:
    """Return all samples of a data set as one tensor, with their labels and the names that it has for them."""
    if isinstance(dataset, Mapping) and all(isinstance(v, Sized) and not _is_array(v) for v in dataset.values()):
        first = next(iter(dataset), "train")
        raise UserError(
            f"the data set has the parts {', '.join(map(str, dataset))}; give one, such as dataset[{first!r}]"
        )
    classes = list(dataset.classes) if isinstance(dataset, Classed) else None
    if isinstance(dataset, _Featured) and isinstance(dataset.features, Mapping):
        label = next((dataset.features[key] for key in _LABEL_KEYS if key in dataset.features), None)
        classes = list(label.names) if isinstance(label, _ClassLabel) else classes
    labels: Any
    if isinstance(dataset, DataLoader):
        samples, labels = _read(dataset)
    elif _is_array(dataset):
        samples, labels = _tensor(dataset), None
    elif isinstance(dataset, Mapping):
        real, labels = _parts(dataset)
        samples = _tensor(real)
    elif isinstance(dataset, Iterable | Sized | Dataset):
        samples, labels = _read_items(dataset, wanted)
    else:
        raise UserError(f"a data set, an array or a tensor is wanted, got {type(dataset).__name__}")
    return _Collected(_fitted(samples, wanted), labels, classes)


def _read_items(dataset: Any, wanted: _Wanted) -> tuple[Tensor, list[Any] | None]:
    """Return the samples `(N, ...)` and labels of a data set, item by item in its own order."""
    from PIL.Image import Image  # only for data sets

    rows: Any = dataset
    items = (rows[i] for i in range(len(rows))) if isinstance(dataset, Sized) else iter(rows)
    samples: list[Tensor] = []
    labels: list[Any] = []
    shape: Images | None = None
    for index, item in enumerate(items):
        real, label = (item, None) if isinstance(item, Image) else _parts(item)
        if isinstance(real, Image):
            if shape is None:
                n_channels = wanted.channels or (1 if real.mode in ("1", "L", "I", "F") or real.mode[:2] == "I;" else 3)
                shape = file_shape(wanted.image_size or [real.height, real.width], n_channels)
            if wanted.image_size is None and (real.height, real.width) != (shape.height, shape.width):
                raise UserError(
                    f"picture {index} is {real.width}x{real.height} and the first one {shape.width}x{shape.height}; give "
                    "image_size=64, say, to make them alike"
                )
            deep = None if wanted.value_range is None else list(wanted.value_range)
            value = torch.from_numpy(to_pixels(real, shape, wanted.crop, deep).copy())
        else:
            value = _tensor(real)
        if samples and value.shape != samples[0].shape:
            raise UserError(
                f"sample {index} is of shape {tuple(value.shape)} and the first one of {tuple(samples[0].shape)}"
            )
        samples.append(value)
        labels += [] if label is None else [label.item() if isinstance(label, Tensor | np.generic) else label]
    if not samples:
        raise UserError("the data set has no samples")
    if labels and len(labels) != len(samples):
        raise UserError(f"{len(samples) - len(labels)} of the {len(samples)} samples have no label; label all or none")
    return torch.stack(samples), labels or None


def _fitted(samples: Tensor, wanted: _Wanted) -> Tensor:
    """Return samples `(N, ...)` as a game takes them: uint8 or [-1, 1] images `(N, C, H, W)`, float vectors `(N, D)`."""
    if samples.dtype == torch.bool and wanted.value_range is None and samples.ndim == 4:
        samples = samples.to(torch.uint8) * 255
    as_images = samples.dtype == torch.uint8 or wanted.value_range is not None or wanted.image_size is not None
    if samples.ndim == 3 and as_images:
        samples = samples[:, None]  # grey
    elif samples.ndim == 3:
        raise UserError(
            f"samples of shape {tuple(samples.shape[1:])} may be many things; give grey images as (N, 1, H, W), or with "
            "value_range=(0, 255) or what black and white are, and vectors as (N, D)"
        )
    if samples.ndim == 4 and samples.shape[3] in (1, 3, 4):
        _, first, middle, last = samples.shape
        if first not in (1, 3, 4) or first == middle != last:  # such as 4x4x1
            samples = samples.permute(0, 3, 1, 2).contiguous()
    is_image = samples.ndim == 4
    if wanted.value_range is not None and samples.dtype != torch.uint8 or wanted.value_range not in (None, (0, 255)):
        samples = _from_range(samples, *wanted.value_range or (0.0, 255.0))
    elif is_image and not samples.is_floating_point() and samples.dtype != torch.uint8 and samples.numel():
        least, most = (int(value) for value in samples.aminmax())
        if least < 0 or most > 255:
            raise UserError(
                f"whole numbers of images must lie in 0..255, got {least}..{most}; give value_range=({least}, {most})"
            )
        samples = samples.to(torch.uint8)
    elif is_image and samples.is_floating_point() and samples.numel():
        low, high = (value.item() for value in samples.aminmax())
        if 0 <= low < high <= 1:
            say("floating-point images from 0 to 1 are taken as black to white, [0, 1]; value_range says otherwise")
            samples = _from_range(samples, 0.0, 1.0)
        elif high > 1 and math.isfinite(high):
            raise UserError(
                f"floating-point images must lie in [0, 1] or [-1, 1], got [{low:g}, {high:g}]; give value_range=(0, 255), "
                "or what black and white are"
            )
    elif not samples.is_floating_point() and samples.dtype != torch.uint8:
        samples = samples.to(torch.get_default_dtype())
    if is_image and samples.dtype == torch.uint8 and wanted.value_range is None and samples.numel():
        if 0 < (most := int(samples.max())) < _DARK:
            say(
                f"whole numbers of images are taken as 0..255, and the largest here is {most}: nearly black; value_range=(0, "
                f"{most}) says otherwise"
            )
    if samples.dtype == torch.float64:
        samples = samples.to(torch.float32)
    if is_image and wanted.channels is not None and samples.shape[1] != wanted.channels:
        if samples.dtype != torch.uint8:
            raise UserError(
                f"channels {wanted.channels} of floating-point images with {samples.shape[1]}; give uint8 ones"
            )
        samples = with_channels(samples, wanted.channels)
    if is_image and wanted.image_size is not None:
        resized = resize(samples, file_shape(wanted.image_size, samples.shape[1]), wanted.crop)
        samples = resized.clamp(-1, 1) if resized.is_floating_point() else resized
    return samples


def _from_range(samples: Tensor, black: float, white: float) -> Tensor:
    """Return floating-point samples in [-1, 1] of those from black to white."""
    wide = samples.to(torch.float32)
    low, high = (value.item() for value in wide.aminmax()) if wide.numel() else (black, white)
    if low < black or high > white:
        raise UserError(f"value_range is ({black:g}, {white:g}), but the samples lie in [{low:g}, {high:g}]")
    return (wide - black) / (white - black) * 2 - 1


def _is_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _tensor(value: Any) -> Tensor:
    """Return an array, a tensor or a nested list of numbers as a tensor."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    try:
        return torch.from_numpy(np.array(value))  # a copy: what others hand out may be read-only
    except (TypeError, ValueError) as error:
        raise UserError(f"a sample must be a picture, an array or numbers, got {type(value).__name__}") from error


def _are_texts(labels: Any) -> bool:
    if isinstance(labels, Tensor) or labels is None:
        return False
    return any(isinstance(label, str) for label in labels)


def _indices(labels: Any, names: list[str]) -> Tensor:
    """Return the indices `(N,)` of names."""
    unknown = [label for label in labels if label not in names]
    if unknown:
        raise UserError(f"there is no class {unknown[0]!r}; the classes are {', '.join(names[:20])}")
    return torch.tensor([names.index(label) for label in labels])


def _numbers(labels: Any) -> Tensor | None:
    """Return labels that are no texts as a tensor."""
    try:
        return None if labels is None else torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        kinds = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise UserError(f"labels must be whole numbers from 0, or texts, got {kinds}") from error


_DARK = 64
"""Images whose values are all below it are told of."""


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
    """Return all samples and labels of a loader in the order of its data set.

    Raises:
        UserError: The loader has none, or a sampler that does not draw each of them once.
    """
    if not _draws_all(loader):
        odd = loader.sampler if type(loader.batch_sampler) in (BatchSampler, type(None)) else loader.batch_sampler
        raise UserError(
            f"the loader draws by {type(odd).__name__}, and all of its data set would be read, once; give the samples that "
            "you mean, such as torch.utils.data.Subset(dataset, indices)"
        )
    in_order = DataLoader(loader.dataset, batch_size=loader.batch_size or 64, collate_fn=loader.collate_fn)
    samples, labels = [], []
    for item in in_order:
        real, label = _parts(item)
        samples.append(torch.as_tensor(real))
        labels += [] if label is None else [torch.as_tensor(label)]
    if not samples:
        raise UserError("the loader yields no samples")
    return torch.cat(samples), torch.cat(labels) if labels else None


def _draws_all(loader: DataLoader[Any]) -> bool:
    """Tell whether a loader's epoch has each sample of its data set once, in some order."""
    if isinstance(loader.dataset, IterableDataset):
        return True
    if type(loader.batch_sampler) not in (BatchSampler, type(None)):
        return False
    if isinstance(loader.sampler, RandomSampler):
        return not loader.sampler.replacement and loader.sampler.num_samples >= len(loader.sampler.data_source)
    return isinstance(loader.sampler, SequentialSampler | DistributedSampler)


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
