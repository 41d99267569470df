from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.networks import SNGANCNNCritic, SNGANCNNGenerator, SNGANResNetCritic, SNGANResNetGenerator
from gan_lightning.shapes import shape_of


def block_widths(generator: Any) -> list[int]:
    return [block.conv1.in_channels for block in generator.decoder.blocks] + [generator.decoder.output.in_channels]


@pytest.mark.parametrize(
    ("image_size", "widths"),
    [
        (32, [256, 256, 256, 256]),
        (48, [512, 256, 128, 64]),
        (64, [1024, 512, 256, 128, 64]),
        (128, [1024, 1024, 512, 256, 128, 64]),
    ],
)
def test_generator_widths_are_the_published_ones_and_scale(image_size: int, widths: list[int]) -> None:
    with torch.device("meta"):
        assert block_widths(SNGANResNetGenerator(shape_of(image_size, 3))) == widths
        tiny = SNGANResNetGenerator(shape_of(image_size, 3), width=8)
    assert block_widths(tiny) == [8 * width // widths[-1] for width in widths]


@pytest.mark.parametrize(
    ("image_size", "width", "resolutions"),
    [
        (8, 4, [4, 4, 4]),
        (16, 4, [8, 8, 8]),
        (28, 4, [14, 14, 14]),
        (32, 4, [16, 8, 8, 8]),
        (48, 4, [24, 12, 6, 3, 3]),
        (64, 4, [32, 16, 8, 4, 2]),
        (128, 4, [64, 32, 16, 8, 4, 4]),
    ],
)
def test_critic_resolutions(image_size: int, width: int, resolutions: list[int]) -> None:
    critic: Any = SNGANResNetCritic(shape_of(image_size, 1), width=width)
    hidden, seen = torch.randn(1, 1, image_size, image_size), []
    for block in critic.layers[:-1]:
        hidden = block(hidden)
        seen.append(hidden.shape[-1])
    assert seen == resolutions


def test_sizes_without_a_published_width_ask_for_one() -> None:
    for network in (SNGANResNetGenerator, SNGANResNetCritic):
        with pytest.raises(ValueError, match="image_size 16 has no published width .*set the network's width"):
            network(shape_of(16, 1))


def test_features_are_the_sum_over_pixels() -> None:
    # A critic whose convolutions only pass a constant on: every feature of every pixel is relu(b), whatever the image.
    critic: Any = SNGANResNetCritic(shape_of(16, 1), width=4, n_power_iterations=0)
    for parameter in critic.parameters():
        nn.init.zeros_(parameter)
    nn.init.constant_(critic.layers[-2].conv2.bias, 0.25)
    nn.init.ones_(critic.output.weight)
    images = torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(critic.features(images), torch.full((3, 4), 0.25 * 8 * 8))
    torch.testing.assert_close(critic(images), torch.full((3,), 4 * 0.25 * 8 * 8))


def test_the_projection_adds_the_inner_product_with_the_normalised_embedding() -> None:
    torch.manual_seed(0)
    critic: Any = SNGANResNetCritic(shape_of(8, 3), width=6, n_classes=5)
    images, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 4, 2, 2])
    for _ in range(50):
        critic(images, labels)
    critic.eval()
    features = critic.layers(images).flatten(2).sum(2)
    raw_embedding = critic.embedding.parametrizations.weight.original.detach()
    embedding = raw_embedding / torch.linalg.matrix_norm(raw_embedding, ord=2)
    raw_output = critic.output.parametrizations.weight.original.detach()
    output = raw_output / raw_output.norm()
    expected = torch.stack(
        [features[i] @ output[0] + features[i] @ embedding[label] for i, label in enumerate(labels.tolist())]
    )
    torch.testing.assert_close(critic(images, labels), expected, rtol=1e-3, atol=1e-3)
    assert critic.output.bias is None


