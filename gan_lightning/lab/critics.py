"""What critics learn while the generator stands still: the best discriminator, and the Wasserstein distance."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gan_lightning.data import data_of
from gan_lightning.families import DRAGAN, SNGAN, WGAN, WGANGP, NonSaturatingGAN, WGANDiv
from gan_lightning.lab.experiment import Experiment, Found, Row
from gan_lightning.lab.figures import axes_of, colors
from gan_lightning.lab.gaussians import CELL, density
from gan_lightning.lab.playing import STILL, Affine, adam, critic_of, normal_data, play
from gan_lightning.losses import Wasserstein
from gan_lightning.metrics.coverage import wasserstein_1d
from gan_lightning.metrics.divergences import jensen_shannon_divergence, wasserstein
from gan_lightning.optimizers import LinearDecay
from gan_lightning.shapes import Vectors
from gan_lightning.stabilizers import R1

_THETA = 2.0


def _logits(game: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        return game.critic(x).double()


def play_critic(seed: int) -> Found:
    """Train a critic between N(0, 1) and N(2, 1), and compare with D* = p / (p + q) and its value."""
    n = 1500
    game = NonSaturatingGAN(
        partial(Affine, mu=_THETA),
        critic_of(),
        Vectors(1),
        critic_optimizer=adam(2e-3),
        generator_optimizer=STILL,
        critic_schedule=LinearDecay(start=n // 3, end=n),
        seed=seed,
    )
    play(game, normal_data(0.0, 1.0, batch_size=1024, seed=seed), n)
    x = torch.linspace(-2, 4, 301)
    ours, best = torch.sigmoid(_logits(game, x[:, None])), torch.sigmoid(_THETA**2 / 2 - _THETA * x)
    random = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(100_000, 1, generator=random), _THETA + torch.randn(100_000, 1, generator=random)
    value = nn.functional.logsigmoid(_logits(game, real)).mean() + nn.functional.logsigmoid(-_logits(game, fake)).mean()
    known = 2 * jensen_shannon_divergence(density(0), density(_THETA), CELL).item() - 2 * math.log(2)
    rows = [
        Row("largest |D(x) - D*(x)| for x from -2 to 4", (ours - best).abs().max().item(), 0.0, 0.05),
        Row("D at the middle, x = 1", ours[150].item(), 0.5, 0.03),
        Row("E log D + E log(1 - D), against 2 JS - 2 log 2", value.item(), known, 0.01),
    ]
    lines = [torch.stack([torch.full((5000,), place), torch.rand(5000, generator=random)], 1) for place in (0.0, 0.2)]
    flat = NonSaturatingGAN(
        partial(_Line, place=0.2),
        critic_of(),
        Vectors(2),
        critic_optimizer=adam(2e-3),
        generator_optimizer=STILL,
        seed=seed,
    )
    play(flat, data_of(lines[0], batch_size=256), 300)
    right = ((_logits(flat, lines[0]) > 0).double().mean() + (_logits(flat, lines[1]) < 0).double().mean()) / 2
    rows.append(Row("accuracy on two lines that are 0.2 apart", right.item(), 1.0, 1e-3))
    figure, (axis, other) = axes_of(1, 2, 3.2, 4.4)
    axis.plot(x, best, color="k", linewidth=3, alpha=0.3, label="D* = p / (p + q)")
    axis.plot(x, ours, color=colors[1], label="trained critic")
    axis.plot(x, density(0.0)[18_000:24_001:20], color=colors[0], linestyle=":", label="p = N(0, 1)")
    axis.plot(x, density(_THETA)[18_000:24_001:20], color=colors[2], linestyle=":", label="q = N(2, 1)")
    axis.set(xlabel="x")
    axis.legend(fontsize=7)
    axis.set_title("A critic that may learn finds D*", fontsize=8)
    across = torch.linspace(-0.3, 0.5, 200)
    other.plot(across, torch.sigmoid(_logits(flat, torch.stack([across, torch.full((200,), 0.5)], 1))), color=colors[1])
    for place, color, label in ((0.0, colors[0], "real line"), (0.2, colors[2], "generated line")):
        other.axvline(place, color=color, linestyle=":", label=label)
    other.set(xlabel="across the lines", ylabel="D")
    other.legend(fontsize=7)
    other.set_title(f"Supports that do not meet: accuracy {right.item():.4f}, flat at both", fontsize=8)
    return Found(rows, figure)


class _Line(Affine):
    """A vertical line: the first coordinate is `place`, the second uniform on [0, 1]."""

    def __init__(self, shape: Vectors, place: float) -> None:
        super().__init__(shape, place)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples `(N, 2)`."""
        uniform = 0.5 * (1 + torch.erf(latents[:, 1] / math.sqrt(2)))
        return torch.stack([self.mu.expand(len(latents)), uniform], 1)


def penalized_best(theta: float, weight: float) -> tuple[float, float]:
    """Return what WGAN-GP's objective is best at between N(0, 1) and N(theta, 1): the gap, and the slope between the means.

    The critic f gains the integral of w f', w the difference of the distribution functions, and pays the weight times that of
    r (f' - 1)^2, r the density of points between real and generated ones: f' = 1 + w / (2 weight r).
    """
    x, share = torch.linspace(-6, theta + 6, 2401).double(), torch.linspace(0, 1, 201).double()[:, None]
    w = torch.special.ndtr(x) - torch.special.ndtr(x - theta)
    spread = (share**2 + (1 - share) ** 2).sqrt()
    r = torch.trapezoid(torch.exp(-(((x - (1 - share) * theta) / spread) ** 2) / 2) / spread, share[:, 0], dim=0)
    slope = 1 + w * math.sqrt(2 * math.pi) / (2 * weight * r.clamp(min=1e-12))
    inside = (x >= 0) & (x <= theta)
    return torch.trapezoid(slope * w, x).item(), slope[inside].mean().item()


