"""Differentiable augmentation of what the critic sees: DiffAugment's transformations, and a strength that adapts.

Zhao, Liu, Lin, Zhu, Han, "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020,
https://arxiv.org/abs/2006.10738, with the ranges of its code (mit-han-lab/data-efficient-gans). Real and generated
samples are augmented alike, in both players' turns, each sample by its own draw, and gradients pass through. Values may
leave [-1, 1].
"""

from __future__ import annotations

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.observations.base import Observation
from gan_lightning.protocols import Host
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Images


class Augmentation(Observation):
    """A random transformation of single images `(N, C, H, W)`."""

    @abstractmethod
    def transform(self, images: Tensor, noise: Noise) -> Tensor:
        """Return transformed images `(N, C, H, W)`, each by its own draw."""

    def sometimes(self, images: Tensor, noise: Noise, p: Tensor) -> Tensor:
        """Return images `(N, C, H, W)`, each transformed with probability p, a scalar."""
        chosen = noise.uniform(len(images), 1, 1, 1) < p
        return torch.where(chosen, self.transform(images, noise), images)

    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Return the transformed images with their labels."""
        return self.transform(samples, noise), labels

    def check(self, game: Host) -> None:
        """Refuse vectors."""
        if not isinstance(game.shape, Images):
            raise UserError(
                f"{type(self).__name__} transforms images, but {type(game.generator).__name__} makes {game.shape.words}; "
                "take InstanceNoise for vectors"
            )


@final
class ColorJitter(Augmentation):
    """Brightness x + U(-1/2, 1/2), then saturation (times U(0, 2) about the grey value), then contrast (U(1/2, 3/2)).

    The contrast is about the mean over the whole image. Grey images have no saturation.

    Example:
        >>> view, labels = ColorJitter()(torch.rand(4, 3, 8, 8), None, noise)
        >>> view.shape
        torch.Size([4, 3, 8, 8])
    """

    def transform(self, images: Tensor, noise: Noise) -> Tensor:
        """Return images of altered brightness, saturation and contrast."""
        n = len(images)
        brightness, saturation, contrast = noise.uniform(n, 3, 1, 1, 1).to(images.dtype).unbind(1)
        images = images + (brightness - 0.5)
        grey = images.mean(1, keepdim=True)
        images = (images - grey) * (2 * saturation) + grey
        mean = images.mean((1, 2, 3), keepdim=True)
        return (images - mean) * (contrast + 0.5) + mean


@final
class HorizontalFlip(Augmentation):
    """A mirror image with probability 1/2.

    Example:
        >>> view, labels = HorizontalFlip()(torch.rand(4, 3, 8, 8), None, noise)
        >>> view.shape
        torch.Size([4, 3, 8, 8])
    """

    def transform(self, images: Tensor, noise: Noise) -> Tensor:
        """Return images of which about half are mirrored."""
        return torch.where(noise.uniform(len(images), 1, 1, 1) < 0.5, images.flip(3), images)


@final
class Translation(Augmentation):
    """A shift by whole pixels, uniform up to a share of the size in each direction, with zeros moved in.

    Example:
        >>> view, labels = Translation()(torch.rand(4, 3, 8, 8), None, noise)
        >>> view.shape
        torch.Size([4, 3, 8, 8])

    Args:
        share: Largest shift as a share of height and width, rounded to pixels.
    """

    def __init__(self, share: float = 0.125) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise UserError(f"share of Translation must be between 0 and 1, got {share}; the paper's is 0.125")
        self.share = share

    def transform(self, images: Tensor, noise: Noise) -> Tensor:
        """Return shifted images."""
        n, _, *sizes = images.shape
        indices, inside = [], []
        for size in sizes:
            most = int(size * self.share + 0.5)
            shifts = noise.integers(2 * most + 1, n, 1) - most
            source = torch.arange(size, device=images.device) + shifts  # (N, size)
            indices.append(source.clamp(0, size - 1))
            inside.append((source >= 0) & (source < size))
        rows, columns = indices
        images = images.gather(2, rows[:, None, :, None].expand_as(images))
        images = images.gather(3, columns[:, None, None, :].expand_as(images))
        return images * (inside[0][:, :, None] & inside[1][:, None, :])[:, None].to(images.dtype)


@final
class Cutout(Augmentation):
    """A square set to zero, its centre uniform over the image, so that it may hang over the edge.

    Example:
        >>> view, labels = Cutout()(torch.rand(4, 3, 8, 8), None, noise)
        >>> view.shape
        torch.Size([4, 3, 8, 8])

    Args:
        share: Side of the square as a share of height and width, rounded to pixels.
    """

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise UserError(f"share of Cutout must be between 0 and 1, got {share}; the paper's is 0.5")
        self.share = share

    def transform(self, images: Tensor, noise: Noise) -> Tensor:
        """Return images with a hole."""
        n, _, *sizes = images.shape
        cut = []
        for size in sizes:
            side = int(size * self.share + 0.5)
            first = noise.integers(size + 1 - side % 2, n, 1) - side // 2
            position = torch.arange(size, device=images.device)
            cut.append((position >= first) & (position < first + side))  # (N, size)
        hole = (cut[0][:, :, None] & cut[1][:, None, :])[:, None]
        return images * (~hole).to(images.dtype)
