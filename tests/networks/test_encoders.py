from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gan_lightning.networks import ConvEncoder, ConvJointCritic, MLPEncoder, MLPJointCritic
from gan_lightning.shapes import shape_of
from gan_lightning.stabilizers.slopes import couples_batch


@pytest.mark.parametrize(("image_size", "channels"), [(8, 1), (28, 1), (32, 3)])
def test_images_to_codes_and_pairs_to_logits(image_size, channels):
    images = torch.rand(3, channels, image_size, image_size) * 2 - 1
    for encoder in (
        ConvEncoder(shape_of(image_size, channels), 10, width=4, hidden_width=6),
        MLPEncoder(shape_of(image_size, channels), 10, width=6),
    ):
        assert encoder(images).shape == (3, 10)
    for critic in (
        ConvJointCritic(shape_of(image_size, channels), 5, width=4, latent_width=6, joint_width=7),
        MLPJointCritic(shape_of(image_size, channels), 5, width=6),
    ):
        assert critic(images, torch.randn(3, 5)).shape == (3,)


def test_the_fully_connected_ones_are_compositions_of_their_linear_maps():
    encoder: Any = MLPEncoder(shape_of(4, 2), 3, width=6, n_layers=1).double()
    images = torch.randn(5, 2, 4, 4, dtype=torch.double)
    first, last = [m for m in encoder.modules() if isinstance(m, nn.Linear)]
    hidden = images.reshape(5, 32) @ first.weight.T + first.bias
    torch.testing.assert_close(encoder(images), torch.maximum(hidden, 0.2 * hidden) @ last.weight.T + last.bias)
    critic: Any = MLPJointCritic(shape_of(0, 2), 3, width=6, n_layers=1).double()
    x, z = torch.randn(5, 2, dtype=torch.double), torch.randn(5, 3, dtype=torch.double)
    first, last = [m for m in critic.modules() if isinstance(m, nn.Linear)]
    hidden = torch.cat([x, z], 1) @ first.weight.T + first.bias
    expected = (torch.maximum(hidden, 0.2 * hidden) @ last.weight.T + last.bias)[:, 0]
    torch.testing.assert_close(critic(x, z), expected)


def test_the_convolutional_critic_judges_the_pair_and_not_its_parts():
    """A critic that were a sum of one of x and one of z could not tell matched pairs from mismatched ones."""
    torch.manual_seed(0)
    critic: Any = ConvJointCritic(shape_of(8, 1), 3, width=4, latent_width=8, joint_width=8).double()
    x, z = torch.randn(2, 1, 8, 8, dtype=torch.double), 3 * torch.randn(2, 3, dtype=torch.double)
    pairs = [critic(x[i : i + 1], z[j : j + 1]).item() for i in (0, 1) for j in (0, 1)]
    assert abs(pairs[0] + pairs[3] - pairs[1] - pairs[2]) > 1e-6


def test_only_normalisations_over_the_batch_couple_it():
    assert couples_batch(ConvEncoder(shape_of(8, 1), 4, width=4)) and not couples_batch(
        ConvJointCritic(shape_of(8, 1), 4, width=4)
    )
    assert couples_batch(MLPEncoder(shape_of(8, 1), 4, width=4, batch_norm=True)) and not couples_batch(
        MLPEncoder(shape_of(8, 1), 4)
    )
    with pytest.raises(ValueError, match="n_layers of MLPEncoder must be at least 1, got 0"):
        MLPEncoder(shape_of(8, 1), 4, n_layers=0)
    with pytest.raises(ValueError, match="let the data resize to 32"):
        ConvEncoder(shape_of(30, 1), 4)