def play_lipschitz(seed: int) -> Found:
    """Hold a Wasserstein critic in several ways, and see what each says of the distance of N(0, 1) and N(2, 1)."""
    wasserstein_sn = partial(SNGAN, objective=Wasserstein(), n_critic=1)
    methods: dict[str, tuple[Any, Any]] = {
        "clipping 0.05": (partial(WGAN, clip_value=0.05, n_warm_up=0, n_critic=1), critic_of()),
        "gradient penalty": (partial(WGANGP, n_critic=1), critic_of()),
        "spectral norm": (wasserstein_sn, critic_of(n_power_iterations=1)),
        "divergence penalty": (partial(WGANDiv, n_critic=1), critic_of()),
        "DRAGAN's": (partial(DRAGAN, n_critic=1), critic_of()),
        "R1 10": (partial(NonSaturatingGAN, critic_penalties=[R1(10.0)]), critic_of()),
    }
    x = torch.linspace(-3, 5, 401)
    random = torch.Generator().manual_seed(seed)
    real, fake = torch.randn(20_000, 1, generator=random), _THETA + torch.randn(20_000, 1, generator=random)
    exact = wasserstein_1d(real[:, 0], fake[:, 0])
    rows, table = (
        [Row("W1 of the samples", exact, _THETA, 0.03)],
        [["critic held by", "E f(x) - E f(G(z))", "steepest slope", "quotient"]],
    )
    figure, axes = axes_of(2, 3, 2.5, 3.2)
    ours = {}
    for axis, (name, (family, critic)) in zip(axes, methods.items(), strict=True):
        game = family(
            partial(Affine, mu=_THETA),
            critic,
            Vectors(1),
            critic_optimizer=adam(2e-3),
            critic_schedule=LinearDecay(start=350, end=700),
            generator_optimizer=STILL,
            seed=seed,
        )
        play(game, normal_data(0.0, 1.0, seed=seed), 700)
        gap = (_logits(game, real).mean() - _logits(game, fake).mean()).item()
        f = _logits(game, x[:, None])
        slope = (f.diff().abs() / x.diff()).max().item()
        ours[name] = (gap, slope, game)
        table.append([name, f"{gap:.3f}", f"{slope:.3f}", f"{gap / slope:.3f}"])
        axis.plot(x, f - f.mean(), color=colors[1])
        axis.plot(x, 1 - x, color="k", alpha=0.3, linewidth=3)
        axis.set_title(f"{name}: says {gap:.2f}", fontsize=8)
        rows.append(
            Row(f"{name}: the gap over the slope, a lower bound of W1", gap / slope, _THETA, 0.1, bound="at most")
        )
    figure.suptitle("Critics between N(0, 1) and N(2, 1), W1 = 2; grey: the best 1-Lipschitz critic", fontsize=9)
    best = penalized_best(_THETA, 10.0)
    rows.append(Row("gradient penalty: the gap", ours["gradient penalty"][0], best[0], 0.4))
    between = _logits(ours["gradient penalty"][2], torch.tensor([[0.0], [_THETA]]))
    rows.append(
        Row("gradient penalty: slope between the means", ((between[0] - between[1]) / _THETA).item(), best[1], 0.05)
    )
    rows.append(Row("spectral norm: steepest slope", ours["spectral norm"][1], 1.0, 0.05, bound="at most"))
    norms = [
        torch.linalg.matrix_norm(module.weight, 2).item()
        for module in ours["spectral norm"][2].critic.modules()
        if isinstance(module, nn.Linear)
    ]
    rows += [Row(f"spectral norm: largest singular value, layer {i}", norm, 1.0, 0.02) for i, norm in enumerate(norms)]
    weights = torch.cat([p.detach().flatten() for p in ours["clipping 0.05"][2].critic.parameters()])
    heaped = (weights.abs() > 0.99 * 0.05).double().mean().item()
    rows.append(Row("clipping: largest weight", weights.abs().max().item(), 0.05, 1e-6))
    rows.append(Row("clipping: share of weights within 1 % of the bound", heaped, 0.5, 0.0, bound="at least"))
    plane = [torch.randn(500, 2, generator=random) for _ in range(2)]
    apart = torch.tensor([3.0, 4.0])
    rows.append(
        Row("W1 of 500 points in the plane, moved by (3, 4)", wasserstein(plane[0], plane[0] + apart).item(), 5.0, 1e-5)
    )
    notes = [
        "DRAGAN's and R1 hold critics of the logistic loss, whose gap is no distance; they are shown beside the others.",
        "The gradient penalty holds the size of the slope and not its sign: a critic that falls where it should rise, in a tail "
        "with few samples, stays so, and its gap is smaller.",
    ]
    return Found(rows, figure, notes, table)


EXPERIMENTS = [
    Experiment(
        "critic",
        "a critic that may learn finds D* = p / (p + q), and is sure where supports do not meet",
        30,
        play_critic,
    ),
    Experiment("lipschitz", "how critics are held, and what each says of the Wasserstein distance", 40, play_lipschitz),
]
