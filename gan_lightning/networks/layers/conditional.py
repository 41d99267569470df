"""Normalisation layers, conditional on a label or not, for generators and critics."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from gan_lightning.networks.base import require_labels

Normalisation = Callable[[int], nn.Module]
"""Builds a layer for a number of channels: `torch.nn.BatchNorm2d`, `ChannelLayerNorm`, `torch.nn.Identity` for none."""


class ChannelLayerNorm(nn.GroupNorm):
    """Layer normalisation over (C, H, W) of each sample, then a gain and an offset per channel.

    The one to take in a critic under a gradient penalty, whose norm is per sample (Gulrajani et al. 2017,
    arXiv:1704.00028, section 4). The affine part follows the authors' code (`tflib/ops/layernorm.py`), so the
    layer does not depend on the resolution; `torch.nn.LayerNorm((C, H, W))` would have one gain per pixel.

    Args:
        n_channels: Number of channels C.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__(1, n_channels)


class InstanceNorm(nn.InstanceNorm2d):
    """Normalisation of each channel of each image by itself, without gain, offset or running statistics.

    It is `torch.nn.InstanceNorm2d` with torch's defaults, which a config that names torch's class does not get: jsonargparse
    takes those of its base class, running statistics among them.

    Args:
        n_channels: Number of channels C.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__(n_channels, affine=False, track_running_stats=False)


class ConditionalBatchNorm2d(nn.Module):
    """Batch normalisation whose gain and offset are looked up by label (Dumoulin et al. 2017, arXiv:1610.07629).

    As in the projection critic's generator (Miyato & Koyama 2018, arXiv:1802.05637): gains start at 1, offsets at 0.
    The statistics are shared by all classes and sit in a plain `BatchNorm2d`, which `SyncBatchNorm` can replace.

    Args:
        n_channels: Number of channels C.
        n_classes: Number of labels.
        eps: Added to the variance.
    """

    def __init__(self, n_channels: int, n_classes: int, eps: float = 2e-5) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_channels, eps=eps, affine=False)
        self.gain = nn.Embedding(n_classes, n_channels)
        self.offset = nn.Embedding(n_classes, n_channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.offset.weight)

    def forward(self, inputs: Tensor, labels: Tensor | None) -> Tensor:
        """Normalise inputs `(N, C, H, W)` and scale them by their labels `(N,)`.

        Raises:
            UserError: There are no labels.
        """
        labels = require_labels(labels)
        gain = self.gain(labels)[:, :, None, None]
        offset = self.offset(labels)[:, :, None, None]
        return gain * self.norm(inputs) + offset


def batch_norm(n_channels: int, n_classes: int = 0, eps: float = 1e-5) -> nn.Module:
    """Return a batch normalisation of images, conditional if there are classes."""
    if n_classes > 0:
        return ConditionalBatchNorm2d(n_channels, n_classes, eps)
    return nn.BatchNorm2d(n_channels, eps=eps)


def normalize(norm: nn.Module, inputs: Tensor, labels: Tensor | None) -> Tensor:
    """Apply a normalisation to inputs `(N, C, H, W)`, with the labels `(N,)` if it is conditional."""
    return norm(inputs, labels) if isinstance(norm, ConditionalBatchNorm2d) else norm(inputs)
