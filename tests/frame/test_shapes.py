"""Shapes of samples: what each says, and whole runs of images that are neither square nor grey nor RGB."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from gan_lightning.games.restore import load_game
from gan_lightning.networks import DCGANCritic, DCGANGenerator, SNGANResNetCritic, SNGANResNetGenerator
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
    assert pictures and Image.open(pictures[0]).size[0] % saved[0] == 0
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
