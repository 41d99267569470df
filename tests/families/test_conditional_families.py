"""Conditional GAN, AC-GAN, projection GAN, SAGAN, BigGAN, R3GAN: their losses against sums written out by hand."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot
from torch.testing import assert_close

from gan_lightning.data.stream import Batch
from gan_lightning.families import ACGAN, R3GAN, SAGAN, BigGAN, ConditionalGAN, ProjectionGAN
from gan_lightning.games.game import Game
from gan_lightning.losses.logits import relativistic_pairing_critic_loss, relativistic_pairing_generator_loss
from gan_lightning.losses.objectives import Wasserstein
from gan_lightning.networks import (
    BigGANCritic,
    BigGANGenerator,
    ClassifyingCritic,
    DCGANGenerator,
    MLPCritic,
    MLPGenerator,
    SNGANResNetCritic,
    SNGANResNetGenerator,
)
from gan_lightning.optimizers.schedules import CosineDecay, LinearDecay
from gan_lightning.optimizers.specs import Adam
from gan_lightning.randomness import truncate
from gan_lightning.shapes import shape_of
from gan_lightning.stabilizers.base import GeneratorTurn
from gan_lightning.stabilizers.generator_terms import OrthogonalRegularization
from gan_lightning.stabilizers.gradient_penalties import GradientPenalty
from tests.families.closed_forms import LinearCritic, QuadraticCritic, vector_game
from tests.training import trainer

LABELS = torch.tensor([1, 0, 2, 1])


def mlp_game(family: type[Game], critic: Any = MLPCritic, n_classes: int = 3, **arguments: Any) -> Any:
    torch.manual_seed(0)
    generator = partial(MLPGenerator, width=8, n_classes=n_classes)
    return family(generator=generator, critic=critic, shape=shape_of(0, 2), **arguments)  # type: ignore[call-arg, arg-type]


def test_conditional_gan_is_the_cross_entropy_of_pairs() -> None:
    game = mlp_game(ConditionalGAN, partial(MLPCritic, width=8, n_classes=3))
    real, fake = torch.randn(2, 4, 2)
    code = one_hot(LABELS, 3).float()
    p, q = (torch.sigmoid(game.critic.output(game.critic.hidden(torch.cat([x, code], 1))))[:, 0] for x in (real, fake))
    assert_close(game.critic_loss(real, fake, LABELS)["logistic"], -(p.log().mean() + (1 - q).log().mean()))
    assert_close(game.generator_loss(real, fake, LABELS)["non_saturating"], -q.log().mean())


@pytest.mark.parametrize(
    ("family", "critic"),
    [
        (ConditionalGAN, MLPCritic),
        (ProjectionGAN, MLPCritic),
    ],
)
def test_a_conditional_family_refuses_networks_without_classes(family: Any, critic: Any, tmp_path: Any) -> None:
    game = mlp_game(family, critic, n_classes=0)
    game.trainer = trainer(tmp_path, 1)
    with pytest.raises(ValueError, match=f"{family.__name__} needs classes, but MLPGenerator has n_classes 0"):
        game.setup("fit")


def acgan(**arguments: Any) -> Any:
    return mlp_game(ACGAN, partial(ClassifyingCritic, critic=LinearCritic, n_classes=3), **arguments)


def cross_entropy_by_hand(scores: torch.Tensor) -> torch.Tensor:
    return torch.stack([s.exp().sum().log() - s[y] for s, y in zip(scores, LABELS, strict=True)]).mean()


def test_acgan_adds_the_classes_of_real_and_generated_samples() -> None:
    game = acgan()
    real, fake = torch.randn(2, 4, 2)
    terms = game.critic_loss(real, fake, LABELS)
    head, classes = game.critic.critic.output, game.critic.classifier
    p, q = torch.sigmoid(head(real))[:, 0], torch.sigmoid(head(fake))[:, 0]
    assert list(terms) == ["logistic", "real_class", "fake_class"]
    assert_close(terms["logistic"], -(p.log().mean() + (1 - q).log().mean()))
    assert_close(terms["real_class"], cross_entropy_by_hand(classes(real)))
    assert_close(terms["fake_class"], cross_entropy_by_hand(classes(fake)))
    right = [float(classes(x).argmax() == y) for x, y in zip(real, LABELS, strict=True)]
    assert game._logged["class_accuracy/real"].item() == sum(right) / 4
    terms = game.generator_loss(real, fake, LABELS)
    assert list(terms) == ["logistic", "fake_class"]
    assert_close(terms["logistic"], -q.log().mean())
    assert_close(terms["fake_class"], cross_entropy_by_hand(classes(fake)))


def test_acgan_knows_nothing_of_the_classes_at_first() -> None:
    game = acgan()
    nn.init.zeros_(game.critic.classifier.weight)
    terms = game.critic_loss(*torch.randn(2, 4, 2), LABELS)
    assert_close(terms["real_class"], torch.tensor(math.log(3)))


def test_acgan_as_in_the_code_of_wgan_gp() -> None:
    arguments = {"objective": Wasserstein(), "fake_class_weight": 0.0, "generator_class_weight": 0.1}
    game = acgan(**arguments, critic_penalties=[GradientPenalty()])
    real, fake = torch.randn(2, 4, 2)
    assert list(game.critic_loss(real, fake, LABELS)) == ["wasserstein", "real_class"]
    terms = game.generator_loss(real, fake, LABELS)
    assert_close(terms["fake_class"], 0.1 * cross_entropy_by_hand(game.critic.classifier(fake)))
    assert game.shift_invariant


def test_acgan_refuses_a_critic_without_classes_and_negative_weights() -> None:
    with pytest.raises(ValueError, match="ACGAN needs a critic that tells the class, got MLPCritic; wrap it"):
        mlp_game(ACGAN, partial(MLPCritic, n_classes=3))
    with pytest.raises(ValueError, match="fake_class_weight must not be negative, got -1"):
        acgan(fake_class_weight=-1)


def test_projection_is_an_inner_product_with_the_classs_vector() -> None:
    networks: Any = {
        "generator": partial(SNGANResNetGenerator, width=4, latent_dim=3, n_classes=3),
        "critic": partial(SNGANResNetCritic, width=4, n_classes=3, n_power_iterations=0),
    }
    game = ProjectionGAN(shape=shape_of(8, 1), **networks)
    real, fake = torch.randn(2, 4, 1, 8, 8)
    critic: Any = game.critic
    logits = []
    for samples in (real, fake):
        pairs = zip(critic.features(samples), LABELS, strict=True)
        logits.append(torch.stack([critic.output(h)[0] + h @ critic.embedding.weight[y] for h, y in pairs]))
    expected = (1 - logits[0]).clamp(min=0).mean() + (1 + logits[1]).clamp(min=0).mean()
    assert_close(game.critic_loss(real, fake, LABELS)["hinge"], expected)
    assert_close(game.generator_loss(real, fake, LABELS)["hinge"], -logits[1].mean())
    assert game.n_critic == 5


@pytest.mark.parametrize("family", [SAGAN, BigGAN])
def test_the_hinge_families(family: Any) -> None:
    """Logits of peers' published vectors (torchgan): hinge G -2.1, D 3.725."""
    game = vector_game(family, 1)
    nn.init.ones_(game.critic.output.weight)
    nn.init.zeros_(game.critic.output.bias)
    real, fake = torch.tensor([[1.3], [2.9], [8.4], [6.3]]), torch.tensor([[4.8], [1.2], [-3.5], [5.9]])
    assert_close(game.critic_loss(real, fake, None)["hinge"], torch.tensor(3.725))
    assert_close(game.generator_loss(real, fake, None)["hinge"], torch.tensor(-2.1))


