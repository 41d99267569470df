"""`sample --interpolate`, `--truncations`, `--neighbours`, `--film`."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from gan_lightning.randomness import between
from tests.training import command


def test_between_turns_evenly_and_keeps_its_length() -> None:
    one, other = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    expected = [[2 * math.cos(a), 2 * math.sin(a)] for a in np.linspace(0, math.pi / 2, 5)]
    assert_close(between(one, other, 5), torch.tensor(expected))
    assert_close(between(one, 3 * one, 3), torch.tensor([[2.0, 0.0], [4.0, 0.0], [6.0, 0.0]]))
    assert between(one, -one, 3).isfinite().all() and between(torch.zeros(2), one, 3).isfinite().all()
    with pytest.raises(ValueError, match="at least 2 steps"):
        between(one, other, 1)


def test_the_pictures(image_run, tmp_path):
    checkpoint, out = image_run / "checkpoints" / "last.ckpt", tmp_path / "out"
    words = ["sample", "--ckpt_path", checkpoint, "--out", out, "--device", "cpu"]
    done = command(*words, "--interpolate", 5, "--truncations", "0.3,1", "--neighbours", "--film")
    assert done.code == 0, done.err
    assert sorted(path.name for path in out.iterdir()) == [
        "film.gif",
        "interpolation.png",
        "neighbours.png",
        "truncation.png",
    ]
    cell = 64 + 2
    assert Image.open(out / "interpolation.png").size == (5 * cell + 2, 8 * cell + 2)
    assert Image.open(out / "neighbours.png").size == (8 * cell + 2, 8 * cell + 2)
    assert Image.open(out / "truncation.png").size[1] == 3 * cell + 2
    with Image.open(out / "film.gif") as film:
        assert film.n_frames == len(list((image_run / "samples").glob("*.png"))) > 1
    again = command(*words, "--film")
    assert again.code == 2 and "holds film.gif already" in again.err
    both = command(*words[:4], tmp_path / "both", "--device=cpu", "--interpolate", 2, "--n", 3)
    assert both.code == 0 and len(list((tmp_path / "both").glob("00*.png"))) == 3


def test_pictures_obey_truncation_and_any_seed(image_run, tmp_path):
    words = ["sample", "--ckpt_path", image_run / "checkpoints" / "last.ckpt", "--device", "cpu"]
    words += ["--interpolate", "3", "--neighbours", "--seed", str(10**26)]
    found = []
    for name, more in [("plain", []), ("again", []), ("truncated", ["--truncation", "0.01"])]:
        done = command(*words, "--out", tmp_path / name, *more)
        assert done.code == 0, done.err
        found.append([(tmp_path / name / f"{of}.png").read_bytes() for of in ("interpolation", "neighbours")])
    plain, again, truncated = found
    assert plain == again and all(one != other for one, other in zip(plain, truncated, strict=True))


def test_a_copy_of_a_training_image_is_its_own_neighbour(image_run):
    from gan_lightning.data import RandomImages
    from gan_lightning.metrics.neighbors import nearest_indices

    real = RandomImages(8, 1, 3, n=64).reference("train").images.flatten(1).float()
    assert nearest_indices(real[:5], real, 1)[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_what_has_no_picture_is_one_line(vector_run, image_run, tmp_path):
    words = ["sample", "--out", tmp_path / "out", "--device", "cpu", "--ckpt_path"]
    copy = tmp_path / "alone.ckpt"
    shutil.copy(image_run / "checkpoints" / "last.ckpt", copy)
    for more, message in [
        ([vector_run / "checkpoints" / "last.ckpt", "--interpolate", "4"], "are of images, got vectors"),
        ([copy, "--film"], "--film is made of the sample grids of a run"),
        ([copy, "--interpolate", "1"], "must be a whole number from 2 to 200"),
        ([copy, "--truncations", "0.5,x"], "must be numbers above 0"),
        ([copy, "--truncations", "0.5", "--truncation", "1"], "--truncation: nothing is drawn with it"),
        ([image_run / "checkpoints" / "last.ckpt", "--film", "--labels", "0"], "--labels: nothing is drawn of them"),
        ([copy, "--interpolate", "3", "--truncation", "-3"], "must be above 0"),
    ]:
        done = command(*words, *more)
        assert done.code == 2 and message in done.err and not (tmp_path / "out").exists(), done.err
