"""Any image data set of torchvision, through one class."""

from __future__ import annotations

import difflib
import gzip
import hashlib
import inspect
import json
import pickle
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.arrangement import OnError
from gan_lightning.data.base import SPLITS, RealData, Split, drawn
from gan_lightning.data.decoding import Crop, Decoded, ImageSize, file_shape, resize, to_pixels, with_channels
from gan_lightning.data.packing import Pack, Recipe, cache_home, pack_home, packed, writable
from gan_lightning.data.stream import RealSamples
from gan_lightning.description import find_class
from gan_lightning.errors import UserError, in_one_line
from gan_lightning.runs.files import replacing
from gan_lightning.shapes import Images


@dataclass(frozen=True)
class Facts:
    """What is known of a data set before it is read; `evaluation` None means that it has no split for it."""

    image_size: ImageSize
    channels: int
    n_classes: int
    train: dict[str, Any] = field(default_factory=lambda: {"train": True})
    evaluation: dict[str, Any] | None = field(default_factory=lambda: {"train": False})


_BY_SPLIT: dict[str, dict[str, Any]] = {"train": {"split": "train"}, "evaluation": {"split": "test"}}
KNOWN = {
    "MNIST": Facts(28, 1, 10),
    "FashionMNIST": Facts(28, 1, 10),
    "KMNIST": Facts(28, 1, 10),
    "CIFAR10": Facts(32, 3, 10),
    "CIFAR100": Facts(32, 3, 100),
    "SVHN": Facts(32, 3, 10, **_BY_SPLIT),
    "STL10": Facts(96, 3, 10, **_BY_SPLIT),
    "CelebA": Facts(64, 3, 0, **_BY_SPLIT),  # 178x218; its 40 attributes are not classes
    "ImageNet": Facts(128, 3, 1000, {"split": "train"}, {"split": "val"}),  # any size
    "LSUN": Facts(
        64, 3, 0, {"classes": "train"}, None
    ),  # any size; its 300 validation images are too few to measure on
}


