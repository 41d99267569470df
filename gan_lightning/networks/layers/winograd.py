"""3x3 and 4x4 convolutions of many channels with fewer products, on a CPU: Winograd's minimal filtering.

Two outputs of a filter with r taps need r + 1 products, not 2r (Lavin and Gray 2016, arXiv:1509.09308), so that a 3x3
convolution needs 16 for each 2x2 outputs in place of 36. A 4x4 convolution of stride 2, and its transpose, are 2x2
convolutions of the four phases of an image, which need 9 in place of 16. The products are matrix products over channels;
the sums before and after them cost memory traffic and pay where there are many channels. In float32 the largest error is
about 1e-5 standard deviations of the outputs; the derivatives are convolutions of the same kind, to any order.

Images here are `(N, H, W, C)`, of even sides.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import conv2d, conv_transpose2d, pad

LEAST_CHANNELS = 256
"""On both sides; below it the direct way is as fast, measured on a CPU with AVX2."""

MOST = 2**22
"""Numbers that the sums before the products may make at a time; a larger batch is done in parts."""

_OF_IMAGES = {
    2: [[1.0, -1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, -1.0]],
    3: [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]],
}
_OF_KERNELS = {
    2: [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]],
    3: [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]],
}
_TO_OUTPUTS = {2: [[1.0, 1.0, 0.0], [0.0, 1.0, -1.0]], 3: [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, -1.0]]}
_TAPS = {"same": 3, "halved": 2, "doubled": 2}
_BACK = {"same": "same", "halved": "doubled", "doubled": "halved"}
_PHASES = [(a, b) for a in (0, 1) for b in (0, 1)]


def _along_both(rows: list[list[float]], like: Tensor) -> Tensor:
    matrix = like.new_tensor(rows)
    return torch.kron(matrix, matrix)


def _of_images(padded: Tensor, r: int) -> Tensor:
    """Return the images' side of the products, `((r + 1)^2, N H W / 4, C)`, of `(N, H + r - 1, W + r - 1, C)`."""
    n, height, width, channels = padded.shape
    along, down, right, _ = padded.stride()
    tiles = padded.as_strided(
        (r + 1, r + 1, n, (height - r + 1) // 2, (width - r + 1) // 2, channels),
        (down, right, along, 2 * down, 2 * right, padded.stride(3)),
        padded.storage_offset(),
    )
    return torch.mm(_along_both(_OF_IMAGES[r], padded), tiles.reshape((r + 1) ** 2, -1)).view(
        (r + 1) ** 2, -1, channels
    )


def _of_kernel(kernel: Tensor, r: int) -> Tensor:
    """Return the kernel's side of the products, `((r + 1)^2, C, O)`, of `(O, C, r, r)`."""
    o, c = kernel.shape[:2]
    flat = kernel.permute(2, 3, 1, 0).reshape(r * r, c * o)
    return torch.mm(_along_both(_OF_KERNELS[r], kernel), flat).view(-1, c, o)


def _to_outputs(products: Tensor, shape: tuple[int, int, int, int], r: int) -> Tensor:
    """Return the outputs, of this shape `(N, H, W, O)`, as a view."""
    n, height, width, o = shape
    outputs = torch.mm(_along_both(_TO_OUTPUTS[r], products), products.reshape((r + 1) ** 2, -1))
    return outputs.view(2, 2, n, height // 2, width // 2, o).permute(2, 3, 0, 4, 1, 5)


def _of_gradients(gradients: Tensor, r: int) -> Tensor:
    """Return the gradients of the products, `((r + 1)^2, N H W / 4, O)`, of those of the outputs."""
    n, height, width, o = gradients.shape
    parts = gradients.reshape(n, height // 2, 2, width // 2, 2, o).permute(2, 4, 0, 1, 3, 5).reshape(4, -1)
    return torch.mm(_along_both(_TO_OUTPUTS[r], gradients).T, parts).view((r + 1) ** 2, -1, o)


def _correlate(padded: Tensor, kernel: Tensor) -> Tensor:
    """Return the correlation with a kernel `(O, C, r, r)`, as a view `(N, H / 2, 2, W / 2, 2, O)`."""
    r = kernel.shape[-1]
    n, height, width, _ = padded.shape
    products = torch.bmm(_of_images(padded, r), _of_kernel(kernel, r))
    return _to_outputs(products, (n, height - r + 1, width - r + 1, kernel.shape[0]), r)


def _padded(images: Tensor) -> Tensor:
    return pad(images, (0, 0, 1, 1, 1, 1))


def _phases(images: Tensor) -> Tensor:
    """Return the phases of padded images side by side: `(N, H / 2 + 1, W / 2 + 1, 4C)`."""
    padded = _padded(images)
    return torch.cat([padded[:, a::2, b::2] for a, b in _PHASES], -1)


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
    outputs = _Convolution.apply(images.permute(0, 2, 3, 1), kernel, way)
    return (outputs if bias is None else outputs + bias).permute(0, 3, 1, 2)


def _pays(images: Tensor, kernel: Tensor, way: str) -> bool:
    return (
        min(kernel.shape[:2]) >= LEAST_CHANNELS
        and images.device.type == "cpu"
        and images.dtype == kernel.dtype
        and images.dtype in (torch.float32, torch.float64)
        and images.dim() == 4
        and not any(side % (4 if way == "halved" else 2) for side in images.shape[2:])
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_exporting()
        and not torch.jit.is_tracing()
    )


def _parts(images: Tensor, *others: Tensor) -> list[tuple[Tensor, ...]]:
    """Return tensors cut along the batch, so that the sums before the products stay below their bound."""
    size = max(1, MOST // (4 * images[0].numel()))  # 16 products for 4 pixels; 9 where it is 4x4
    return list(zip(*(tensor.split(size) for tensor in (images, *others)), strict=True))


def convolve(images: Tensor, kernel: Tensor, way: str) -> Tensor:
    """Return the convolution of images `(N, H, W, C)`, without a graph and without a bias."""
    return torch.cat([_convolve(part, kernel, way) for (part,) in _parts(images)])


def _convolve(images: Tensor, kernel: Tensor, way: str) -> Tensor:
    n, height, width, _ = images.shape
    if way == "same":
        return _correlate(_padded(images), kernel).reshape(n, height, width, -1)
    if way == "halved":
        joined = torch.cat([kernel[:, :, a::2, b::2] for a, b in _PHASES], 1)
        return _correlate(_phases(images), joined).reshape(n, height // 2, width // 2, -1)
    padded, turned = _padded(images), kernel.flip(2, 3).transpose(0, 1)
    outputs = images.new_empty(n, height // 2, 2, 2, width // 2, 2, 2, kernel.shape[1])
    for a, b in _PHASES:
        part = padded[:, a : a + height + 1, b : b + width + 1]
        outputs[:, :, :, a, :, :, b] = _correlate(part, turned[:, :, a::2, b::2])
    return outputs.view(n, 2 * height, 2 * width, -1)


def gradient_of_kernel(images: Tensor, gradients: Tensor, way: str) -> Tensor:
    """Return the gradient of the kernel of `convolve`, `same` or `halved`, for those of its outputs, without a graph."""
    r, o, c = _TAPS[way], gradients.shape[-1], images.shape[-1]
    products = images.new_zeros((r + 1) ** 2, o, c if way == "same" else 4 * c)
    for part, outputs in _parts(images, gradients):
        side = _of_images(_padded(part) if way == "same" else _phases(part), r)
        products = torch.baddbmm(products, _of_gradients(outputs, r).transpose(1, 2), side)
    kernel = torch.mm(_along_both(_OF_KERNELS[r], products).T, products.view((r + 1) ** 2, -1))
    if way == "same":
        return kernel.view(3, 3, o, c).permute(2, 3, 0, 1)
    return kernel.view(2, 2, o, 2, 2, c).permute(2, 5, 0, 3, 1, 4).reshape(o, c, 4, 4)


class _Convolution(Function):
    """`convolve` with derivatives of any order."""

    generate_vmap_rule = True

    @staticmethod
    def forward(images: Tensor, kernel: Tensor, way: str) -> Tensor:
        return convolve(images, kernel, way)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        images, kernel, ctx.way = inputs
        ctx.save_for_backward(images, kernel)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, Tensor | None, None]:
        (images, kernel), way, (g,) = ctx.saved_tensors, ctx.way, gradients
        of_images = of_kernel = None
        if ctx.needs_input_grad[0]:
            of_images = _Convolution.apply(g, _turned(kernel, way), _BACK[way])
        if ctx.needs_input_grad[1]:
            of_kernel = _OfKernel.apply(g, images, "halved") if way == "doubled" else _OfKernel.apply(images, g, way)
        return of_images, of_kernel, None


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
            one = _Convolution.apply(of_outputs, _turned(kernel, way), _BACK[way])
        if ctx.needs_input_grad[1]:
            other = _Convolution.apply(images, kernel, way)
        return one, other, None


def _turned(kernel: Tensor, way: str) -> Tensor:
    return kernel.flip(2, 3).transpose(0, 1) if way == "same" else kernel
