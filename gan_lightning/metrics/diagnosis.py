"""Numbers that tell how a GAN trains: how far the critic tells samples apart, how different they are, how steep it is."""

from __future__ import annotations

from math import nan

import torch
from torch import Tensor, nn

_WEIGHTED = (nn.Linear, nn.Embedding, nn.modules.conv._ConvNd)


def told_apart(real: Tensor, fake: Tensor) -> float:
    """Return the chance that a real logit is above a fake one, half of the ties counted: 0.5 is a guess, 1 tells all.

    It is the area under the ROC curve, which neither a shift nor the scale of the logits changes.

    Example:
        >>> told_apart(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0]))
        0.75

    Args:
        real: Logits of real samples, `(N,)`.
        fake: Logits of generated ones, `(M,)`.
    """
    if not (real.isfinite().all() and fake.isfinite().all()):
        return nan
    real, ordered = real.double(), fake.double().sort().values
    below = torch.searchsorted(ordered, real, right=False) + torch.searchsorted(ordered, real, right=True)
    return float(below.double().mean()) / (2 * len(fake))


def mean_distance(rows: Tensor, limit: int = 64) -> float:
    """Return the mean Euclidean distance of two different rows among the first `limit`; nan if there is one row only.

    Example:
        >>> mean_distance(torch.tensor([[0.0], [1.0], [3.0]]))
        2.0

    Args:
        rows: `(N, ...)`.
        limit: How many rows are looked at, all pairs of them.
    """
    return float(torch.pdist(rows[:limit].flatten(1).double()).mean())


@torch.no_grad()
def singular_values(network: nn.Module) -> dict[str, float]:
    """Return the largest singular value of each weight that is trained, by the name of its layer.

    Weights are those in effect, after spectral normalisation. One of a convolution is taken as a matrix with a row for each
    output channel, as in spectral normalisation (Miyato et al. 2018, arXiv:1802.05957): the convolution itself stretches
    by at most the root of its kernel's size times that. A layer whose weight is not finite has nan.

    Example:
        >>> linear = nn.Linear(2, 2, bias=False)
        >>> _ = linear.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 4.0]]))
        >>> singular_values(nn.Sequential(linear))
        {'0': 4.0}
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()  # reading a spectrally normalized weight in training mode moves its singular vectors
    try:
        layers = [(name or "weight", layer) for name, layer in network.named_modules() if isinstance(layer, _WEIGHTED)]
        return {name: _largest(layer) for name, layer in layers if any(p.requires_grad for p in layer.parameters())}
    finally:
        for module, mode in modes:
            module.training = mode


def _largest(layer: nn.Module) -> float:
    """Return the largest singular value of a layer's weight as a matrix, from the smaller of W W^T and W^T W."""
    weight = layer.weight.detach().double()  # type: ignore[union-attr,operator]
    transposed = isinstance(layer, nn.modules.conv._ConvTransposeNd)
    matrix = (weight.transpose(0, 1) if transposed else weight).flatten(1)
    small = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    if not small.isfinite().all():
        return nan
    return float(torch.linalg.eigvalsh(small)[-1].clamp(min=0).sqrt())
