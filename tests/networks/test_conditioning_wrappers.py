"""Wrappers that condition, or teach classes to, any network."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn.functional import one_hot

from gan_lightning.networks import (
    ClassifyingCritic,
    ConcatenatingCritic,
    ConcatenatingGenerator,
    DCGANCritic,
    DCGANGenerator,
    MLPCritic,
    MLPGenerator,
    SNGANResNetCritic,
)
from gan_lightning.shapes import shape_of

LABELS = torch.tensor([2, 0, 1])


def test_a_concatenating_generator_appends_the_code_to_the_latents() -> None:
    generator = ConcatenatingGenerator(
        shape_of(8, 3), partial(DCGANGenerator, latent_dim=10, width=4), n_classes=4
    ).eval()
    assert generator.latent_dim == 6
    latents = torch.randn(3, 6)
    expected = generator.generator(torch.cat([latents, one_hot(LABELS, 4).float()], dim=1))
    torch.testing.assert_close(generator(latents, LABELS), expected)


def test_a_concatenating_critic_sees_the_code_as_planes() -> None:
    critic = ConcatenatingCritic(shape_of(8, 1), partial(DCGANCritic, width=4, norm=torch.nn.Identity), n_classes=4)
    images = torch.randn(3, 1, 8, 8)
    planes = torch.zeros(3, 4, 8, 8)
    for row, label in enumerate(LABELS):
        planes[row, label] = 1
    torch.testing.assert_close(critic(images, LABELS), critic.critic(torch.cat([images, planes], dim=1)))
    assert not torch.equal(critic(images, LABELS), critic(images, LABELS.flip(0)))


def test_concatenation_works_on_vectors_as_the_mlps_own() -> None:
    torch.manual_seed(0)
    critic = ConcatenatingCritic(shape_of(0, 2), partial(MLPCritic, width=8), n_classes=4)
    torch.manual_seed(0)
    own = MLPCritic(shape_of(0, 2), width=8, n_classes=4)
    points = torch.randn(3, 2)
    assert torch.equal(critic(points, LABELS), own(points, LABELS))
    assert critic.last_layer() is critic.critic.output


def test_a_classifying_critic_shares_its_features_between_two_heads() -> None:
    torch.manual_seed(0)
    critic = ClassifyingCritic(shape_of(8, 1), partial(SNGANResNetCritic, width=4), n_classes=5).eval()
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(critic(images, LABELS), critic(images))
    torch.testing.assert_close(critic(images), critic.critic(images))
    features = critic.critic.features(images)
    scores = critic.classify(critic.features(images))
    assert scores.shape == (3, 5)
    torch.testing.assert_close(scores, features @ critic.classifier.weight.T + critic.classifier.bias)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: ConcatenatingGenerator(shape_of(0, 2), partial(MLPGenerator, n_classes=3), 3),
            "n_classes 3 of its own",
        ),
        (
            lambda: ConcatenatingGenerator(shape_of(0, 2), partial(MLPGenerator, latent_dim=3), 3),
            "latent_dim of MLPGenerator .*3",
        ),
        (lambda: ConcatenatingCritic(shape_of(0, 2), partial(MLPCritic, n_classes=3), 3), "n_classes 3 of its own"),
        (
            lambda: ConcatenatingCritic(shape_of(0, 2), MLPCritic, 0),
            "n_classes around MLPCritic must be at least 1, got 0",
        ),
        (lambda: ClassifyingCritic(shape_of(0, 2), partial(MLPCritic, n_classes=3), 3), "n_classes 3 of its own"),
        (
            lambda: ClassifyingCritic(shape_of(0, 2), MLPCritic, 1),
            "n_classes of ClassifyingCritic must be at least 2, got 1",
        ),
        (lambda: ConcatenatingCritic(shape_of(0, 2), MLPCritic, 3)(torch.randn(3, 2)), "got none"),
    ],
)
def test_what_does_not_go_together_is_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
