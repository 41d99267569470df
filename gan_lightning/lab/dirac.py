"""Games of two numbers: the Dirac-GAN and the game x y, played with the families' own losses and penalties.

Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", arXiv:1801.04406: real samples are all 0, the
generator makes theta, the critic is psi x. The families' terms are differentiated as in training; the steps are simultaneous or
alternating, without momentum.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from gan_lightning.families import DRAGAN, SNGAN, MinimaxGAN, NonSaturatingGAN
from gan_lightning.games.gan import GAN
from gan_lightning.lab.experiment import Experiment, Found, Row
from gan_lightning.lab.figures import axes_of, colors
from gan_lightning.losses import Wasserstein
from gan_lightning.networks.base import Critic, Generator
from gan_lightning.observations import InstanceNoise
from gan_lightning.optimizers import SGD
from gan_lightning.protocols import Batch
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Shape, Vectors
from gan_lightning.stabilizers import R1, R2, GradientPenalty

_START = (1.0, -1.0)  # theta, psi: the critic is right about the generated sample, as in Mescheder's notebook
_H, _STEPS, _PRODUCT_STEPS = 0.2, 500, 1000


class Point(Generator):
    """A generator that makes theta whatever the latents."""

    def __init__(self, shape: Shape, theta: float = 1.0) -> None:
        super().__init__()
        self.latent_dim = 1
        self.theta = nn.Parameter(torch.tensor(theta))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return theta, `(N, 1)`."""
        return self.theta.expand(len(latents), 1)


class Slope(Critic):
    """The critic psi x."""

    def __init__(self, shape: Shape, psi: float = -1.0) -> None:
        super().__init__()
        self.n_features = 1
        self.psi = nn.Parameter(torch.tensor(psi))

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the samples."""
        return samples

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return psi x, `(N,)`."""
        return self.psi * features.squeeze(1)


class DiracGame:
    """The gradient field of a family's Dirac-GAN, in double precision.

    Args:
        build: Makes the game of a generator, a critic and a shape.
        n: Samples in a batch; more than one only where there is noise.

    Attributes:
        turn: Seed of what is random; the same turn draws the same, so that differences of the field are exact.
    """

    def __init__(self, build: Callable[..., GAN], n: int = 1) -> None:
        optimizers = {"critic_optimizer": SGD(lr=_H), "generator_optimizer": SGD(lr=_H)}
        self.game: Any = build(Point, Slope, Vectors(1), n_critic=1, **optimizers).double()
        self.batch, self.turn = Batch(torch.zeros(n, 1, dtype=torch.float64), None), 0

    def __call__(self, theta: float, psi: float) -> tuple[float, float]:
        """Return (dtheta/dt, dpsi/dt): what each player's loss says at a point."""
        return self.of_generator(theta, psi), self.of_critic(theta, psi)

    def of_critic(self, theta: float, psi: float) -> float:
        """Return -dL_D/dpsi."""
        return self._slope(theta, psi, self.game.critic_turn, self.game.critic)

    def of_generator(self, theta: float, psi: float) -> float:
        """Return -dL_G/dtheta."""
        return self._slope(theta, psi, self.game.generator_turn, self.game.generator)

    def _slope(self, theta: float, psi: float, turn: Callable[[Any], dict[str, Tensor]], player: nn.Module) -> float:
        self.game.generator.theta.data.fill_(theta)
        self.game.critic.psi.data.fill_(psi)
        self.game.noise = Noise(self.turn, torch.device("cpu"), torch.float64)
        loss = torch.stack([term.reshape(()) for term in turn(self.batch).values()]).sum()
        (parameter,) = player.parameters()
        (gradient,) = torch.autograd.grad(loss, parameter)
        return -gradient.item()


