"""What every data module has in common: rounds for training, one tick for evaluation, images scaled on the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from gan_lightning.data.stream import Batch, RealSamples, Rounds
from gan_lightning.errors import UserError
from gan_lightning.protocols import Clocked
from gan_lightning.shapes import Shape, shape_of

Split = Literal["train", "eval"]
SPLITS: tuple[Split, ...] = ("train", "eval")


class RealData(LightningDataModule, ABC):
    """Real samples for a game.

    Subclasses are final. They set `image_size`, `channels` and `n_classes` in their constructor, call
    `save_hyperparameters(logger=False)` there (with the logger on, Lightning refuses to train if the module has an
    argument of the same name and another value, such as a seed), and load a split.

    Attributes:
        image_size: Height and width of the images, one number or `[height, width]`; 0 for vectors.
        channels: Channels of the images, or the dimension of the vectors.
        n_classes: Number of classes, 0 without labels.
        centres: Means `(K, D)` of a mixture's modes, None for other data.
        std: Standard deviation of each mode, None for other data.

    Args:
        batch_size: Size of the global batch: the one a critic update sees, summed over processes.
        seed: Seed of sample order, flips and noise; None takes the module's seed.
        flip: Mirror training images at random.
        dequantize: Add uniform noise of one grey level to training images, as WGAN-GP's and SNGAN's code does.
        limit: Train on a fixed random subset of this many samples; the evaluation split is not touched.

    Raises:
        UserError: A size is not positive.
    """

    image_size: int | list[int]
    channels: int
    n_classes: int
    centres: Tensor | None = None
    std: float | None = None

    def __init__(
        self,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
        dequantize: bool = False,
        limit: int | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"batch_size must be at least 1, got {batch_size}")
        if limit is not None and limit < 1:
            raise UserError(f"limit must be at least 1 (or null for all samples), got {limit}")
        self.batch_size = batch_size
        self.seed = seed
        self.flip = flip
        self.dequantize = dequantize
        self.limit = limit
        self._splits: dict[Split, RealSamples] = {}

    @property
    def shape(self) -> Shape:
        """Shape of a sample: images or vectors, as `image_size` and `channels` say, unless a subclass says otherwise."""
        return shape_of(self.image_size, self.channels)

    @abstractmethod
    def load_split(self, split: Split) -> RealSamples:
        """Load one split, whole; data with no evaluation split return the training split for it."""

    def reference(self, split: Split = "eval") -> RealSamples:
        """Return a split, loaded at most once: the real side of a metric."""
        if split not in self._splits:
            samples = self.load_split(split)
            if split == "train" and self.limit is not None and self.limit < len(samples):
                # the first rows of a folder are all of one class, so the subset is drawn
                rows = (
                    torch.randperm(len(samples), generator=torch.Generator().manual_seed(0))[: self.limit].sort().values
                )
                labels = None if samples.labels is None else samples.labels[rows]
                samples = RealSamples(
                    samples.images[rows], labels, f"{samples.description}, {self.limit} drawn of them"
                )
            self._splits[split] = samples
        return self._splits[split]

    def setup(self, stage: str) -> None:
        """Load what the stage needs; the evaluation split waits until a metric asks for it."""
        if stage == "fit":
            self.reference("train")

    def train_dataloader(self) -> Rounds:
        """Return the rounds of this rank; their position is the module's clock, so there is no state to resume."""
        if self.trainer is None:
            raise UserError(
                "train_dataloader needs a trainer: pass the data module to Trainer.fit(module, datamodule=...)"
            )
        player = cast(Clocked, self.trainer.lightning_module)
        source = self.reference("train")
        return Rounds(
            source,
            batch_size=self.batch_size,
            seed=player.seed if self.seed is None else self.seed,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
            clock=player.clock,
            batches_in_round=player.batches_in_round,
            rounds_per_epoch=max(1, len(source) // (self.batch_size * max(1, player.n_critic))),
            flip=self.flip,
            dequantize=self.dequantize,
        )

    def val_dataloader(self) -> DataLoader[int]:
        """Return one tick: metrics are computed by callbacks, from `reference` and the generator."""
        return _one_tick()

    def test_dataloader(self) -> DataLoader[int]:
        """Return one tick, as for validation."""
        return _one_tick()

    def predict_dataloader(self) -> DataLoader[int]:
        """Return one tick, as for validation."""
        return _one_tick()

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Scale a round on its device: uint8 images to [-1, 1], all to the module's dtype; pass a tick unchanged."""
        if not isinstance(batch, list):
            return batch
        module = self.trainer.lightning_module if self.trainer is not None else None
        dtype = (
            module.dtype if module is not None and isinstance(module.dtype, torch.dtype) else torch.get_default_dtype()
        )
        return [Batch(scale(real, dtype), labels) for real, labels in batch]


def scale(samples: Tensor, dtype: torch.dtype) -> Tensor:
    """Map uint8 images in 0..255 to [-1, 1] by x / 127.5 - 1; cast floating-point samples without scaling them.

    Example:
        >>> scale(torch.tensor([0, 255], dtype=torch.uint8), torch.float32)
        tensor([-1.,  1.])
    """
    if samples.dtype != torch.uint8:
        return samples.to(dtype)
    wide = torch.promote_types(dtype, torch.float32)  # bfloat16 cannot hold 0..255 / 127.5 exactly enough
    return samples.to(wide).div_(127.5).sub_(1).to(dtype)


def _one_tick() -> DataLoader[int]:
    return DataLoader(range(1), batch_size=1)  # type: ignore[arg-type]  # a range is a map-style data set
