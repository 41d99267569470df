from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from gan_lightning.networks import ChannelLayerNorm, ConditionalBatchNorm2d
from gan_lightning.networks.layers.conditional import batch_norm, normalize


def test_it_is_the_formula_sample_by_sample() -> None:
    torch.manual_seed(0)
    norm: Any = ConditionalBatchNorm2d(3, n_classes=4, eps=0.1).double()
    nn.init.normal_(norm.gain.weight)
    nn.init.normal_(norm.offset.weight)
    inputs, labels = 2 + torch.randn(5, 3, 2, 2, dtype=torch.double), torch.tensor([0, 3, 3, 1, 0])
    expected = torch.empty_like(inputs)
    for c in range(3):
        values = inputs[:, c]
        scaled = (values - values.mean()) / (values.var(unbiased=False) + 0.1).sqrt()
        for i, label in enumerate(labels.tolist()):
            expected[i, c] = norm.gain.weight[label, c] * scaled[i] + norm.offset.weight[label, c]
    torch.testing.assert_close(norm(inputs, labels), expected)
    # In eval mode it takes the running statistics: one step of momentum 0.1 from (0, 1) towards the batch's.
    mean, var = 0.1 * inputs.mean(dim=(0, 2, 3)), 0.9 + 0.1 * inputs.transpose(0, 1).flatten(1).var(dim=1)
    scaled = (inputs - mean.view(1, 3, 1, 1)) / (var.view(1, 3, 1, 1) + 0.1).sqrt()
    expected = norm.gain.weight[labels][:, :, None, None] * scaled + norm.offset.weight[labels][:, :, None, None]
    torch.testing.assert_close(norm.eval()(inputs, labels), expected)


def test_at_its_start_it_is_plain_batch_norm() -> None:
    inputs = torch.randn(6, 3, 4, 4)
    plain = nn.BatchNorm2d(3, eps=2e-5, affine=False)
    torch.testing.assert_close(ConditionalBatchNorm2d(3, 2)(inputs, torch.tensor([0, 1] * 3)), plain(inputs))


def test_labels_are_required() -> None:
    with pytest.raises(ValueError, match="labels"):
        ConditionalBatchNorm2d(3, 2)(torch.randn(2, 3, 4, 4), None)


def test_sync_batch_norm_replaces_its_statistics_only() -> None:
    norm: Any = nn.SyncBatchNorm.convert_sync_batchnorm(ConditionalBatchNorm2d(3, 2))
    assert isinstance(norm, ConditionalBatchNorm2d)
    assert isinstance(norm.norm, nn.SyncBatchNorm)


def test_batch_norm_is_conditional_if_there_are_classes() -> None:
    inputs = torch.randn(2, 3, 4, 4)
    plain, conditional = batch_norm(3, 0, eps=0.5), batch_norm(3, 2, eps=0.5)
    assert isinstance(plain, nn.BatchNorm2d)
    assert isinstance(conditional, ConditionalBatchNorm2d)
    torch.testing.assert_close(normalize(plain, inputs, None), normalize(conditional, inputs, torch.tensor([0, 1])))


def test_channel_layer_norm_is_layer_norm_over_channels_and_pixels() -> None:
    inputs = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(ChannelLayerNorm(3)(inputs), nn.functional.layer_norm(inputs, (3, 4, 4)))
