"""Three handwritten digits as one image of three channels: a thousand modes from ten."""

from __future__ import annotations

import torch

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.digits import Digits
from gan_lightning.data.stream import RealSamples, generator
from gan_lightning.errors import UserError

N_STACKED = 3


class StackedDigits(RealData):
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

    Attributes:
        channel_classes: Number of classes of a channel, 10.

    Raises:
        UserError: A number is out of its range.
    """

    channel_classes = 10

    def __init__(
        self,
        n: int = 128_000,
        image_size: int | list[int] = 8,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
        dequantize: bool = False,
    ) -> None:
        super().__init__(batch_size, seed, flip=False, dequantize=dequantize)
        if n < 1:
            raise UserError(f"n must be at least 1, got {n}; PacGAN draws 128000")
        self._digits = Digits(image_size=image_size)
        self.n, self.sample_seed = n, sample_seed
        self.image_size = image_size
        self.channels = N_STACKED
        self.n_classes = self.channel_classes**N_STACKED
        self.save_hyperparameters(logger=False)

    def load_split(self, split: Split) -> RealSamples:
        """Draw the triples of a split."""
        digits = self._digits.load_split(split)
        assert digits.labels is not None
        random = generator(self.sample_seed, 0 if split == "train" else 1)
        rows = torch.randint(0, len(digits), (self.n, N_STACKED), generator=random)
        first, second, third = digits.labels[rows].unbind(1)
        labels = (first * self.channel_classes + second) * self.channel_classes + third
        images = digits.images[rows].squeeze(2)  # (n, 3, H, W)
        return RealSamples(images, labels, f"{self.n} triples of {digits.description}")
