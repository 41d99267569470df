"""How the published networks draw their initial weights, and the same by name for any network.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)
_POWER_ITERATIONS = 15  # as many as torch's spectral_norm makes when it is put on


def initialize_normal(module: nn.Module, std: float = 0.02, gain_std: float = 0.0) -> None:
    """Draw every weight from N(0, std), every normalisation's gain from N(1, gain_std), and set all biases to 0.

    With a `gain_std` of 0.02 this is DCGAN's (Radford et al. 2016, arXiv:1511.06434; gains as in soumith/dcgan.torch).
    """
    for layer in module.modules():
        if isinstance(layer, (*_CONVOLUTIONS, nn.Linear)):
            nn.init.normal_(layer.weight, 0.0, std)
        elif isinstance(layer, _NORMS) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, gain_std)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def initialize_glorot(module: nn.Module) -> None:
    """Draw every weight by `glorot_uniform`: gain sqrt(2) where the kernel is larger than 1x1, else gain 1.

    The WGAN-GP and SNGAN residual networks start so in their authors' code (igul222/improved_wgan_training calls the
    former "he"; pfnet-research/sngan_projection).
    """
    for layer in module.modules():
        if isinstance(layer, _CONVOLUTIONS):
            glorot_uniform(layer, gain=sqrt(2) if prod(layer.kernel_size) > 1 else 1.0)
        elif isinstance(layer, nn.Linear):
            glorot_uniform(layer)


def glorot_uniform(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding, gain: float = 1.0) -> None:
    """Draw a weight from U(-b, b) with `b = gain * sqrt(6 / (fan_in + fan_out))`, and set the bias to 0.

    From Glorot & Bengio 2010. A stride s divides the fan on the coarser side by s * s, as in
    igul222/improved_wgan_training.
    """
    if isinstance(layer, nn.Embedding):
        fans: float = layer.num_embeddings + layer.embedding_dim
    elif isinstance(layer, nn.Linear):
        fans = layer.in_features + layer.out_features
    else:
        fan_in = layer.in_channels * prod(layer.kernel_size)
        fan_out = layer.out_channels * prod(layer.kernel_size)
        if isinstance(layer, nn.ConvTranspose2d):
            fans = fan_in / prod(layer.stride) + fan_out
        else:
            fans = fan_in + fan_out / prod(layer.stride)
    bound = gain * sqrt(6 / fans)
    nn.init.uniform_(layer.weight, -bound, bound)
    if not isinstance(layer, nn.Embedding) and layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Initialization(ABC):
    """Draws every weight of linear, embedding and (transposed) convolution layers anew and sets their biases to 0.

    Normalisation layers keep their weights. A spectrally normalised layer gets the weights behind the normalisation,
    and its singular vectors are found again.
    """

    @abstractmethod
    def draw(self, weight: Tensor) -> None:
        """Draw a weight, in place."""

    @torch.no_grad()
    def __call__(self, module: nn.Module) -> None:
        """Initialise the module's layers."""
        for layer in module.modules():
            if not isinstance(layer, (*_CONVOLUTIONS, nn.Linear, nn.Embedding)):
                continue
            if is_parametrized(layer, "weight"):
                self.draw(layer.parametrizations["weight"].original)  # type: ignore[index,union-attr]
                for _ in range(_POWER_ITERATIONS):
                    _ = layer.weight  # each look is a power iteration
            else:
                self.draw(layer.weight)
            if not isinstance(layer, nn.Embedding) and layer.bias is not None:
                nn.init.zeros_(layer.bias)


@dataclass(frozen=True)
class Normal(Initialization):
    """N(0, std), by default that of DCGAN (Radford et al. 2016, arXiv:1511.06434, section 4).

    Args:
        std: Standard deviation.
    """

    std: float = 0.02

    def draw(self, weight: Tensor) -> None:
        """Draw a weight, in place."""
        nn.init.normal_(weight, 0.0, self.std)


@dataclass(frozen=True)
class Orthogonal(Initialization):
    """An orthogonal matrix `(out, in * k * k)` (Saxe et al. 2014, arXiv:1312.6120), as in BigGAN (arXiv:1809.11096).

    Args:
        gain: Factor of the matrix.
    """

    gain: float = 1.0

    def draw(self, weight: Tensor) -> None:
        """Draw a weight, in place."""
        nn.init.orthogonal_(weight, self.gain)


@dataclass(frozen=True)
class Xavier(Initialization):
    """U(-b, b) with b = gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010).

    Args:
        gain: Factor of the bound.
    """

    gain: float = 1.0

    def draw(self, weight: Tensor) -> None:
        """Draw a weight, in place."""
        nn.init.xavier_uniform_(weight, self.gain)


@dataclass(frozen=True)
class He(Initialization):
    """N(0, 2 / ((1 + slope^2) fan_in)) (He et al. 2015, arXiv:1502.01852, eq. 10 and 15).

    Args:
        slope: Of the negative half of the leaky ReLU that follows; 0 for ReLU.
    """

    slope: float = 0.0

    def draw(self, weight: Tensor) -> None:
        """Draw a weight, in place."""
        nn.init.kaiming_normal_(weight, a=self.slope, nonlinearity="leaky_relu")


# their names in 0.1.0
Initialisation = Initialization
initialise_glorot = initialize_glorot
initialise_normal = initialize_normal
