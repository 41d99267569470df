from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gan_lightning.families import ALI, BiGAN
from gan_lightning.networks import JointCritic, MLPEncoder, MLPGenerator
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Shape, Vectors
from tests.cases import joint_mlp

REAL, FAKE = torch.tensor([1.3, 2.9, 8.4, 6.3]), torch.tensor([4.8, 1.2, -3.5, 5.9])


def game(family: Any, **overrides: Any) -> Any:
    torch.manual_seed(0)
    built = family(**{**joint_mlp(), "shape": Vectors(2), **overrides})
    built.noise = Noise(0, torch.device("cpu"), torch.float32)
    return built


def cross_entropy(logits: torch.Tensor, label: int) -> float:
    """The definition, in Python's doubles."""
    probabilities = [1 / (1 + math.exp(-o)) for o in logits.tolist()]
    return -sum(math.log(p if label else 1 - p) for p in probabilities) / len(probabilities)


@pytest.mark.parametrize(("family", "factor"), [(ALI, 1.0), (BiGAN, 0.5)])
def test_the_losses_are_cross_entropies_on_pairs_with_labels_exchanged(family, factor):
    critic, generator = game(family).critic_loss(REAL, FAKE), game(family).generator_loss(REAL, FAKE)
    assert_close(critic["logistic"].item(), factor * (cross_entropy(REAL, 1) + cross_entropy(FAKE, 0)))
    assert_close(generator["generation"].item(), factor * cross_entropy(FAKE, 1))
    assert_close(generator["inference"].item(), factor * cross_entropy(REAL, 0))


@pytest.mark.parametrize(("family", "factor"), [(ALI, 1.0), (BiGAN, 0.5)])
def test_a_critic_that_says_0(family, factor):
    zeros = torch.zeros(5)
    assert_close(sum(game(family).critic_loss(zeros, zeros).values()).item(), factor * 2 * math.log(2))
    assert_close(sum(game(family).generator_loss(zeros, zeros).values()).item(), factor * 2 * math.log(2))


def test_ali_draws_from_the_normal_distribution_that_the_encoder_describes():
    mean, std = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.1, 1.0, 3.0])
    codes = torch.cat([mean, (std**2).log()]).repeat(200_000, 1)
    drawn = game(ALI).infer(codes, torch.randn(200_000, 3))
    assert_close(drawn.mean(0), mean, rtol=0, atol=0.03)
    assert_close(drawn.std(0), std, rtol=0.01, atol=0)


def test_bigan_infers_a_point_and_draws_uniform_latents():
    bigan = game(BiGAN)
    codes = torch.randn(4, 3)
    assert torch.equal(bigan.infer(codes, torch.randn(4, 3)), codes)
    for latents in (bigan.latents(20_000), bigan.sample_latents(20_000, torch.Generator().manual_seed(0))):
        assert latents.shape == (20_000, 3) and -1 <= latents.min() < -0.99 < 0.99 < latents.max() < 1
        assert_close(latents.var().item(), 1 / 3, rtol=0, atol=0.01)


@pytest.mark.parametrize("family", [ALI, BiGAN])
def test_each_term_moves_its_own_map(family):
    """The generation term has no gradient in the encoder, nor the inference term in the generator."""
    player = game(family)
    batch = type("Batch", (), {"real": torch.randn(6, 2)})()
    for term, moved, still in (("generation", "generator", "encoder"), ("inference", "encoder", "generator")):
        player.zero_grad()
        player.generator_turn(batch)[term].backward()
        assert all(p.grad is not None and p.grad.any() for p in getattr(player.generator, moved).parameters())
        assert not any(p.grad is not None and p.grad.any() for p in getattr(player.generator, still).parameters())


def test_the_variance_of_ali_is_trained():
    player = game(ALI)
    player.generator_turn(type("Batch", (), {"real": torch.randn(6, 2)})())["inference"].backward()
    gradient = player.generator.encoder.output.weight.grad
    assert gradient[:3].any() and gradient[3:].any()  # of the means, of the log-variances


def test_the_critic_sees_the_image_with_its_inferred_latents_and_the_drawn_latents_with_their_image():
    class Spy(JointCritic):
        def __init__(self, shape: Shape, latent_dim: int) -> None:
            super().__init__()
            self.pairs: list[Any] = []
            self.level = nn.Parameter(torch.zeros(1))

        def forward(self, samples, latents):
            self.pairs.append((samples, latents))
            return samples.sum(1) * self.level

    player = game(BiGAN, critic=Spy)
    real = torch.randn(6, 2)
    player.critic_turn(type("Batch", (), {"real": real})())
    (x, inferred), (generated, z) = player.critic.pairs
    assert torch.equal(x, real) and torch.equal(inferred, player.generator.encoder(real))
    assert torch.equal(generated, player.generator.generator(z)) and not generated.requires_grad


@pytest.mark.parametrize("family", [ALI, BiGAN])
def test_sampling_and_reconstruction_follow_the_seed_and_the_average(family):
    player = game(family).eval()
    assert torch.equal(player.sample(70, seed=3), player.sample(100, seed=3)[:70])
    assert not torch.equal(player.sample(70, seed=3), player.sample(70, seed=4))
    real = torch.randn(9, 2)
    assert torch.equal(player.reconstruct(real, seed=1), player.reconstruct(real, seed=1))
    assert torch.equal(player.reconstruct(real, 1), player.reconstruct(real, 2)) == (family is BiGAN)
    before = player.reconstruct(real, 1)
    for parameter in player.generator.parameters():
        parameter.data.zero_()
    assert torch.equal(player.reconstruct(real, 1), before)
    with pytest.raises(ValueError, match=r"labels \[1, 2\] given"):
        player.sample(4, [1, 2])
    with pytest.raises(ValueError, match="n must be at least 1"):
        player.sample(0)


def test_networks_get_the_sizes_that_fit_the_latents():
    for family, n_codes in ((ALI, 10), (BiGAN, 5)):
        player = game(family, generator=partial(MLPGenerator, latent_dim=5), encoder=MLPEncoder)
        assert player.generator.encoder(torch.randn(2, 2)).shape == (2, n_codes)
        assert player.encode(torch.randn(2, 2)).shape == (2, 5)
    with pytest.raises(ValueError, match="has n_classes 3; set it to 0"):
        game(ALI, generator=partial(MLPGenerator, n_classes=3))
