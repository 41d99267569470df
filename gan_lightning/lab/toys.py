"""The planar toys of Gulrajani et al. 2017, arXiv:1704.00028 (Figure 1): surfaces of critics, and what the game makes."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gan_lightning.data import Grid, Ring, SwissRoll
from gan_lightning.families import WGAN, WGANGP
from gan_lightning.lab.experiment import Experiment, Found, Row
from gan_lightning.lab.figures import axes_of, colors
from gan_lightning.lab.playing import STILL, adam, play
from gan_lightning.metrics.coverage import mode_coverage
from gan_lightning.metrics.divergences import wasserstein
from gan_lightning.networks import MLPCritic, MLPGenerator
from gan_lightning.networks.base import Generator
from gan_lightning.optimizers import LinearDecay
from gan_lightning.shapes import Shape

_TOYS: dict[str, Any] = {
    "8 Gaussians": partial(Ring, radius=2 / 1.414, std=0.02 / 1.414),
    "25 Gaussians": partial(Grid, spacing=2 / 2.828, std=0.05 / 2.828),
    "swiss roll": SwissRoll,
}
_SIDE, _HALF = 101, 2.0
_EDGE = torch.linspace(-_HALF, _HALF, _SIDE)


class _Blurred(Generator):
    """Real points with N(0, 1) noise on each coordinate, the paper's generator that stands still."""

    points: Tensor

    def __init__(self, shape: Shape, points: Tensor) -> None:
        super().__init__()
        self.latent_dim = 3
        self.register_buffer("points", points)
        self.still = torch.nn.Parameter(torch.zeros(1))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return a point that the first latent chooses, moved by the other two."""
        chosen = (0.5 * (1 + torch.erf(latents[:, 0] / math.sqrt(2))) * len(self.points)).long()
        return self.points[chosen.clamp(max=len(self.points) - 1)] + latents[:, 1:] + 0 * self.still


def _surface(game: Any) -> Tensor:
    """Return the critic's values on the square, less their mean, `(y, x)`."""
    plane = torch.cartesian_prod(_EDGE, _EDGE).flip(1)
    with torch.no_grad():
        values = game.critic(plane).double().reshape(_SIDE, _SIDE)
    return values - values.mean()


def _steepest(surface: Tensor) -> float:
    """Return the steepest slope between neighbours of the grid, across and along."""
    step = 2 * _HALF / (_SIDE - 1)
    return max(surface.diff(dim=dim).abs().max().item() / step for dim in (0, 1))


def _draw(axis: Any, surface: Tensor, points: Tensor, title: str) -> None:
    axis.contour(_EDGE, _EDGE, surface, levels=12, cmap="viridis", linewidths=0.8)
    axis.plot(*points[:1000].T, ".", color=colors[1], markersize=1.5)
    axis.set(xlim=(-_HALF, _HALF), ylim=(-_HALF, _HALF), aspect="equal", xticks=[], yticks=[])
    axis.set_title(title, fontsize=8)


