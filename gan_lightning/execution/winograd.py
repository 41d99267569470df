"""Convolutions with fewer products, for compiled turns on a CPU: Winograd's minimal filtering.

Two outputs of a filter with r taps need r + 1 products, not 2r (Lavin and Gray 2016, arXiv:1509.09308), so that a 3x3
convolution needs 16 for each 2x2 outputs in place of 36. A 4x4 convolution of stride 2, and its transpose, are 2x2
convolutions of the four phases of an image, which need 9 in place of 16. The products are matrix products over channels; the
sums before and after them cost memory traffic, which a compiler fuses, and pay where there are many channels.
Rounding differs from that of the direct way: the largest error is about 1e-5 standard deviations of the outputs in float32.

Images here are `(N, H, W, C)`, with even H and W of the outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

LEAST_CHANNELS = 64
"""On both sides of a 3x3 convolution; not measured below."""

LEAST_SIDE = 2048
"""Of the smaller image of a 4x4 convolution, times the channels: below it the direct way is as fast."""

aten = torch.ops.aten

Along = Callable[[Sequence[Tensor]], list[Tensor]]

TO_PRODUCTS: dict[int, Along] = {
    2: lambda d: [d[0] - d[1], d[1], d[1] - d[2]],
    3: lambda d: [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]],
}
FROM_PRODUCTS: dict[int, Along] = {
    2: lambda m: [m[0] + m[1], m[1] - m[2]],
    3: lambda m: [m[0] + m[1] + m[2], m[1] - m[2] - m[3]],
}
FROM_PRODUCTS_TRANSPOSED: dict[int, Along] = {
    2: lambda y: [y[0], y[0] + y[1], -y[1]],
    3: lambda y: [y[0], y[0] + y[1], y[0] - y[1], -y[1]],
}
OF_FILTERS = {2: [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], 3: [[1.0, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1.0]]}


def correlate(images: Tensor, filters: Tensor) -> Tensor:
    """Return the correlation `(N, H, W, O)` of images `(N, H + r - 1, W + r - 1, C)` with filters `(O, C, r, r)`."""
    r = filters.shape[-1]
    n, height, width = images.shape[0], images.shape[1] - r + 1, images.shape[2] - r + 1
    products = torch.bmm(_of_images(images, r), _of_filters(filters).transpose(1, 2))
    grid = products.reshape(r + 1, r + 1, n, height // 2, width // 2, -1)
    rows = FROM_PRODUCTS[r](grid.unbind(0))
    return torch.stack([torch.stack(FROM_PRODUCTS[r](row.unbind(0)), 3) for row in rows], 2).reshape(
        n, height, width, -1
    )


def gradient_of_filters(images: Tensor, gradients: Tensor, r: int) -> Tensor:
    """Return the gradient `(O, C, r, r)` of `correlate`'s filters for gradients `(N, H, W, O)` of its outputs."""
    rows = FROM_PRODUCTS_TRANSPOSED[r]([gradients[:, i::2] for i in (0, 1)])
    tiles = [t for row in rows for t in FROM_PRODUCTS_TRANSPOSED[r]([row[:, :, i::2] for i in (0, 1)])]
    of_outputs = torch.stack(tiles).reshape((r + 1) ** 2, -1, gradients.shape[-1])
    products = torch.bmm(of_outputs.transpose(1, 2), _of_images(images, r)).unflatten(0, (r + 1, r + 1))
    of_filters = products.new_tensor(OF_FILTERS[r])
    return torch.einsum("ikoc,ij,kl->ocjl", products, of_filters, of_filters)


def _of_images(images: Tensor, r: int) -> Tensor:
    """Return the images' side of the products, `((r + 1)^2, N H W / 4, C)`."""

    def along(tensor: Tensor, dim: int) -> list[Tensor]:
        n = tensor.shape[dim] - r  # of places, the last of which is an odd one
        every_second = (slice(None),) * dim + (slice(None, None, 2),)
        return TO_PRODUCTS[r]([tensor.narrow(dim, i, n)[every_second] for i in range(r + 1)])

    tiles = [tile for row in along(images, 1) for tile in along(row, 2)]
    return torch.stack(tiles).reshape((r + 1) ** 2, -1, images.shape[-1])


def _of_filters(filters: Tensor) -> Tensor:
    """Return the filters' side of the products, `((r + 1)^2, O, C)`."""
    of_filters = filters.new_tensor(OF_FILTERS[filters.shape[-1]])
    return torch.einsum("ij,ocjl,kl->ikoc", of_filters, filters, of_filters).flatten(0, 1)


def _phases(images: Tensor) -> Tensor:
    """Return the phases of padded images `(N, 2H, 2W, C)` side by side, `(N, H + 1, W + 1, 4C)`."""
    padded = _padded(images)
    return torch.cat([padded[:, a::2, b::2] for a in (0, 1) for b in (0, 1)], -1)


def _padded(images: Tensor) -> Tensor:
    return pad(images, (0, 0, 1, 1, 1, 1))


def _same(images: Tensor, kernel: Tensor) -> Tensor:
    return correlate(_padded(images), kernel)