def test_conditional_networks_ask_for_labels_and_unconditional_ones_ignore_them() -> None:
    images, latents, labels = torch.randn(2, 3, 8, 8), torch.randn(2, 128), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="n_classes"):
        SNGANResNetCritic(shape_of(8, 3), width=4, n_classes=2)(images)
    with pytest.raises(ValueError, match="n_classes"):
        SNGANResNetGenerator(shape_of(8, 3), width=4, n_classes=2)(latents)
    critic, generator = (
        SNGANResNetCritic(shape_of(8, 3), width=4).eval(),
        SNGANResNetGenerator(shape_of(8, 3), width=4).eval(),
    )
    assert torch.equal(critic(images, labels), critic(images))
    assert torch.equal(generator(latents, labels), generator(latents))


def test_the_conditional_generator_has_conditional_norms_in_blocks_and_a_plain_last_one() -> None:
    generator: Any = SNGANResNetGenerator(shape_of(16, 3), width=4, n_classes=7)
    tables = [m for m in generator.modules() if isinstance(m, nn.Embedding)]
    assert len(tables) == 2 * 2 * 2  # blocks, norms in each, gain and offset
    assert all(table.weight.shape == (7, 4) for table in tables)
    assert generator.decoder.norm.affine


@pytest.mark.parametrize(
    "critic", [SNGANCNNCritic(shape_of(16, 3), width=4), SNGANResNetCritic(shape_of(16, 3), width=4, n_classes=3)]
)
def test_every_layer_of_the_critic_is_normalised(critic: Any) -> None:
    layers = [m for m in critic.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(layers) >= 8
    assert all(is_parametrized(layer, "weight") for layer in layers)


@pytest.mark.parametrize("critic", [SNGANCNNCritic, SNGANResNetCritic])
def test_no_power_iterations_leaves_the_weights_alone(critic: Any) -> None:
    network: Any = critic(shape_of(16, 3), width=4, n_power_iterations=0)
    assert not any(is_parametrized(m) for m in network.modules())


def test_the_residual_networks_start_after_glorot() -> None:
    torch.manual_seed(0)
    generator: Any = SNGANResNetGenerator(shape_of(32, 3))
    critic: Any = SNGANResNetCritic(shape_of(32, 3), n_classes=10)
    block: Any = critic.layers[1]
    cases = [
        (generator.decoder.blocks[0].conv1.weight, 2 * 6 / (2 * 256 * 9)),
        (generator.decoder.blocks[0].shortcut.weight, 6 / (2 * 256)),
        (generator.decoder.input.weight, 6 / (128 + 4096)),
        (generator.decoder.output.weight, 6 / ((256 + 3) * 9)),
        (block.conv2.parametrizations.weight.original, 2 * 6 / (2 * 128 * 9)),
        (block.shortcut.parametrizations.weight.original, 6 / (2 * 128)),
        (critic.embedding.parametrizations.weight.original, 6 / (10 + 128)),
    ]
    for weight, squared_bound in cases:
        torch.testing.assert_close(weight.abs().max().item(), squared_bound**0.5, rtol=0.02, atol=0)


def test_the_cnn_critic_has_the_papers_convolutions() -> None:
    convolutions = [m for m in SNGANCNNCritic(shape_of(32, 3)).modules() if isinstance(m, nn.Conv2d)]
    assert [(m.out_channels, m.kernel_size[0], m.stride[0]) for m in convolutions] == [
        (64, 3, 1), (64, 4, 2), (128, 3, 1), (128, 4, 2), (256, 3, 1), (256, 4, 2), (512, 3, 1),
    ]  # fmt: skip
    generator: Any = SNGANCNNGenerator(shape_of(48, 3), width=4)
    assert [m.num_features for m in generator.modules() if isinstance(m, nn.BatchNorm2d)] == [16, 8, 4]
    assert type(generator.layers[2]) is nn.ConvTranspose2d  # nothing between it and the linear map
