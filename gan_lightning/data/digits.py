"""The handwritten digits that scikit-learn ships."""

from __future__ import annotations

import torch

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.decoding import resize
from gan_lightning.data.stream import RealSamples
from gan_lightning.errors import UserError
from gan_lightning.shapes import Images, shape_of

N_TRAIN = 1437


class Digits(RealData):
    """The 1,797 scans of handwritten digits of scikit-learn (UCI; Alpaydin & Kaynak 1998): 1,437 train, 360 are held
    out.

    The split is the first 1,437 and the last 360 of `torch.randperm(1797)` under seed 0; the shipped classifier was
    trained on the same one. Images are `round(scan * 255 / 16)`, 8x8, enlarged bicubically to other sizes. Labels are
    the digits.

    Example:
        >>> data = Digits(batch_size=32)
        >>> data.shape, len(data.reference("train")), len(data.reference("eval"))
        (Images(height=8, width=8, channels=1), 1437, 360)

    Args:
        batch_size: Size of the global batch: the one a critic update sees, summed over processes.
        image_size: Height and width: 8 as scanned, or larger.
        seed: Seed of sample order and noise; null takes the module's seed.
        dequantize: Add uniform noise of one grey level to training images.
        limit: Train on a fixed random subset of this many samples.

    Raises:
        UserError: A size is too small.
    """

    def __init__(
        self,
        batch_size: int = 64,
        image_size: int | list[int] = 8,
        seed: int | None = None,
        dequantize: bool = False,
        limit: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed, flip=False, dequantize=dequantize, limit=limit)
        shape = shape_of(image_size, 1)
        if not isinstance(shape, Images) or min(shape.height, shape.width) < 8:
            raise UserError(f"image_size must be at least 8, the size of the scans, got {image_size}")
        self.image_size = image_size
        self.channels = 1
        self.n_classes = 10
        self.save_hyperparameters(logger=False)

    def load_split(self, split: Split) -> RealSamples:
        """Load the training or the held-out digits."""
        from sklearn.datasets import load_digits  # slow to import

        shape = shape_of(self.image_size, 1)
        assert isinstance(shape, Images)
        digits = load_digits()
        scans = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8).unsqueeze(1)
        order = torch.randperm(len(scans), generator=torch.Generator().manual_seed(0))
        rows = order[:N_TRAIN] if split == "train" else order[N_TRAIN:]
        images = resize(scans[rows], shape)
        labels = torch.from_numpy(digits.target).to(torch.int64)[rows]
        name = f"scikit-learn digits, {split} split, {len(rows)} images of {shape}"
        return RealSamples(images, labels, name)
