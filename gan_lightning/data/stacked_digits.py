"""Three grey pictures of ten kinds as one image of three channels: a thousand modes from ten."""

from __future__ import annotations

from typing import Literal

import torch

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.digits import Digits
from gan_lightning.data.stream import RealSamples, generator
from gan_lightning.data.torchvision_images import TorchvisionImages
from gan_lightning.errors import UserError

N_STACKED = 3


class _Stacked(RealData):
    """Triples of other data's grey images, each drawn by itself; the labels read as one number.

    Attributes:
        channel_classes: Number of classes of a channel.
    """

    def __init__(
        self, singles: RealData, n: int, sample_seed: int, batch_size: int, seed: int | None, dequantize: bool
    ) -> None:
        super().__init__(batch_size, seed, flip=False, dequantize=dequantize)
        if n < 1:
            raise UserError(f"n must be at least 1, got {n}; PacGAN draws 128000")
        self._singles, self.n, self.sample_seed = singles, n, sample_seed
        self.image_size = singles.image_size  # type: ignore[attr-defined]
        self.channels = N_STACKED
        self.channel_classes = singles.n_classes
        self.n_classes = self.channel_classes**N_STACKED

    def load_split(self, split: Split) -> RealSamples:
        """Draw the triples of a split."""
        singles = self._singles.load_split(split)
        assert singles.labels is not None
        random = generator(self.sample_seed, 0 if split == "train" else 1)
        rows = torch.randint(0, len(singles), (self.n, N_STACKED), generator=random)
        first, second, third = singles.labels[rows].unbind(1)
        labels = (first * self.channel_classes + second) * self.channel_classes + third
        images = singles.images[rows].squeeze(2)  # (n, 3, H, W)
        return RealSamples(images, labels, f"{self.n} triples of {singles.description}")


class StackedDigits(_Stacked):
    """Triples of scikit-learn's digits (`Digits`), one in each channel: the test of Metz et al. 2017, arXiv:1611.02163,
    and of VEEGAN and PacGAN, with the digits that need no download in place of MNIST's.

    Each channel is drawn by itself and uniformly, with replacement, from the scans of the split; training and held-out
    scans stay apart. Labels are the digits read as a number, 0 ... 999, the first channel's first.

    Example:
        >>> data = StackedDigits(n=100)
        >>> data.shape, data.n_classes, len(data.reference("train"))
        (Images(height=8, width=8, channels=3), 1000, 100)

    Args:
        n: Number of training triples, 128,000 in PacGAN; the evaluation split is an independent draw of as many.
        image_size: Height and width: 8 as scanned, or larger.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch: the one a critic update sees, summed over processes.
        seed: Seed of sample order and noise; null takes the module's seed.
        dequantize: Add uniform noise of one grey level to training images.

    Raises:
        UserError: A number is out of its range.
    """

    def __init__(
        self,
        n: int = 128_000,
        image_size: int | list[int] = 8,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
        dequantize: bool = False,
    ) -> None:
        super().__init__(Digits(image_size=image_size), n, sample_seed, batch_size, seed, dequantize)
        self.save_hyperparameters(logger=False)


class StackedMNIST(_Stacked):
    """Triples of MNIST's digits, one in each channel: the thousand-mode test of Metz et al. 2017, arXiv:1611.02163, of
    VEEGAN and of PacGAN, on the data that they took. `StackedDigits` is the same without a download.

    Each channel is drawn by itself and uniformly, with replacement, from the images of the split (PacGAN: of both splits
    together); training and test images stay apart. Labels are the digits read as a number, 0 ... 999, the first channel's
    first. `coverage.classifier` must be given: `scripts/train_digits_classifier.py --mnist` trains it.

    Example:
        >>> StackedMNIST().shape  # nothing is read before it is used
        Images(height=28, width=28, channels=3)

    Args:
        root: Folder that holds the data in torchvision's own layout
            (`<root>/MNIST/raw/train-images-idx3-ubyte`, or gzipped).
        download: Fetch the data if they are not there.
        dataset: MNIST, or another of torchvision's with grey images of ten kinds: KMNIST, FashionMNIST.
        n: Number of training triples; the evaluation split is an independent draw of as many.
        image_size: Height and width; 28 as they are.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch: the one a critic update sees, summed over processes.
        seed: Seed of sample order and noise; null takes the module's seed.
        dequantize: Add uniform noise of one grey level to training images.

    Raises:
        UserError: A number is out of its range, or the data set is none of these.
    """

    needs_classifier = True

    def __init__(
        self,
        root: str = "data",
        download: bool = False,
        dataset: Literal["MNIST", "KMNIST", "FashionMNIST"] = "MNIST",
        n: int = 128_000,
        image_size: int | list[int] = 28,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
        dequantize: bool = False,
    ) -> None:
        if dataset not in (known := ("MNIST", "KMNIST", "FashionMNIST")):
            raise UserError(f"dataset of StackedMNIST must be one of {', '.join(known)}, got {dataset!r}")
        images = TorchvisionImages(dataset, root, download, image_size)
        super().__init__(images, n, sample_seed, batch_size, seed, dequantize)
        self.root, self.download, self.dataset = root, download, dataset
        self.save_hyperparameters(logger=False)

    def prepare_data(self) -> None:
        """Fetch (if told to) and unpack, once per node."""
        self._singles.prepare_data()
