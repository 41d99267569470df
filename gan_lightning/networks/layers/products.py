"""Products of many matrices on a CPU, by the library that is fastest there."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def _has_onednn() -> bool:
    """Tell whether oneDNN multiplies with vectors of 512 bits; MKL, which torch's `bmm` calls, does not on AMD's processors."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkldnn.is_available():
        return False
    try:
        return torch.ops.mkldnn._linear_pointwise.default is not None  # what inductor calls
    except AttributeError:
        return False


_IS_ONEDNN_FASTER = _has_onednn()


@torch.library.custom_op("gan_lightning::products", mutates_args=())
def products(one: Tensor, other: Tensor) -> Tensor:
    """Return the products `(B, M, N)` of matrices `(B, M, K)` and `(B, K, N)`; it has no derivative.

    Example:
        >>> products(torch.ones(1, 2, 3), torch.ones(1, 3, 1)).tolist()
        [[[3.0], [3.0]]]
    """
    if not _IS_ONEDNN_FASTER or one.dtype != torch.float32:
        return torch.bmm(one, other)
    made = one.new_empty(len(one), one.shape[1], other.shape[2])
    for place, (left, right) in enumerate(zip(one, other, strict=True)):
        made[place] = torch.ops.mkldnn._linear_pointwise(left, right.T, None, "none", [], "")
    return made


@products.register_fake
def _(one: Tensor, other: Tensor) -> Tensor:
    return one.new_empty(len(one), one.shape[1], other.shape[2])


@products.register_vmap
def _(info: Any, in_dims: tuple[int | None, int | None], one: Tensor, other: Tensor) -> tuple[Tensor, int]:
    sides = [
        side.movedim(dim, 0) if dim is not None else side.expand(info.batch_size, *side.shape)
        for side, dim in zip((one, other), in_dims, strict=True)
    ]
    made = products(*(side.flatten(0, 1) for side in sides))
    return made.unflatten(0, (info.batch_size, -1)), 0
