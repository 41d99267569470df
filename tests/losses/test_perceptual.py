"""Losses on activations, against closed forms."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from gan_lightning.losses import activation_distance, content_loss, gram_matrix, style_loss, total_variation


def maps(seed: int = 0, n: int = 2) -> torch.Tensor:
    return torch.randn(n, 3, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_gram_matrix_is_the_mean_product_of_channels_over_the_number_of_channels():
    found, given = gram_matrix(maps()), maps()
    for n in range(2):
        for i in range(3):
            for j in range(3):
                assert_close(found[n, i, j], (given[n, i] * given[n, j]).mean() / 3)


def test_a_gram_matrix_does_not_know_where():
    given = maps()
    moved = given.flatten(2)[:, :, torch.randperm(20)].reshape(given.shape)
    assert_close(gram_matrix(moved), gram_matrix(given))


def test_scaled_activations_have_known_losses():
    given = maps()
    targets = {"a": gram_matrix(given), "b": gram_matrix(maps(1))}
    assert_close(style_loss({"a": 3 * given, "b": maps(1)}, targets), torch.full((2,), 64 / 2, dtype=torch.float64))
    assert_close(content_loss({"a": 3 * given}, {"a": given}), torch.full((2,), 4.0, dtype=torch.float64))
    assert_close(style_loss({"a": 0 * given}, {"a": targets["a"]}), torch.ones(2, dtype=torch.float64))


def test_each_picture_has_its_own_loss():
    both, one = maps(), maps(1, 1)
    target = {"a": gram_matrix(one)}
    assert_close(style_loss({"a": both}, target)[1:], style_loss({"a": both[1:]}, target))


def test_variation_is_that_of_a_ramp():
    ramp = torch.arange(6.0).expand(1, 1, 4, 6) * 0.5
    assert_close(total_variation(ramp), torch.tensor([0.25]))
    assert_close(total_variation(ramp.mT + ramp.mT), torch.tensor([1.0]))


def test_distance_is_the_mean_square_over_layers():
    ones = torch.ones(2, 3, 4, 4)
    found = activation_distance({"a": 3 * ones, "b": ones, "c": ones}, {"a": ones, "b": 0 * ones})
    assert_close(found, torch.tensor((4 + 1) / 2))
