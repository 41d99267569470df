"""Two distributions apart: what the divergences say of them, what the best critic does, and what the generator is told.

Arjovsky & Bottou 2017, arXiv:1701.04862 (vanishing gradients), Arjovsky et al. 2017, arXiv:1701.07875 (parallel lines).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from gan_lightning.families import SNGAN, MinimaxGAN, NonSaturatingGAN
from gan_lightning.games.gan import GAN
from gan_lightning.lab.experiment import Experiment, Found, Row
from gan_lightning.lab.figures import axes_of, colors
from gan_lightning.losses import Wasserstein
from gan_lightning.metrics.coverage import wasserstein_1d
from gan_lightning.metrics.divergences import (
    jensen_shannon_divergence,
    kl_divergence,
    total_variation,
    wasserstein,
)
from gan_lightning.networks.base import Critic, Generator
from gan_lightning.optimizers import SGD
from gan_lightning.protocols import Batch
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Shape, Vectors

GRID = torch.linspace(-20, 30, 50_001, dtype=torch.float64)
CELL = (GRID[1] - GRID[0]).item()
_N = 200_000


def density(mean: float, std: float = 1.0) -> Tensor:
    """Return the normal density on `GRID`."""
    return Normal(torch.tensor(mean).double(), std).log_prob(GRID).exp()


class Shifted(Generator):
    """z + theta: N(theta, 1) of latents N(0, 1)."""

    def __init__(self, shape: Shape, theta: float = 0.0) -> None:
        super().__init__()
        self.latent_dim = 1
        self.theta = nn.Parameter(torch.tensor(theta))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples `(N, 1)`."""
        return latents + self.theta