def test_two_time_scales() -> None:
    rates = {family: [player.spec.lr for player in vector_game(family, 1).players] for family in (SAGAN, BigGAN)}
    assert rates == {SAGAN: [4e-4, 1e-4], BigGAN: [2e-4, 5e-5]}


def turn() -> Any:
    zero = torch.zeros(1)
    return GeneratorTurn(zero, zero, zero, zero, zero, None)


def test_orthogonal_regularisation_is_the_squared_inner_products_of_different_filters() -> None:
    term = OrthogonalRegularization(weight=0.5)
    game = vector_game(SAGAN, 2)
    game.generator = nn.Sequential(nn.Linear(2, 3), nn.ConvTranspose2d(2, 1, 2))
    linear, transposed = game.generator
    linear.weight.data = torch.tensor([[1.0, 0.0], [1.0, 2.0], [0.0, 3.0]])
    # Inner products of the rows: 1, 0, 6; each counts twice. One filter of a transposed convolution has no other.
    assert_close(term(game, turn()), torch.tensor(0.5 * 2 * (1 + 0 + 36.0)))
    linear.weight.data = torch.eye(3, 2) * 5
    assert_close(term(game, turn()), torch.tensor(0.0))


def test_orthogonal_regularisation_leaves_lengths_and_embeddings_alone() -> None:
    torch.manual_seed(0)
    generator = partial(BigGANGenerator, width=2, chunk_dim=3, n_classes=3)
    critic = partial(BigGANCritic, width=2, n_classes=3)
    game = BigGAN(generator=generator, critic=critic, shape=shape_of(8, 1))
    [term] = game.generator_terms
    assert term.name == "orthogonal" and term.weight == 1e-4
    expected, weights = 0.0, []
    for layer in game.generator.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            normalized: Any = layer.parametrizations
            weight = normalized.weight.original
            weights.append(weight)
            rows = weight.detach().flatten(1)
            expected += sum(
                (rows[i] @ rows[j]).item() ** 2 for i in range(len(rows)) for j in range(len(rows)) if i != j
            )
    loss = term(game, turn())
    assert_close(loss.item(), 1e-4 * expected, rtol=1e-4, atol=1e-9)
    loss.backward()
    embedding: Any = game.generator.embedding
    assert embedding.weight.grad is None
    assert all(weight.grad is not None for weight in weights)
    assert not BigGAN(generator=generator, critic=critic, shape=shape_of(8, 1), orthogonal_weight=0.0).generator_terms


