"""`gan-lightning sample --truncation`: the latents' tails drawn anew."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.games.restore import load_game
from tests.training import command


def test_truncated_pictures_are_the_games_truncated_samples(image_run, tmp_path):
    checkpoint = image_run / "checkpoints" / "last.ckpt"
    arguments = ["sample", "--ckpt_path", checkpoint, "--n", 9, "--out", tmp_path, "--seed", 5]
    done = command(*arguments, "--truncation", 0.3)
    assert done.code == 0, done.err
    found = np.stack([np.asarray(Image.open(path)) for path in sorted(tmp_path.glob("0*.png"))])
    game = load_game(checkpoint)
    assert np.array_equal(found, to_uint8(game.sample(9, seed=5, truncation=0.3))[:, 0].numpy())
    assert not np.array_equal(found, to_uint8(game.sample(9, seed=5))[:, 0].numpy())


def test_a_truncation_that_leaves_nothing_is_the_users_mistake(image_run, tmp_path):
    arguments = ["sample", "--ckpt_path", image_run / "checkpoints" / "last.ckpt", "--n", 2, "--out", tmp_path]
    for wrong in ("0", "-1", "nan"):
        done = command(*arguments, f"--truncation={wrong}")
        assert done.code == 2
        assert "truncation must be above 0" in done.err.strip().splitlines()[-1]
    assert command(*arguments, "--truncation", "much").code == 2
