"""What a run leaves behind: a folder of its own, rows that are neither lost nor doubled, plain checkpoints."""

from __future__ import annotations

import csv
import os
import re
import shutil

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from PIL import Image

from tests.training import assert_same, command, fit, networks

CONFIG = {
    "name": "run",
    "data": {
        "class_path": "RandomImages",
        "init_args": {"image_size": 8, "channels": 1, "n_classes": 3, "n": 24, "batch_size": 4},
    },
    "model": {"class_path": "SNGAN", "init_args": {"n_critic": 2, **networks(3)}},
    "fidelity": {"extractor": "gan_lightning.metrics.Digits", "n_samples": 64},
    "trainer": {"accelerator": "cpu", "max_steps": 6, "val_check_interval": 4, "log_every_n_steps": 1},
}


def rows(folder):
    """Return {step: {column: text}} of the rows with losses, and the steps of those rows in their order."""
    with (folder / "metrics.csv").open() as file:
        found = [row for row in csv.DictReader(file) if row.get("loss/critic")]
    return {int(row["step"]): {k: v for k, v in row.items() if v} for row in found}, [int(row["step"]) for row in found]


def checkpoint(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run of six updates without a stop."""
    folder = tmp_path_factory.mktemp("straight")
    outcome = fit(folder, CONFIG)
    assert outcome.code == 0, outcome.err
    return folder / "run", outcome


def test_everything_lies_where_the_end_says(straight):
    folder, outcome = straight
    said = dict(re.findall(r"^(sample grid|metrics|checkpoint|config) +(\S+)$", outcome.out, re.MULTILINE))
    assert {os.path.realpath(path) for path in said.values()} == {
        os.path.realpath(folder / name)
        for name in ("samples/000006.png", "metrics.csv", "checkpoints/last.ckpt", "config.yaml")
    }
    first, last = re.search(
        r"^fid_digits: ([\d.]+) after 0 updates, ([\d.]+) after 6$", outcome.out, re.MULTILINE
    ).groups()
    with (folder / "metrics.csv").open() as file:
        fid = [float(row["val/fid_digits"]) for row in csv.DictReader(file) if row.get("val/fid_digits")]
    assert (fid[0], fid[-1]) == (pytest.approx(float(first), abs=0.01), pytest.approx(float(last), abs=0.01))
    assert "6/6 updates" in outcome.err and "critic" in outcome.err and "images/s" in outcome.err
    assert Image.open(folder / "samples" / "000006.png").mode == "L"
    assert (folder / "checkpoints" / "best.ckpt").is_file()
    assert len(list((folder / "evaluation").glob("*.json"))) == 3  # before, at 4, at the end


def test_every_update_has_a_row(straight):
    by_step, order = rows(straight[0])
    assert order == list(range(6))
    for row in by_step.values():
        assert {"loss/critic", "loss/generator", "progress/kimg"} <= set(row)


def test_a_second_run_gets_a_folder_of_its_own(straight, tmp_path):
    for expected in ("run", "run-2", "run-3"):
        outcome = fit(tmp_path, CONFIG, "--trainer.max_steps=1", "--fidelity.enabled=false")
        assert outcome.code == 0, outcome.err
        assert (tmp_path / expected / "checkpoints" / "last.ckpt").is_file()
        (tmp_path / expected / "mark").write_text(expected)
    assert [(tmp_path / name / "mark").read_text() for name in ("run", "run-2", "run-3")] == ["run", "run-2", "run-3"]
    assert yaml.safe_load((tmp_path / "run-2" / "config.yaml").read_text())["name"] == "run-2"


@pytest.mark.parametrize("stop", [3, 4, 5])
def test_resume_auto_goes_on_in_the_same_folder(straight, stop, tmp_path):
    whole, _ = straight
    assert fit(tmp_path, CONFIG, f"--trainer.max_steps={stop}").code == 0
    folder = tmp_path / "run"
    again = fit(tmp_path, CONFIG, "--resume", "auto")
    assert again.code == 0, again.err
    assert [path.name for path in tmp_path.iterdir() if path.is_dir() and path.name[0] != "."] == ["run"]
    ours, theirs = checkpoint(folder), checkpoint(whole)
    for key in ("state_dict", "optimizer_states", "clock", "global_step", "hyper_parameters"):
        assert_same(theirs[key], ours[key], key)
    expected, order = rows(whole)
    got, got_order = rows(folder)
    assert got_order == order
    for step in order:  # but for the clock on the wall, and Lightning's epochs, which mean nothing here
        for column in expected[step].keys() - {"perf/images_per_second", "epoch"}:
            assert got[step][column] == expected[step][column], (step, column)
    assert (folder / "samples" / "000000.png").is_file() and (folder / "samples" / "000006.png").is_file()


def test_updates_after_the_last_save_are_made_anew(tmp_path):
    """A run that died after logging more than it saved: the rows of the lost updates are replaced, not doubled."""
    assert fit(tmp_path, CONFIG, "--trainer.max_steps=5", "--fidelity.enabled=false").code == 0
    folder = tmp_path / "run"
    saved = (folder / "metrics.csv").read_text()
    assert fit(tmp_path, CONFIG, "--trainer.max_steps=3", "--fidelity.enabled=false", "--name", "short").code == 0
    os.replace(tmp_path / "short" / "checkpoints" / "last.ckpt", folder / "checkpoints" / "last.ckpt")
    (folder / "checkpoints" / "best.ckpt").unlink(missing_ok=True)
    assert (folder / "metrics.csv").read_text() == saved
    again = fit(tmp_path, CONFIG, "--trainer.max_steps=6", "--fidelity.enabled=false", "--resume", "auto")
    assert again.code == 0, again.err
    by_step, order = rows(folder)
    assert order == list(range(6))
    assert [float(by_step[step]["progress/kimg"]) for step in order] == pytest.approx([0.008 * (1 + s) for s in order])


def test_resume_auto_without_a_run_starts_one(tmp_path):
    outcome = fit(tmp_path, CONFIG, "--resume", "auto", "--trainer.max_steps=1", "--fidelity.enabled=false")
    assert outcome.code == 0, outcome.err
    assert checkpoint(tmp_path / "run")["clock"]["updates_done"] == 1


def test_ckpt_path_starts_a_new_folder_from_a_state(straight, tmp_path):
    start = straight[0] / "checkpoints" / "last.ckpt"
    outcome = fit(tmp_path, CONFIG, "--ckpt_path", start, "--trainer.max_steps=8", "--fidelity.enabled=false")
    assert outcome.code == 0, outcome.err
    assert checkpoint(tmp_path / "run")["clock"]["updates_done"] == 8
    assert checkpoint(straight[0])["clock"]["updates_done"] == 6


def test_the_config_of_a_run_repeats_it(straight, tmp_path):
    """config.yaml is complete: the same command with nothing else gives the same weights."""
    outcome = command(
        "fit", "--config", straight[0] / "config.yaml", "--runs_dir", tmp_path, "--fidelity.enabled=false"
    )
    assert outcome.code == 0, outcome.err
    assert_same(checkpoint(straight[0])["state_dict"], checkpoint(tmp_path / "run")["state_dict"])


def test_tensorboard_has_the_losses_and_the_pictures(straight):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(straight[0] / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss/critic")] == list(range(6))
    pictures = events.Images("samples")
    assert pictures[-1].step == 6
    assert pictures[-1].width > 8


class Remove(Callback):
    """Removes the run folder after the first update, as somebody who tidies up would."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if pl_module.updates_done == 1:
            shutil.rmtree(trainer.default_root_dir)


@pytest.mark.parametrize("logger", [[{"class_path": "RunCSVLogger"}], False], ids=["csv", "none"])
def test_a_run_folder_that_is_removed_stops_the_run_in_one_line(logger, tmp_path):
    options = {"callbacks": [{"class_path": "tests.frame.test_run_folders.Remove"}], "logger": logger}
    done = fit(tmp_path, {**CONFIG, "trainer": {**CONFIG["trainer"], **options}})
    assert done.code == 1
    assert "Traceback" not in done.err
    said = done.err.strip().splitlines()[-1]
    assert str(tmp_path / "run") in said and ("removed" in said or "No such file" in said)
