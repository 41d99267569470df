"""Each term of the generator's loss against a closed form or an independent reference."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.networks import MLPCritic
from gan_lightning.shapes import shape_of
from gan_lightning.stabilizers.base import GeneratorTurn
from gan_lightning.stabilizers.generator_terms import (
    EntropyRegularization,
    FeatureMatching,
    HistoricalAveraging,
    LatentReconstruction,
    ModeSeeking,
    nearest_neighbor_entropy,
)


class Doubling(nn.Module):
    """A critic whose features are twice the samples."""

    n_features = 2

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return 2 * samples


class Scale(nn.Module):
    """The generator G(z) = s z."""

    latent_dim = 2

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.scale * latents


def turn(real: Tensor, latents: Tensor, generator: Scale) -> GeneratorTurn:
    fake = generator(latents)
    return GeneratorTurn(real, fake, None, latents, fake, None)


def game(generator: Scale, **attributes: Any) -> Any:
    return SimpleNamespace(generator=generator, critic=Doubling(), shape=shape_of(0, 2), **attributes)


def test_feature_matching_is_the_squared_distance_of_the_means() -> None:
    generator = Scale(1.0)
    real, latents = torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    # means of the features (4, 0) and (0, 4): 3 (16 + 16)
    loss = FeatureMatching(weight=3.0)(game(generator), turn(real, latents, generator))
    torch.testing.assert_close(loss.item(), 96.0)
    loss.backward()
    torch.testing.assert_close(generator.scale.grad, torch.tensor(96.0))  # d/ds 3 (16 + 16 s^2) at 1


def test_mode_seeking_of_a_scaling_generator_is_its_inverse() -> None:
    generator = Scale(4.0)
    real, latents = torch.zeros(6, 2), torch.randn(6, 2)
    term = ModeSeeking(weight=2.0, eps=1e-5)
    loss = term(game(generator, latents=lambda n: torch.randn(n, 2)), turn(real, latents, generator))
    torch.testing.assert_close(loss.item(), 2 / (4 + 1e-5))


@pytest.mark.parametrize("k", [1, 3])
def test_entropy_of_normal_and_uniform_samples(k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(3000, 2, generator=generator, dtype=torch.float64) * 3
    exact = math.log(2 * math.pi * math.e * 9)  # of N(0, 9 I) in the plane
    assert nearest_neighbor_entropy(points, k).item() == pytest.approx(exact, abs=0.1)
    cube = torch.rand(3000, 3, generator=generator, dtype=torch.float64) * 2
    assert nearest_neighbor_entropy(cube, k).item() == pytest.approx(math.log(8), abs=0.2)


def test_entropy_grows_by_d_log_of_the_scale() -> None:
    points = torch.randn(20, 5, dtype=torch.float64)
    difference = nearest_neighbor_entropy(3 * points) - nearest_neighbor_entropy(points)
    torch.testing.assert_close(difference.item(), 5 * math.log(3))


def test_entropy_regularisation_pushes_samples_apart_even_where_they_are_copies() -> None:
    generator = Scale(0.5)
    latents = torch.randn(8, 2)
    EntropyRegularization(weight=0.1)(game(generator), turn(latents, latents, generator)).backward()
    torch.testing.assert_close(generator.scale.grad, torch.tensor(-0.1 * 2 / 0.5))  # -w d/ds (2 log s)
    copies = torch.zeros(8, 2, requires_grad=True)
    nearest_neighbor_entropy(copies).backward()
    assert copies.grad is not None and copies.grad.isfinite().all()


def test_historical_averaging() -> None:
    generator, term = Scale(1.0), HistoricalAveraging(weight=2.0)
    gan = game(generator)
    term.attach(gan)
    with torch.no_grad():
        generator.scale.fill_(4.0)
        term.after_update(gan)
    loss = term(gan, turn(torch.zeros(2, 2), torch.zeros(2, 2), generator))
    torch.testing.assert_close(loss.item(), 2 * (4 - 2.5) ** 2)


def test_reconstruction_is_the_negative_log_likelihood_of_a_unit_normal() -> None:
    generator, term = (
        Scale(3.0),
        LatentReconstruction(lambda shape: MLPCritic(shape, width=4), 2.0),
    )
    gan = game(generator)
    term.attach(gan)
    latents = torch.randn(7, 2)
    seen = turn(torch.zeros(7, 2), latents, generator)
    found = term.output(term.body.features(3 * latents))
    normal = torch.distributions.MultivariateNormal(found, torch.eye(2))
    expected = -2 * (normal.log_prob(latents).mean() + math.log(2 * math.pi))
    loss = term(gan, seen)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert generator.scale.grad is not None and term.output.weight.grad is not None


def test_weights_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match="weight of FeatureMatching must not be negative, got -1"):
        FeatureMatching(-1.0)