class Known(Critic):
    """A critic whose logit is a known function of x."""

    def __init__(self, shape: Shape, logit: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.n_features = 1
        self.logit = logit
        self.scale = nn.Parameter(torch.ones(()))  # every player has something to learn

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the samples."""
        return samples

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the logits `(N,)`."""
        return self.scale * self.logit(features.squeeze(1))


def generator_slope(family: Callable[..., GAN], logit: Callable[[Tensor], Tensor], theta: float, seed: int) -> float:
    """Return dL_G/dtheta of a family's own loss, the critic held at a known function."""
    optimizers = {"critic_optimizer": SGD(lr=1.0), "generator_optimizer": SGD(lr=1.0)}
    game: Any = family(
        lambda shape: Shifted(shape, theta), lambda shape: Known(shape, logit), Vectors(1), n_critic=1, **optimizers
    )
    game.double()
    game.noise = Noise(seed, torch.device("cpu"), torch.float64)
    terms = game.generator_turn(Batch(torch.zeros(_N, 1, dtype=torch.float64), None))
    (slope,) = torch.autograd.grad(torch.stack([*terms.values()]).sum(), [game.generator.theta])
    return slope.item()


# theta: saturating, non-saturating, JSD, value at D*; families.md 7.9, by quadrature
_TABLE = {
    0.25: (0.1231, 0.1269, 0.00775, -1.371),
    0.5: (0.2353, 0.2647, 0.0303, -1.326),
    1.0: (0.3980, 0.6020, 0.1114, -1.163),
    2.0: (0.4496, 1.550, 0.3368, -0.7126),
    4.0: (0.1372, 3.863, 0.6327, -0.1209),
    6.0: (0.01245, 5.988, 0.6893, -0.00770),
}


def play_vanishing(seed: int) -> Found:
    """Ask the families' losses for the generator's gradient beside the best critic."""
    wgan = lambda *args, **kwargs: SNGAN(*args, objective=Wasserstein(), **kwargs)  # noqa: E731
    rows: list[Row] = []
    thetas = list(_TABLE)
    curves: dict[str, list[float]] = {"saturating": [], "non-saturating": [], "Wasserstein": []}
    for theta in thetas:
        best = lambda x, theta=theta: theta * theta / 2 - theta * x  # noqa: E731 log p - log q of N(0, 1), N(theta, 1)
        exact = _best_gradients(theta)
        for name, family, logit, known in (
            ("saturating", MinimaxGAN, best, exact[0]),
            ("non-saturating", NonSaturatingGAN, best, exact[1]),
            ("Wasserstein", wgan, lambda x: -x, 1.0),
        ):
            slope = generator_slope(family, logit, theta, seed)
            curves[name].append(slope)
            rows.append(Row(f"theta {theta:g}: gradient, {name}", slope, known, (0.02 if theta < 4 else 0.06) * known))
        for name, ours, printed in zip(("saturating", "non-saturating"), exact, _TABLE[theta][:2], strict=True):
            rows.append(Row(f"theta {theta:g}: gradient by quadrature, {name}", ours, printed, 6e-4 * printed))
        js = jensen_shannon_divergence(density(0), density(theta), CELL).item()
        rows.append(Row(f"theta {theta:g}: JS divergence", js, _TABLE[theta][2], 1e-3 * _TABLE[theta][2] + 5e-5))
        rows.append(Row(f"theta {theta:g}: 2 JS - 2 log 2", 2 * js - 2 * math.log(2), _TABLE[theta][3], 6e-4))
    figure, (axis, other) = axes_of(1, 2, 3.4, 4.4)
    for color, (name, values) in zip(colors, curves.items(), strict=False):
        axis.semilogy(thetas, values, "o", color=color, label=f"{name}, our loss")
    line = torch.linspace(0.1, 8, 80).tolist()
    pairs = [_best_gradients(theta) for theta in line]
    axis.semilogy(line, [pair[0] for pair in pairs], color=colors[0])
    axis.semilogy(line, [pair[1] for pair in pairs], color=colors[1])
    axis.axhline(1, color=colors[2])
    axis.set(xlabel="distance θ of N(θ, 1) from N(0, 1)", ylabel="gradient that the generator gets")
    axis.legend(fontsize=7)
    axis.set_title("Lines: exact. The minimax loss falls silent far away.", fontsize=8)
    x = torch.linspace(-4, 10, 300)
    for color, theta in zip(colors[3:], (1.0, 4.0, 6.0), strict=False):
        other.plot(x, torch.sigmoid(theta * theta / 2 - theta * x), color=color, label=f"D*, θ = {theta:g}")
    other.set(xlabel="x", ylabel="D*(x) = p / (p + q)")
    other.legend(fontsize=7)
    other.set_title("The farther, the surer the best critic", fontsize=8)
    return Found(rows, figure)


def _best_gradients(theta: float) -> tuple[float, float]:
    """Return theta E_q D* and theta E_q (1 - D*), by quadrature."""
    sure = torch.sigmoid(theta * theta / 2 - theta * GRID)
    q = density(theta)
    return theta * (q * sure).sum().item() * CELL, theta * (q * (1 - sure)).sum().item() * CELL


def play_divergences(seed: int) -> Found:
    """Move one Gaussian away from another: KL grows without end, JS stops at log 2, W1 is the distance."""
    thetas = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0]
    names = ["KL", "reverse KL", "JS", "total variation", "W1"]
    curves: dict[str, list[float]] = {name: [] for name in names}
    rows = []
    p = density(0)
    latents = torch.randn(20_000, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for theta in thetas:
        q = density(theta)
        values = [kl_divergence(p, q, CELL), kl_divergence(q, p, CELL), jensen_shannon_divergence(p, q, CELL)]
        values += [total_variation(p, q, CELL), torch.tensor(wasserstein_1d(latents, latents + theta))]
        exact = {"KL": theta**2 / 2, "reverse KL": theta**2 / 2, "W1": theta}
        exact["total variation"] = math.erf(theta / 2 / math.sqrt(2))
        for name, value in zip(names, values, strict=True):
            curves[name].append(value.item())
            if name in exact:
                rows.append(Row(f"{name} of N(0, 1) and N({theta:g}, 1)", value.item(), exact[name], 1e-6))
    rows.append(Row("JS far apart", curves["JS"][-1], math.log(2), 1e-4))
    wide = kl_divergence(density(0, 1), density(1, 2), CELL).item()
    rows.append(Row("KL of N(0, 1) and N(1, 4)", wide, math.log(2) + 2 / 8 - 0.5, 1e-6))
    back = kl_divergence(density(1, 2), density(0, 1), CELL).item()
    rows.append(Row("KL of N(1, 4) and N(0, 1)", back, -math.log(2) + 5 / 2 - 0.5, 1e-6))
    figure, (axis, other) = axes_of(1, 2, 3.4, 4.4)
    axis.plot(GRID[16_000:28_000], p[16_000:28_000], color="k", label="p")
    for color, theta in zip(colors, (1.0, 4.0), strict=False):
        axis.plot(GRID[16_000:28_000], density(theta)[16_000:28_000], color=color, label=f"q, θ = {theta:g}")
    axis.legend(fontsize=7)
    axis.set(xlabel="x", ylabel="density")
    for color, name in zip(colors, names, strict=False):
        other.plot(thetas, curves[name], "o-", color=color, label=name)
    other.axhline(math.log(2), color="grey", linewidth=0.7, linestyle=":")
    other.set(xlabel="distance θ of the means", ylim=(0, 8), ylabel="divergence")
    other.legend(fontsize=7)
    other.set_title("JS stops at log 2 (dotted): no way back for a gradient", fontsize=8)
    return Found(rows, figure)


def play_lines(seed: int) -> Found:
    """Two parallel lines at distance theta: only W1 says how far."""
    thetas = [-1.0, -0.5, 0.0, 0.5, 1.0]
    names = ["KL", "reverse KL", "JS", "total variation", "W1"]
    heights = torch.rand(100, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows, curves = [], {name: [] for name in names}  # type: ignore[var-annotated]
    for theta in thetas:
        apart = theta != 0
        p, q = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0] if apart else [1.0, 0.0])  # mass of either line
        real = torch.stack([torch.zeros(100).double(), heights], 1)
        fake = torch.stack([torch.full((100,), theta).double(), heights.flip(0)], 1)
        values = [kl_divergence(p, q), kl_divergence(q, p), jensen_shannon_divergence(p, q), total_variation(p, q)]
        values.append(wasserstein(real, fake))
        for name, value, exact in zip(names, values, (math.inf, math.inf, math.log(2), 1.0, abs(theta)), strict=True):
            curves[name].append(value.item())
            known = exact if apart else 0.0
            if math.isfinite(known):
                rows.append(Row(f"theta {theta:g}: {name}", value.item(), known, 1e-6))
            else:
                rows.append(Row(f"theta {theta:g}: {name} is infinite", float(math.isinf(value.item())), 1.0, 0.0))
    figure, (axis, other) = axes_of(1, 2, 3.2, 4.2)
    axis.plot([0, 0], [0, 1], color=colors[0], linewidth=3, label="real: x = 0")
    axis.plot([0.6, 0.6], [0, 1], color=colors[1], linewidth=3, label="generated: x = θ")
    axis.set(xlim=(-1, 1), xlabel="x", ylabel="y, uniform on [0, 1]")
    axis.legend(fontsize=7)
    line = [t for t in torch.linspace(-1, 1, 201).tolist() if abs(t) > 1e-6]
    other.plot(line, [abs(t) for t in line], color=colors[2], label="W1 = |θ|")
    other.plot(line, [math.log(2)] * len(line), ".", markersize=1, color=colors[0], label="JS = log 2, but 0 at θ = 0")
    other.plot(line, [1.0] * len(line), ".", markersize=1, color=colors[1], label="total variation = 1, but 0 at θ = 0")
    other.plot([0], [0], "ko", markersize=5)
    other.plot(thetas, curves["W1"], "o", color=colors[2])
    other.set(xlabel="θ", ylim=(-0.1, 1.3))
    other.legend(fontsize=7)
    other.set_title("KL is infinite wherever θ is not 0", fontsize=8)
    return Found(rows, figure)


EXPERIMENTS: list[Any] = [
    Experiment("divergences", "two Gaussians move apart: KL, JS, total variation, W1", 1, play_divergences),
    Experiment(
        "lines", "two parallel lines: why the Wasserstein distance has a gradient where JS has none", 1, play_lines
    ),
    Experiment(
        "vanishing",
        "the generator's gradient beside the best critic: saturating, non-saturating, Wasserstein",
        3,
        play_vanishing,
    ),
]
