"""3x3 and 4x4 convolutions of many channels with fewer products, on a CPU: Winograd's minimal filtering.

Four outputs of a filter with r taps need r + 3 products, not 4r (Lavin and Gray 2016, arXiv:1509.09308), so that a 3x3
convolution needs 36 for each 4x4 outputs in place of 144. A 4x4 convolution of stride 2, and its transpose, are 2x2
convolutions of the four phases of an image, which need 25 in place of 64. The products are matrix products over channels;
the sums before and after them cost memory traffic and pay where there are many channels. In float32 errors are as large as
the direct way's (`_POINTS`); the derivatives are convolutions of the same kind, to any order.

Images here are `(N, H, W, C)`, of sides that 4 divides.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import conv2d, conv_transpose2d, pad

from gan_lightning.networks.layers.products import products

LEAST_CHANNELS = {"same": 128, "halved": 256, "doubled": 256}
"""On both sides; below them the direct way is as fast, measured on a CPU with AVX2."""

LEAST_TILES = 100
"""Squares of 4x4 outputs in a batch; with fewer, the kernel's sums cost more than they save."""

MOST = 2**22
"""Numbers that the sums before the products may make at a time; a larger batch is done in parts."""

_POINTS = {2: ("2/5", "-2/5", "5/4", "-5/4"), 3: ("0", "2/3", "-2/3", "3/2", "-3/2")}
"""Where the polynomials of four outputs and r taps are multiplied, beside infinity; chosen for their rounding. The largest error
of 256 channels in float32 is 1e-5 standard deviations of the outputs, as the direct way's; that of 0, 1, -1, 2, -2 is 4e-5."""
_TAPS = {"same": 3, "halved": 2, "doubled": 2}
_BACK = {"same": "same", "halved": "doubled", "doubled": "halved"}
_PHASES = [(a, b) for a in (0, 1) for b in (0, 1)]


class _Sums(NamedTuple):
    """The sums along one side, n = r + 3: of images `(n, n)`, of a kernel `(n, r)`, to outputs `(4, n)`."""

    of_images: list[list[float]]
    of_kernel: list[list[float]]
    to_outputs: list[list[float]]


@cache
def _sums(r: int) -> _Sums:
    """Return the sums of Toom and Cook's multiplication of polynomials, transposed."""
    points = [Fraction(point) for point in _POINTS[r]]
    of_images, of_kernel = [], []
    for point in points:
        others = [other for other in points if other != point]
        scale = math.prod(point - other for other in others)
        of_images.append([*_with_roots(others), Fraction(0)])
        of_kernel.append([point**tap / scale for tap in range(r)])
    at_infinity = [Fraction(0)] * (r - 1) + [Fraction(1)]
    to_outputs = [[*(point**row for point in points), Fraction(row == 3)] for row in range(4)]
    exact = ([*of_images, _with_roots(points)], [*of_kernel, at_infinity], to_outputs)
    return _Sums(*([[float(number) for number in row] for row in rows] for rows in exact))