class TorchvisionImages(RealData):
    """An image data set of `torchvision.datasets` (MNIST, FashionMNIST, CIFAR10, CIFAR100, STL10, CelebA, LSUN, ...),
    or one that behaves like them.

    Sets that keep their images as one array are taken as it is; the others are decoded once and packed as `ImageFolder`
    does. The evaluation split is the data set's test split. MNIST files may lie gzipped, as downloaded.

    Example:
        >>> TorchvisionImages("CIFAR10").shape  # nothing is read before it is used
        Images(height=32, width=32, channels=3)

    Args:
        dataset: Name in `torchvision.datasets`, or the path of a class with the same interface.
        root: Folder that holds the data in torchvision's own layout (MNIST:
            `<root>/MNIST/raw/train-images-idx3-ubyte`).
        download: Fetch the data if they are not there.
        image_size: Height and width, one number or `[height, width]`; null keeps the native size (CelebA and
            LSUN: 64, ImageNet: 128).
        channels: 1 for grey, 3 for RGB; null keeps the native ones.
        n_classes: Number of classes, for data sets this class does not know; null takes what is known, 0 means no
            labels.
        crop: "center" scales until `image_size` is covered and keeps the middle; "none" squeezes the whole image.
        on_error: What to do about an image that cannot be read: "raise" names it and stops, "skip" leaves it out and
            counts it.
        dataset_kwargs: Further arguments of the data set's constructor for the training split, such as `{split:
            unlabeled}` of STL10 or `{classes: [bedroom_train]}` of LSUN.
        cache_dir: Folder for the packed file, where one is needed, instead of the user's cache folder.
        batch_size: Size of the global batch: the one a critic update sees, summed over processes.
        seed: Seed of sample order, flips and noise; null takes the module's seed.
        flip: Mirror training images at random.
        dequantize: Add uniform noise of one grey level to training images.
        limit: Train on a fixed random subset of this many images.

    Raises:
        UserError: There is no such data set, or an argument is out of its range.
    """

    def __init__(
        self,
        dataset: str,
        root: str = "data",
        download: bool = False,
        image_size: ImageSize | None = None,
        channels: int | None = None,
        n_classes: int | None = None,
        crop: Crop = "center",
        on_error: OnError = "raise",
        dataset_kwargs: dict[str, Any] | None = None,
        cache_dir: str | None = None,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
        dequantize: bool = False,
        limit: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, flip, dequantize, limit)
        self.dataset = dataset.removeprefix("torchvision.datasets.")
        self.root = root
        self.download = download
        self.crop = crop
        self.on_error = on_error
        self.dataset_kwargs = dict(dataset_kwargs or {})
        self.cache_dir = cache_dir
        self._packs: dict[Split, Pack] = {}
        known = KNOWN.get(self.dataset) or _guess(self.dataset, image_size, self.dataset_kwargs)
        self.facts = known
        self.image_size = known.image_size if image_size is None else image_size
        self.channels = known.channels if channels is None else channels
        file_shape(self.image_size, self.channels)
        unlabelled = self.dataset_kwargs.get("split") in ("unlabeled", "train+unlabeled")  # STL10
        self.n_classes = (0 if unlabelled else known.n_classes) if n_classes is None else n_classes
        self.save_hyperparameters(logger=False)

    def prepare_data(self) -> None:
        """Fetch (if told to), unpack and pack, once per node."""
        for split in SPLITS[: 1 if self.facts.evaluation is None else 2]:
            if self.download:
                self._fetch(split)
            self.reference(split)  # kept, so that this process need not load it again

    def load_split(self, split: Split) -> RealSamples:
        """Load the split of the data set, resized, or map its packed images."""
        if self.facts.evaluation is None:
            split = "train"
        dataset = self._open(split)
        names = getattr(dataset, "classes", None)  # what torchvision's own sets list; few others do
        if isinstance(names, list | tuple) and len(names) == self.n_classes:
            self.classes = [name if isinstance(name, str) else ", ".join(map(str, name)) for name in names]
        images, kept, digest = (
            self._load_array(dataset) if hasattr(dataset, "data") else self._load_files(dataset, split)
        )
        labels = self._labels(dataset)
        if labels is not None and kept is not None:
            labels = labels[kept]
        shape = "x".join(map(str, images.shape[1:]))
        return RealSamples(images, labels, f"{self.dataset}, {split} split, {len(images)} images of {shape}", digest)

    def _options(self, split: Split) -> dict[str, Any]:
        if split == "train":
            return {**self.facts.train, **self.dataset_kwargs}
        return {**self.dataset_kwargs, **(self.facts.evaluation or {})}

    def _fetch(self, split: Split) -> None:
        cls = _find_class(self.dataset)
        root = Path(self.root).expanduser()
        by_hand = f"put its files under {root.absolute()} by hand, in torchvision's layout ({_layout(cls, root)})"
        if "download" not in inspect.signature(cls.__init__).parameters:
            raise UserError(f"torchvision cannot download {self.dataset}; {by_hand} and leave download off")
        try:
            with _plain_pickles():
                cls(root=str(_unzipped(cls, root)), download=True, **self._options(split))
        except Exception as error:
            raise UserError(f"{self.dataset} could not be downloaded: {in_one_line(error)}; {by_hand}") from error

    def _open(self, split: Split) -> Any:
        cls = _find_class(self.dataset)
        root = Path(self.root).expanduser()
        options = self._options(split)
        if "root" in inspect.signature(cls.__init__).parameters:
            options["root"] = str(_unzipped(cls, root))
        try:
            with _plain_pickles():
                return cls(**options)
        except ImportError as error:
            raise UserError(
                f"{self.dataset} needs a further package: {in_one_line(error)}; pip install {error.name}"
            ) from error
        except Exception as error:
            raise UserError(
                f"{self.dataset} cannot be read from {root.absolute()} ({_layout(cls, root)}): {in_one_line(error)}; "
                "put its files there, or fetch them with download=true (--data.download true)"
            ) from error

    def _load_array(self, dataset: Any) -> tuple[Tensor, None, None]:
        array = torch.as_tensor(dataset.data)
        if array.ndim == 3:
            array = array.unsqueeze(1)
        elif array.shape[1] not in (1, 3):
            array = array.permute(0, 3, 1, 2)  # CIFAR keeps channels last
        return resize(with_channels(array, self.channels), self._file_shape, self.crop).contiguous(), None, None

    def _load_files(self, dataset: Any, split: Split) -> tuple[Tensor, list[int] | None, str]:
        options: dict[str, Any] = {
            "dataset": self.dataset,
            "kwargs": repr({**self.dataset_kwargs, "split": split}),
            "size": self.image_size,
            "channels": self.channels,
            "crop": self.crop,
        }
        rows = list(range(len(dataset)))
        if split == "train" and self.limit is not None and self.limit < len(rows):
            rows = drawn(len(rows), self.limit)
            options["limit"] = self.limit

        def decoded(i: int) -> Decoded:
            image = dataset[rows[i]][0]
            return Decoded(to_pixels(image, self._file_shape, self.crop), (min(image.size), max(image.size)))

        root = Path(self.root).expanduser()
        recipe = Recipe(
            name=f"{self.dataset} ({split})",
            owner=json.dumps({"root": str(root.resolve()), **options}),
            key={**options, "root": str(root.resolve()), "n": len(dataset)},  # its files are not ours to list
            n=len(rows),
            shape=self._file_shape.size,
            decode=decoded,
            describe=lambda i: f"{self.dataset}[{rows[i]}]",
            facts={"classes": self.classes},
        )
        folders = [Path(self.cache_dir).expanduser()] if self.cache_dir else [pack_home()]
        pack = self._packs[split] = packed(recipe, folders, self.on_error)
        if split == "train":
            self.sides = pack.sides
            if pack.skipped:
                self.left_out["unreadable"] = len(pack.skipped)
        skipped = set(pack.skipped)
        return pack.images, [row for i, row in enumerate(rows) if i not in skipped], pack.digest

    def discard_split(self, split: Split) -> None:
        """Remove the packed images of the split."""
        if (pack := self._packs.pop("train" if self.facts.evaluation is None else split, None)) is not None:
            pack.discard()

    @property
    def _file_shape(self) -> Images:
        return file_shape(self.image_size, self.channels)

    def _labels(self, dataset: Any) -> Tensor | None:
        if not self.n_classes:
            return None
        for attribute in ("targets", "labels", "_labels"):
            values = getattr(dataset, attribute, None)
            if values is not None and len(values) == len(dataset):
                labels = torch.as_tensor(np.asarray(values)).to(torch.int64)
                if labels.ndim == 1 and 0 <= int(labels.min()) and int(labels.max()) < self.n_classes:
                    return labels
                raise UserError(
                    f"the labels of {self.dataset} lie in {labels.min()}..{labels.max()}, "
                    f"not in 0..{self.n_classes - 1}; set n_classes to their number, or to 0 for none"
                )
        raise UserError(f"{self.dataset} does not list its labels; set n_classes to 0")


