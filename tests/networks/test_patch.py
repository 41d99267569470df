"""Critics of patches, and R1 without a second derivative."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from gan_lightning.errors import UserError
from gan_lightning.families import LSGAN, R3GAN, NonSaturatingGAN
from gan_lightning.networks import (
    ConcatenatingCritic,
    MLPCritic,
    MultiScaleCritic,
    PatchCritic,
    SpectrallyNormalizedCritic,
)
from gan_lightning.networks.base import Critic
from gan_lightning.observations import AdaptiveAugment, InstanceNoise, Translation
from gan_lightning.shapes import Images
from gan_lightning.stabilizers import R1, ApproximateR1, ConsistencyRegularization, LeCam
from gan_lightning.stabilizers.slopes import input_gradients
from tests.cases import COLOUR, LABELLED, N_CLASSES, Case, mlp
from tests.training import train

SMALL = partial(PatchCritic, width=4, n_layers=1, norm=nn.Identity)


def test_a_patch_sees_70_pixels_and_no_more():
    critic = PatchCritic(Images(128, 128, 1), width=2, norm=nn.Identity).double()
    image = torch.randn(1, 1, 128, 128, dtype=torch.double, requires_grad=True)
    logits = critic(image)
    assert logits.shape == (1, 14, 14)  # 30x30 on the paper's 256x256
    (slope,) = torch.autograd.grad(logits[0, 7, 7], image)
    rows = slope[0, 0].abs().sum(1).nonzero().flatten()
    assert rows.max() - rows.min() + 1 == 70
    assert PatchCritic(Images(256, 256, 3), width=2)(torch.zeros(1, 3, 256, 256)).shape == (1, 30, 30)


def test_sizes_and_classes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="sides of at least 24, got 16; take fewer n_layers"):
        PatchCritic(Images(16, 16, 3))
    with pytest.raises(UserError, match="cannot be halved 4 times"):
        MultiScaleCritic(Images(8, 8, 3), MLPCritic, n_scales=5)
    with pytest.raises(UserError, match="put ConcatenatingCritic around the whole"):
        MultiScaleCritic(Images(8, 8, 3), partial(MLPCritic, n_classes=3))
    assert ConcatenatingCritic(Images(8, 8, 1), partial(MultiScaleCritic, critic=MLPCritic), 3).n_classes == 3


def test_every_scale_counts_the_same():
    torch.manual_seed(0)
    critic = MultiScaleCritic(Images(32, 32, 3), SMALL, n_scales=2).double()
    images = torch.randn(2, 3, 32, 32, dtype=torch.double)
    own = [critic.critics[0](images), critic.critics[1](nn.functional.avg_pool2d(images, 2))]
    assert own[0].shape == (2, 14, 14) and own[1].shape == (2, 6, 6) and critic(images).shape == (2, 2, 14, 14)
    nearest = [6 * i // 14 for i in range(14)]
    stretched = own[1][:, nearest][:, :, nearest]
    assert_close(critic(images).mean(), (own[0].mean() + stretched.mean()) / 2)
    assert MultiScaleCritic(Images(8, 8, 1), MLPCritic, 2)(torch.zeros(5, 1, 8, 8)).shape == (5, 2)


def test_slopes_are_those_of_the_mean_logit():
    critic = SMALL(Images(16, 16, 1)).double()
    real = torch.randn(3, 1, 16, 16, dtype=torch.double, requires_grad=True)
    (expected,) = torch.autograd.grad(critic(real).mean((1, 2)).sum(), real)
    assert_close(input_gradients(critic, real), expected)


class Wave(Critic):
    """f(x) = sin(a . x), and a second derivative that must not be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([1.5, -0.5], dtype=torch.double))

    def features(self, samples, labels=None):
        return samples

    def head(self, features, labels=None):
        return (features @ self.a).sin()


def test_approximate_r1_has_r1s_expectation_and_gradient():
    critic, points = Wave(), torch.randn(200_000, 2, dtype=torch.double)
    values, gradients = [], []
    for penalty in (R1(2.0), ApproximateR1(2.0, sigma=1e-3)):
        torch.manual_seed(0)
        value = penalty(critic, points, points)
        values.append(value.detach())
        gradients.append(torch.autograd.grad(value, critic.a)[0])
    assert_close(values[1], values[0], rtol=0.02, atol=0)  # 200,000 draws of a chi-square: 0.5 %
    assert_close(gradients[1], gradients[0], rtol=0.03, atol=0.02)
    with pytest.raises(UserError, match="sigma of ApproximateR1 must be above 0, got 0"):
        ApproximateR1(sigma=0.0)


def test_spectral_normalisation_is_one_critic_for_both_sides():
    """Two passes would differ by a power iteration, which a small sigma turns into a slope."""
    critic = SpectrallyNormalizedCritic(Images(16, 16, 1), SMALL).train()
    real = torch.randn(64, 1, 16, 16)
    one, two = (ApproximateR1(1.0, sigma=sigma)(critic, real, real).item() for sigma in (1e-2, 1e-3))
    assert 0.2 < one / two < 5


@pytest.mark.parametrize(
    "case",
    [
        Case(LSGAN, data=COLOUR, critic=SMALL, name="patch"),
        Case(R3GAN, data=COLOUR, critic=SMALL, name="patch"),
        Case(
            NonSaturatingGAN,
            data=LABELLED,
            generator=mlp(N_CLASSES)["generator"],
            critic=partial(
                ConcatenatingCritic, critic=partial(MultiScaleCritic, critic=SMALL, n_scales=1), n_classes=3
            ),
            critic_penalties=[R1(), ApproximateR1(), LeCam(), ConsistencyRegularization(InstanceNoise(0.1))],
            observation=AdaptiveAugment([Translation()], interval=1),
            name="all",
        ),
        Case(
            NonSaturatingGAN,
            data=COLOUR,
            critic=partial(MultiScaleCritic, critic=MLPCritic, n_scales=2),
            critic_penalties=[ApproximateR1(sigma=0.1)],
            critic_accumulation=2,
            observation=Translation(),
            name="scales",
        ),
    ],
    ids=str,
)
def test_they_play(case, tmp_path):
    rows = train(case.game(), case.data(), tmp_path, 2)
    assert all(torch.as_tensor(value).isfinite() for value in rows.column("loss/critic"))
