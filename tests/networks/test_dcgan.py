from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from gan_lightning.networks import ChannelLayerNorm, DCGANCritic, DCGANGenerator
from gan_lightning.shapes import shape_of


def shapes(module: nn.Module, kind: Any) -> list[tuple[int, int, tuple[int, ...]]]:
    return [(m.in_channels, m.out_channels, m.kernel_size) for m in module.modules() if isinstance(m, kind)]


def test_28_starts_at_7x7_with_128_channels() -> None:
    generator: Any = shapes(DCGANGenerator(shape_of(28, 1)), nn.ConvTranspose2d)
    assert generator == [(100, 128, (7, 7)), (128, 64, (4, 4)), (64, 1, (4, 4))]
    critic: Any = DCGANCritic(shape_of(28, 1))
    assert shapes(critic, nn.Conv2d) == [(1, 64, (4, 4)), (64, 128, (4, 4))]
    assert critic.n_features == 128 * 7 * 7


def test_128_has_one_doubling_more_than_64() -> None:
    with torch.device("meta"):
        generator, critic = DCGANGenerator(shape_of(128, 3)), DCGANCritic(shape_of(128, 3))
    assert [n_out for _, n_out, _ in shapes(generator, nn.ConvTranspose2d)] == [1024, 512, 256, 128, 64, 3]
    assert [n_out for _, n_out, _ in shapes(critic, nn.Conv2d)] == [64, 128, 256, 512, 1024]


def test_weights_start_at_the_papers_spread() -> None:
    torch.manual_seed(0)
    for network in (DCGANGenerator(shape_of(32, 3)), DCGANCritic(shape_of(32, 3))):
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                assert layer.bias is None
                torch.testing.assert_close(layer.weight.std().item(), 0.02, rtol=0.1, atol=0)
            elif isinstance(layer, nn.BatchNorm2d):
                torch.testing.assert_close(layer.weight.mean().item(), 1.0, rtol=0.01, atol=0)
                torch.testing.assert_close(layer.weight.std().item(), 0.02, rtol=0.4, atol=0)
                assert not layer.bias.any()


def test_the_head_is_the_published_valid_convolution() -> None:
    critic: Any = DCGANCritic(shape_of(16, 3), width=4).eval()
    images = torch.randn(2, 3, 16, 16)
    maps = critic.layers[:-1](images)
    assert maps.shape == (2, 8, 4, 4)
    expected = conv2d(maps, critic.output.weight.view(1, 8, 4, 4)).flatten()
    torch.testing.assert_close(critic(images), expected)


@pytest.mark.parametrize(("norm", "couples"), [(nn.BatchNorm2d, True), (nn.Identity, False), (ChannelLayerNorm, False)])
def test_only_batch_norm_couples_the_samples_of_a_batch(norm: type[nn.Module], couples: bool) -> None:
    torch.manual_seed(0)
    critic: Any = DCGANCritic(shape_of(16, 3), width=4, norm=norm).double()
    images = torch.randn(4, 3, 16, 16, dtype=torch.double)
    together, alone = critic(images), torch.cat([critic(image[None]) for image in images])
    assert torch.allclose(together, alone, rtol=1e-9, atol=0) is not couples
