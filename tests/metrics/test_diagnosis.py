from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from gan_lightning.metrics.diagnosis import mean_distance, singular_values, told_apart
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize


def test_told_apart_is_the_area_under_the_roc_curve() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(50) + 0.7, torch.randn(30)
    real, fake = real.mul(4).round() / 4, fake.mul(4).round() / 4  # ties
    expected = roc_auc_score([1] * 50 + [0] * 30, torch.cat([real, fake]).numpy())
    assert told_apart(real, fake) == pytest.approx(expected, abs=1e-12)
    assert told_apart(real, real) == pytest.approx(0.5, abs=1e-12)
    assert told_apart(fake + 100, fake) == 1 and told_apart(fake - 100, fake) == 0
    assert math.isnan(told_apart(torch.tensor([math.nan, 1.0]), fake))


def test_mean_distance_at_known_points_and_of_one_row() -> None:
    corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
    assert mean_distance(corners) == pytest.approx(4.0)
    assert mean_distance(corners, limit=2) == 3.0
    assert mean_distance(torch.ones(9, 1, 4, 4) * 0.1) == 0.0  # exactly: no rounding of large squares
    assert math.isnan(mean_distance(corners[:1]))


def test_singular_values_are_those_of_the_weights_in_effect() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Linear(5, 7),
        nn.Conv2d(3, 4, 3),
        nn.ConvTranspose2d(3, 4, 3),
        nn.Embedding(4, 2),
        nn.BatchNorm2d(3),
        nn.ReLU(),
    )
    network.append(nn.Linear(2, 2).requires_grad_(False))
    found = singular_values(network)
    weights = [layer.weight.detach() for layer in network[:4]]  # type: ignore[union-attr,operator]
    weights[2] = weights[2].transpose(0, 1)
    assert list(found) == ["0", "1", "2", "3"]  # what is not trained is left out
    for value, weight in zip(found.values(), weights, strict=True):
        assert value == pytest.approx(float(torch.linalg.svdvals(weight.flatten(1).double())[0]), rel=1e-10)
    with torch.no_grad():
        network[0].weight[0, 0] = math.inf  # type: ignore[index,operator]
    assert math.isnan(singular_values(network)["0"])


def test_spectral_normalization_is_seen() -> None:
    torch.manual_seed(0)
    network = spectrally_normalize(nn.Sequential(nn.Linear(5, 7)), n_power_iterations=50).train()
    before = [buffer.clone() for buffer in network.buffers()]
    assert singular_values(network) == {"0": pytest.approx(1.0, abs=1e-3)}
    assert network[0].training and before  # and a look moves nothing
    assert all(torch.equal(buffer, then) for buffer, then in zip(network.buffers(), before, strict=True))
