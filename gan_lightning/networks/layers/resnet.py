"""Pre-activation residual blocks shared by the WGAN-GP and SNGAN networks."""

from __future__ import annotations

from itertools import pairwise
from math import prod

from torch import Tensor, nn, tanh
from torch.nn.functional import avg_pool2d, interpolate

from gan_lightning.networks.layers.activations import Activation
from gan_lightning.networks.layers.conditional import Normalisation, batch_norm, normalize
from gan_lightning.networks.layers.resampled import Conv3x3, PooledConv2d, UpsampledConv2d, pixels_first


def upsample(images: Tensor) -> Tensor:
    """Double the resolution of `(N, C, H, W)` by repeating pixels."""
    return interpolate(images, scale_factor=2.0, mode="nearest")


class GeneratorBlock(nn.Module):
    """Double the resolution: BN, activation, up, 3x3, BN, activation, 3x3, plus a 1x1 shortcut.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output and of the hidden layer.
        n_classes: Classes of its conditional batch normalisations, 0 for plain ones.
        activation: Builds the activations.
        eps: Added to the variances.
        first_bias: Whether the first convolution has a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        n_classes: int = 0,
        activation: Activation = nn.ReLU,
        eps: float = 1e-5,
        first_bias: bool = True,
    ) -> None:
        super().__init__()
        self.norm1 = batch_norm(in_channels, n_classes, eps)
        self.activation1 = activation()
        self.conv1 = UpsampledConv2d(in_channels, out_channels, bias=first_bias)
        self.norm2 = batch_norm(out_channels, n_classes, eps)
        self.activation2 = activation()
        self.conv2 = Conv3x3(out_channels, out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map `(N, C_in, H, W)` and labels `(N,)` to `(N, C_out, 2H, 2W)`."""
        hidden = self.conv1(self.activation1(normalize(self.norm1, inputs, labels)))
        hidden = self.activation2(normalize(self.norm2, hidden, labels))
        # A 1x1 convolution commutes with repeating pixels, and is four times cheaper before it.
        return self.conv2(hidden) + upsample(self.shortcut(inputs))


class FirstCriticBlock(nn.Module):
    """Halve the resolution of images: 3x3, activation, 3x3, pool, plus a pooled 1x1 shortcut ("optimized block").

    Args:
        in_channels: Channels of the images.
        out_channels: Channels of the output and of the hidden layer.
        activation: Builds the activation.
    """

    def __init__(self, in_channels: int, out_channels: int, activation: Activation = nn.ReLU) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.activation1 = activation()
        self.conv2 = PooledConv2d(out_channels, out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H/2, W/2)`."""
        images = pixels_first(images)
        hidden = self.conv2(self.activation1(self.conv1(images)))
        return hidden + self.shortcut(avg_pool2d(images, 2))


class CriticBlock(nn.Module):
    """Norm, activation, 3x3, norm, activation, 3x3, mean pool if asked, plus a shortcut.

    The shortcut is the identity where the shape does not change, else a 1x1 convolution.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        downsample: Whether to halve the resolution.
        activation: Builds the activations.
        norm: Builds the normalisations; none by default.
        first_bias: Whether the first convolution has a bias.
        hidden_channels: Channels of the hidden layer; those of the input unless given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        downsample: bool,
        activation: Activation = nn.ReLU,
        norm: Normalisation = nn.Identity,
        first_bias: bool = True,
        hidden_channels: int | None = None,
    ) -> None:
        super().__init__()
        n_hidden = in_channels if hidden_channels is None else hidden_channels
        self.norm1 = norm(in_channels)
        self.activation1 = activation()
        self.conv1 = Conv3x3(in_channels, n_hidden, bias=first_bias)
        self.norm2 = norm(n_hidden)
        self.activation2 = activation()
        self.conv2 = PooledConv2d(n_hidden, out_channels) if downsample else Conv3x3(n_hidden, out_channels)
        self.pool = nn.AvgPool2d(2) if downsample else nn.Identity()
        changed = downsample or in_channels != out_channels
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1) if changed else nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H, W)`, or to half the resolution."""
        hidden = self.conv1(self.activation1(self.norm1(inputs)))
        hidden = self.conv2(self.activation2(self.norm2(hidden)))
        # A 1x1 convolution commutes with mean pooling, and is four times cheaper after it.
        return hidden + self.shortcut(self.pool(inputs))


class ResNetDecoder(nn.Module):
    """What the residual generators do: a linear map, blocks that double the resolution, BN, activation, 3x3, tanh.

    Args:
        latent_dim: Number of latent coordinates.
        base: Height and width of the linear map's output.
        widths: Channels of the linear map's output and of each block's.
        channels: Channels of the images.
        n_classes: Classes of the blocks' conditional batch normalisations, 0 for plain ones; the last one is plain.
        activation: Builds the activations.
        eps: Added to the variances.
        first_bias: Whether the first convolution of each block has a bias.
    """

    def __init__(
        self,
        latent_dim: int,
        base: tuple[int, int],
        widths: list[int],
        channels: int,
        n_classes: int = 0,
        activation: Activation = nn.ReLU,
        eps: float = 1e-5,
        first_bias: bool = True,
    ) -> None:
        super().__init__()
        self.input = nn.Linear(latent_dim, widths[0] * prod(base))
        self.unflatten = nn.Unflatten(1, (widths[0], *base))
        self.blocks = nn.ModuleList(
            GeneratorBlock(n_in, n_out, n_classes, activation, eps, first_bias) for n_in, n_out in pairwise(widths)
        )
        self.norm = nn.BatchNorm2d(widths[-1], eps=eps)
        self.activation = activation()
        self.output = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)` in [-1, 1]."""
        hidden = pixels_first(self.unflatten(self.input(latents)))
        for block in self.blocks:
            hidden = block(hidden, labels)
        return tanh(self.output(self.activation(self.norm(hidden)))).contiguous()