class Consensus:
    """Consensus optimisation of a field (Mescheder 2017, arXiv:1705.10461): v - gamma grad |v|^2 / 2, by central differences."""

    def __init__(self, field: DiracGame, gamma: float) -> None:
        self.field, self.gamma, self.turn = field, gamma, 0

    def __call__(self, theta: float, psi: float) -> tuple[float, float]:
        """Return the field at a point."""
        v = self.field(theta, psi)
        return v[0] - self.gamma * self._slope(theta, psi, 0), v[1] - self.gamma * self._slope(theta, psi, 1)

    def of_generator(self, theta: float, psi: float) -> float:
        """Return the generator's part."""
        return self(theta, psi)[0]

    def of_critic(self, theta: float, psi: float) -> float:
        """Return the critic's part."""
        return self(theta, psi)[1]

    def _slope(self, theta: float, psi: float, axis: int, step: float = 1e-5) -> float:
        ahead, behind = (
            self.field(theta + sign * step * (axis == 0), psi + sign * step * (axis == 1)) for sign in (1, -1)
        )
        return sum(a * a - b * b for a, b in zip(ahead, behind, strict=True)) / (4 * step)


class Formula:
    """The field of a Dirac-GAN written down by hand: what the families' terms must differentiate to.

    With s(t) = 1 / (1 + exp(-t)) and t = theta psi, the critic's logistic loss log 2 + log(1 + e^t) pulls psi by -theta s(t);
    its generator theta by psi s(t), or psi (1 - s(t)) where it does not saturate. Without logistic loss the pulls are -theta and
    psi.

    Args:
        losses: The pair of losses.
        r1: gamma of 1/2 gamma psi^2, which R1 and R2 both are here.
        slope_penalty: lambda of lambda (|psi| - 1)^2.
        consensus: gamma of consensus optimisation, of the saturating game.
    """

    turn = 0

    def __init__(
        self,
        losses: Literal["saturating", "non-saturating", "wasserstein"],
        r1: float = 0.0,
        slope_penalty: float = 0.0,
        consensus: float = 0.0,
    ) -> None:
        self.losses, self.r1, self.slope_penalty, self.consensus = losses, r1, slope_penalty, consensus

    def of_generator(self, theta: float, psi: float) -> float:
        """Return -dL_G/dtheta."""
        if self.losses == "wasserstein":
            return psi
        s = 1 / (1 + math.exp(-theta * psi))
        square = s * s * (1 - s) * psi * (theta * theta + psi * psi) + s * s * theta  # d/dtheta of |v|^2 / 2
        return psi * (s if self.losses == "saturating" else 1 - s) - self.consensus * square

    def of_critic(self, theta: float, psi: float) -> float:
        """Return -dL_D/dpsi."""
        held = self.r1 * psi + 2 * self.slope_penalty * (psi - math.copysign(1.0, psi))
        if self.losses == "wasserstein":
            return -theta - held
        s = 1 / (1 + math.exp(-theta * psi))
        square = s * s * (1 - s) * theta * (theta * theta + psi * psi) + s * s * psi
        return -theta * s - held - self.consensus * square


Field = DiracGame | Consensus | Formula


def path(
    field: Field,
    n_steps: int,
    h: float,
    alternating: bool,
    clip: float | None = None,
    start: tuple[float, float] = _START,
) -> np.ndarray:
    """Return the points `(n_steps + 1, 2)` of (theta, psi).

    Args:
        field: What each player's loss says at a point.
        n_steps: Steps.
        h: Step size.
        alternating: The critic moves first and the generator sees it moved, as in the package's games; else both move at once.
        clip: Bound of psi after each of its steps.
        start: theta and psi at first.
    """
    theta, psi = start
    points = [(theta, psi)]
    for turn in range(n_steps):
        field.turn = turn
        moved = psi + h * field.of_critic(theta, psi)
        if clip is not None:
            moved = min(max(moved, -clip), clip)
        theta += h * field.of_generator(theta, moved if alternating else psi)
        psi = moved
        points.append((theta, psi))
    return np.array(points)


def eigenvalues(field: Callable[[float, float], tuple[float, float]], step: float = 1e-4) -> list[complex]:
    """Return the eigenvalues of the field's Jacobian at the equilibrium (0, 0), by central differences."""
    columns = []
    for theta, psi in ((step, 0.0), (0.0, step)):
        ahead, behind = field(theta, psi), field(-theta, -psi)
        columns.append([(a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True)])
    return sorted(np.linalg.eigvals(np.array(columns).T).tolist(), key=lambda value: (value.real, value.imag))


