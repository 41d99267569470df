"""The other sides of scripts/benchmark_rounds.py play the same game: losses and gradients in float64, and it runs."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
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


def script(name: str) -> Any:
    """Return a script as a module; the scripts import each other."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def rounds():
    return script("benchmark_rounds")


@pytest.fixture(scope="module")
def quality():
    return script("benchmark_quality")


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
    speakers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels, filters = [speaker.level for speaker in speakers], list(warnings.filters)
    rounds.main()
    assert [speaker.level for speaker in speakers] == levels and warnings.filters == filters
    line = capsys.readouterr().out.splitlines()[3]
    n_plain, n_ours = (float(word) for word in line.split()[-3:-1])  # as many operations on both sides
    assert line.startswith("mlp_grid") and n_plain == n_ours > 0


@pytest.mark.parametrize("settles", [True, False])
def test_the_other_side_is_played_after_each_timed_round_and_counted_once(rounds, settles) -> None:
    order: list[str] = []
    in_turns = rounds.InTurns(lambda: order.append("other"), 3, settles)
    in_turns.on_train_start()
    for _ in range(in_turns.steps):
        order.append("ours")
        in_turns.on_train_batch_end(Namespace(), Namespace())
    pair = ["ours", "other"] if not settles else ["ours", "ours", "other"]
    assert order == [*pair * 3, "ours", "other"]
    assert len(in_turns.ours) == len(in_turns.plain) == 3
    assert in_turns.flops == [0, 0]


def test_growth_is_measured_step_by_step(monkeypatch, capsys) -> None:
    scale = script("benchmark_scale")
    monkeypatch.setattr(sys, "argv", ["benchmark_scale.py", "images", "--most_images", "100000"])
    scale.main()
    header, _, first, second = capsys.readouterr().out.splitlines()[2:]
    assert header.startswith("| images | batch of 64, ms") and first.startswith("| 10,000 |")
    assert second.startswith("| 100,000 |") and second.endswith(" for 10 |")


class MeanColors:
    """Three features in place of EfficientNet's."""

    def load(self):
        return self

    def __call__(self, images):
        return images.float().mean((2, 3)), None


def played(quality, folder, monkeypatch, capsys, fid: str) -> list[str]:
    """Return what is printed of two updates at most, of which each takes either side 60 seconds, and 120 of wall time."""
    draws = torch.Generator().manual_seed(0)
    for index in range(64):
        pixels = torch.randint(0, 256, (16, 16, 3), dtype=torch.uint8, generator=draws)
        Image.fromarray(pixels.numpy()).save(folder / f"{index}.png")
    monkeypatch.setattr(quality, "EfficientNetLite0", MeanColors)
    monkeypatch.setattr(quality, "since", lambda start: (120.0, 60.0))
    words = f"--data {folder} --fid {fid} --image_size 16 --width 4 --every 1 --max_updates 2 --n_samples 8"
    monkeypatch.setattr(sys, "argv", ["benchmark_quality.py", *words.split()])
    quality.main()
    return capsys.readouterr().out.splitlines()[2:]


def test_time_to_quality_ends_where_all_are_good_enough(quality, tmp_path, monkeypatch, capsys) -> None:
    row, verdict = played(quality, tmp_path, monkeypatch, capsys, "1e9")
    assert row.split()[0] == "1" and row.split()[2::2] == ["1.00"] * 3
    assert verdict.startswith("FID 1e+09: plain: 1 updates, 1.00 minutes (wall 2.00); ours: 1 updates, 1.00 minutes")
    assert verdict.endswith("plain / ours: 1.00; plain / ours, averaged: 1.00")


def test_a_side_that_is_never_good_enough_is_told(quality, tmp_path, monkeypatch, capsys) -> None:
    *rows, easy, hard = played(quality, tmp_path, monkeypatch, capsys, "1e9 -1")
    assert [row.split()[0] for row in rows] == ["1", "2"] and [row.split()[2] for row in rows] == ["1.00", "2.00"]
    assert "plain / ours: 1.00" in easy
    assert hard == "FID -1: " + "; ".join(f"{side}: not within 2 updates" for side in quality.SIDES)


def test_the_ratio_is_of_the_first_measurements_that_are_good_enough(quality) -> None:
    seconds = [
        {side: (0.0, n * cost) for side, cost in zip(quality.SIDES, (60, 30, 30), strict=True)} for n in (1, 2, 3)
    ]
    distances = [(9, 9, 9), (7, 5, 8), (4, 6, 8)]
    rows = [
        (10 * n, dict(zip(quality.SIDES, found, strict=True)), seconds[n - 1]) for n, found in enumerate(distances, 1)
    ]
    words = quality.verdict(5.0, Namespace(rows=rows))
    assert "plain: 30 updates, 3.00 minutes" in words and "ours: 20 updates, 1.00 minutes" in words
    assert "ours, averaged: not within 30 updates" in words and words.endswith("plain / ours: 3.00")
