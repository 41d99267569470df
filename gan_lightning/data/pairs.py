"""Pairs: sources and targets, from pictures that are there twice, or by taking something away from one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.degradations import Degradation
from gan_lightning.data.samples import PairedSamples, RealSamples, Sources, StoredSources
from gan_lightning.data.stream import generator
from gan_lightning.errors import UserError, require, say
from gan_lightning.shapes import Images, Pair


class DegradedSources(Sources):
    """Sources that are made of their targets when they are asked for.

    Example:
        >>> from gan_lightning.data import Grey
        >>> sources = DegradedSources(Grey(), 4)
        >>> sources.take(np.array([1]), torch.zeros(1, 3, 8, 8, dtype=torch.uint8), [0]).shape
        torch.Size([1, 1, 8, 8])

    Args:
        degradation: What is lost.
        n: How many targets there are.
    """

    def __init__(self, degradation: Degradation, n: int) -> None:
        self.degradation, self.n = degradation, n

    def __len__(self) -> int:
        """Return the number of targets."""
        return self.n

    @property
    def fingerprint(self) -> str:
        """The degradation and its settings."""
        return str(self.degradation)

    def take(self, rows: np.ndarray, targets: Tensor | None, keys: Sequence[int]) -> Tensor:
        """Return what is left of the targets."""
        assert targets is not None
        return self.degradation(targets, keys)


class ImagePairs(RealData):
    """Sources `(N, c, h, w)` and targets `(N, C, H, W)`, uint8: what goes in, and what is to come out.

    `reference` holds the targets, which metrics compare with, and their sources, which `sources` returns.

    Attributes:
        is_paired: Whether each source belongs to the target of its row.
        source_shape: Shape of a source.
    """

    is_paired: bool = True
    source_shape: Images

    @property
    def target_shape(self) -> Images:
        """Shape of a target."""
        shape = super().shape
        assert isinstance(shape, Images)
        return shape

    @property
    def shape(self) -> Pair:
        """Shape of a source and of a target."""
        return Pair(self.source_shape, self.target_shape)

    @abstractmethod
    def load_split(self, split: Split) -> PairedSamples:
        """Load one split, whole; data with no evaluation split return the training split for it."""

    def pairs(self, split: Split = "eval") -> PairedSamples:
        """Return a split with its sources, loaded at most once."""
        found = self.reference(split)
        assert isinstance(found, PairedSamples)
        return found

    def _load(self, split: Split) -> RealSamples:
        found = super()._load(split)
        assert isinstance(found, PairedSamples)
        size = tuple(found.sources.take(np.arange(1), found.images[:1], [0]).shape[1:])
        if size != self.source_shape.size:
            raise UserError(
                f"{type(self).__name__} declares sources of shape {self.source_shape.size}, but its {split} split holds {size}"
            )
        return found

    def n_sources(self, split: Split) -> int:
        """Return how many sources a split has."""
        return len(self.pairs(split).sources)

    def sources(self, split: Split, rows: Sequence[int]) -> Tensor:
        """Return the sources of these rows of a split, uint8 `(N, c, h, w)`, always the same ones."""
        found = self.pairs(split)
        index = np.asarray(rows, dtype=np.int64)
        targets = None
        if found.sources.is_paired:
            targets = torch.from_numpy(np.take(found.images.numpy(), index, axis=0))
        return found.sources.take(index, targets, [int(row) for row in index])

    def found(self) -> str:
        """Return in one line what there is to train on."""
        of = "of them" if self.is_paired else f"apart from them, {self.n_sources('train'):,}"
        return f"{super().found()}; sources {of}, {'x'.join(map(str, self.source_shape.size))}"

    def state_dict(self) -> dict[str, Any]:
        """Return what tells these training data from others, for the checkpoint."""
        state = super().state_dict()
        return state | {"sources": self.pairs("train").sources.fingerprint} if state else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Say what has changed since the checkpoint was written."""
        super().load_state_dict(state_dict)
        if "train" in self._splits and self.pairs("train").sources.fingerprint != state_dict.get("sources"):
            say("the training data are not those of the checkpoint: other sources, or in another order")


@final
class RandomPairs(ImagePairs):
    """Uniform noise as sources and targets, for tests and benchmarks.

    Example:
        >>> data = RandomPairs(image_size=8, channels=3, source_channels=1, n=10)
        >>> data.reference("train").images.shape, data.sources("eval", [0, 3]).shape
        (torch.Size([10, 3, 8, 8]), torch.Size([2, 1, 8, 8]))

    Args:
        image_size: Height and width of sources and targets, one number or `[height, width]`.
        channels: Channels of the targets.
        source_channels: Channels of the sources.
        paired: Whether each source belongs to its target; otherwise there is one source more than there are targets.
        factor: By how much the sides of a source are shorter.
        n: Number of training targets; the evaluation split is an independent draw of as many.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of sample order and flips; null takes the module's seed.
        flip: Mirror training pairs at random.

    Raises:
        UserError: A number is out of its range.
    """

    def __init__(
        self,
        image_size: int | list[int],
        channels: int = 3,
        source_channels: int = 3,
        paired: bool = True,
        factor: int = 1,
        n: int = 256,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
    ) -> None:
        super().__init__(batch_size, seed, flip)
        require("RandomPairs", channels=channels, n=n, sample_seed=sample_seed)
        self.image_size, self.channels, self.n, self.sample_seed = image_size, channels, n, sample_seed
        self.is_paired, self.factor = paired, factor
        target = self.target_shape
        if factor < 1 or target.height % factor or target.width % factor:
            raise UserError(
                f"factor of RandomPairs must divide the sides {target.height} and {target.width}, got {factor}"
            )
        self.source_shape = Images(target.height // factor, target.width // factor, source_channels)
        self.save_hyperparameters(logger=False)

    def load_split(self, split: Split) -> PairedSamples:
        """Draw the split."""
        random = generator(self.sample_seed, 0 if split == "train" else 1)

        def draw(n: int, shape: Images) -> Tensor:
            return torch.randint(0, 256, (n, *shape.size), dtype=torch.uint8, generator=random)

        targets = draw(self.n, self.target_shape)
        sources = draw(self.n if self.is_paired else self.n + 1, self.source_shape)
        text = f"RandomPairs, {split} split, {self.n} targets of {self.target_shape}"
        return PairedSamples(targets, None, text, sources=StoredSources(sources, is_paired=self.is_paired))
