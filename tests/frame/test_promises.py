"""docs/promises.md names what a run writes and logs, and nothing is written that it does not name."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import torch

import gan_lightning

TEXT = (Path(__file__).parents[2] / "docs" / "promises.md").read_text()


def test_keys_of_a_checkpoint_are_named(image_run):
    section = TEXT.split("## Keys of a checkpoint")[1]
    named = set(re.findall(r"`([\w-]+)`", section))
    checkpoint = torch.load(image_run / "checkpoints" / "last.ckpt", weights_only=True)
    assert set(checkpoint) - {"RandomImages"} <= named
    assert set(checkpoint["clock"]) <= named
    assert {"state_dict", "clock", "optimizer_states", "optimizers", "hyper_parameters", "config"} <= set(checkpoint)


def test_logged_keys_are_named(image_run):
    section = TEXT.split("## Logged keys")[1].split("## ")[0]
    patterns = [re.sub(r"<\w+>", r"[\\w.]+", key) for key in re.findall(r"`([\w/<>.]+)`", section) if "/" in key]
    with (image_run / "metrics.csv").open() as file:
        keys = set(next(csv.reader(file))) - {"step"}
    assert {"loss/critic", "loss/generator", "progress/kimg", "val/fid_digits"} <= keys
    assert not [key for key in keys if not any(re.fullmatch(pattern, key) for pattern in patterns)]


def test_the_version_is_the_pages():
    assert TEXT.startswith(f"# What {'.'.join(gan_lightning.__version__.split('.')[:2])} promises")
