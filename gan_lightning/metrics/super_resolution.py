"""PSNR and SSIM as super-resolution is measured by: on luma, in 8 bits, without the border."""

from __future__ import annotations

import torch
from torch import Tensor

SSIM_WINDOW = 11
"""Side of the window of SSIM, below which pictures have none."""


def luma(images: Tensor) -> Tensor:
    """Return the Y of ITU-R 601 in 16 ... 235, as MATLAB's rgb2ycbcr has it and the papers measure on.

    Example:
        >>> luma(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)).item()
        235.0

    Args:
        images: uint8 images `(N, 3, H, W)`; grey ones `(N, 1, H, W)` stay as they are.

    Returns:
        Floats `(N, 1, H, W)`, not rounded.
    """
    if images.shape[1] == 1:
        return images.double()
    weights = torch.tensor([65.481, 128.553, 24.966], dtype=torch.float64, device=images.device) / 255
    return 16 + (images[:, :3].double() * weights[:, None, None]).sum(1, keepdim=True)


def fidelity_of_pictures(real: Tensor, fake: Tensor, border: int) -> Tensor:
    """Return PSNR in dB and SSIM of each pair of pictures, on luma, without a border: `(N, 2)`.

    PSNR is 10 log10(255^2 / MSE), at most 100 (equal pictures); SSIM is that of Wang et al. (2004) with a Gaussian window of
    11 pixels and sigma 1.5, by torchmetrics, NaN where less than 11 pixels are left.

    Example:
        >>> pictures = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
        >>> fidelity_of_pictures(pictures, pictures, border=2)[0].tolist()
        [100.0, 1.0]

    Args:
        real: uint8 images `(N, C, H, W)`, grey or RGB.
        fake: As many of the same size.
        border: Pixels to leave out on each side; most often the factor of the enlargement.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    height, width = real.shape[2:]
    inside = (slice(None), slice(None), slice(border, height - border), slice(border, width - border))
    one, other = luma(real)[inside], luma(fake)[inside]
    error = (one - other).square().mean((1, 2, 3))
    psnr = (10 * torch.log10(255**2 / error.clamp(min=1e-30))).clamp(max=100)
    if min(one.shape[2:]) < SSIM_WINDOW:
        return torch.stack([psnr, torch.full_like(psnr, torch.nan)], 1)
    ssim = structural_similarity_index_measure(other, one, data_range=255.0, sigma=1.5, reduction="none")
    assert isinstance(ssim, Tensor)
    return torch.stack([psnr, ssim.reshape(-1).to(psnr)], 1)
