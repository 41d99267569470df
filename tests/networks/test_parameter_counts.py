"""Every published network has as many parameters as its layer list says: weights, biases, gains and offsets."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gan_lightning import networks
from gan_lightning.networks import CriticFactory, GeneratorFactory
from gan_lightning.shapes import shape_of

PUBLISHED = [
    (networks.DCGANGenerator, networks.DCGANCritic, 64, 3_576_704, 2_765_568),
    (networks.DCGANGenerator, networks.DCGANCritic, 32, 1_068_928, 663_296),
    (networks.WGANGPCNNGenerator, networks.WGANGPCNNCritic, 32, 5_179_907, 4_114_689),
    (networks.WGANGPResNetGenerator, networks.WGANGPResNetCritic, 32, 1_204_483, 1_053_825),
    (networks.SNGANCNNGenerator, networks.SNGANCNNCritic, 32, 3_812_355, 2_935_873),
    (networks.SNGANCNNGenerator, networks.SNGANCNNCritic, 48, 5_133_315, 2_946_113),
    (networks.SNGANResNetGenerator, networks.SNGANResNetCritic, 32, 4_276_739, 1_053_824),
    (networks.SNGANResNetGenerator, networks.SNGANResNetCritic, 48, 4_878_083, 10_141_441),
    (networks.SNGANResNetGenerator, networks.SNGANResNetCritic, 64, 12_220_675, 10_141_441),
    (networks.SNGANResNetGenerator, networks.SNGANResNetCritic, 128, 32_150_787, 29_017_857),
]


def n_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("generator", "critic", "image_size", "n_generator", "n_critic"), PUBLISHED)
def test_published_networks_have_their_parameter_counts(
    generator: GeneratorFactory, critic: CriticFactory, image_size: int, n_generator: int, n_critic: int
) -> None:
    with torch.device("meta"):
        assert n_parameters(generator(shape_of(image_size, 3))) == n_generator
        assert n_parameters(critic(shape_of(image_size, 3))) == n_critic


def test_conditional_sngan_adds_a_gain_and_an_offset_per_class_and_block_and_an_embedding() -> None:
    n_classes = 10
    with torch.device("meta"):
        generator: Any = networks.SNGANResNetGenerator(shape_of(32, 3), n_classes=n_classes)
        critic: Any = networks.SNGANResNetCritic(shape_of(32, 3), n_classes=n_classes)
    # Three blocks of two normalisations with 256 channels each: the affine pair of one class becomes that of ten.
    assert n_parameters(generator) == 4_276_739 + 3 * 2 * (n_classes - 1) * 2 * 256
    assert n_parameters(critic) == 1_053_824 + n_classes * 128


def conv(n_in: int, n_out: int, kernel: int, bias: int) -> int:
    return n_in * n_out * kernel**2 + n_out * bias


def test_the_good_networks_of_wgan_gp_have_the_widths_of_their_code() -> None:
    with torch.device("meta"):
        generator: Any = networks.WGANGPGoodGenerator(shape_of(64, 3))
        critic: Any = networks.WGANGPGoodCritic(shape_of(64, 3))
    up = sum(
        2 * a + conv(a, b, 3, 0) + 2 * b + conv(b, b, 3, 1) + conv(a, b, 1, 1)
        for a, b in [(512, 512), (512, 256), (256, 128), (128, 64)]
    )
    assert n_parameters(generator) == 128 * 8192 + 8192 + up + 2 * 64 + conv(64, 3, 3, 1)
    down = sum(
        2 * a + conv(a, a, 3, 0) + 2 * a + conv(a, b, 3, 1) + conv(a, b, 1, 1)
        for a, b in [(64, 128), (128, 256), (256, 512), (512, 512)]
    )
    assert n_parameters(critic) == conv(3, 64, 3, 1) + down + 8192 + 1
