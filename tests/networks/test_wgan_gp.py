from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, relu

from gan_lightning.networks import (
    WGANGPCNNCritic,
    WGANGPCNNGenerator,
    WGANGPGoodCritic,
    WGANGPResNetCritic,
    WGANGPResNetGenerator,
)
from gan_lightning.shapes import shape_of


def pool(maps: Tensor) -> Tensor:
    return maps.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))


def up(maps: Tensor) -> Tensor:
    return maps.repeat_interleave(2, 2).repeat_interleave(2, 3)


def conv(layer: nn.Conv2d, maps: Tensor) -> Tensor:
    """The 3x3 convolution that a layer stands for, without the change of resolution that it may be joined with."""
    return conv2d(maps, layer.weight, layer.bias, padding=1)


def test_a_plain_block_is_x_plus_two_convolutions_and_the_features_are_means() -> None:
    torch.manual_seed(0)
    critic: Any = WGANGPResNetCritic(shape_of(8, 3), width=4).double()
    images = torch.randn(2, 3, 8, 8, dtype=torch.double)
    first, second, third, _ = critic.layers
    hidden = first(images)
    torch.testing.assert_close(
        hidden, pool(conv(first.conv2, relu(first.conv1(images)))) + first.shortcut(pool(images)), rtol=1e-9, atol=1e-9
    )
    for block in (second, third):
        hidden = hidden + block.conv2(relu(block.conv1(relu(hidden))))
    torch.testing.assert_close(critic.features(images), relu(hidden).flatten(2).sum(2) / 16)


def test_a_halving_block_pools_both_branches() -> None:
    torch.manual_seed(0)
    block: Any = WGANGPResNetCritic(shape_of(32, 3), width=4).double().layers[1]
    inputs = torch.randn(2, 4, 8, 8, dtype=torch.double)
    expected = pool(conv(block.conv2, relu(block.conv1(relu(inputs))))) + pool(block.shortcut(inputs))
    torch.testing.assert_close(block(inputs), expected)


def test_a_doubling_block_repeats_pixels_before_its_first_convolution() -> None:
    torch.manual_seed(0)
    block: Any = WGANGPResNetGenerator(shape_of(8, 3), width=4).double().decoder.blocks[0].eval()
    inputs = torch.randn(2, 4, 4, 4, dtype=torch.double)
    scale = (1 + 1e-5) ** -0.5  # batch normalisation at its start, in eval mode
    hidden = conv(block.conv1, up(relu(inputs * scale)))
    expected = block.conv2(relu(hidden * scale)) + block.shortcut(up(inputs))
    torch.testing.assert_close(block(inputs), expected)


def test_the_good_critic_normalises_each_sample_over_channels_and_pixels() -> None:
    torch.manual_seed(0)
    block: Any = WGANGPGoodCritic(shape_of(16, 3), width=4).double().blocks[0]
    nn.init.normal_(block.norm1.weight)
    nn.init.normal_(block.norm1.bias)
    inputs = 5 + 3 * torch.randn(2, 4, 8, 8, dtype=torch.double)
    mean, var = inputs.mean(dim=(1, 2, 3), keepdim=True), inputs.var(dim=(1, 2, 3), keepdim=True, unbiased=False)
    gain, offset = block.norm1.weight.view(1, 4, 1, 1), block.norm1.bias.view(1, 4, 1, 1)
    torch.testing.assert_close(block.norm1(inputs), gain * (inputs - mean) / (var + 1e-5).sqrt() + offset)
    assert block.conv1.bias is None


def bound(fans: float, gain: float) -> float:
    return gain * (6 / fans) ** 0.5


def test_initial_bounds_follow_the_authors_code() -> None:
    torch.manual_seed(0)
    generator: Any = WGANGPCNNGenerator(shape_of(32, 3), width=16)
    critic: Any = WGANGPResNetCritic(shape_of(32, 3))
    resnet: Any = WGANGPResNetGenerator(shape_of(32, 3))
    upwards = next(m for m in generator.modules() if isinstance(m, nn.ConvTranspose2d))  # 64 -> 32, 5x5, stride 2
    downwards = next(
        m for m in WGANGPCNNCritic(shape_of(32, 32), width=64).modules() if isinstance(m, nn.Conv2d)
    )  # 32 -> 64
    cases: list[tuple[Any, float]] = [
        (upwards, bound(64 * 25 / 4 + 32 * 25, 2**0.5)),
        (downwards, bound(32 * 25 + 64 * 25 / 4, 2**0.5)),
        (critic.layers[1].conv1, bound(2 * 128 * 9, 2**0.5)),
        (critic.layers[1].shortcut, bound(2 * 128, 1)),
        (critic.output, bound(128 + 1, 1)),
        (resnet.decoder.output, bound((128 + 3) * 9, 1)),
    ]
    for layer, expected in cases:
        torch.testing.assert_close(layer.weight.abs().max().item(), expected, rtol=0.03, atol=0)
        assert not layer.bias.any()


def test_the_conditional_generator_needs_labels_and_uses_them() -> None:
    generator: Any = WGANGPResNetGenerator(shape_of(8, 3), width=4, n_classes=3)
    latents = torch.randn(1, 128).expand(3, -1)
    with pytest.raises(ValueError, match="n_classes"):
        generator(latents)
    for block in generator.decoder.blocks:
        nn.init.normal_(block.norm1.gain.weight)
    images = generator.eval()(latents, torch.tensor([0, 1, 1]))
    assert torch.equal(images[1], images[2])
    assert (images[0] - images[1]).abs().max() > 1e-3


def test_the_norm_argument_leaves_the_first_layer_alone() -> None:
    critic: Any = WGANGPCNNCritic(shape_of(32, 3), width=4, norm=nn.BatchNorm2d)
    assert [m.num_features for m in critic.modules() if isinstance(m, nn.BatchNorm2d)] == [8, 16]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in WGANGPCNNCritic(shape_of(32, 3), width=4).modules())
