"""Contract 5: gradient penalties against closed forms, on vectors and images."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_lightning.errors import UserError
from gan_lightning.networks import (
    DCGANCritic,
    MLPCritic,
    SNGANResNetCritic,
    WGANGPCNNCritic,
    WGANGPGoodCritic,
)
from gan_lightning.networks.base import Critic
from gan_lightning.optimizers.schedules import LinearDecay
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Images, Vectors
from gan_lightning.stabilizers.gradient_penalties import R1, R2, GradientPenalty
from gan_lightning.stabilizers.slopes import couples_batch, gradient_norms, input_gradients, interpolate

SHAPES = [(5,), (3, 4, 4)]
N = 6


class LinearCritic(Critic):
    """o(x, y) = a_y . x, with one a for all if there are no labels."""

    def __init__(self, shape: tuple[int, ...], n_classes: int = 0) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(3)
        self.a = nn.Parameter(torch.randn(max(n_classes, 1), *shape, generator=random, dtype=torch.float64))
        self.n_classes = n_classes

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        a = self.a[labels] if labels is not None else self.a
        return (a * samples).flatten(1)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return features.sum(1)


class QuadraticCritic(Critic):
    """o(x) = s |x|^2 / 2, whose gradient at x is s x: each sample has a norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return samples.flatten(1)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.s * features.square().sum(1) / 2


def noise(key: int = 0) -> Noise:
    return Noise(key, torch.device("cpu"), torch.float64)


def samples(shape: tuple[int, ...], n: int = N, seed: int = 0) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("penalty", "closed_form"),
    [
        (GradientPenalty(10.0), lambda norm: 10 * (norm - 1) ** 2),
        (GradientPenalty(3.0, interval=4), lambda norm: 12 * (norm - 1) ** 2),
        (GradientPenalty(10.0, one_sided=True), lambda norm: 10 * torch.clamp(norm - 1, min=0) ** 2),
        (R1(2.0), lambda norm: norm**2),
        (R2(2.0), lambda norm: norm**2),
    ],
    ids=["gp", "gp-lazy", "gp-one-sided", "r1", "r2"],
)
@pytest.mark.parametrize("scale", [0.05, 2.0])
def test_a_linear_critic_has_the_closed_form(shape, penalty, closed_form, scale):
    critic = LinearCritic(shape)
    critic.a.data *= scale
    value = penalty(critic, samples(shape), samples(shape, seed=1), None, noise())
    assert value.shape == ()
    assert_close(value, closed_form(critic.a.detach().norm()))


@pytest.mark.parametrize("kind", [R1, R2])
def test_a_schedule_scales_the_weight_by_the_generator_updates_done(kind):
    critic, draws, penalty = LinearCritic((3,)), noise(), kind(2.0, interval=3, schedule=LinearDecay(end=10, final=0.1))
    found = []
    for draws.update in (0, 5, 10, 20):
        found.append(penalty(critic, samples((3,)), samples((3,)), None, draws))
    assert_close(
        torch.stack(found), critic.a.detach().norm() ** 2 * torch.tensor([3, 1.65, 0.3, 0.3], dtype=torch.float64)
    )
    with pytest.raises(UserError, match=f"{kind.__name__} with a schedule needs noise"):
        penalty(critic, samples((3,)), samples((3,)))


@pytest.mark.parametrize("shape", SHAPES)
def test_each_sample_has_a_norm_of_its_own(shape):
    """With o = s |x|^2 / 2 the norm at x is s |x|, over all axes of a sample; real = fake fixes the points."""
    critic, real = QuadraticCritic(), samples(shape)
    real[:3] *= 0.1  # below a norm of 1, the others above
    norms = 0.7 * real.flatten(1).norm(dim=1)
    assert_close(gradient_norms(critic, real), norms)
    assert_close(GradientPenalty(1.0)(critic, real, real, None, noise()), ((norms - 1) ** 2).mean())
    above = (norms - 1).clamp(min=0)
    assert (above[:3] == 0).all() and (above[3:] > 0).all()
    assert_close(GradientPenalty(1.0, one_sided=True)(critic, real, real, None, noise()), (above**2).mean())
    fake = samples(shape, seed=1)
    assert_close(R1(1.0)(critic, real, fake, None, noise()), 0.5 * (norms**2).mean())
    assert_close(R2(1.0)(critic, fake, real, None, noise()), 0.5 * (norms**2).mean())


@pytest.mark.parametrize("shape", SHAPES)
def test_labels_choose_the_gradient(shape):
    critic, labels = LinearCritic(shape, n_classes=3), torch.tensor([0, 1, 2, 2, 1, 0])
    norms = critic.a.detach().flatten(1).norm(dim=1)[labels]
    assert_close(gradient_norms(critic, samples(shape), labels), norms)
    value = GradientPenalty(1.0)(critic, samples(shape), samples(shape, seed=1), labels, noise())
    assert_close(value, ((norms - 1) ** 2).mean())


