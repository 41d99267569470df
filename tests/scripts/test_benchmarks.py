"""The other sides of scripts/benchmark_rounds.py play the same game: losses and gradients in float64, and it runs."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gan_lightning.networks import (
    BigGANCritic,
    BigGANGenerator,
    SNGANResNetCritic,
    SNGANResNetGenerator,
    WGANGPResNetCritic,
    WGANGPResNetGenerator,
)
from gan_lightning.networks.layers import resampled
from gan_lightning.networks.layers.winograd import convolution
from gan_lightning.shapes import Images

ROOT = Path(__file__).parents[2]
PAIRS: dict[str, tuple[Any, Any]] = {
    "sngan": (SNGANResNetGenerator, partial(SNGANResNetCritic, n_power_iterations=0)),
    "wgan_gp": (WGANGPResNetGenerator, WGANGPResNetCritic),
    "biggan": (partial(BigGANGenerator, n_classes=3), partial(BigGANCritic, n_classes=3)),
}


@pytest.fixture(scope="module")
def rounds():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import benchmark_rounds

        return benchmark_rounds
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize("name", PAIRS)
def test_losses_and_gradients_are_those_of_the_usual_blocks(rounds, name) -> None:
    torch.manual_seed(0)
    generator, critic = (build(Images(16, 16, 3), width=4).double() for build in PAIRS[name])
    labels = torch.arange(4) % 3 if generator.n_classes else None
    latents = torch.randn(4, generator.latent_dim, dtype=torch.float64)
    found = []
    for g, c in ((generator, critic), (rounds.usual(generator), rounds.usual(critic))):
        loss = nn.functional.softplus(-c(g(latents, labels), labels)).mean()
        found.append((loss, torch.autograd.grad(loss, [*g.parameters(), *c.parameters()])))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [*PAIRS, "sngan normalized"])
def test_the_usual_blocks_are_torchs_convolutions(rounds, name, monkeypatch) -> None:
    build_generator, build_critic = PAIRS.get(name, (SNGANResNetGenerator, SNGANResNetCritic))
    networks = [build(Images(16, 16, 3), width=4) for build in (build_generator, build_critic)]
    usual = [rounds.usual(network) for network in networks]
    n_calls = []

    def counted(*arguments: Any) -> torch.Tensor:
        n_calls.append(1)
        return convolution(*arguments)

    monkeypatch.setattr(resampled, "convolution", counted)
    latents, labels = torch.randn(2, networks[0].latent_dim), torch.arange(2) if networks[0].n_classes else None
    for generator, critic, ours in ((*networks, True), (*usual, False)):
        n_calls.clear()
        critic(generator(latents, labels), labels)
        assert bool(n_calls) is ours


def test_the_trainer_is_timed_against_the_bare_turns(rounds, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark_rounds.py", "mlp_grid", "--against", "turns", "--rounds", "2"])
    rounds.main()
    line = capsys.readouterr().out.splitlines()[3]
    n_plain, n_ours = (float(word) for word in line.split()[-3:-1])  # as many operations on both sides
    assert line.startswith("mlp_grid") and n_plain == n_ours > 0


def test_growth_is_measured_step_by_step(monkeypatch, capsys) -> None:
    spec = importlib.util.spec_from_file_location("benchmark_scale", ROOT / "scripts" / "benchmark_scale.py")
    assert spec is not None and spec.loader is not None
    scale = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scale)
    monkeypatch.setattr(sys, "argv", ["benchmark_scale.py", "images", "--most_images", "100000"])
    scale.main()
    header, _, first, second = capsys.readouterr().out.splitlines()[2:]
    assert header.startswith("| images | batch of 64, ms") and first.startswith("| 10,000 |")
    assert second.startswith("| 100,000 |") and second.endswith(" for 10 |")