def _with_roots(roots: list[Fraction]) -> list[Fraction]:
    """Return the coefficients, lowest first, of the polynomial with these roots."""
    found = [Fraction(1)]
    for root in roots:
        found = [up - root * here for up, here in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found


def _along_both(rows: list[list[float]], numbers: Tensor, turned: bool = False) -> Tensor:
    """Return the sums of `(a, b, ...)` along its first two sides, as `(n, n, ...)`; of `turned` rows, the transposed sums."""
    matrix = numbers.new_tensor(rows)
    matrix = matrix.T if turned else matrix
    first, second, *others = numbers.shape
    down = torch.mm(matrix, numbers.reshape(first, -1)).view(len(matrix), second, -1)
    return torch.matmul(matrix, down).view(len(matrix), len(matrix), *others)


def _of_images(padded: Tensor, r: int, halved: bool = False) -> Tensor:
    """Return the images' side of the products, `(n^2, N H W / 16, C)`, of `(N, H + r - 1, W + r - 1, C)`.

    If `halved`, they are images of twice these sides, and their phases stand side by side, `(n^2, N H W / 16, 4C)`.
    """
    n, height, width, channels = padded.shape
    along, down, right, _ = padded.stride()
    side, step = r + 3, 2 if halved else 1
    n_down, n_right = (height // step - r + 1) // 4, (width // step - r + 1) // 4
    tiles = padded.as_strided(
        (side, side, n, n_down, n_right, step, step, channels),
        (step * down, step * right, along, 4 * step * down, 4 * step * right, down, right, padded.stride(3)),
        padded.storage_offset(),
    )
    return _along_both(_sums(r).of_images, tiles).view(side**2, n * n_down * n_right, -1)


def _of_kernel(kernel: Tensor) -> Tensor:
    """Return the kernel's side of the products, `(n^2, C, O)`, of `(O, C, r, r)`."""
    return _along_both(_sums(kernel.shape[-1]).of_kernel, kernel.permute(2, 3, 1, 0)).flatten(0, 1)


def _to_outputs(multiplied: Tensor, shape: tuple[int, int, int, int], r: int) -> Tensor:
    """Return the outputs, of this shape `(N, H, W, O)`, as a view `(N, H / 4, 4, W / 4, 4, O)`."""
    n, height, width, o = shape
    outputs = _along_both(_sums(r).to_outputs, multiplied.unflatten(0, (r + 3, r + 3)))
    return outputs.view(4, 4, n, height // 4, width // 4, o).permute(2, 3, 0, 4, 1, 5)


def _of_gradients(gradients: Tensor, r: int) -> Tensor:
    """Return the gradients of the products, `(n^2, N H W / 16, O)`, of those of the outputs."""
    n, height, width, o = gradients.shape
    parts = gradients.reshape(n, height // 4, 4, width // 4, 4, o).permute(2, 4, 0, 1, 3, 5).reshape(4, 4, -1, o)
    return _along_both(_sums(r).to_outputs, parts, turned=True).flatten(0, 1)


def _correlate(images: Tensor, kernel: Tensor, shape: tuple[int, int, int], r: int) -> Tensor:
    """Return the outputs, of this shape `(N, H, W)`, of both sides of the products, as a view `(N, H / 4, 4, W / 4, 4, O)`."""
    return _to_outputs(products(images, kernel), (*shape, kernel.shape[-1]), r)


def _padded(images: Tensor) -> Tensor:
    return pad(images, (0, 0, 1, 1, 1, 1))


def convolution(images: Tensor, kernel: Tensor, bias: Tensor | None, way: str) -> Tensor:
    """Return a convolution with padding 1, by fewer products where it pays.

    Args:
        images: `(N, C, H, W)`.
        kernel: As torch has it, 3x3 or 4x4.
        bias: `(O,)` or None.
        way: `same` (3x3), `halved` (4x4, stride 2) or `doubled` (4x4, stride 2, transposed).
    """
    if not _pays(images, kernel, way):
        if way == "doubled":
            return conv_transpose2d(images, kernel, bias, stride=2, padding=1)
        return conv2d(images, kernel, bias, stride=2 if way == "halved" else 1, padding=1)
    return _Convolution.apply(images.permute(0, 2, 3, 1), kernel, bias, way).permute(0, 3, 1, 2)


def _pays(images: Tensor, kernel: Tensor, way: str) -> bool:
    # what is exported for a batch of any size has no number to compare below
    if torch.compiler.is_exporting() or torch.jit.is_tracing() or images.dim() != 4:
        return False
    n, _, height, width = images.shape
    least = 8 if way == "halved" else 4  # outputs have sides that 4 divides
    return (
        min(kernel.shape[:2]) >= LEAST_CHANNELS[way]
        and images.device.type == "cpu"
        and images.dtype == kernel.dtype
        and images.dtype in (torch.float32, torch.float64)
        and not (height % least or width % least)
        and n * (height // least) * (width // least) >= LEAST_TILES
        and not torch.is_autocast_enabled("cpu")
    )


def _parts(images: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    """Return tensors cut along the batch, so that the sums before the products stay below their bound."""
    size = max(1, MOST // (3 * images[0].numel()))  # at most 36 products for 16 pixels
    return list(zip(*(tensor.split(size) for tensor in (images, *others)), strict=True))


def _one_of(*tensors: Tensor | None) -> Any:
    """Return a number made of all: what is allocated like it may be written to where vmap maps over any."""
    return sum(tensor[(0,) * tensor.dim()] for tensor in tensors if tensor is not None)


@torch.autocast("cpu", enabled=False)  # a backward pass may run inside of mixed precision
def convolve(images: Tensor, kernel: Tensor, bias: Tensor | None, way: str) -> Tensor:
    """Return the convolution of images `(N, H, W, C)`, without a graph."""
    n, height, width, _ = images.shape
    if way == "doubled":
        turned = kernel.flip(2, 3).transpose(0, 1)
        of_phases = [_of_kernel(turned[:, :, a::2, b::2]) for a, b in _PHASES]
        outputs = _one_of(images, kernel, bias).new_empty(n, 2 * height, 2 * width, kernel.shape[1])
        for part, into in _parts(images, outputs.view(n, height // 4, 4, 2, width // 4, 4, 2, -1)):
            padded = _padded(part)
            for (a, b), side in zip(_PHASES, of_phases, strict=True):
                windows = _of_images(padded[:, a : a + height + 1, b : b + width + 1], 2)
                into[:, :, :, a, :, :, b] = _correlate(windows, side, (len(part), height, width), 2)
            if bias is not None:
                into += bias
        return outputs
    r, halved = _TAPS[way], way == "halved"
    if halved:
        kernel = torch.cat([kernel[:, :, a::2, b::2] for a, b in _PHASES], 1)
        height, width = height // 2, width // 2
    side, outputs = _of_kernel(kernel), _one_of(images, kernel, bias).new_empty(n, height, width, len(kernel))
    for part, into in _parts(images, outputs.view(n, height // 4, 4, width // 4, 4, -1)):
        windows = _of_images(_padded(part), r, halved)
        into.copy_(_correlate(windows, side, (len(part), height, width), r))
        if bias is not None:
            into += bias
    return outputs


@torch.autocast("cpu", enabled=False)
def gradient_of_kernel(images: Tensor, gradients: Tensor, way: str) -> Tensor:
    """Return the gradient of the kernel of `convolve`, `same` or `halved`, for those of its outputs, without a graph."""
    r, halved, o, c = _TAPS[way], way == "halved", gradients.shape[-1], images.shape[-1]
    found = _one_of(images, gradients).new_zeros((r + 3) ** 2, o, 4 * c if halved else c)
    for part, outputs in _parts(images, gradients):
        found += products(_of_gradients(outputs, r).transpose(1, 2), _of_images(_padded(part), r, halved))
    kernel = _along_both(_sums(r).of_kernel, found.unflatten(0, (r + 3, r + 3)), turned=True)
    if halved:
        return kernel.view(2, 2, o, 2, 2, c).permute(2, 5, 0, 3, 1, 4).reshape(o, c, 4, 4)
    return kernel.permute(2, 3, 0, 1)


class _Convolution(Function):
    """`convolve` with derivatives of any order."""

    generate_vmap_rule = True

    @staticmethod
    def forward(images: Tensor, kernel: Tensor, bias: Tensor | None, way: str) -> Tensor:
        return convolve(images, kernel, bias, way)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        images, kernel, _, ctx.way = inputs
        ctx.save_for_backward(images, kernel)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (images, kernel), way, (g,) = ctx.saved_tensors, ctx.way, gradients
        of_images = of_kernel = of_bias = None
        if ctx.needs_input_grad[0]:
            of_images = _Convolution.apply(g, _turned(kernel, way), None, _BACK[way])
        if ctx.needs_input_grad[1]:
            of_kernel = _OfKernel.apply(g, images, "halved") if way == "doubled" else _OfKernel.apply(images, g, way)
        if ctx.needs_input_grad[2]:
            of_bias = g.sum((0, 1, 2))
        return of_images, of_kernel, of_bias, None


class _OfKernel(Function):
    """`gradient_of_kernel` with derivatives of any order."""

    generate_vmap_rule = True

    @staticmethod
    def forward(images: Tensor, gradients: Tensor, way: str) -> Tensor:
        return gradient_of_kernel(images, gradients, way)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        images, gradients, ctx.way = inputs
        ctx.save_for_backward(images, gradients)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, Tensor | None, None]:
        (images, of_outputs), way, (kernel,) = ctx.saved_tensors, ctx.way, gradients
        one = other = None
        if ctx.needs_input_grad[0]:
            one = _Convolution.apply(of_outputs, _turned(kernel, way), None, _BACK[way])
        if ctx.needs_input_grad[1]:
            other = _Convolution.apply(images, kernel, None, way)
        return one, other, None


def _turned(kernel: Tensor, way: str) -> Tensor:
    return kernel.flip(2, 3).transpose(0, 1) if way == "same" else kernel
