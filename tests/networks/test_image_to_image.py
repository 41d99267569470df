"""Style networks and upscalers: sizes, strength, what they look at, and that pieces equal the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.testing import assert_close

from gan_lightning.errors import UserError
from gan_lightning.evaluation.enlarging import in_tiles
from gan_lightning.networks import RRDBNet, SRResNet, Stylizer
from gan_lightning.networks.super_resolution import bicubic
from gan_lightning.shapes import Images, Pair


def pair(factor: int, channels: int = 3) -> Pair:
    return Pair(Images(8, 8, channels), Images(8 * factor, 8 * factor, channels))


UPSCALERS = [
    lambda factor, **own: SRResNet(pair(factor), width=4, n_blocks=1, **own),
    lambda factor, **own: RRDBNet(pair(factor), width=4, growth=2, n_blocks=1, **own),
]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("make", UPSCALERS)
def test_upscalers_take_any_size(make, factor):
    network = make(factor).eval()
    for height, width in ((8, 8), (1, 5), (13, 6)):
        assert network(torch.zeros(2, 3, height, width)).shape == (2, 3, factor * height, factor * width)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("make", UPSCALERS)
def test_upscalers_look_no_further_than_they_say(make, factor):
    network = make(factor).eval()
    side = 2 * network.reach + 5
    images = torch.rand(1, 3, side, side, requires_grad=True)
    middle = factor * (side // 2)
    network(images)[0, :, middle : middle + factor, middle : middle + factor].sum().backward()
    seen = images.grad[0].abs().sum(0).nonzero()
    far = (seen - side // 2).abs().max().item()
    assert 0 < far <= network.reach


@pytest.mark.parametrize("make", UPSCALERS)
def test_pieces_equal_the_whole(make):
    network = make(2).eval()
    images = torch.rand(1, 3, 40, 33) * 2 - 1
    with torch.no_grad():
        whole = network(images)
        pieces = in_tiles(network, images, 2, tile=16, overlap=network.reach)
        torn = in_tiles(network, images, 2, tile=16, overlap=0)
    assert (pieces - whole).abs().max() < 2 / 255 / 100  # 1 / 255 of the range is 2 / 255
    assert (torn - whole).abs().max() > 2 / 255


@pytest.mark.parametrize("make", UPSCALERS)
def test_an_upscaler_on_bicubic_starts_near_it(make):
    images = torch.rand(1, 3, 12, 12) * 2 - 1
    network = make(2).eval()
    assert (network(images) - bicubic(images, 2)).abs().mean() < 0.2
    with torch.no_grad():
        network.output.weight.zero_()
    assert_close(network(images), bicubic(images, 2))


def test_bicubic_is_pillows():
    ramp = (torch.arange(64).reshape(1, 1, 8, 8) * 4 - 128).float() / 128
    found = bicubic(ramp, 4)[0, 0].numpy()
    made = np.asarray(Image.fromarray(ramp[0, 0].numpy()).resize((32, 32), Image.Resampling.BICUBIC))
    assert np.abs(found - made).max() < 1e-5


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (Images(8, 8, 3), "needs pairs"),
        (Pair(Images(8, 8, 3), Images(24, 24, 3)), "2 or 4 times"),
        (Pair(Images(8, 8, 1), Images(16, 16, 3)), "same channels"),
    ],
)
def test_pairs_that_are_no_super_resolution_are_refused(shape, words):
    with pytest.raises(UserError, match=words):
        SRResNet(shape, width=4, n_blocks=1)


def test_a_stylizer_takes_any_size_and_stays_in_range():
    network = Stylizer(Images(16, 16, 3), width=4, n_blocks=1, n_classes=2)
    for height, width in ((16, 16), (17, 30), (5, 9), (1, 1)):
        found = network(torch.rand(2, 3, height, width), torch.tensor([0, 1]))
        assert found.shape == (2, 3, height, width) and found.abs().max() <= 1


def test_at_strength_0_an_untrained_stylizer_gives_the_picture_back():
    network = Stylizer(Images(16, 16, 3), width=4, n_blocks=1, n_classes=2)
    nn.init.zeros_(network.output.bias)
    images = 2 * torch.rand(2, 3, 17, 16) - 1
    found = network(images, torch.tensor([0, 1]), torch.zeros(2))
    assert_close(found, 0.99 * images)


def test_strength_leads_from_one_picture_for_all_styles_to_each_style():
    network = Stylizer(Images(16, 16, 3), width=4, n_blocks=1, n_classes=2)
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, 1)
    images, labels = torch.rand(1, 3, 16, 16).expand(2, -1, -1, -1), torch.tensor([0, 1])
    none, half, full = (network(images, labels, torch.full((2,), s)) for s in (0.0, 0.5, 1.0))
    assert_close(none[0], none[1])
    assert not torch.allclose(full[0], full[1], atol=1e-3)
    assert torch.equal(full, network(images, labels))
    assert not torch.allclose(half, full, atol=1e-3) and not torch.allclose(half, none, atol=1e-3)
