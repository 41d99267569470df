"""Losses on the activations of a trained network: what is on a picture, and in which style."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import mse_loss


def gram_matrix(maps: Tensor) -> Tensor:
    """Return each picture's Gram matrix F F' / (C H W), with F the maps as C rows (arXiv:1603.08155, eq. 3).

    Example:
        >>> gram_matrix(torch.ones(1, 2, 4, 4))
        tensor([[[0.5000, 0.5000],
                 [0.5000, 0.5000]]])

    Args:
        maps: Activations `(N, C, H, W)`, H and W of any size.

    Returns:
        The matrices `(N, C, C)`.
    """
    rows = maps.flatten(2)
    return rows @ rows.mT / rows[0].numel()


def style_loss(maps: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """Return how far each picture is from a style, `(N,)`: 0 in the style, 1 where it has no activations at all.

    The squared Frobenius distance of the Gram matrices (arXiv:1603.08155, eq. 4), at each layer relative to the style's own
    squared norm, so that layers of large activations do not rule; the mean over layers.

    Example:
        >>> maps = {"early": torch.rand(1, 2, 4, 4)}
        >>> style_loss(maps, {"early": gram_matrix(maps["early"])})
        tensor([0.])

    Args:
        maps: Activations `(N, C, H, W)` of each layer; those without a target are left out.
        targets: Of each layer, the style's Gram matrix `(1, C, C)`, or one of each picture `(N, C, C)`.
    """
    losses = []
    for layer, target in targets.items():
        difference = gram_matrix(maps[layer]) - target
        losses.append(difference.square().sum((1, 2)) / target.square().sum((1, 2)).clamp(min=1e-30))
    return torch.stack(losses).mean(0)


def content_loss(maps: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """Return how far pictures are from what is on others, `(N,)` (arXiv:1603.08155, eq. 2): 0 if the same is.

    The squared Euclidean distance of the activations, at each layer relative to the others' own squared norm; the mean over
    layers.

    Example:
        >>> content_loss({"late": torch.zeros(1, 2, 4, 4)}, {"late": torch.ones(1, 2, 4, 4)})
        tensor([1.])

    Args:
        maps: Activations `(N, C, H, W)` of each layer; those without a target are left out.
        targets: Of each layer, the activations `(N, C, H, W)` of the pictures to be like.
    """
    losses = []
    for layer, target in targets.items():
        norm = target.square().sum((1, 2, 3)).clamp(min=1e-30)
        losses.append((maps[layer] - target).square().sum((1, 2, 3)) / norm)
    return torch.stack(losses).mean(0)


def total_variation(images: Tensor) -> Tensor:
    """Return how rough each picture is, `(N,)`: mean squared difference of neighbours, across and down, summed.

    Example:
        >>> total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]]))
        tensor([1.])

    Args:
        images: Images `(N, C, H, W)`, at least 2 pixels high and wide.
    """
    across = (images[..., 1:] - images[..., :-1]).square().mean((1, 2, 3))
    return across + (images[..., 1:, :] - images[..., :-1, :]).square().mean((1, 2, 3))


def activation_distance(maps: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """Return the mean squared difference of activations, a scalar: SRGAN's content loss (arXiv:1609.04802, eq. 5).

    Example:
        >>> activation_distance({"late": torch.zeros(1, 2, 4, 4)}, {"late": torch.full((1, 2, 4, 4), 2.0)})
        tensor(4.)

    Args:
        maps: Activations `(N, C, H, W)` of each layer.
        targets: Those of the pictures to be like; the mean is over their layers.
    """
    return torch.stack([mse_loss(maps[layer], target) for layer, target in targets.items()]).mean()
