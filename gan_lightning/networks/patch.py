"""Critics of patches: many logits for each image, whose losses and penalties are means over all of them.

Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks, arXiv:1611.07004 (section 3.2.2), and
Wang et al. 2018, High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs, arXiv:1711.11585 (3.2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic, CriticFactory, require_images
from gan_lightning.networks.layers.activations import Activation, LeakyReLU
from gan_lightning.networks.layers.conditional import Normalisation
from gan_lightning.networks.layers.initialization import initialize_normal
from gan_lightning.shapes import Images, Shape


class PatchCritic(Critic):
    """PatchGAN: a logit for each overlapping patch, of 70x70 pixels with 3 halvings, by 4x4 convolutions.

    The widths are those of the paper: `width` doubled by each layer, at most 8 times it. Batch normalisation couples the
    samples of a batch: take another `norm` under a per-sample gradient penalty.

    Args:
        shape: Shape of the images; each side at least 3 * 2^n_layers.
        width: Channels of the first hidden layer.
        n_layers: How often the image is halved.
        activation: Builds the hidden activations.
        norm: Builds the normalisation of a number of channels, `torch.nn.Identity` for none.

    Raises:
        UserError: The images are too small for so many halvings.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 64,
        n_layers: int = 3,
        activation: Activation = LeakyReLU,
        norm: Normalisation = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        images = require_images(shape)
        side, least = min(images.height, images.width), 3 * 2**n_layers
        if side < least:
            raise UserError(
                f"PatchCritic halves images {n_layers} times and needs sides of at least {least}, got {side}; "
                "take fewer n_layers, or larger images"
            )
        layers: list[nn.Module] = [nn.Conv2d(images.channels, width, 4, 2, 1), activation()]
        n_out = width
        for layer in range(1, n_layers + 1):
            n_in, n_out = n_out, width * min(2**layer, 8)
            stride = 2 if layer < n_layers else 1
            layers += [nn.Conv2d(n_in, n_out, 4, stride, 1, bias=False), norm(n_out), activation()]
        self.layers = nn.Sequential(*layers)
        self.output = nn.Conv2d(n_out, 1, 4, 1, 1)
        initialize_normal(self, gain_std=0.02)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden maps `(N, F, h + 1, w + 1)` of images `(N, C, H, W)` in [-1, 1]."""
        return self.layers(samples)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N, h, w)`, one for each patch, of the last hidden maps."""
        return self.output(features).squeeze(1)


class MultiScaleCritic(Critic):
    """The same kind of critic at several scales: on the image, on its 2x2 means, on theirs, each with its own weights.

    Every scale counts the same in the loss, as in the paper: coarser maps of logits are stretched to the finest one's size.

    Args:
        shape: Shape of the images.
        critic: Builds the critic of a scale, unconditional, such as `PatchCritic`.
        n_scales: Number of scales; the paper's 3.

    Raises:
        UserError: A scale has no pixels left, or the critic is conditional.
    """

    def __init__(self, shape: Shape, critic: CriticFactory, n_scales: int = 3) -> None:
        super().__init__()
        images = require_images(shape)
        if min(images.height, images.width) < 2 ** (n_scales - 1):
            raise UserError(
                f"images of {images.height}x{images.width} cannot be halved {n_scales - 1} times; lower n_scales"
            )
        sizes = [Images(images.height // 2**k, images.width // 2**k, images.channels) for k in range(n_scales)]
        self.critics = nn.ModuleList([critic(size) for size in sizes])
        first = self.critics[0]
        if isinstance(first, Critic) and first.n_classes:
            raise UserError(
                f"MultiScaleCritic takes unconditional critics, and {type(first).__name__} has n_classes {first.n_classes}; set "
                "it to 0 and put ConcatenatingCritic around the whole"
            )

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the images themselves: the scales share no hidden layer."""
        return samples

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N, n_scales, ...)` of images `(N, C, H, W)`: `...` is the finest map of patches, if there is one."""
        logits: list[Tensor] = []
        for critic in self.critics:
            own = critic(features)
            if own.dim() == 3 and logits:
                own = interpolate(own[:, None], size=logits[0].shape[1:], mode="nearest").squeeze(1)
            logits.append(own)
            features = avg_pool2d(features, 2)
        return torch.stack(logits, dim=1)
