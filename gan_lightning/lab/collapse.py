"""Mode collapse on a ring of eight Gaussians, and what each remedy does to it, side by side."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch

from gan_lightning.data import Ring
from gan_lightning.families import WGANGP, MinimaxGAN, NonSaturatingGAN
from gan_lightning.lab.experiment import Experiment, Found, Row
from gan_lightning.lab.figures import axes_of, colors
from gan_lightning.lab.playing import adam, play
from gan_lightning.metrics.coverage import mode_coverage
from gan_lightning.networks import MLPCritic, MLPGenerator
from gan_lightning.observations import InstanceNoise, Packing
from gan_lightning.stabilizers import R1

_UPDATES = 800


def play_collapse(seed: int) -> Found:
    """Train each method for the same number of updates, and count modes."""
    methods: dict[str, Any] = {
        "minimax GAN": MinimaxGAN,
        "non-saturating GAN": NonSaturatingGAN,
        "PacGAN, 4 samples": partial(NonSaturatingGAN, observation=Packing(4)),
        "instance noise": partial(NonSaturatingGAN, observation=InstanceNoise(0.5, _UPDATES)),
        "R1": partial(NonSaturatingGAN, critic_penalties=[R1(0.1)]),
        "WGAN-GP": partial(WGANGP, gp_weight=0.1, n_critic=2),
    }
    data = Ring(std=0.05, batch_size=256)
    modes, std = data.centres, data.std
    real = data.reference("eval").images[:2500]
    perfect = mode_coverage(real, modes, std)
    rows = [
        Row("real samples: modes", perfect.n_captured, 8, 0),
        Row("real samples: high quality, 1 - exp(-9/2)", perfect.high_quality, 1 - math.exp(-4.5), 0.01),
    ]
    table = [["method", "modes of 8", "high quality", "reverse KL"]]
    figure, axes = axes_of(2, 3, 2.6)
    for axis, (name, family) in zip(axes, methods.items(), strict=True):
        game = family(
            partial(MLPGenerator, latent_dim=8, width=96),
            partial(MLPCritic, width=96),
            data.shape,
            critic_optimizer=adam(1e-3),
            generator_optimizer=adam(1e-3),
            ema_decay=0.99,
            seed=seed,
        )
        play(game, Ring(std=0.05, batch_size=256), _UPDATES)
        fake = game.sample(2500, seed=seed).cpu()
        found = mode_coverage(fake, modes, std)
        table.append([name, f"{found.n_captured}", f"{found.high_quality:.3f}", f"{found.reverse_kl:.3f}"])
        axis.plot(*fake.T, ".", color=colors[1], markersize=1.5)
        axis.plot(*torch.as_tensor(modes).T, "+", color=colors[0], markersize=8)
        axis.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
        axis.set_title(f"{name}: {found.n_captured} modes, {found.high_quality:.0%} on them", fontsize=7)
        if name in ("R1", "WGAN-GP"):
            rows.append(Row(f"{name}: modes", found.n_captured, 8, 0))
    figure.suptitle(f"Ring of eight (blue), samples after {_UPDATES} updates of each method (orange)", fontsize=9)
    notes = [
        "What a method makes of the ring depends on the seed; what must hold at every seed is in the second table."
    ]
    return Found(rows, figure, notes, table)


EXPERIMENTS = [
    Experiment(
        "collapse", "mode collapse on a ring of eight Gaussians, and six methods side by side", 90, play_collapse
    )
]
