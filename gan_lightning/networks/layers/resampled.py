"""3x3 convolutions, alone and joined with the change of resolution beside it: the same map with fewer products.

Repeating pixels and averaging them are convolutions too, so each pair is one convolution with a 4x4 kernel, the 3x3
kernel averaged over 2x2 shifts, with 16 products in place of 36. On a CPU all three need fewer again where there are many
channels (`winograd.py`). The weight stays the 3x3 one, for checkpoints, initial weights and spectral norm.
"""

from __future__ import annotations

from typing import final

from torch import Tensor, channels_last, nn
from torch.nn.functional import avg_pool2d

from gan_lightning.networks.layers.winograd import convolution


class _Weight3x3(nn.Conv2d):
    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1, bias=bias)


@final
class Conv3x3(_Weight3x3):
    """Convolve 3x3 at the same resolution.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        bias: Whether to add one.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H, W)`."""
        return convolution(inputs, self.weight, self.bias, "same")


@final
class UpsampledConv2d(_Weight3x3):
    """Double the resolution by repeating pixels, then convolve 3x3: a transposed 4x4 convolution of stride 2.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        bias: Whether to add one.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, 2H, 2W)`."""
        kernel = 4 * spread(self.weight.flip(2, 3)).transpose(0, 1)
        return convolution(inputs, kernel, self.bias, "doubled")


@final
class PooledConv2d(_Weight3x3):
    """Convolve 3x3, then halve the resolution by averaging 2x2 pixels: a 4x4 convolution of stride 2.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        bias: Whether to add one.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H/2, W/2)`; an odd last row or column is left out, as by pooling."""
        return convolution(inputs, spread(self.weight), self.bias, "halved")


def spread(weight: Tensor) -> Tensor:
    """Return the mean over the four 2x2 shifts of 3x3 kernels `(A, B, 3, 3)`, as kernels `(A, B, 4, 4)`."""
    return avg_pool2d(weight, 2, stride=1, padding=1)


def pixels_first(images: Tensor) -> Tensor:
    """Return the same images `(N, C, H, W)` with the channels of a pixel side by side in memory, on the CPU.

    The convolutions after it keep that order. Measured there: residual generators are 1.2 times as fast, critics 1.1
    times; DCGAN's networks gain nothing. Not measured on other devices, where they stay as they are.
    """
    return images.contiguous(memory_format=channels_last) if images.device.type == "cpu" else images
