"""Every `Example:` of the rooms below runs and prints what it says; what is public there has one.

The examples may use `torch`, `real` and `fake` (four points of ones and of zeros), a `critic` f(x) = 2 x_0, the `noise`
and the `turn` of a generator G(z) = z in a `game`, and a folder `photos` with two classes of two pictures each.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import gan_lightning
from gan_lightning.networks.base import Critic, Generator
from gan_lightning.randomness import Noise
from gan_lightning.stabilizers import GeneratorTurn

ROOMS = ("losses", "stabilizers", "metrics", "data", "observations", "optimizers")
PACKAGE = Path(gan_lightning.__file__).parent
MODULES = ["shapes"] + [f"{room}.{path.stem}" for room in ROOMS for path in sorted((PACKAGE / room).glob("[!_]*.py"))]


class Slope(Critic):
    """f(x) = 2 x_0."""

    n_features = 2

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(2, 1, bias=False)
        self.output.weight.data.copy_(torch.tensor([[2.0, 0.0]]))

    def features(self, samples: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return samples

    def head(self, features: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.output(features)[:, 0]


class Identity(Generator):
    """G(z) = z."""

    latent_dim = 2

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2, bias=False)
        self.layer.weight.data.copy_(torch.eye(2))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return self.layer(latents)


def namespace() -> dict[str, Any]:
    """Return what the examples may use."""
    latents = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
    game = SimpleNamespace(critic=Slope(), generator=Identity(), latents=lambda n: latents[:n] + 1)
    real, fake = torch.ones(4, 2), torch.zeros(4, 2)
    turn = GeneratorTurn(real, fake, None, latents, game.generator(latents), None)
    noise = Noise(0, torch.device("cpu"), torch.float32)
    found = {"torch": torch, "real": real, "fake": fake, "critic": game.critic, "noise": noise}
    return {**found, "game": game, "turn": turn}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cats/1.png", "cats/2.png", "dogs/1.png", "dogs/2.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 128, dtype=np.uint8)).save(path)


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name: str, here: None) -> None:
    module = importlib.import_module(f"gan_lightning.{name}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        outcome = doctest.testmod(
            module, extraglobs=namespace(), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        )
    assert outcome.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_what_is_public_has_an_example(name: str) -> None:
    module = importlib.import_module(f"gan_lightning.{name}")
    face = importlib.import_module(f"gan_lightning.{name.partition('.')[0]}")
    bare = [
        key
        for key, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
        and (key in getattr(face, "__all__", ()) or (name.startswith(("metrics.", "shapes")) and key[0] != "_"))
        and "Example:" not in (inspect.getdoc(value) or "")
    ]
    assert not bare
