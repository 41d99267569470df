from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.data import Ring
from gan_lightning.families import GeometricGAN
from gan_lightning.networks import MLPCritic, MLPGenerator, SNGANResNetCritic, SNGANResNetGenerator
from gan_lightning.randomness import Noise, Shard
from gan_lightning.shapes import shape_of
from tests.families.closed_forms import LinearCritic, QuadraticCritic, vector_game
from tests.training import train


def test_the_losses_are_those_of_a_soft_margin_svm():
    game = vector_game(GeometricGAN, 3, c=0.25)
    real, fake = torch.randn(2, 8, 3)
    w, b = game.critic.output.weight[0].detach(), game.critic.output.bias.item()
    terms = game.critic_loss(real, fake, None)
    hinge = sum(max(0.0, 1 - (x @ w).item() - b) for x in real) / 8
    hinge += sum(max(0.0, 1 + (x @ w).item() + b) for x in fake) / 8
    assert_close(terms["hinge"].item(), hinge)
    assert_close(terms["decay"].item(), (w @ w).item() / (2 * 0.25 * 8))
    assert_close(game.generator_loss(real, fake, None)["hinge"].item(), -((fake @ w).mean().item() + b))


def test_only_the_weight_decays_and_n_is_the_global_batch():
    game = vector_game(GeometricGAN, 3)
    real, fake = torch.randn(2, 8, 3)
    layer = game.critic.output
    decay = game.critic_loss(real, fake, None)["decay"]
    gradients = torch.autograd.grad(decay, [layer.weight, layer.bias], allow_unused=True)
    assert_close(gradients[0], layer.weight / 8)  # of |w|^2 / (2 N)
    assert gradients[1] is None
    game.noise = Noise(0, torch.device("cpu"), torch.float32, Shard(rank=1, world_size=2, part=0, n_parts=3))
    assert_close(game.critic_loss(real, fake, None)["decay"], decay / 6)


def test_the_generator_moves_along_the_normal_and_only_support_moves_the_critic():
    game = vector_game(GeometricGAN, 2)
    fake = torch.randn(4, 2, requires_grad=True)
    game.generator_loss(fake.detach(), fake, None)["hinge"].backward()
    assert_close(fake.grad, -game.critic.output.weight.detach().expand(4, 2) / 4)
    with torch.no_grad():
        game.critic.output.weight.copy_(torch.tensor([[3.0, 0.0]]))
        game.critic.output.bias.zero_()
    real = torch.tensor([[1.0, 0.0], [0.1, 5.0]], requires_grad=True)  # f = 3 and 0.3: outside and inside the margin
    apart = torch.tensor([[-1.0, 0.0], [-0.5, 0.0]])
    game.critic_loss(real, apart, None)["hinge"].backward()
    assert_close(real.grad, torch.tensor([[0.0, 0.0], [-1.5, 0.0]]))
    assert_close(game._logged["svm/support"], torch.tensor(0.25))
    assert_close(game._logged["svm/normal"], torch.tensor(3.0))
    assert_close(game._logged["svm/margin"], torch.tensor(1 / 3))


def test_the_hyperplane_is_logged(tmp_path):
    networks = {"generator": partial(MLPGenerator, width=8), "critic": partial(MLPCritic, width=8)}
    game = GeometricGAN(**networks, shape=shape_of(0, 2))
    recorder = train(game, Ring(n=64, batch_size=8), tmp_path, 3)
    for key in ("svm/normal", "svm/margin", "svm/support", "critic/hinge", "critic/decay"):
        assert len(recorder.column(key)) == 3
    assert recorder.column("svm/normal")[0] != recorder.column("svm/normal")[-1]


def test_critics_without_a_hyperplane_are_refused(tmp_path):
    assert LinearCritic(shape_of(0, 2)).last_layer().weight.shape == (1, 2)
    with pytest.raises(ValueError, match="no last linear layer"):
        QuadraticCritic(shape_of(0, 2)).last_layer()
    networks = {"generator": partial(SNGANResNetGenerator, width=4), "critic": partial(SNGANResNetCritic, width=4)}
    from gan_lightning.data import RandomImages

    game = GeometricGAN(**networks, shape=shape_of(8, 3))
    with pytest.raises(ValueError, match="spectral norm"):
        train(game, RandomImages(image_size=8), tmp_path, 1)
    with pytest.raises(ValueError, match="c must be above 0"):
        vector_game(GeometricGAN, 2, c=0.0)
