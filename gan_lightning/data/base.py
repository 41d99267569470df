"""What every data module has in common: rounds for training, one tick for evaluation, images scaled on the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal, cast

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from gan_lightning.data.stream import Batch, RealSamples, Rounds
from gan_lightning.errors import UserError, say
from gan_lightning.protocols import Clocked, Sampler
from gan_lightning.shapes import Shape, Vectors, shape_of

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
        classes: Names of the classes in the order of their indices; their numbers unless a subclass sets them.
        sides: Shortest and longest side of the images as they were before they were resized, None if not known.
        left_out: How many files were left out, by the reason.
        centres: Means `(K, D)` of a mixture's modes, None for other data.
        std: Standard deviation of each mode, None for other data.

    Args:
        batch_size: Size of the global batch: the one a critic update sees, summed over processes.
        seed: Seed of sample order, flips and noise; None takes the module's seed.
        flip: Mirror training images at random.
        dequantize: Add uniform noise of one grey level to training images. WGAN-GP's and SNGAN's code does so with 256
            equal levels; here black and white are half as wide, as they are when samples are rounded to 8 bits.
        limit: Train on a fixed random subset of this many samples; the evaluation split is not touched.

    Raises:
        UserError: A size is not positive.
    """

    image_size: int | list[int]
    channels: int
    n_classes: int = 0
    centres: Tensor | None = None
    std: float | None = None
    sides: tuple[int, int] | None = None
    _classes: list[str] | None = None

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
        self.left_out: dict[str, int] = {}
        self._is_told = False
        self._splits: dict[Split, RealSamples] = {}
        self._then: dict[Split, dict[str, Any]] = {}  # what a checkpoint says of them

    @property
    def shape(self) -> Shape:
        """Shape of a sample: images or vectors, as `image_size` and `channels` say, unless a subclass says otherwise."""
        return shape_of(self.image_size, self.channels)

    @property
    def stored_size(self) -> tuple[int, ...]:
        """The shape of a sample as `load_split` returns it: that of a sample, unless a subclass turns one into the other."""
        return self.shape.size

    @property
    def classes(self) -> list[str]:
        """Names of the classes, empty without labels."""
        return [str(i) for i in range(self.n_classes)] if self._classes is None else self._classes

    @classes.setter
    def classes(self, names: list[str]) -> None:
        self._classes = names

    @abstractmethod
    def load_split(self, split: Split) -> RealSamples:
        """Load one split, whole; data with no evaluation split return the training split for it."""

    def discard_split(self, split: Split) -> None:
        """Remove what `load_split` has prepared on the disk, because it is damaged; nothing unless overridden."""

    def reference(self, split: Split = "eval", whole: bool = False) -> RealSamples:
        """Return a split, loaded at most once: the real side of a metric.

        Args:
            split: The split.
            whole: Compare every byte with its checksum, and prepare what is damaged anew.

        Raises:
            UserError: The samples are not of the shape or the classes that the data declare.
        """
        if split not in self._splits:
            self._splits[split] = self._limited(self._load(split), split)
            self._compare(split, [])
        if whole and not self._splits[split].is_whole():
            say(f"{self._splits[split].description}: the prepared file is damaged and is made anew")
            self.discard_split(split)
            self._splits[split] = self._limited(self._load(split), split)
        return self._splits[split]

    def _load(self, split: Split) -> RealSamples:
        samples = self.load_split(split)
        if tuple(samples.images.shape[1:]) != self.stored_size:
            raise UserError(
                f"{type(self).__name__} declares {self.shape.words} of shape {self.shape.size}, but its {split} split "
                f"holds {tuple(samples.images.shape[1:])}; set image_size and channels to what load_split returns"
            )
        if samples.labels is not None and len(samples) and self.n_classes:
            low, high = int(samples.labels.min()), int(samples.labels.max())
            if high >= self.n_classes:
                mend = "subtract 1" if low >= 1 and high == self.n_classes else "set n_classes to their number"
                raise UserError(
                    f"the labels of {type(self).__name__} lie in {low}..{high}, but it has {self.n_classes} classes, "
                    f"0..{self.n_classes - 1}; {mend}"
                )
        return samples

    def _limited(self, samples: RealSamples, split: Split) -> RealSamples:
        if split != "train" or self.limit is None or self.limit >= len(samples):
            return samples
        rows = torch.tensor(drawn(len(samples), self.limit))
        labels = None if samples.labels is None else samples.labels[rows]
        return RealSamples(samples.images[rows], labels, f"{samples.description}, {self.limit} drawn of them")

    def setup(self, stage: str) -> None:
        """Load what the stage needs; the evaluation split waits until a metric asks for it."""
        if stage == "fit":
            self.reference("train")
            self._is_told = False

    def found(self) -> str:
        """Return in one line what there is to train on."""
        samples = self.reference("train")
        size = (
            f"{self.shape.n_values} numbers" if isinstance(self.shape, Vectors) else "x".join(map(str, self.shape.size))
        )
        if self.sides is not None:
            shortest, longest = self.sides
            size = f"{shortest:,} px" if shortest == longest else f"{shortest:,} to {longest:,} px"
        text = f"{len(samples):,} {self.shape.words} of {size}"
        empty = []
        if samples.labels is not None and self.n_classes:
            counts = samples.labels.bincount(minlength=self.n_classes).tolist()
            empty = [name for name, n in zip(self.classes, counts, strict=True) if not n]
            text += f", {self.n_classes} classes: {_listed([f'{c} {n:,}' for c, n in zip(self.classes, counts, strict=True)])}"
        if self.left_out:
            n = sum(self.left_out.values())
            what = ", ".join(f"{n:,} {why}" for why, n in self.left_out.items())
            text += f"; {n:,} file{'s' * (n > 1)} left out: {what}"
        if self.centres is not None and self.std is not None and len(self.centres) > 1:
            nearest = float(torch.pdist(self.centres.double()).min())
            if nearest < 6 * self.std:
                text += (
                    f"; modes overlap (standard deviation {self.std:g}, {nearest:.3g} apart): high quality says little"
                )
        if empty:
            text += f"; no training images of {len(empty)} classes: {_listed(empty)}"
        return text

    def state_dict(self) -> dict[str, Any]:
        """Return what tells these training data from others, for the checkpoint."""
        if "train" not in self._splits:
            return {}
        own: dict[str, Any] = {split: _facts(samples) for split, samples in self._splits.items()}
        return {**own.pop("train"), "classes": self.classes, **own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Say what has changed since the checkpoint was written.

        Raises:
            UserError: A class has another index now, and the game is conditional.
        """
        then, now = list(state_dict["classes"]), self.classes
        moved = [name for name in then if name in now and now.index(name) != then.index(name)]
        player = self.trainer.lightning_module if self.trainer is not None else None
        if moved and (not isinstance(player, Sampler) or player.n_classes):
            raise UserError(
                f"the classes of the checkpoint are {_listed(then)}, the data now have {_listed(now)}: {moved[0]} would "
                f"be number {now.index(moved[0])} instead of {then.index(moved[0])}; give the folders or labels their old "
                "names, or start a new run"
            )
        self._then = {"train": state_dict}
        if "eval" in state_dict:  # 0.1.0 did not say
            self._then["eval"] = state_dict["eval"]
        self._compare("train", [] if then == now else [f"classes {_listed(then)} -> {_listed(now)}"])
        self._compare("eval", [])

    def _compare(self, split: Split, changes: list[str]) -> None:
        """Say, once a split is loaded, in what it is not that of the checkpoint."""
        if split in self._splits and split in self._then:
            then, now = self._then.pop(split), _facts(self._splits[split])
            if now["n"] != then["n"]:
                changes.append(f"{then['n']:,} -> {now['n']:,} {self.shape.words}")
            elif now["fingerprint"] != then["fingerprint"]:
                changes.append(f"other {self.shape.words}, or in another order")
            elif now["labels"] != then["labels"]:
                changes.append("other labels")
        if changes:
            kind = "training" if split == "train" else "held-out"
            say(f"the {kind} data are not those of the checkpoint: {', '.join(changes)}")

    def train_dataloader(self) -> Rounds:
        """Return the rounds of this rank; their position is the module's clock, so there is no state to resume."""
        if self.trainer is None:
            raise UserError(
                "train_dataloader needs a trainer: pass the data module to Trainer.fit(module, datamodule=...)"
            )
        player = cast(Clocked, self.trainer.lightning_module)
        source = self.reference("train")
        if not self._is_told:  # here, because by now nothing is refused any more
            say(self.found())
            self._is_told = True
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
        """Scale a round on its device: images and sound to [-1, 1], all to the module's dtype; pass a tick unchanged."""
        if not isinstance(batch, list):
            return batch
        module = self.trainer.lightning_module if self.trainer is not None else None
        dtype = (
            module.dtype if module is not None and isinstance(module.dtype, torch.dtype) else torch.get_default_dtype()
        )
        return [
            Batch(scale(real, dtype), labels, *(part if part is None else scale(part, dtype) for part in source))
            for real, labels, *source in batch
        ]


def scale(samples: Tensor, dtype: torch.dtype) -> Tensor:
    """Map uint8 images in 0..255 to [-1, 1] by x / 127.5 - 1, and int16 sound to [-1, 1) by x / 32768.

    Floating-point samples are cast without scaling them.

    Indices, int64, stay as they are.

    Example:
        >>> scale(torch.tensor([0, 255], dtype=torch.uint8), torch.float32)
        tensor([-1.,  1.])
    """
    if samples.dtype == torch.int64:
        return samples
    if samples.dtype == torch.int16:
        return samples.to(torch.promote_types(dtype, torch.float32)).div_(32768).to(dtype)
    if samples.dtype != torch.uint8:
        return samples.to(dtype)
    wide = torch.promote_types(dtype, torch.float32)  # bfloat16 cannot hold 0..255 / 127.5 exactly enough
    return samples.to(wide).div_(127.5).sub_(1).to(dtype)


def drawn(n: int, limit: int) -> list[int]:
    """Return `limit` of n rows, sorted, always the same ones: the first rows of a folder are all of one class."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(0))[:limit].sort().values.tolist()


def _facts(samples: RealSamples) -> dict[str, Any]:
    """Return what tells samples from others."""
    return {"n": len(samples), "fingerprint": samples.fingerprint, "labels": samples.labels_fingerprint}


def _listed(words: list[str], at_most: int = 10) -> str:
    more = f", ... ({len(words) - at_most:,} more)" if len(words) > at_most else ""
    return ", ".join(words[:at_most]) + more


def _one_tick() -> DataLoader[int]:
    return DataLoader(range(1), batch_size=1)  # type: ignore[arg-type]  # a range is a map-style data set
