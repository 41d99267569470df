"""Translators, from images to images: a U-Net, and residual blocks between halvings and doublings.

Isola et al. 2017, Image-to-Image Translation with Conditional Adversarial Networks, arXiv:1611.07004 (section 6.1.1), and
Zhu et al. 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, arXiv:1703.10593
(section 7.2), whose residual blocks are those of Johnson et al. 2016, arXiv:1603.08155. Pictures of any size pass that is a
multiple of 2^halvings; instance normalisation, the default, treats each by itself. Convolutions before a
normalisation have no bias.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Translator, require_pair
from gan_lightning.networks.layers.activations import Activation, LeakyReLU
from gan_lightning.networks.layers.conditional import InstanceNorm, Normalisation
from gan_lightning.networks.layers.initialization import initialize_normal
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Images, Shape


class UNetTranslator(Translator):
    """4x4 convolutions halve the image, transposed ones double it, and each of these is shown what was there at its size.

    Widths are `width`, doubled by each halving up to 8 times. There is no normalisation on the first map, nor on the
    smallest one. Dropout, on the first doublings, is the paper's noise, in training and afterwards.

    Args:
        shape: The pair; height and width must be multiples of 2^n_halvings.
        width: Channels of the first map.
        n_halvings: How often the image is halved; the paper's 8 take 256 pixels to one.
        dropout: Share of the values that are dropped, the others are divided by what is left; 0 for none.
        n_dropout: How many doublings drop values, the smallest maps first.
        activation: Builds the activations of the doublings.
        down_activation: Builds the activations of the halvings.
        norm: Builds the normalisation of a number of channels, `torch.nn.Identity` for none. The paper's batch
            normalisation has the statistics of a batch of one: `InstanceNorm`.
        on_source: Add the last map to the source before tanh, so that what is learnt is the difference; not the paper's.
        at_full_size: Show the last layer a map of the source at its full size too, by 3x3 convolutions before and after;
            not the paper's, whose finest map has half the size.

    Raises:
        UserError: The images cannot be halved so often.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 64,
        n_halvings: int = 8,
        dropout: float = 0.5,
        n_dropout: int = 3,
        activation: Activation = nn.ReLU,
        down_activation: Activation = LeakyReLU,
        norm: Normalisation = InstanceNorm,
        on_source: bool = False,
        at_full_size: bool = False,
    ) -> None:
        super().__init__()
        source, target = require_pair(shape)
        self.multiple = _multiple(target, n_halvings, "UNetTranslator")
        self.on_source = on_source
        if on_source and source.channels not in (1, target.channels):
            raise UserError(
                f"on_source adds to the source, whose {source.channels} channels are not the target's {target.channels}, nor "
                "one; leave it out"
            )
        self.dropout, self.n_dropout = dropout, n_dropout
        widths = [width * min(2**level, 8) for level in range(n_halvings)]
        self.down = nn.ModuleList()
        for level, n_out in enumerate(widths):
            n_in = source.channels if level == 0 else widths[level - 1]
            layers: list[nn.Module] = [] if level == 0 else [down_activation()]
            is_normed = 0 < level < n_halvings - 1
            layers.append(nn.Conv2d(n_in, n_out, 4, 2, 1, bias=not is_normed))
            if is_normed:
                layers.append(norm(n_out))
            self.down.append(nn.Sequential(*layers))
        self.up = nn.ModuleList()
        for level in reversed(range(n_halvings)):
            n_in = widths[level] * (1 if level == n_halvings - 1 else 2)
            is_last = level == 0 and not at_full_size
            n_out = target.channels if is_last else widths[max(0, level - 1)]
            double = nn.ConvTranspose2d(n_in, n_out, 4, 2, 1, bias=is_last)
            self.up.append(nn.Sequential(activation(), double, *([] if is_last else [norm(n_out)])))
        self.full_size = nn.ModuleList()
        if at_full_size:
            last = nn.Conv2d(2 * width, target.channels, 3, 1, 1)
            self.full_size.extend([nn.Conv2d(source.channels, width, 3, 1, 1), nn.Sequential(activation(), last)])
        initialize_normal(self, gain_std=0.02)

    def forward(self, sources: Tensor, noise: Noise | None = None) -> Tensor:
        """Map images `(N, c, H, W)` to images `(N, C, H, W)`, both in [-1, 1]; without noise nothing is dropped."""
        maps = [sources]
        for halve in self.down:
            maps.append(halve(maps[-1]))
        hidden = maps.pop()
        for index, double in enumerate(self.up):
            hidden = double(hidden)
            if self.dropout and noise is not None and index < min(self.n_dropout, len(self.up) - 1):
                kept = noise.uniform(*hidden.shape) >= self.dropout
                hidden = hidden * kept.to(hidden.dtype) / (1 - self.dropout)
            if index < len(self.up) - 1:
                hidden = torch.cat([hidden, maps.pop()], dim=1)
        if self.full_size:
            look, show = self.full_size
            hidden = show(torch.cat([hidden, look(sources)], dim=1))
        return _onto(sources, hidden) if self.on_source else hidden.tanh()


