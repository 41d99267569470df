"""A Weights & Biases run, offline, read back from the file that it wrote."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cluster.test_wandb import records
from tests.training import fit, networks

wandb = pytest.importorskip("wandb")

LAYER = Path(__file__).parents[2] / "configs" / "loggers" / "wandb.yaml"
CONFIG = {
    "name": "run",
    "data": {"class_path": "RandomImages", "init_args": {"image_size": 8, "channels": 1, "n": 24, "batch_size": 4}},
    "model": {"class_path": "WGANGP", "init_args": {"n_critic": 2, **networks()}},
    "trainer": {"accelerator": "cpu", "max_steps": 4, "log_every_n_steps": 1, "limit_val_batches": 0},
    "samples": {"every_n_updates": 2},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        outcome = fit(folder, CONFIG, "--config", LAYER)
        assert outcome.code == 0, outcome.err
        wandb.finish()
    (file,) = (folder / "run" / "wandb").glob("offline-run-*/*.wandb")
    return folder / "run", file, list(records(file))


def history(found):
    """Return the logged rows as {key: value}, values decoded, nested keys joined."""
    rows = []
    for record in found:
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    return rows


def test_histograms_of_every_layer_stand_beside_the_grids(run):
    from gan_lightning.games.restore import load_game

    folder, _, found = run
    rows = [row for row in history(found) if any(key.startswith("weights/") for key in row)]
    assert [row["trainer/global_step"] for row in rows] == [0, 4]  # this run has no evaluations
    game = load_game(folder / "checkpoints" / "last.ckpt")
    for player in ("critic", "generator"):
        for name, parameter in getattr(game, player).named_parameters():
            layer = name.removesuffix(".weight")
            assert (parameter.dim() > 1) == (f"weights/{player}/{layer}/_type" in rows[-1])
            if parameter.dim() < 2:
                continue
            kind, values, bins = (rows[-1][f"weights/{player}/{layer}/{part}"] for part in ("_type", "values", "bins"))
            assert kind == "histogram" and sum(values) == parameter.numel()
            if parameter.numel() > 1 and parameter.std() > 0:  # numpy gives a constant a bin of width 1
                assert (bins[0], bins[-1]) == pytest.approx((parameter.min().item(), parameter.max().item()))


def test_losses_stand_over_generator_updates(run):
    folder, _, found = run
    rows = [row for row in history(found) if "loss/critic" in row]
    assert [row["trainer/global_step"] for row in rows] == [0, 1, 2, 3]
    with (folder / "metrics.csv").open() as file:
        table = [row for row in csv.DictReader(file) if row["loss/critic"]]
    for key in ("loss/critic", "loss/generator", "critic/gradient_penalty", "critic/wasserstein"):
        assert [row[key] for row in rows] == pytest.approx([float(row[key]) for row in table])


def test_the_config_is_there(run):
    text = "".join(str(record) for record in run[2] if record.WhichOneof("record_type") in ("run", "config"))
    assert "WGANGP" in text and "gp_weight" in text


def test_sample_pictures_are_those_on_disk(run):
    folder, file, found = run
    pictures = [row for row in history(found) if "samples/filenames" in row]
    assert [row["trainer/global_step"] for row in pictures] == [0, 2, 4]
    for row in pictures:
        (name,) = row["samples/filenames"]
        shown = np.asarray(Image.open(file.parent / "files" / name))
        update = row["trainer/global_step"]
        assert np.array_equal(shown, np.asarray(Image.open(folder / "samples" / f"{update:06d}.png")))
        assert shown.dtype == np.uint8 and shown.std() > 10  # no black square


def test_the_csv_is_written_beside_it(run):
    assert (run[0] / "metrics.csv").is_file() and (run[0] / "wandb_id").is_file()
