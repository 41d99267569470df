"""Degradations: what is lost of a picture, so that a network can learn to give it back.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from gan_lightning.data.decoding import resize, with_channels
from gan_lightning.data.stream import generator
from gan_lightning.errors import UserError, require
from gan_lightning.shapes import Images


class Degradation(ABC):
    """A map from pictures to what is left of them."""

    @abstractmethod
    def shape(self, target: Images) -> Images:
        """Return the shape of what is left of images of a shape.

        Raises:
            UserError: Such images cannot be degraded so.
        """

    @abstractmethod
    def __call__(self, images: Tensor, keys: Sequence[int]) -> Tensor:
        """Return what is left of uint8 images `(N, C, H, W)`, uint8; what is random about a row comes from its key."""


@dataclass(frozen=True)
class Grey(Degradation):
    """Luma (ITU-R 601), as Pillow computes it: from grey to colour.

    Example:
        >>> Grey()(torch.full((1, 3, 8, 8), 7, dtype=torch.uint8), [0]).shape
        torch.Size([1, 1, 8, 8])
    """

    def shape(self, target: Images) -> Images:
        """Return the shape with one channel."""
        _require_colours(self, target)
        return replace(target, channels=1)

    def __call__(self, images: Tensor, keys: Sequence[int]) -> Tensor:
        """Return the luma."""
        return with_channels(images, 1)


@dataclass(frozen=True)
class Edges(Degradation):
    """Dark lines on white where the luma changes: 255 minus `gain` times the length of its Sobel gradient.

    A step from black to white has a gradient of 4 * 255.

    Example:
        >>> images = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
        >>> images[..., 2:] = 200
        >>> Edges(gain=0.25)(images, [0])[0, 0, 0]
        tensor([255,  55,  55, 255], dtype=torch.uint8)

    Args:
        gain: Factor on the gradient.
        threshold: From which length of the gradient on a line is black; everything else is white. None (null) keeps
            the greys.
    """

    gain: float = 0.5
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse lines that nobody would see."""
        require("Edges", gain=self.gain)
        if self.threshold is not None and not 0 < self.threshold < 1500:
            raise UserError(
                f"threshold of Edges must be above 0 and below 1500, of which no gradient is longer, got {self.threshold}"
            )

    def shape(self, target: Images) -> Images:
        """Return the shape with one channel."""
        return replace(target, channels=1)

    def __call__(self, images: Tensor, keys: Sequence[int]) -> Tensor:
        """Return the lines."""
        luma = with_channels(images[:, :3] if images.shape[1] == 4 else images, 1).float()
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
        slopes = conv2d(pad(luma, (1, 1, 1, 1), mode="replicate"), torch.stack([across, across.T])[:, None])
        length = slopes.square().sum(1, keepdim=True).sqrt()
        if self.threshold is not None:
            return torch.where(length >= self.threshold, 0, 255).to(torch.uint8)
        return (255 - self.gain * length).clamp_(0, 255).round_().to(torch.uint8)


@dataclass(frozen=True)
class LowResolution(Degradation):
    """Fewer pixels, by antialiased bicubic resizing, as Pillow's (equal but for one grey level).

    Example:
        >>> LowResolution(4)(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), [0]).shape
        torch.Size([1, 3, 2, 2])
        >>> LowResolution(4, keep_size=True).shape(Images(8, 8, 3))
        Images(height=8, width=8, channels=3)

    Args:
        factor: By how much each side is divided.
        keep_size: Bring the picture back to its size, bicubically, so that source and target have the same size.
    """

    factor: int
    keep_size: bool = False

    def __post_init__(self) -> None:
        """Refuse a factor that loses nothing."""
        if self.factor < 2:
            raise UserError(f"factor of LowResolution must be at least 2, got {self.factor}")

    def shape(self, target: Images) -> Images:
        """Return the shape with shorter sides."""
        if target.height % self.factor or target.width % self.factor:
            raise UserError(
                f"images of {target.height}x{target.width} cannot be divided by factor {self.factor} of LowResolution; "
                "take an image_size that is a multiple of it"
            )
        return target if self.keep_size else self._small(target)

    def _small(self, target: Images) -> Images:
        return replace(target, height=target.height // self.factor, width=target.width // self.factor)

    def __call__(self, images: Tensor, keys: Sequence[int]) -> Tensor:
        """Return the smaller images."""
        whole = Images(images.shape[2], images.shape[3], images.shape[1])
        small = resize(images, self._small(whole), "none")
        return resize(small, whole, "none") if self.keep_size else small


@dataclass(frozen=True)
class Masked(Degradation):
    """A grey rectangle (128) over a part of the picture: from masked to whole.

    Example:
        >>> left = Masked(share=0.5, place="center")(torch.zeros(1, 1, 4, 4, dtype=torch.uint8), [0])
        >>> left[0, 0, 1]
        tensor([  0, 128, 128,   0], dtype=torch.uint8)

    Args:
        share: Part of the height and of the width that it takes.
        place: Where it is: "random" draws it anew each time a picture is shown in training, and keeps it in evaluation.
        seed: Of the places.
    """

    share: float = 0.5
    place: Literal["random", "center"] = "random"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a rectangle that hides nothing, or all."""
        require("Masked", seed=self.seed)
        if not 0 < self.share < 1:
            raise UserError(f"share of Masked must be above 0 and below 1, got {self.share}")
        if self.place not in ("random", "center"):
            raise UserError(f"place of Masked must be random or center, got {self.place}")

    def shape(self, target: Images) -> Images:
        """Return the same shape."""
        return target

    def __call__(self, images: Tensor, keys: Sequence[int]) -> Tensor:
        """Return the images with a part hidden."""
        hidden = images.clone()
        sides = images.shape[2], images.shape[3]
        lengths = [min(max(1, round(self.share * side)), side) for side in sides]
        for image, key in zip(hidden, keys, strict=True):
            spots = torch.tensor([0.5, 0.5])
            if self.place == "random":
                spots = torch.rand(2, generator=generator(self.seed, key))
            (top, high), (left, wide) = (
                (int(spot * (side - length + 1)) if self.place == "random" else (side - length) // 2, length)
                for spot, side, length in zip(spots, sides, lengths, strict=True)
            )
            image[:, top : top + high, left : left + wide] = 128
        return hidden


def _require_colours(degradation: Degradation, target: Images) -> None:
    if target.channels != 3:
        raise UserError(
            f"{type(degradation).__name__} takes the colours of images with 3 channels, and these have {target.channels}; set "
            "channels to 3"
        )
