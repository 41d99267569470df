"""Unrolling against a game on the line, and the functional optimizers against torch's."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log1p
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.families import UnrolledGAN
from gan_lightning.networks import Critic, Generator
from gan_lightning.optimizers.functional import functional
from gan_lightning.optimizers.specs import SGD, RMSprop
from gan_lightning.shapes import Shape, shape_of

X, THETA, PHI, RATE = 1.5, 0.7, -0.4, 0.3


class Point(Generator):
    """G(z) = phi."""

    latent_dim = 1

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.phi = nn.Parameter(torch.tensor(PHI, dtype=torch.float64))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.phi.expand(len(latents), 1)


class Slope(Critic):
    """o(x) = theta x."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_features = 1
        self.theta = nn.Parameter(torch.tensor(THETA, dtype=torch.float64))

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return samples

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return (self.theta * features).squeeze(1)


def game(n_unrolled: int, monkeypatch: pytest.MonkeyPatch) -> UnrolledGAN:
    gan = UnrolledGAN(Point, Slope, shape=shape_of(0, 1), n_unrolled=n_unrolled, critic_optimizer=SGD(lr=RATE))
    optimizers = gan.configure_optimizers()
    monkeypatch.setattr(gan, "optimizers", lambda use_pl_optimizer=True: optimizers)
    return gan


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def critic_loss(theta: float, phi: float) -> float:
    return log1p(exp(-theta * X)) + log1p(exp(theta * phi))


def unrolled(phi: float, k: int) -> float:
    theta = THETA
    for _ in range(k):
        theta -= RATE * (-X * sigmoid(-theta * X) + phi * sigmoid(theta * phi))
    return -critic_loss(theta, phi)


def generator_gradient(gan: Any) -> tuple[float, float]:
    gan.critic.requires_grad_(False)
    real, fake = torch.full((3, 1), X, dtype=torch.float64), gan.generator(torch.zeros(3, 1))
    (loss,) = gan.generator_loss(real, fake, None).values()
    loss.backward()
    assert gan.generator.phi.grad is not None
    return loss.item(), gan.generator.phi.grad.item()


def test_one_step_has_the_gradient_worked_out_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    loss, gradient = generator_gradient(game(1, monkeypatch))
    s = sigmoid(THETA * PHI)
    theta = THETA - RATE * (-X * sigmoid(-THETA * X) + PHI * s)
    theta_by_phi = -RATE * (s + PHI * THETA * s * (1 - s))
    loss_by_theta = -X * sigmoid(-theta * X) + PHI * sigmoid(theta * PHI)
    assert loss == pytest.approx(-critic_loss(theta, PHI))
    assert gradient == pytest.approx(-(theta * sigmoid(theta * PHI) + loss_by_theta * theta_by_phi))


@pytest.mark.parametrize("k", [0, 1, 2, 7])
def test_gradient_is_that_of_the_recursion(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    loss, gradient = generator_gradient(game(k, monkeypatch))
    step = 1e-5
    assert loss == pytest.approx(unrolled(PHI, k))
    assert gradient == pytest.approx((unrolled(PHI + step, k) - unrolled(PHI - step, k)) / (2 * step), rel=1e-7)


def test_the_critic_and_its_optimizer_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gan: Any = game(3, monkeypatch)
    generator_gradient(gan)
    assert gan.critic.theta.item() == pytest.approx(THETA) and gan.critic.theta.grad is None
    assert not gan.optimizers()[0].state  # type: ignore[index]


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.9), eps=1e-6),
        lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.0, 0.9), weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, lr=0.1),
    ],
)
def test_functional_steps_are_torchs(make: Callable[[Any], torch.optim.Optimizer]) -> None:
    torch.manual_seed(0)
    parameters = [
        nn.Parameter(torch.randn(3, 2, dtype=torch.float64)),
        nn.Parameter(torch.randn(4, dtype=torch.float64)),
    ]
    optimizer = make(parameters)

    def gradients(values: Any) -> list[Tensor]:
        return list(torch.autograd.grad(sum((v.sin() ** 2).sum() for v in values), values))

    def step() -> None:
        for parameter, gradient in zip(parameters, gradients(parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()

    for start in range(3):  # from a fresh state, then from a state with moments
        copies = [p.detach().clone().requires_grad_() for p in parameters]
        steps = functional(optimizer, parameters)
        for _ in range(3):
            copies = steps.step(copies, gradients(copies))
            copies = [c.detach().requires_grad_() for c in copies]
        for _ in range(3):
            step()
        for parameter, copy in zip(parameters, copies, strict=True):
            torch.testing.assert_close(parameter.detach(), copy.detach(), msg=f"round {start}")


def test_adam_is_differentiable_where_a_gradient_is_zero() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    steps = functional(torch.optim.Adam([parameter], lr=0.1), [parameter])
    gradient = torch.zeros(2, requires_grad=True)
    steps.step([parameter], [gradient])[0].sum().backward()
    assert gradient.grad is not None and gradient.grad.isfinite().all()


def test_what_cannot_be_unrolled_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot unroll RMSprop; take Adam or SGD"):
        UnrolledGAN(Point, Slope, shape=shape_of(0, 1), critic_optimizer=RMSprop(lr=1e-3))
    with pytest.raises(ValueError, match="n_unrolled must be at least 0, got -1"):
        UnrolledGAN(Point, Slope, shape=shape_of(0, 1), n_unrolled=-1)
    parameter = nn.Parameter(torch.zeros(2))
    with pytest.raises(ValueError, match="RMSprop cannot be unrolled"):
        functional(torch.optim.RMSprop([parameter]), [parameter])