def play_surfaces(seed: int) -> Found:
    """Train critics alone, between real points and blurred ones, with clipped weights and with a gradient penalty."""
    held: dict[str, Any] = {
        "clipping": partial(WGAN, clip_value=0.05, n_warm_up=0, n_critic=1),
        "gradient penalty": partial(WGANGP, gp_weight=10.0, n_critic=1),
    }
    n_updates = 3000
    rows: list[Row] = []
    table = [["data", "critic held by", "E f(x) - E f(x + noise)", "steepest slope", "exact W1"]]
    figure, axes = axes_of(2, 3, 2.6)
    places = iter(axes)
    for how, family in held.items():
        for name, make in _TOYS.items():
            data = make(batch_size=256)
            real = data.reference("train").images
            game = family(
                partial(_Blurred, points=real),
                partial(MLPCritic, width=128),
                data.shape,
                critic_optimizer=adam(1e-3),
                generator_optimizer=STILL,
                critic_schedule=LinearDecay(start=n_updates // 2, end=n_updates),
                seed=seed,
            )
            play(game, make(batch_size=256), n_updates)
            held_out = data.reference("eval").images[:2000]
            random = torch.Generator().manual_seed(seed)
            moved = held_out[torch.randperm(2000, generator=random)] + torch.randn(2000, 2, generator=random)
            with torch.no_grad():
                gap = (game.critic(held_out).double().mean() - game.critic(moved).double().mean()).item()
            surface = _surface(game)
            exact, slope = wasserstein(held_out, moved).item(), _steepest(surface)
            table.append([name, how, f"{gap:.3f}", f"{slope:.3f}", f"{exact:.3f}"])
            _draw(next(places), surface, held_out, f"{name}, {how}")
            rows.append(
                Row(f"{name}, {how}: the gap over the slope, a lower bound", gap / slope, exact, 0.1, bound="at most")
            )
            if how == "gradient penalty":
                rows.append(Row(f"{name}, {how}: the gap, against W1 of 2,000 points", gap, exact, 0.2))
    figure.suptitle("Surfaces of critics between the points (orange) and the points with N(0, 1) noise", fontsize=9)
    notes = [
        "W1 is below E |noise| = sqrt(pi / 2) = 1.2533 whatever the points are. The paper trains each critic to its optimum; "
        f"here each has {n_updates:,} updates."
    ]
    return Found(rows, figure, notes, table)


def play_toys(seed: int) -> Found:
    """Play WGAN-GP on the three toys."""
    n_updates = 3000
    rows: list[Row] = []
    table = [["data", "modes", "high quality", "reverse KL", "W1 to held-out points", "W1 of two sets of real points"]]
    figure, axes = axes_of(1, 3, 2.6)
    for axis, (name, make) in zip(axes, _TOYS.items(), strict=True):
        data = make(batch_size=256)
        decay = LinearDecay(start=n_updates // 2, end=n_updates)
        game = WGANGP(
            partial(MLPGenerator, latent_dim=4, width=128),
            partial(MLPCritic, width=128),
            data.shape,
            gp_weight=0.1,
            n_critic=2,
            critic_optimizer=adam(1e-3),
            generator_optimizer=adam(1e-3),
            critic_schedule=decay,
            generator_schedule=decay,
            ema_decay=0.99,
            seed=seed,
        )
        play(game, make(batch_size=256), n_updates)
        fake, real = game.sample(2500, seed=seed).cpu(), data.reference("eval").images
        ours = wasserstein(fake[:2000], real[:2000]).item()
        best = wasserstein(data.reference("train").images[:2000], real[:2000]).item()
        cells = ["", "", ""]
        if name != "swiss roll":
            found = mode_coverage(fake, data.centres, data.std)
            cells = [f"{found.n_captured}", f"{found.high_quality:.3f}", f"{found.reverse_kl:.3f}"]
            rows.append(Row(f"{name}: modes", found.n_captured, len(data.centres), 0))
        rows.append(
            Row(f"{name}: W1 to held-out points, less that of real ones", ours - best, 0.0, 0.15, bound="at most")
        )
        table.append([name, *cells, f"{ours:.3f}", f"{best:.3f}"])
        _draw(axis, _surface(game), fake, name)
    figure.suptitle(f"WGAN-GP: samples (orange) and the critic's surface after {n_updates:,} updates", fontsize=9)
    notes = [
        "The paper plays 100,000 generator updates, five of the critic for each, with 512 units and Adam at 1e-4; here "
        "it is two for each, 128 units and 1e-3. A generator on one of the Gaussians alone would be 1.3 away or more."
    ]
    return Found(rows, figure, notes, table)


EXPERIMENTS = [
    Experiment("surfaces", "surfaces of clipped critics and of WGAN-GP's, on WGAN-GP's three toys", 150, play_surfaces),
    Experiment(
        "toys", "WGAN-GP's three toys (8 Gaussians, 25 Gaussians, swiss roll), samples and critics", 90, play_toys
    ),
]