class ResNetTranslator(Translator):
    """A 7x7 convolution, halvings by 3x3 ones, residual blocks, as many doublings, and a 7x7 convolution to the target.

    The edges are reflected before the 7x7 convolutions and in the blocks.

    Args:
        shape: The pair; height and width must be multiples of 2^n_halvings.
        width: Channels of the first map; each halving doubles them.
        n_blocks: Residual blocks; the paper's 9 at 256 pixels, 6 at 128.
        n_halvings: How often the image is halved.
        activation: Builds the hidden activations.
        norm: Builds the normalisation of a number of channels, `torch.nn.Identity` for none.
        on_source: Add the last map to the source before tanh, so that what is learnt is the difference; not the paper's.

    Raises:
        UserError: The images cannot be halved so often, or are too small to be reflected.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 64,
        n_blocks: int = 9,
        n_halvings: int = 2,
        activation: Activation = nn.ReLU,
        norm: Normalisation = InstanceNorm,
        on_source: bool = False,
    ) -> None:
        super().__init__()
        source, target = require_pair(shape)
        self.multiple = _multiple(target, n_halvings, "ResNetTranslator")
        self.on_source = on_source
        if on_source and source.channels not in (1, target.channels):
            raise UserError(
                f"on_source adds to the source, whose {source.channels} channels are not the target's {target.channels}, nor "
                "one; leave it out"
            )
        side = min(target.height, target.width)
        if side < max(4, 2 * self.multiple):
            raise UserError(
                f"ResNetTranslator reflects the edges of images and needs sides of at least {max(4, 2 * self.multiple)}, got "
                f"{side}; take larger images, or fewer n_halvings"
            )
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(source.channels, width, 7, bias=False),
            norm(width),
            activation(),
        ]
        for level in range(n_halvings):
            n_in = width * 2**level
            layers += [nn.Conv2d(n_in, 2 * n_in, 3, 2, 1, bias=False), norm(2 * n_in), activation()]
        layers += [_Residual(width * 2**n_halvings, activation, norm) for _ in range(n_blocks)]
        for level in reversed(range(n_halvings)):
            n_out = width * 2**level
            double = nn.ConvTranspose2d(2 * n_out, n_out, 3, 2, 1, output_padding=1, bias=False)
            layers += [double, norm(n_out), activation()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, target.channels, 7)]
        self.layers = nn.Sequential(*layers)
        initialize_normal(self, gain_std=0.02)

    def forward(self, sources: Tensor, noise: Noise | None = None) -> Tensor:
        """Map images `(N, c, H, W)` to images `(N, C, H, W)`, both in [-1, 1]; there is nothing random about it."""
        hidden = self.layers(sources)
        return _onto(sources, hidden) if self.on_source else hidden.tanh()


class _Residual(nn.Module):
    """3x3, norm, activation, 3x3, norm, and the input."""

    def __init__(self, n: int, activation: Activation, norm: Normalisation) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3, bias=False), norm(n), activation()]
        self.layers = nn.Sequential(*first, nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3, bias=False), norm(n))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        return inputs + self.layers(inputs)


def _onto(sources: Tensor, hidden: Tensor) -> Tensor:
    """Return tanh of the hidden map `(N, C, H, W)` plus what tanh makes 0.99 times the source of; C or one channel."""
    return (hidden + (0.99 * sources).atanh()).tanh()


def _multiple(images: Images, n_halvings: int, owner: str) -> int:
    """Return 2^n_halvings, which the sides of the images must be multiples of."""
    multiple = 2**n_halvings
    for side in (images.height, images.width):
        if n_halvings < 1 or side % multiple:
            raise UserError(
                f"{owner} halves images {n_halvings} times and needs sides that are multiples of {multiple}, got {side}; set "
                f"image_size to {-(-side // multiple) * multiple}, or n_halvings lower (at least 1)"
            )
    return multiple
