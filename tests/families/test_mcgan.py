from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.data import Ring
from gan_lightning.families import McGAN
from gan_lightning.losses.matching import CovarianceMatching, MeanMatching
from gan_lightning.networks import MLPCritic, MLPGenerator
from gan_lightning.shapes import shape_of
from gan_lightning.stabilizers.gradient_penalties import R1
from tests.families.closed_forms import QuadraticCritic, vector_game
from tests.training import train

M = 6


def batches():
    """Return samples of N(a, S) and N(b, T), a != b, S != T."""
    torch.manual_seed(1)
    mixing = torch.randn(2, M, M, dtype=torch.float64)
    means = torch.randn(2, 1, M, dtype=torch.float64)
    return torch.randn(2, 200, M, dtype=torch.float64) @ mixing + means


def second_moment(x):
    return x.T @ x / len(x)


def critic_step(game, real, fake, lr):
    """Move the directions alone, downhill on the critic's loss, and project."""
    loss = torch.stack(list(game.critic_loss(real, fake, None).values())).sum()
    directions = list(game.directions.parameters())
    with torch.no_grad():
        for direction, gradient in zip(directions, torch.autograd.grad(loss, directions), strict=True):
            direction -= lr * gradient
        game.after_critic_update()
    return -loss.item()


@pytest.mark.parametrize(("p", "dual"), [(2.0, 2.0), (1.0, math.inf), (math.inf, 1.0)])
def test_mean_matching_with_identity_features_finds_the_dual_norm(p, dual):
    real, fake = batches()
    game = vector_game(McGAN, M, matchings=[MeanMatching(p)]).double()
    for _ in range(300):
        reached = critic_step(game, real, fake, lr=0.5)
    difference = real.mean(0) - fake.mean(0)
    assert reached == pytest.approx(torch.linalg.vector_norm(difference, dual).item(), rel=1e-6)
    loss = game.generator_loss(real, fake, None)["mean"]
    (v,) = game.directions.parameters()
    assert_close(loss, -(fake.mean(0) @ v))


@pytest.mark.parametrize("k", [1, 3, M - 1])
def test_covariance_matching_with_identity_features_finds_the_ky_fan_norm(k):
    real, fake = batches()
    game = vector_game(McGAN, M, matchings=[CovarianceMatching(k)]).double()
    difference = second_moment(real) - second_moment(fake)
    # Uncentred: S - T + a a' - b b' of the samples' own moments.
    a, b = real.mean(0), fake.mean(0)
    centred = torch.cov(real.T, correction=0) - torch.cov(fake.T, correction=0)
    assert_close(difference, centred + torch.outer(a, a) - torch.outer(b, b))
    left, values, right = torch.linalg.svd(difference)
    expected = values[:k].sum().item()
    for _ in range(400):
        reached = critic_step(game, real, fake, lr=0.4 / values[0].item())
    assert reached == pytest.approx(expected, rel=1e-3) and reached <= expected * (1 + 1e-9)
    with torch.no_grad():
        u, v = game.directions.parameters()
        u.copy_(left[:, :k])
        v.copy_(right[:k].T)
    assert -game.critic_loss(real, fake, None)["covariance"].item() == pytest.approx(expected, rel=1e-9)


def test_the_sum_of_both_is_two_terms():
    real, fake = batches()
    game = vector_game(McGAN, M, matchings=[MeanMatching(), CovarianceMatching(2)]).double()
    terms = game.critic_loss(real, fake, None)
    v, u, w = game.directions.parameters()
    assert_close(terms["mean"], (fake.mean(0) - real.mean(0)) @ v)
    difference = second_moment(real) - second_moment(fake)
    assert_close(terms["covariance"], -torch.trace(u.T @ difference @ w))
    assert list(game.generator_loss(real, fake, None)) == ["mean", "covariance"]


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_the_projection_is_the_nearest_point_of_the_ball(p):
    torch.manual_seed(0)
    inside = torch.randn(20_000, 4, dtype=torch.float64)
    inside /= torch.linalg.vector_norm(inside, p, dim=1, keepdim=True).clamp(min=1)
    for scale in (0.1, 0.7, 3.0):
        v = scale * torch.randn(4, dtype=torch.float64)
        projected = v.clone()
        MeanMatching(p).project([projected])
        assert torch.linalg.vector_norm(projected, p) <= 1 + 1e-12
        # Obtuse angles at the projection to every point of the ball: that is what makes it the nearest.
        assert ((inside - projected) @ (v - projected) <= 1e-9).all()
        again = projected.clone()
        MeanMatching(p).project([again])
        assert_close(again, projected)


def test_the_retraction_keeps_what_is_orthonormal_and_its_signs():
    torch.manual_seed(0)
    matching = CovarianceMatching(3)
    u, v = matching.start(5)
    for direction in (u, v):
        assert_close(direction.T @ direction, torch.eye(3))
    before = u.clone()
    matching.project([u, v])
    assert_close(u, before)
    matching.project([u.mul_(torch.tensor([2.0, 0.5, 3.0])), v])
    assert_close(u, before)


def test_constraints_hold_while_training_and_the_last_layer_rests(tmp_path):
    networks = {"generator": partial(MLPGenerator, width=8), "critic": partial(MLPCritic, width=8)}
    matchings = [MeanMatching(), CovarianceMatching(3)]
    game = McGAN(**networks, shape=shape_of(0, 2), n_critic=2, clip_value=0.05, matchings=matchings)
    last = game.critic.output.weight.clone()
    v, u, w = (d.detach().clone() for d in game.directions.parameters())
    train(game, Ring(n=64, batch_size=8), tmp_path, 4)
    assert torch.equal(game.critic.output.weight, last)
    assert all(p.abs().max() <= 0.05 for p in game.critic.feature_parameters())
    v1, u1, w1 = (d.detach() for d in game.directions.parameters())
    assert v1.norm() <= 1 + 1e-6 and not torch.equal(v, v1)
    for old, new in ((u, u1), (w, w1)):
        assert_close(new.T @ new, torch.eye(3), atol=1e-5, rtol=0)
        assert not torch.equal(old, new)


def test_what_cannot_work_is_refused(tmp_path):
    with pytest.raises(ValueError, match="p of MeanMatching"):
        MeanMatching(3.0)
    with pytest.raises(ValueError, match="k of CovarianceMatching"):
        vector_game(McGAN, 2, matchings=[CovarianceMatching(3)])
    with pytest.raises(ValueError, match="one of each kind"):
        vector_game(McGAN, 2, matchings=[MeanMatching(1), MeanMatching(2)])
    with pytest.raises(ValueError, match="no last linear layer"):
        vector_game(McGAN, 2, critic=QuadraticCritic, matchings=[MeanMatching()])
    game = vector_game(McGAN, 2, matchings=[MeanMatching()], critic_penalties=[R1()])
    with pytest.raises(ValueError, match="no critic logits"):
        train(game, Ring(n=64, batch_size=8), tmp_path, 1)