def _find_class(name: str) -> Any:
    from torchvision import datasets  # slow to import

    if "." not in name:
        if not isinstance(cls := getattr(datasets, name, None), type):
            near = difflib.get_close_matches(name, datasets.__all__, 1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(KNOWN)} and others"
            raise UserError(f"torchvision.datasets has no {name!r}; {hint}")
        return cls
    try:
        return find_class(name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"there is no data set class {name!r}: {in_one_line(error)}") from error


class _PlainUnpickler(pickle.Unpickler):
    """Makes plain values and numpy arrays, and refuses to name anything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _IN_ARRAYS:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds code ({module}.{name}), and is not read")


_IN_ARRAYS = {("_codecs", "encode"), ("numpy", "ndarray"), ("numpy", "dtype")} | {
    (f"numpy.{core}.{name}", function)
    for core in ("core", "_core")
    for name, function in (("multiarray", "_reconstruct"), ("numeric", "_frombuffer"))
}


@contextmanager
def _plain_pickles() -> Iterator[None]:
    """Let the two modules of torchvision that read pickles, of CIFAR's files and of LSUN's keys, run nothing in them."""
    from torchvision.datasets import cifar, lsun

    def load(file: Any, **options: Any) -> Any:
        return _PlainUnpickler(file, **options).load()

    plain: Any = SimpleNamespace(load=load, dump=pickle.dump)
    before = cifar.pickle, lsun.pickle
    cifar.pickle = lsun.pickle = plain
    try:
        yield
    finally:
        cifar.pickle, lsun.pickle = before


def _guess(name: str, image_size: ImageSize | None, options: dict[str, Any]) -> Facts:
    """Return facts of a data set that the table does not know, its split arguments from its signature.

    Where the options choose the split themselves, it has no evaluation split.
    """
    accepted = inspect.signature(_find_class(name).__init__).parameters
    if image_size is None:
        raise UserError(f"the native size of {name} is not known here; set image_size")
    if "train" in accepted and "train" not in options:
        return Facts(image_size, 3, 0)
    if "split" in accepted and "split" not in options:
        return Facts(image_size, 3, 0, **_BY_SPLIT)
    return Facts(image_size, 3, 0, {}, None)


def _layout(cls: Any, root: Path) -> str:
    """Say where the files of a data set are expected, and which of MNIST's are missing."""
    if hasattr(cls, "resources") and hasattr(cls, "mirrors"):
        files = [Path(cls.__name__, "raw", Path(url).stem) for url, _ in cls.resources]
        missing = [file for file in files if not (root / file).is_file() and not (root / f"{file}.gz").is_file()]
        return f"missing: {', '.join(map(str, missing))}" if missing else f"files in {files[0].parent}"
    folder = getattr(cls, "base_folder", None)
    return (
        f"expected: {folder}"
        if isinstance(folder, str) and folder
        else f"see torchvision's documentation of {cls.__name__}"
    )


def _size_of(file: Path) -> int:
    """Return the size of a file, of a gzip that of its contents, as its last four bytes say."""
    return file.stat().st_size if file.suffix != ".gz" else int.from_bytes(file.read_bytes()[-4:], "little")


def _unzipped(cls: Any, root: Path) -> Path:
    """Unpack MNIST files that lie gzipped, as torchvision does only while it downloads; return the root to read from.

    Raises:
        UserError: A file is not a whole gzip.
    """
    raw = root / cls.__name__ / "raw"
    if not hasattr(cls, "mirrors") or all(file.with_suffix("").exists() for file in raw.glob("*.gz")):
        return root
    elsewhere = cache_home() / hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:20] / cls.__name__ / "raw"
    folder = writable([raw, elsewhere])
    for file in raw.iterdir():
        target = folder / (file.stem if file.suffix == ".gz" else file.name)
        if target.exists() and (folder == raw or target.stat().st_size == _size_of(file)):
            continue
        try:
            opened = gzip.open(file) if file.suffix == ".gz" else file.open("rb")
            with opened as source, replacing(target) as temporary, temporary.open("wb") as sink:
                shutil.copyfileobj(source, sink)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"cannot unpack {file}: {in_one_line(error)}; fetch it again") from error
    return folder.parents[1]