def _pair(mean: float, square: float) -> list[complex]:
    """Return mean +- sqrt(square)."""
    root = cmath.sqrt(square)
    return sorted([mean - root, mean + root], key=lambda value: (value.real, value.imag))


def penalized(family: Callable[..., GAN], *penalties: Any) -> Callable[..., GAN]:
    """Return what builds a family's game with penalties."""
    return partial(family, critic_penalties=list(penalties))


_WGAN = partial(SNGAN, objective=Wasserstein())
_F1, _F2 = 0.5, -0.25  # f'(0) and f''(0) of f(t) = -log(1 + exp(-t))


def play_dirac(seed: int) -> Found:
    """Play the Dirac-GAN of each method, and compare with the eigenvalues and distances that are known."""
    noise = DiracGame(partial(NonSaturatingGAN, observation=InstanceNoise(sigma=0.7)), n=20_000)
    methods: dict[str, tuple[DiracGame | Consensus, list[complex], Formula]] = {
        "GAN": (DiracGame(MinimaxGAN), _pair(0, -(_F1**2)), Formula("saturating")),
        "NSGAN": (DiracGame(NonSaturatingGAN), _pair(0, -(_F1**2)), Formula("non-saturating")),
        "WGAN": (DiracGame(_WGAN), _pair(0, -1.0), Formula("wasserstein")),
        "GAN + R1 0.3": (
            DiracGame(penalized(MinimaxGAN, R1(0.3))),
            _pair(-0.15, 0.15**2 - _F1**2),
            Formula("saturating", r1=0.3),
        ),
        "GAN + R1 1": (DiracGame(penalized(MinimaxGAN, R1(1.0))), _pair(-0.5, 0.0), Formula("saturating", r1=1.0)),
        "GAN + R1 2": (DiracGame(penalized(MinimaxGAN, R1(2.0))), _pair(-1, 1 - _F1**2), Formula("saturating", r1=2.0)),
        "GAN + R2 0.3": (
            DiracGame(penalized(MinimaxGAN, R2(0.3))),
            _pair(-0.15, 0.15**2 - _F1**2),
            Formula("saturating", r1=0.3),
        ),
        "NSGAN + R1 0.3": (
            DiracGame(penalized(NonSaturatingGAN, R1(0.3))),
            _pair(-0.15, 0.15**2 - _F1**2),
            Formula("non-saturating", r1=0.3),
        ),
        "consensus 1": (
            Consensus(DiracGame(MinimaxGAN), 1.0),
            _pair(-(_F1**2), -(_F1**2)),
            Formula("saturating", consensus=1.0),
        ),
    }
    rows = []
    figure, axes = axes_of(3, 4, 2.6)
    for axis, (name, (field, known, formula)) in zip(axes, methods.items(), strict=False):
        paths = [path(field, _STEPS, _H, turns) for turns in (False, True)]
        rows += _eigenvalue_rows(name, eigenvalues(field), known, 2e-3 if name == "consensus 1" else 1e-4)
        rows += _distance_rows(name, paths, formula)
        _draw(axis, name, *paths)
    axes[2].set(xlim=(-6, 6), ylim=(-6, 6), adjustable="box")
    clipped = [path(DiracGame(_WGAN), _STEPS, _H, turns, clip=1.0) for turns in (False, True)]
    rows += _distance_rows("WGAN clipped at 1", clipped, Formula("wasserstein"), clip=1.0)
    gp = [path(DiracGame(penalized(_WGAN, GradientPenalty(0.7))), _STEPS, _H, turns) for turns in (False, True)]
    rows += _distance_rows("WGAN-GP 0.7", gp, Formula("wasserstein", slope_penalty=0.7))
    dragan = [path(DiracGame(partial(DRAGAN, gp_weight=0.7)), _STEPS, _H, turns) for turns in (False, True)]
    rows += _distance_rows("DRAGAN 0.7", dragan, Formula("non-saturating", slope_penalty=0.7))
    _draw(axes[9], "WGAN clipped at 1", *clipped)
    _draw(axes[10], "WGAN-GP", *gp)
    noisy = [path(noise, 150, _H, turns) for turns in (False, True)]
    exact = _pair(_F2 * 0.49, (_F2 * 0.49) ** 2 - _F1**2)
    rows += _eigenvalue_rows("instance noise 0.7", eigenvalues(noise), exact, 0.01)
    _draw(axes[11], "instance noise 0.7", *noisy)
    axes[0].legend(fontsize=6, loc="upper left")
    figure.suptitle(
        "Dirac-GAN: real samples are 0, the generator makes θ, the critic is ψx. Only some methods reach the middle."
    )
    notes = [
        "Each game starts at θ = 1, ψ = -1 and takes 500 steps of 0.2. The known distances are of the same steps with "
        "the gradients written down by hand. Alternating steps are the package's: the critic first."
    ]
    return Found(rows, figure, notes)


