"""One picture in the style of another, without training: Gatys, Ecker & Bethge 2015, https://arxiv.org/abs/1508.06576."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from gan_lightning.errors import UserError
from gan_lightning.losses.objectives import NonSaturating
from gan_lightning.losses.perceptual import content_loss, gram_matrix, style_loss, total_variation
from gan_lightning.networks.base import CriticFactory
from gan_lightning.networks.perceptual import PerceptualNetwork
from gan_lightning.shapes import Images
from gan_lightning.stabilizers.slopes import judged_both

SMALLEST = 32
"""Pixels of the shorter side below which a picture has no style to speak of."""
_BORDER = 16  # mirrored pixels around a picture, so that the zeros around it are not taken for its edges
_PATCH, _N_PATCHES = 64, 16  # what a critic is shown in one turn


class Stylized(NamedTuple):
    """A picture in another one's style.

    Attributes:
        picture: The picture `(1, C, H, W)` in [-1, 1].
        own: Style loss of the picture that it was made from.
        style: Its own style loss.
        content: Its content loss.
    """

    picture: Tensor
    own: float
    style: float
    content: float


def smallest_side(with_critic: bool) -> int:
    """Return how many pixels each side of a picture and of the style's must have; with a critic, those of its patches."""
    return max(SMALLEST, _PATCH if with_critic else 0)


def stylized(
    content: Tensor,
    style: Tensor,
    network: PerceptualNetwork,
    steps: int = 300,
    strength: float = 1.0,
    style_weight: float = 1000.0,
    tv_weight: float = 10.0,
    critic: CriticFactory | None = None,
    critic_weight: float = 1.0,
    size: int = 512,
    seed: int = 0,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> Stylized:
    """Change a picture step by step, from itself on, until its Gram matrices are those of another one's.

    Minimised is the content loss, plus the style loss times `style_weight` and `strength`, plus the roughness times `tv_weight`
    (`losses.perceptual`), by Adam with pixels held to their range; the paper took L-BFGS. With a critic, which learns meanwhile
    to tell patches of 64x64 pixels of the style from patches of the picture, its non-saturating loss is added.

    A picture larger than `size` is changed at that size, and its change is enlarged. Ranks: one process, on the content's device.

    Args:
        content: The picture `(1, C, H, W)` in [-1, 1], grey or RGB, of any size from 32 pixels on.
        style: The style's picture `(1, C, h, w)`, brought to `size` in the same way.
        network: Whose activations are compared.
        steps: How often the picture is changed.
        strength: Factor on the style's weight.
        style_weight: Weight of the style loss.
        tv_weight: Weight of the roughness.
        critic: Builds a critic of patches; none if None.
        critic_weight: Weight of its loss.
        size: Pixels of the longer side at which the picture is changed.
        seed: Of the critic's weights and patches.
        progress: Told each step and its loss.

    Raises:
        UserError: A picture is too small, or a number is out of its range.
    """
    for name, value in (("strength", strength), ("steps", steps)):
        if not (value > 0 and math.isfinite(value)):
            raise UserError(f"{name} must be above 0, got {value}")
    least = smallest_side(critic is not None)
    if size < least:
        raise UserError(f"size must be at least {least}, got {size}")
    for what, images in (("the picture", content), ("the style's picture", style)):
        if min(images.shape[2:]) < least:
            raise UserError(
                f"{what} has {images.shape[3]}x{images.shape[2]} pixels, and must have at least {least} on each side"
            )
    whole, content, style = content, fitted(content, size, least), fitted(style, size, least)
    start = content.contiguous()
    with _without_denormals():
        with torch.no_grad():
            targets = {name: gram_matrix(maps) for name, maps in network(bordered(style), network.style_layers).items()}
            before = network(bordered(start))
        wanted = {name: before[name] for name in network.content_layers}
        own = float(style_loss(before, targets))
        opponent = None if critic is None else _Opponent(critic, style, seed)
        picture = start.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([picture], lr=0.05, betas=(0.9, 0.99))
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 0.05 * min(1.0, 2.1 - 2 * step / steps)  # falls in the second half, so that it settles
            maps = network(bordered(picture))
            loss = (
                content_loss(maps, wanted)
                + strength * style_weight * style_loss(maps, targets)
                + tv_weight * total_variation(picture)
            ).sum()
            if opponent is not None:
                loss = loss + critic_weight * opponent.play(picture)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                picture.clamp_(-1, 1)
            progress(step, float(loss.detach()))
        with torch.no_grad():
            after = network(bordered(picture))
    found = picture.detach()
    if whole.shape != found.shape:
        found = (whole + interpolate(found - content, whole.shape[2:], mode="bicubic")).clamp(-1, 1)
    return Stylized(found, own, float(style_loss(after, targets)), float(content_loss(after, wanted)))


def fitted(images: Tensor, size: int, least: int = 1) -> Tensor:
    """Return images `(N, C, H, W)` whose longer side has at most `size` pixels, antialiased; the shorter one `least` or more."""
    scale = size / max(images.shape[2:])
    if scale >= 1:
        return images
    sides = [max(least, round(side * scale)) for side in images.shape[2:]]
    return interpolate(images, sides, mode="bicubic", antialias=True).clamp(-1, 1)


def bordered(images: Tensor) -> Tensor:
    """Return images `(N, C, H, W)` with a mirrored border of 16 pixels."""
    return pad(images, (_BORDER,) * 4, mode="reflect")


class _Opponent:
    """A critic that learns to tell the style's patches from the picture's."""

    def __init__(self, critic: CriticFactory, style: Tensor, seed: int) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = critic(Images(_PATCH, _PATCH, style.shape[1])).to(style)
        self.style, self.objective = style, NonSaturating()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.random = torch.Generator().manual_seed(seed)

    def play(self, picture: Tensor) -> Tensor:
        """Let the critic learn from patches, and return its loss of others of the picture."""
        self.network.requires_grad_(True)
        with torch.enable_grad():
            real, fake = self._patches(self.style), self._patches(picture.detach())
            loss = self.objective.critic_loss(*judged_both(self.network, (real,), (fake,)))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.network.requires_grad_(False)
        return self.objective.generator_loss(self.network(self._patches(picture)))

    def _patches(self, image: Tensor) -> Tensor:
        height, width = image.shape[2:]
        rows = torch.randint(height - _PATCH + 1, (_N_PATCHES,), generator=self.random).tolist()
        columns = torch.randint(width - _PATCH + 1, (_N_PATCHES,), generator=self.random).tolist()
        cut = [image[0, :, y : y + _PATCH, x : x + _PATCH] for y, x in zip(rows, columns, strict=True)]
        return torch.stack(cut)


@contextmanager
def _without_denormals() -> Iterator[None]:
    """Take numbers that are nearly 0 for 0: a CPU computes with them a hundred times slower, and these losses meet many."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
