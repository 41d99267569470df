"""Recomputed networks: the same numbers, fewer saved."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch

from gan_lightning.networks import (
    MLPCritic,
    RecomputedCritic,
    RecomputedGenerator,
    SNGANResNetCritic,
    SNGANResNetGenerator,
    WGANGPResNetCritic,
)
from gan_lightning.randomness import Noise
from gan_lightning.shapes import shape_of
from gan_lightning.stabilizers.gradient_penalties import GradientPenalty

GENERATOR = partial(SNGANResNetGenerator, width=8, latent_dim=4, n_classes=3)
CRITIC = partial(WGANGPResNetCritic, width=8)


def pair(plain, recomputed, size=16):
    torch.manual_seed(0)
    one = plain(shape_of(size, 3))
    torch.manual_seed(0)
    return one, recomputed(shape_of(size, 3), network=plain)


def play(network, *inputs):
    """Return output, gradients and buffers after a forward and a backward pass, and how much was saved between."""
    sizes = []

    def save(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        output = network(*inputs)
    output.square().mean().backward()
    return output, [p.grad for p in network.parameters()], dict(network.named_buffers()), sum(sizes)


@pytest.mark.parametrize("copied", [False, True], ids=["itself", "a copy"])
def test_a_recomputed_generator_gives_the_same_and_saves_less(copied):
    plain, recomputed = pair(GENERATOR, RecomputedGenerator)
    if copied:
        recomputed = copy.deepcopy(recomputed)
    assert isinstance(recomputed, SNGANResNetGenerator) and recomputed.latent_dim == 4
    assert plain.state_dict().keys() == recomputed.state_dict().keys()
    inputs = torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    one, other = play(plain, *inputs), play(recomputed, *inputs)
    assert torch.equal(one[0], other[0])
    for mine, theirs in zip(one[1], other[1], strict=True):
        assert torch.equal(mine, theirs)
    for name, value in one[2].items():
        assert torch.equal(value, other[2][name]), name
    assert other[3] < one[3] / 2


def test_a_gradient_penalty_goes_through_a_recomputed_critic():
    plain, recomputed = pair(CRITIC, RecomputedCritic)
    real, fake = torch.randn(2, 4, 3, 16, 16)
    losses = []
    for critic in (plain, recomputed):
        noise = Noise(1, torch.device("cpu"), torch.float32)
        losses.append(GradientPenalty().penalty(critic, real, fake, None, noise))
        losses[-1].backward()
    torch.testing.assert_close(losses[0], losses[1])
    for mine, theirs in zip(plain.parameters(), recomputed.parameters(), strict=True):
        if mine.grad is None:  # biases do not act on the gradient
            assert theirs.grad is None or not theirs.grad.any()
        else:
            torch.testing.assert_close(mine.grad, theirs.grad)


def test_what_cannot_be_recomputed_is_refused():
    with pytest.raises(ValueError, match="SNGANResNetCritic are spectrally normalised"):
        RecomputedCritic(shape_of(16, 3), network=partial(SNGANResNetCritic, width=8))
    with pytest.raises(ValueError, match="MLPCritic has no blocks to recompute"):
        RecomputedCritic(shape_of(0, 2), network=MLPCritic)
