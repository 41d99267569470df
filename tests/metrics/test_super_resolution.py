"""PSNR and SSIM on luma, against closed forms."""

from __future__ import annotations

import math

import torch
from torch.testing import assert_close

from gan_lightning.metrics.super_resolution import fidelity_of_pictures, luma


def test_luma_has_known_ends_and_primaries():
    pixels = torch.tensor([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.uint8)
    found = luma(pixels[:, :, None, None]).flatten()
    assert_close(found, torch.tensor([16, 235, 81.481, 144.553, 40.966], dtype=torch.float64))


def test_psnr_of_a_shift_and_ssim_of_flat_pictures():
    one = torch.full((1, 1, 20, 20), 100, dtype=torch.uint8)
    other = torch.full((1, 1, 20, 20), 110, dtype=torch.uint8)
    psnr, ssim = fidelity_of_pictures(one, other, 2)[0].tolist()
    assert math.isclose(psnr, 20 * math.log10(25.5), rel_tol=1e-9)
    c1 = (0.01 * 255) ** 2
    assert math.isclose(ssim, (2 * 100 * 110 + c1) / (100**2 + 110**2 + c1), rel_tol=1e-6)


def test_the_border_is_left_out():
    one = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8)
    other = one.clone()
    other[:, :, :4] = 0
    assert fidelity_of_pictures(one, other, 4)[:, 0].tolist() == [100, 100]
    assert fidelity_of_pictures(one, other, 3)[:, 0].max() < 60
    assert fidelity_of_pictures(one, other, 8)[:, 1].isnan().all()  # 8 pixels are left


def test_colour_counts_by_its_luma():
    one = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    other = one.clone()
    other[:, 2] = 51  # blue: 24.966 * 51 / 255 in luma
    psnr = fidelity_of_pictures(one, other, 2)[0, 0].item()
    assert math.isclose(psnr, 20 * math.log10(255 / (24.966 * 0.2)), rel_tol=1e-9)