def test_relativistic_pairing_at_peers_published_vectors() -> None:
    real, fake = torch.tensor([1.3, 2.9, 8.4, 6.3]), torch.tensor([4.8, 1.2, -3.5, 5.9])
    assert_close(relativistic_pairing_critic_loss(real, fake), torch.tensor(1.05263962))
    assert_close(relativistic_pairing_generator_loss(real, fake), torch.tensor(3.67763962))
    zero = torch.zeros(4)
    for loss in (relativistic_pairing_critic_loss, relativistic_pairing_generator_loss):
        assert_close(loss(zero, zero), torch.tensor(math.log(2)))
        assert_close(loss(real + 7, fake + 7), loss(real, fake))


def test_relativistic_pairing_is_by_index_and_not_by_mean() -> None:
    real, fake = torch.tensor([3.0, -1.0]), torch.tensor([0.0, 2.0])
    by_hand = (math.log1p(math.exp(-3)) + math.log1p(math.exp(3))) / 2
    assert_close(relativistic_pairing_critic_loss(real, fake).item(), by_hand)
    by_hand = (math.log1p(math.exp(-1)) + math.log1p(math.exp(1))) / 2
    assert_close(relativistic_pairing_critic_loss(real, fake.flip(0)).item(), by_hand)


def test_r3gan_adds_half_gamma_times_both_squared_gradients() -> None:
    """The gradient of |x|^2 / 2 is x, so the penalties are gamma / 2 times the mean squared lengths."""
    game = vector_game(R3GAN, 2, QuadraticCritic, gamma=0.3)
    real = torch.randn(4, 2)
    terms = game.critic_turn(Batch(real, None))
    game.noise.generator.manual_seed(0)
    fake = game.generator(game.latents(4))
    assert list(terms) == ["relativistic", "r1", "r2"]
    assert_close(terms["r1"], 0.15 * real.square().sum(1).mean())
    assert_close(terms["r2"], 0.15 * fake.square().sum(1).mean())
    f, g = real.square().sum(1) / 2, fake.square().sum(1) / 2
    assert_close(terms["relativistic"], (1 + (g - f).exp()).log().mean())
    assert_close(game.generator_loss(real, fake, None)["relativistic"], (1 + (f - g).exp()).log().mean())


