"""Shapes of samples: what each says, and whole runs of images that are neither square nor grey nor RGB."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gan_lightning.data import RealData, RealSamples
from gan_lightning.evaluation.pictures import drawn
from gan_lightning.games.restore import load_game
from gan_lightning.networks import DCGANCritic, DCGANGenerator, SNGANResNetCritic, SNGANResNetGenerator
from gan_lightning.networks.base import Critic, Generator
from gan_lightning.shapes import Images, Pair, Signals, Tokens, Vectors, shape_of
from tests.training import command, fit, networks


@pytest.mark.parametrize(
    ("shape", "size", "widened"),
    [
        (Images(64, 96, 4), (4, 64, 96), (6, 64, 96)),
        (Vectors(5), (5,), (7,)),
        (Signals(16, 2), (2, 16), (4, 16)),
    ],
)
def test_sizes(shape, size, widened):
    assert shape.size == size and shape.widened(2).size == widened
    assert shape.n_values == torch.zeros(size).numel()
    assert shape.packed(3).size == (3 * size[0], *size[1:])
    assert shape.packed(1) is shape


def test_a_pair_has_the_size_of_its_target():
    assert Pair(Images(32, 32, 3), Images(128, 128, 3)).size == (3, 128, 128)


@pytest.mark.parametrize("build", [lambda: Images(0, 8, 1), lambda: Vectors(-1), lambda: Tokens(8, 0)])
def test_an_empty_axis_is_refused(build):
    with pytest.raises(ValueError, match="must be at least 1, got"):
        build()


def test_symbols_have_no_channels_to_add():
    with pytest.raises(ValueError, match="have no channels to add 1 to"):
        Tokens(8, 5).widened(1)


def test_two_numbers_of_old_files():
    assert shape_of(0, 2) == Vectors(2)
    assert shape_of(32, 3) == Images(32, 32, 3)
    assert shape_of([64, 96], 4) == Images(64, 96, 4)
    with pytest.raises(ValueError, match=r"image_size must be one number or \[height, width\], got \[1, 2, 3\]"):
        shape_of([1, 2, 3], 1)


@pytest.mark.parametrize(
    ("generator", "critic"), [(DCGANGenerator, DCGANCritic), (SNGANResNetGenerator, SNGANResNetCritic)]
)
def test_convolutions_keep_the_shape(generator, critic):
    shape = Images(64, 96, 4)
    made = generator(shape, latent_dim=5, width=4)(torch.randn(2, 5))
    assert made.shape[1:] == shape.size
    assert critic(shape, width=4)(made).shape == (2,)


CNN = {
    "generator": {"class_path": "DCGANGenerator", "init_args": {"latent_dim": 4, "width": 4}},
    "critic": {"class_path": "DCGANCritic", "init_args": {"width": 4}},
}


@pytest.mark.parametrize(
    ("size", "channels", "pair", "saved"),
    [
        ([64, 96], 3, CNN, (96, 64)),
        (8, 4, networks(), (8, 8)),
        ([8, 12], 2, networks(), (12, 8)),
    ],
    ids=["64x96", "four-channels", "two-channels"],
)
def test_a_run_from_fit_to_pictures(tmp_path, size, channels, pair, saved):
    data = {"image_size": size, "channels": channels, "n": 16, "batch_size": 4}
    config = {
        "name": "run",
        "data": {"class_path": "RandomImages", "init_args": data},
        "model": {"class_path": "NonSaturatingGAN", "init_args": pair},
        "fidelity": {"enabled": True, "extractor": "gan_lightning.metrics.Digits", "n_samples": 16},
    }
    outcome = fit(tmp_path, config)
    assert outcome.code == 0, outcome.err
    run = tmp_path / "run"
    checkpoint = run / "checkpoints/last.ckpt"
    assert load_game(checkpoint).shape == shape_of(size, channels)
    assert "fid_digits" in (run / "metrics.csv").read_text()

    out = tmp_path / "pictures"
    outcome = command("sample", "--ckpt_path", checkpoint, "--out", out, "--n", 4)
    assert outcome.code == 0, outcome.err
    pictures = sorted(out.glob("**/*.png"))
    with Image.open(pictures[0]) as picture:
        assert picture.size[0] % saved[0] == 0
    outcome = command("validate", "--ckpt_path", checkpoint)
    assert outcome.code == 0, outcome.err


def test_inception_refuses_four_channels_before_the_first_batch(tmp_path):
    config = {
        "name": "run",
        "data": {"class_path": "RandomImages", "init_args": {"image_size": 8, "channels": 4, "n": 16, "batch_size": 4}},
        "model": {"class_path": "NonSaturatingGAN", "init_args": networks()},
        "fidelity": {"enabled": True},
    }
    outcome = fit(tmp_path, config)
    assert outcome.code == 2
    assert "Inception takes grey and RGB images, got 4 channels" in outcome.err


class Sines(RealData):
    """A data set with another shape: sine waves."""

    def __init__(self, length: int = 16, n: int = 32, batch_size: int = 8, seed: int | None = None) -> None:
        super().__init__(batch_size, seed)
        self.length, self.n = length, n
        self.save_hyperparameters(logger=False)

    @property
    def shape(self) -> Signals:
        return Signals(self.length, 2)

    def load_split(self, split):
        phases = 6.28 * torch.rand(self.n, 1, 1, generator=torch.Generator().manual_seed(len(split)))
        return RealSamples(torch.sin(0.3 * torch.arange(self.length) + phases).repeat(1, 2, 1), None, "sines")


class AnyGenerator(Generator):
    """A generator of samples of any shape."""

    def __init__(self, shape, latent_dim: int = 3) -> None:
        super().__init__()
        self.latent_dim, self.size = latent_dim, shape.size
        self.output = nn.Linear(latent_dim, shape.n_values)

    def forward(self, latents, labels=None):
        return self.output(latents).unflatten(1, self.size)


class AnyCritic(Critic):
    """A critic of samples of any shape."""

    def __init__(self, shape, n_features: int = 4) -> None:
        super().__init__()
        self.n_features = n_features
        self.hidden, self.output = nn.Linear(shape.n_values, n_features), nn.Linear(n_features, 1)

    def features(self, samples, labels=None):
        return self.hidden(samples.flatten(1)).relu()

    def head(self, features, labels=None):
        return self.output(features).squeeze(1)


def test_a_run_of_signals(tmp_path):
    here = __name__
    config = {
        "name": "run",
        "data": {"class_path": f"{here}.Sines"},
        "model": {
            "class_path": "WGANGP",
            "init_args": {
                "n_critic": 1,
                "generator": {"class_path": f"{here}.AnyGenerator"},
                "critic": {"class_path": f"{here}.AnyCritic"},
            },
        },
        "fidelity": {"enabled": True, "extractor": "gan_lightning.metrics.Raw", "metrics": ["fid"], "n_samples": 32},
    }
    outcome = fit(tmp_path, config)
    assert outcome.code == 0, outcome.err
    assert "32 signals of 2x16" in outcome.err
    run = tmp_path / "run"
    assert len(list(run.glob("samples/*.png"))) >= 2 and "fid_raw" in (run / "metrics.csv").read_text()

    out = tmp_path / "out"
    words = ["--ckpt_path", run / "checkpoints/last.ckpt", "--out", out, "--n", 70, "--grid", "--trust"]
    outcome = command("sample", *words)
    assert outcome.code == 0, outcome.err
    rows = np.load(out / "samples.npy")
    assert rows.shape == (70, 2, 16) and np.isfinite(rows).all() and (rows[64:].std(0) > 0).all()
    assert (out / "grid.png").is_file()


def test_every_shape_has_a_picture():
    for shape in (Images(6, 9, 3), Vectors(3), Signals(8, 2), Tokens(6, 5), Pair(Images(2, 2, 1), Images(4, 6, 1))):
        picture = drawn(torch.rand(5, *shape.size), shape, 5 if isinstance(shape, Pair) else None)
        assert picture.size[0] > 10 and len(set(picture.convert("L").getdata())) > 2