@pytest.mark.parametrize("shape", SHAPES)
def test_points_lie_on_the_lines_one_coefficient_to_a_sample(shape):
    real, fake = samples(shape), samples(shape, seed=1)
    points = interpolate(real, fake, noise())
    assert points.shape == real.shape
    shares = ((points - fake) / (real - fake)).flatten(1)
    assert_close(shares, shares[:, :1].expand_as(shares))
    assert len(shares[:, 0].unique()) == N
    assert ((shares >= 0) & (shares <= 1)).all()
    many = interpolate(torch.ones(4000, 1), torch.zeros(4000, 1), Noise(0, torch.device("cpu"), torch.float32))
    assert float(many.mean()) == pytest.approx(0.5, abs=0.02)  # uniform: 4 standard errors
    assert float(many.var()) == pytest.approx(1 / 12, abs=0.005)


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1(), R2()])
def test_nothing_flows_into_the_generator(penalty):
    weight = torch.ones(4, 4, dtype=torch.float64, requires_grad=True)
    fake = samples((4,)) @ weight
    penalty(QuadraticCritic(), samples((4,), seed=1), fake, None, noise()).backward()
    assert weight.grad is None


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (partial(MLPCritic, Vectors(5), width=7, n_layers=2), (5,)),
        (partial(WGANGPCNNCritic, Images(8, 8, 3), width=4), (3, 8, 8)),
        (partial(WGANGPGoodCritic, Images(16, 16, 1), width=4), (1, 16, 16)),
        (partial(SNGANResNetCritic, Images(8, 8, 1), width=4), (1, 8, 8)),
        (partial(SNGANResNetCritic, Images(8, 8, 1), width=4, n_classes=3), (1, 8, 8)),
    ],
    ids=["mlp", "cnn", "layer-norm", "spectral", "projection"],
)
def test_both_ways_of_differentiating_agree(build, shape):
    """torch.func and torch.autograd give the same gradients, and the same derivatives of them in the critic."""
    torch.manual_seed(0)
    critic = build().double().eval()  # eval: spectral normalisation makes no further iteration
    points, labels = samples(shape), torch.tensor([0, 1, 2, 0, 1, 2]) if critic.n_classes else None
    assert not couples_batch(critic)
    parameters = list(critic.parameters())
    by_function = input_gradients(critic, points, labels)
    second = torch.autograd.grad(by_function.square().sum(), parameters, allow_unused=True)

    own = points.clone().requires_grad_(True)
    (by_tape,) = torch.autograd.grad(critic(own, labels).sum(), own, create_graph=True)
    assert_close(by_function, by_tape)
    for one, other in zip(
        second, torch.autograd.grad(by_tape.square().sum(), parameters, allow_unused=True), strict=True
    ):
        assert_close(one, other) if other is not None else None

    critic.couples_batch = True  # takes the other way
    assert couples_batch(critic)
    assert_close(input_gradients(critic, points, labels), by_tape)


def test_a_critic_in_training_keeps_its_power_iteration():
    """The spectral norm's vectors are buffers that a forward pass changes: torch.func must leave them usable."""
    torch.manual_seed(0)
    critic = SNGANResNetCritic(Images(8, 8, 1), width=4).double()
    buffers = {name: buffer.clone() for name, buffer in critic.named_buffers()}
    GradientPenalty()(critic, samples((1, 8, 8)), samples((1, 8, 8), seed=1), None, noise()).backward()
    changed = [name for name, buffer in critic.named_buffers() if not torch.equal(buffer, buffers[name])]
    assert changed
    assert all(type(buffer) is Tensor and buffer.isfinite().all() for buffer in critic.buffers())
    assert critic(samples((1, 8, 8))).isfinite().all()


@pytest.mark.parametrize("penalty", [GradientPenalty(), GradientPenalty(one_sided=True), R1(), R2()])
def test_the_derivative_in_the_critic_is_the_numerical_one(penalty):
    torch.manual_seed(0)
    critic = MLPCritic(Vectors(3), width=4, n_layers=1, activation=nn.Softplus).double()
    first = critic.hidden[0].weight
    real, fake = 3 * samples((3,)), samples((3,), seed=1)

    def value(weight: Tensor) -> Tensor:
        class Swapped(Critic):
            def features(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
                return nn.functional.softplus(x @ weight.T + critic.hidden[0].bias)

            def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
                return critic.output(features).squeeze(1)

        return penalty(Swapped(), real, fake, None, noise())

    assert torch.autograd.gradcheck(value, (4 * first.detach()).requires_grad_(True))


def test_the_slope_is_finite_where_the_gradient_vanishes():
    critic, zeros = QuadraticCritic(), torch.zeros(N, 3, dtype=torch.float64)
    GradientPenalty()(critic, zeros, zeros, None, noise()).backward()
    assert critic.s.grad.isfinite()


def test_layers_that_couple_samples_are_found():
    assert couples_batch(DCGANCritic(Images(8, 8, 1), width=4)) == []  # too small for a normalised layer
    (name,) = couples_batch(DCGANCritic(Images(16, 16, 1), width=4))
    assert isinstance(dict(DCGANCritic(Images(16, 16, 1), width=4).named_modules())[name], nn.BatchNorm2d)
    assert couples_batch(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))) == []


@pytest.mark.parametrize(("options", "message"), [({"interval": 0}, "interval"), ({"weight": -1.0}, "weight")])
def test_numbers_out_of_range_are_refused(options, message):
    for penalty in (GradientPenalty, R1, R2):
        with pytest.raises(ValueError, match=message):
            penalty(**options)
