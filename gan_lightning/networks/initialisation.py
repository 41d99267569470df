"""How the published networks draw their first weights."""

from __future__ import annotations

from math import prod, sqrt

from torch import nn

_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)


def initialise_normal(module: nn.Module, std: float = 0.02, gain_std: float = 0.0) -> None:
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


def initialise_glorot(module: nn.Module) -> None:
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