def _distance_rows(name: str, paths: list[np.ndarray], formula: Formula, clip: float | None = None) -> list[Row]:
    """Return rows for the distances from the equilibrium at the ends of the simultaneous and of the alternating path."""
    rows = []
    for turns, points in zip((False, True), paths, strict=True):
        exact = math.hypot(*path(formula, len(points) - 1, _H, turns, clip)[-1])
        what = f"{name}: distance after {len(points) - 1} {'alternating' if turns else 'simultaneous'} steps"
        rows.append(Row(what, math.hypot(*points[-1]), exact, 1e-4 * exact))
    return rows


def _eigenvalue_rows(name: str, ours: list[complex], known: list[complex], tolerance: float) -> list[Row]:
    """Return rows for the real and imaginary parts."""
    rows = []
    for i, (one, exact) in enumerate(zip(ours, known, strict=True), 1):
        rows.append(Row(f"{name}: eigenvalue {i}, real part", one.real, exact.real, tolerance))
        rows.append(Row(f"{name}: eigenvalue {i}, imaginary part", abs(one.imag), abs(exact.imag), tolerance))
    return rows


def _draw(axis: Any, name: str, simultaneous: np.ndarray, alternating: np.ndarray) -> None:
    for points, color, label in ((simultaneous, colors[1], "simultaneous"), (alternating, colors[0], "alternating")):
        axis.plot(points[:, 0], points[:, 1], color=color, linewidth=0.7, label=label)
        axis.plot(*points[-1], "o", color=color, markersize=4)
    axis.plot(0, 0, "k+", markersize=8)
    axis.set_title(name, fontsize=8)
    axis.set_aspect("equal", adjustable="datalim")


def play_product(seed: int) -> Found:
    """Play x y: simultaneous steps leave in a spiral, alternating ones go round."""
    field = DiracGame(_WGAN)
    rows = []
    figure, axes = axes_of(1, 2, 3.4)
    for axis, h in zip(axes, (0.1, 0.01), strict=True):
        n = _PRODUCT_STEPS
        simultaneous, alternating = (path(field, n, h, turns, start=(1.0, 1.0)) for turns in (False, True))
        radius = math.sqrt(2) * (1 + h * h) ** (n / 2)
        rows.append(
            Row(f"step {h}: radius after {n} simultaneous steps", math.hypot(*simultaneous[-1]), radius, 1e-9 * radius)
        )
        theta, psi = alternating.T
        kept = theta**2 + psi**2 - h * theta * psi  # psi is x, theta is y
        start = kept[0]
        rows.append(
            Row(
                f"step {h}: largest change of x² + y² - h x y, alternating",
                float(np.abs(kept - start).max()),
                0.0,
                1e-9,
            )
        )
        _draw(axis, f"step {h}, {n} steps", simultaneous, alternating)
    axes[0].legend(fontsize=7)
    figure.suptitle("x minimises x y, y maximises it: the WGAN of two numbers")
    return Found(rows, figure)


EXPERIMENTS = [
    Experiment(
        "product",
        "x minimises x y and y maximises it: turns at once leave in a spiral, turns by turns go round",
        3,
        play_product,
    ),
    Experiment("dirac", "the Dirac-GAN: which methods reach the equilibrium, and how fast", 20, play_dirac),
]