def _halved(images: Tensor, kernel: Tensor) -> Tensor:
    parts = [kernel[:, :, a::2, b::2] for a in (0, 1) for b in (0, 1)]
    return correlate(_phases(images), torch.cat(parts, 1))


def _doubled(images: Tensor, kernel: Tensor) -> Tensor:
    padded, (n, height, width, _) = _padded(images), images.shape
    rows = []
    for a in (0, 1):
        row = []
        for b in (0, 1):
            part = kernel.flip(2, 3)[:, :, a::2, b::2].transpose(0, 1)
            row.append(correlate(padded[:, a : a + height + 1, b : b + width + 1], part))
        rows.append(torch.stack(row, 3))
    return torch.stack(rows, 2).reshape(n, 2 * height, 2 * width, -1)


def _gradient_of_kernel(images: Tensor, gradients: Tensor) -> Tensor:
    """Return the gradient of the kernel of `_halved`."""
    o, c = gradients.shape[-1], images.shape[-1]
    parts = gradient_of_filters(_phases(images), gradients, 2)  # (O, 4C, 2, 2)
    return parts.reshape(o, 2, 2, c, 2, 2).permute(0, 3, 4, 1, 5, 2).reshape(o, c, 4, 4)


# For make_fx ----------------------------------------------------------------------------------------------------------


def _way(images: Tensor, kernel: Tensor, how: Sequence[Any]) -> str:
    """Return which of the convolutions above it is, empty if none or if the direct way is as fast.

    A second derivative has the gradient of a kernel as a convolution whose kernel is as large as the images.
    """
    stride, padding, dilation, transposed, output_padding, groups = how
    if (
        images.device.type != "cpu"
        or images.dtype not in (torch.float32, torch.float64)
        or images.dim() != 4
        or (list(padding), list(output_padding), groups) != ([1, 1], [0, 0], 1)
    ):
        return ""
    shape, sides, size = (*stride, *dilation, transposed), list(images.shape[2:]), list(kernel.shape[2:])
    if shape in ((1, 1, 1, 1, False), (1, 1, 2, 2, False)) and [dilation[0] * side for side in size] == sides:
        way, outputs, channels = ("of 3x3", "of 4x4")[dilation[0] - 1], size, min(images.shape[0], kernel.shape[0])
    elif shape == (1, 1, 1, 1, False) and size == [3, 3]:
        way, outputs, channels = "same", sides, min(kernel.shape[:2])
    elif shape == (2, 2, 1, 1, False) and size == [4, 4]:
        way, outputs, channels = "halved", [side // 2 for side in sides], min(kernel.shape[:2])
    elif shape == (2, 2, 1, 1, True) and size == [4, 4]:
        way, outputs, channels = "doubled", sides, min(kernel.shape[:2])
    else:
        return ""
    small = channels < LEAST_CHANNELS if way in ("same", "of 3x3") else channels * min(outputs) < LEAST_SIDE
    return "" if small or any(side % 2 for side in (*outputs, *sides)) else way


def _last(images: Tensor) -> Tensor:
    return images.permute(0, 2, 3, 1)


def _first(images: Tensor) -> Tensor:
    return images.permute(0, 3, 1, 2)


def convolution(images: Tensor, kernel: Tensor, bias: Tensor | None, *how: Any) -> Any:
    """Return what `aten.convolution` does, or `NotImplemented` where its own way is as fast."""
    way = _way(images, kernel, how)
    if not way:
        return NotImplemented
    if way in ("of 3x3", "of 4x4"):  # and there is no bias
        x, g = images.permute(1, 2, 3, 0), kernel.permute(1, 2, 3, 0)
        of_kernel = gradient_of_filters(_padded(x), g, 3) if way == "of 3x3" else _gradient_of_kernel(x, g)
        return of_kernel.transpose(0, 1)
    outputs = {"same": _same, "halved": _halved, "doubled": _doubled}[way](_last(images), kernel)
    return _first(outputs if bias is None else outputs + bias)


def convolution_backward(gradients: Tensor, images: Tensor, kernel: Tensor, bias_sizes: Any, *rest: Any) -> Any:
    """Return what `aten.convolution_backward` does, or `NotImplemented` where its own way is as fast."""
    *how, wanted = rest
    way = _way(images, kernel, how)
    if way not in ("same", "halved", "doubled"):
        return NotImplemented
    g, x = _last(gradients), _last(images)
    of_images = of_kernel = None
    if wanted[0]:
        if way == "same":
            of_images = _same(g, kernel.flip(2, 3).transpose(0, 1))
        else:
            of_images = (_doubled if way == "halved" else _halved)(g, kernel)
        of_images = _first(of_images)
    if wanted[1]:
        if way == "same":
            of_kernel = gradient_of_filters(_padded(x), g, 3)
        else:
            of_kernel = _gradient_of_kernel(*((x, g) if way == "halved" else (g, x)))
    return of_images, of_kernel, gradients.sum((0, 2, 3)) if wanted[2] else None


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.convolution.default: convolution,
    aten.convolution_backward.default: convolution_backward,
}
"""What `make_fx` takes in place of these operators."""
