"""TranslationGame: a generator that makes images of images."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.games.game import Game
from gan_lightning.protocols import Paired
from gan_lightning.randomness import Noise, mix
from gan_lightning.shapes import Pair, Shape


class TranslationGame(Game):
    """A game on pairs: batches hold targets `(N, C, H, W)` and sources `(N, c, H, W)` in [-1, 1].

    Args:
        generator: The generator player's network.
        critic: The critic player's network.
        shape: The pair, the data's.

    Attributes:
        directions: What can be translated: sources to targets, AtoB, and back, BtoA.
        of_pairs: Whether a source and the target of its row must belong together.
    """

    directions: ClassVar[tuple[str, ...]] = ("AtoB",)
    of_pairs: ClassVar[bool] = True

    def __init__(self, generator: nn.Module, critic: nn.Module, shape: Shape, **kwargs: Any) -> None:
        super().__init__(generator, critic, **kwargs)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of .nn.Module.")
            self.save_hyperparameters(logger=False)
        self.shape = shape

    def check(self) -> None:
        """Refuse data that are no pairs, or whose sources belong to no target where they must."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        name = type(self).__name__
        if not isinstance(data, Paired):
            raise UserError(
                f"{name} needs sources and targets, and {type(data).__name__} has none; take DegradedFolder, SideBySide, "
                "TwoFolders or UnpairedFolders"
            )
        if self.of_pairs and not data.is_paired:
            raise UserError(
                f"{name} learns from pairs, and the sources of {type(data).__name__} belong to no target; take CycleGAN, or "
                "TwoFolders"
            )

    def networks_of(self, direction: str) -> tuple[nn.Module, int]:
        """Return the averaged network of a direction, and what the sides of its images must be multiples of."""
        assert direction == "AtoB"
        network: Any = self.generator_average
        return network, network.multiple

    @torch.no_grad()
    def translate(self, sources: Tensor, direction: str = "AtoB", seed: int = 0) -> Tensor:
        """Return what the averaged generator makes of images `(N, c, H, W)` in [-1, 1], of any height and width.

        Where a side is not what the network takes, the image is reflected at its edges, and the result is cut back.

        Args:
            sources: Images of the source domain; of the target domain for BtoA.
            direction: AtoB or BtoA.
            seed: The same seed drops the same values, where the network drops any.

        Raises:
            UserError: There is no such direction, or the images have another number of channels.
        """
        if direction not in self.directions:
            raise UserError(
                f"{type(self).__name__} translates {' and '.join(self.directions)}, not {direction}; CycleGAN does both"
            )
        assert isinstance(self.shape, Pair)
        expected = (self.shape.source if direction == "AtoB" else self.shape.target).size[0]
        if sources.dim() != 4 or sources.shape[1] != expected:
            raise UserError(f"sources must be (N, {expected}, H, W), got {tuple(sources.shape)}")
        network, multiple = self.networks_of(direction)
        noise = Noise(mix(seed, 0x7A), self.device, self.dtype_of_samples)
        height, width = sources.shape[2:]
        whole = reflected(sources.to(self.device, self.dtype_of_samples), multiple)
        top, left = (whole.shape[2] - height) // 2, (whole.shape[3] - width) // 2
        return network(whole, noise)[:, :, top : top + height, left : left + width]


def reflected(images: Tensor, multiple: int) -> Tensor:
    """Return images `(N, C, H, W)` reflected at their edges until both sides are multiples of a number, at least two of it.

    Images that are so already are returned as they are, and smaller ones are reflected as often as it takes.
    """
    for axis in (2, 3):
        side = images.shape[axis]
        wanted = max(-(-side // multiple), min(2, multiple)) * multiple
        if wanted != side:
            before = (wanted - side) // 2
            index = np.pad(np.arange(side), (before, wanted - side - before), mode="reflect")
            images = images.index_select(axis, torch.from_numpy(index).to(images.device))
    return images
