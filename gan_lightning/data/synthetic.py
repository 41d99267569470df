"""Samples of known distributions: toy mixtures with their published definitions, and random images for tests."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.stream import RealSamples, generator
from gan_lightning.errors import UserError


class Vectors(RealData):
    """A finite set of vectors drawn once from a known distribution.

    The evaluation split is an independent draw of at most 10,000. Both depend on `sample_seed` only, so every rank and
    every run of one config sees the same set.

    Args:
        dim: Dimension D of the vectors.
        n: Number of training vectors.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of the sample order; None takes the module's seed.

    Raises:
        UserError: A number is out of its range.
    """

    def __init__(self, dim: int, n: int, sample_seed: int, batch_size: int, seed: int | None) -> None:
        super().__init__(batch_size, seed)
        _at_least("dim", dim, 1)
        _at_least("n", n, 1)
        self.image_size = 0
        self.channels = dim
        self.n_classes = 0
        self.n = n
        self.sample_seed = sample_seed

    @abstractmethod
    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Draw vectors `(n, D)`, float32, and the index `(n,)` of the mode each came from, or None."""

    def load_split(self, split: Split) -> RealSamples:
        """Draw the split."""
        n = self.n if split == "train" else min(self.n, 10_000)
        points, labels = self.draw(n, generator(self.sample_seed, 0 if split == "train" else 1))
        return RealSamples(
            points, labels, f"{type(self).__name__}, {split} split, {n} vectors of dimension {self.channels}"
        )


class Ring(Vectors):
    """Gaussians evenly spaced on a circle; labels are the modes, anticlockwise from angle 0.

    The defaults are VEEGAN's ring (Srivastava et al. 2017, arXiv:1705.07761). WGAN-GP's toy has radius 1.414 and std
    0.01414. The end point is excluded: K modes are K distinct points (published code with `linspace(0, 2 pi, K)` has K
    - 1).

    Example:
        >>> data = Ring(n_modes=8)
        >>> data.shape, data.centres.shape
        (Vectors(dim=2), torch.Size([8, 2]))

    Args:
        n_modes: Number of Gaussians.
        radius: Radius of the circle.
        std: Standard deviation of each Gaussian, per coordinate.
        n: Number of training vectors.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Raises:
        UserError: A number is out of its range.
    """

    centres: Tensor
    std: float

    def __init__(
        self,
        n_modes: int = 8,
        radius: float = 1.0,
        std: float = 0.01,
        n: int = 100_000,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(2, n, sample_seed, batch_size, seed)
        _at_least("n_modes", n_modes, 1)
        _at_least("std", std, 0)
        angles = torch.arange(n_modes, dtype=torch.float64) * (2 * math.pi / n_modes)
        self.centres = (radius * torch.stack([angles.cos(), angles.sin()], dim=1)).float()
        self.std = std
        self.n_classes = n_modes
        self.save_hyperparameters(logger=False)

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw from the mixture with equal weights."""
        return _mixture(self.centres, self.std, n, random)


class Grid(Vectors):
    """Gaussians on a square grid centred at 0; labels are the modes, row by row.

    The defaults are VEEGAN's grid (Srivastava et al. 2017, arXiv:1705.07761): means {-4, -2, 0, 2, 4}^2. WGAN-GP's toy
    divides all by 2.828: spacing 0.7072, std 0.01768.

    Example:
        >>> Grid(n_side=5).centres.shape
        torch.Size([25, 2])

    Args:
        n_side: Number of Gaussians along each side.
        spacing: Distance between neighbours.
        std: Standard deviation of each Gaussian, per coordinate.
        n: Number of training vectors.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Raises:
        UserError: A number is out of its range.
    """

    centres: Tensor
    std: float

    def __init__(
        self,
        n_side: int = 5,
        spacing: float = 2.0,
        std: float = 0.05,
        n: int = 100_000,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(2, n, sample_seed, batch_size, seed)
        _at_least("n_side", n_side, 1)
        _at_least("std", std, 0)
        side = spacing * (torch.arange(n_side, dtype=torch.float32) - (n_side - 1) / 2)
        self.centres = torch.cartesian_prod(side, side)
        self.std = std
        self.n_classes = n_side**2
        self.save_hyperparameters(logger=False)

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw from the mixture with equal weights."""
        return _mixture(self.centres, self.std, n, random)


class SwissRoll(Vectors):
    """The swiss roll in the plane, as in WGAN-GP's toy code (Gulrajani et al. 2017, gan_toy.py).

    Points are `(t cos t + noise, t sin t + noise) / scale` with t uniform in [1.5 pi, 4.5 pi]: coordinates 0 and 2 of
    scikit-learn's `make_swiss_roll`. No labels.

    Example:
        >>> SwissRoll(n=10).reference("train").images.shape
        torch.Size([10, 2])

    Args:
        noise: Standard deviation of the noise, before the division.
        scale: Divisor of everything.
        n: Number of training vectors.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Raises:
        UserError: A number is out of its range.
    """

    def __init__(
        self,
        noise: float = 0.25,
        scale: float = 7.5,
        n: int = 100_000,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(2, n, sample_seed, batch_size, seed)
        _at_least("noise", noise, 0)
        if scale <= 0:
            raise UserError(f"scale must be positive, got {scale}")
        self.noise = noise
        self.scale = scale
        self.save_hyperparameters(logger=False)

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, None]:
        """Draw points uniformly in the angle t."""
        t = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=random))
        roll = torch.stack([t * t.cos(), t * t.sin()], dim=1)
        return (roll + self.noise * torch.randn(n, 2, generator=random)) / self.scale, None