def test_r3gans_gamma_follows_its_schedule() -> None:
    game = vector_game(R3GAN, 2, QuadraticCritic, gamma=0.3, gamma_schedule=LinearDecay(end=10, final=0.1))
    batch = Batch(torch.ones(4, 2), None)
    found = []
    for update in (0, 5, 10, 20):
        game.noise.update = update
        found.append(game.critic_turn(batch)["r1"].item())
    assert found == pytest.approx([0.3, 0.165, 0.03, 0.03])


def test_cosine_decay() -> None:
    decay = CosineDecay(end=100, final=0.1)
    assert [decay(update) for update in (0, 50, 100, 1000)] == pytest.approx([1, 0.55, 0.1, 0.1])
    assert decay(25) == pytest.approx(0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2)
    with pytest.raises(ValueError, match="end of at least 1, got 0"):
        CosineDecay(end=0)


def test_truncation_keeps_what_is_inside_and_draws_the_rest_from_the_truncated_normal() -> None:
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(200_000, generator=generator)
    for threshold in (0.02, 0.5, 2.0):
        found = truncate(normal, threshold, generator)
        inside = normal.abs() <= threshold
        assert torch.equal(found[inside], normal[inside])
        assert found.abs().max() <= threshold
        # Variance of the normal distribution cut at +-t: 1 - 2 t phi(t) / erf(t / sqrt 2).
        density = math.exp(-(threshold**2) / 2) / math.sqrt(2 * math.pi)
        variance = 1 - 2 * threshold * density / math.erf(threshold / math.sqrt(2))
        assert_close(found.var().item(), variance, rtol=0.02, atol=0)
        again = found[~inside]
        assert_close(again.var().item(), variance, rtol=0.06, atol=0)
        assert abs(again.mean().item()) < 4 * math.sqrt(variance / len(again))


def test_samples_are_truncated_alike_wherever_they_are_drawn() -> None:
    torch.manual_seed(0)
    generator: Any = partial(DCGANGenerator, width=4, latent_dim=3)
    game = SAGAN(generator=generator, critic=LinearCritic, shape=shape_of(8, 1))
    seen: list[torch.Tensor] = []
    game.generator_average.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    first, other = game.sample(70, truncation=0.5), game.sample(70)
    assert torch.cat(seen[:2]).abs().max() <= 0.5 < torch.cat(seen[2:]).abs().max()
    assert not torch.equal(first, other)
    assert torch.equal(game.sample(70, truncation=0.5), first)
    assert torch.equal(torch.cat(list(game.sample_chunks([1], truncation=0.5))), game.sample(128, truncation=0.5)[64:])
    assert torch.equal(game.sample(4, truncation=50.0), game.sample(4))
    for wrong in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=f"truncation must be above 0, got {wrong}"):
            game.sample(2, truncation=wrong)


def test_defaults_are_the_papers() -> None:
    assert [penalty.weight for penalty in vector_game(R3GAN, 1).critic_penalties] == [0.05, 0.05]
    assert vector_game(R3GAN, 1).players[0].spec == Adam(lr=2e-4, betas=(0.0, 0.99))
    biggan = vector_game(BigGAN, 1)
    assert (biggan.n_critic, biggan.ema_decay) == (2, 0.9999)
    assert vector_game(SAGAN, 1).n_critic == 1