class GaussianMixture(Vectors):
    """Gaussians with equal weights in any dimension; labels are the modes.

    PacGAN's instance of VEEGAN's 1200-dimensional set (Lin et al. 2018, arXiv:1712.04086) is `dim: 1200`, `noise_dim:
    700`, `std: 1` and `means: [-1, -0.5, 0, 0.5, -2, -2.5, 10, 0.25, -13, -5.5]`.

    Example:
        >>> GaussianMixture(dim=5, n_modes=3).centres.shape
        torch.Size([3, 5])

    Args:
        dim: Dimension of the vectors.
        n_modes: Number of Gaussians, where `means` does not give it.
        std: Standard deviation of each Gaussian, per noisy coordinate.
        spread: Standard deviation of the centres, which are drawn from a Gaussian with the sample seed.
        means: One number per mode, the value of each coordinate of its centre, instead of drawn centres.
        noise_dim: Number of leading coordinates that carry noise; the others equal the centre. Null means all.
        n: Number of training vectors.
        sample_seed: Seed of the centres and of the draw.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Raises:
        UserError: A number is out of its range.
    """

    centres: Tensor
    std: float

    def __init__(
        self,
        dim: int,
        n_modes: int = 10,
        std: float = 1.0,
        spread: float = 5.0,
        means: list[float] | None = None,
        noise_dim: int | None = None,
        n: int = 100_000,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(dim, n, sample_seed, batch_size, seed)
        _at_least("n_modes", n_modes if means is None else len(means), 1)
        _at_least("std", std, 0)
        if noise_dim is not None and not 0 <= noise_dim <= dim:
            raise UserError(f"noise_dim must be between 0 and dim ({dim}), got {noise_dim}")
        if means is None:
            self.centres = spread * torch.randn(n_modes, dim, generator=generator(sample_seed, 2))
        else:
            self.centres = torch.tensor(means, dtype=torch.float32)[:, None].repeat(1, dim)
        self.std = std
        self.noise_dim = dim if noise_dim is None else noise_dim
        self.n_classes = len(self.centres)
        self.save_hyperparameters(logger=False)

    def draw(self, n: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw from the mixture with equal weights."""
        return _mixture(self.centres, self.std, n, random, self.noise_dim)


class RandomImages(RealData):
    """Uniform noise images of a given shape, for tests and benchmarks; labels are uniform.

    Example:
        >>> RandomImages(image_size=8, channels=3, n=10).reference("train").images.shape
        torch.Size([10, 3, 8, 8])

    Args:
        image_size: Height and width, one number or `[height, width]`.
        channels: Number of channels.
        n_classes: Number of classes, 0 for no labels.
        n: Number of training images; the evaluation split is an independent draw of as many.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of sample order, flips and noise; null takes the module's seed.
        flip: Mirror training images at random.
        dequantize: Add uniform noise of one grey level to training images.

    Raises:
        UserError: A number is out of its range.
    """

    def __init__(
        self,
        image_size: int | list[int],
        channels: int = 3,
        n_classes: int = 0,
        n: int = 256,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
        dequantize: bool = False,
    ) -> None:
        super().__init__(batch_size, seed, flip, dequantize)
        for name, value, least in [
            *(("image_size", side, 1) for side in ([image_size] if isinstance(image_size, int) else image_size)),
            ("channels", channels, 1),
            ("n_classes", n_classes, 0),
            ("n", n, 1),
        ]:
            _at_least(name, value, least)
        self.image_size = image_size
        self.channels = channels
        self.n_classes = n_classes
        self.n = n
        self.sample_seed = sample_seed
        self.save_hyperparameters(logger=False)

    def load_split(self, split: Split) -> RealSamples:
        """Draw the split."""
        random = generator(self.sample_seed, 0 if split == "train" else 1)
        shape = (self.n, *self.shape.size)
        images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)
        labels = torch.randint(0, self.n_classes, (self.n,), generator=random) if self.n_classes else None
        return RealSamples(
            images, labels, f"RandomImages, {split} split, {self.n} images of {'x'.join(map(str, shape[1:]))}"
        )


def _mixture(
    centres: Tensor, std: float, n: int, random: torch.Generator, noise_dim: int | None = None
) -> tuple[Tensor, Tensor]:
    """Draw points `(n, D)` of an equally weighted isotropic mixture with means `(K, D)`, and their modes `(n,)`."""
    modes = torch.randint(0, len(centres), (n,), generator=random)
    points = centres[modes]
    n_noisy = centres.shape[1] if noise_dim is None else noise_dim
    points[:, :n_noisy] += std * torch.randn(n, n_noisy, generator=random)
    return points, modes


def _at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise UserError(f"{name} must be at least {least}, got {value}")
