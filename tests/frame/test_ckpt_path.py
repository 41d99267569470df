"""`--ckpt_path last` and `best` are the run folder's files; nothing is measured without weights."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_lightning.data import RandomImages
from gan_lightning.errors import UserError
from gan_lightning.runs.checkpoint_files import read_checkpoint
from tests.cases import CASES
from tests.frame.test_mistakes import CONFIG, assert_one_line
from tests.frame.test_run_folders import rows
from tests.training import command, fit, trainer


@pytest.mark.parametrize("which", ["last", "best"])
def test_fit_starts_from_the_named_checkpoint_of_the_run(which, image_run):
    runs = image_run.parent
    start = read_checkpoint(image_run / "checkpoints" / f"{which}.ckpt")["clock"]["updates_done"]
    words = ["--config", image_run / "config.yaml", "--fidelity.enabled=false", f"--trainer.max_steps={start + 1}"]
    before = set(runs.iterdir())
    done = command("fit", *words, "--ckpt_path", which)
    assert done.code == 0, done.err
    (folder,) = set(runs.iterdir()) - before
    assert read_checkpoint(folder / "checkpoints" / "last.ckpt")["clock"]["updates_done"] == start + 1
    assert rows(folder)[1] == [start]  # one update


@pytest.mark.parametrize("which", ["last", "best"])
def test_validate_measures_the_named_checkpoint(which, image_run):
    update = read_checkpoint(image_run / "checkpoints" / f"{which}.ckpt")["clock"]["updates_done"]
    cards = f"validate-{update:06d}-{which}-*.json"
    for words in (["--config", image_run / "config.yaml"], ["--name", image_run.name, "--runs_dir", image_run.parent]):
        done = command("validate", *words, "--ckpt_path", which)
        assert done.code == 0, done.err
        (card,) = (image_run / "evaluation").glob(cards)
        card.unlink()


@pytest.mark.parametrize("verb", ["validate", "test"])
def test_nothing_is_measured_without_weights(verb, image_run):
    config = ["--config", image_run / "config.yaml"]
    assert_one_line(command(verb, *config), verb, "--ckpt_path")
    assert_one_line(command(verb, *config, "--name=nobody", "--ckpt_path=last"), "nobody/checkpoints/last.ckpt")
    assert_one_line(command(verb, "--ckpt_path=last"), "--name")
    assert_one_line(command(verb, *config, "--ckpt_path=hpc"), "hpc")


def test_fit_refuses_a_checkpoint_that_is_not_there(image_run):
    before = set(image_run.parent.iterdir())
    for given in ("last", "best", "hpc"):
        words = ["--config", image_run / "config.yaml", "--name=nobody", "--ckpt_path", given]
        assert_one_line(command("fit", *words), given, "no checkpoint at")
    assert set(image_run.parent.iterdir()) == before


def test_measuring_leaves_no_file_behind(image_run, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = command("validate", "--ckpt_path", image_run / "checkpoints" / "last.ckpt")
    assert done.code == 0, done.err
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".yaml")]


@pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization")
@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need")
def test_a_checkpoint_of_lightnings_own_callback(tmp_path):
    """It is resumed, or, with weights only, refused before anything is written; both can be sampled from."""
    saver = {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"every_n_train_steps": 1}}
    for name, only in (("all", False), ("weights", True)):
        callback = {**saver, "init_args": {**saver["init_args"], "save_weights_only": only, "filename": "theirs"}}
        config = {**CONFIG, "name": name, "trainer": {**CONFIG["trainer"], "callbacks": [callback]}}
        assert fit(tmp_path, config).code == 0
        (path,) = (tmp_path / name).glob("**/theirs.ckpt")
        for option in ("--ckpt_path", "--resume"):
            words = [option, path, "--trainer.max_steps=2", "--trainer.callbacks=[]", "--name", f"{name}{option}"[:9]]
            before = set(tmp_path.iterdir())
            done = fit(tmp_path, {**CONFIG}, *words)
            if only:
                assert_one_line(done, "weights only", str(path), "last.ckpt")
                assert set(tmp_path.iterdir()) == before
            else:
                assert done.code == 0, done.err
        assert command("sample", "--ckpt_path", path, "--n", 1, "--out", tmp_path / f"samples-{name}").code == 0


def test_a_checkpoint_into_other_sizes(image_run, tmp_path):
    words = ["--config", image_run / "config.yaml", "--runs_dir", tmp_path, "--name=other"]
    words += ["--ckpt_path", image_run / "checkpoints" / "last.ckpt", "--trainer.max_steps=9"]
    for verb, said in (("fit", words), ("validate", [*words[:2], *words[5:7]])):
        done = command(verb, *said, "--model.generator.width=7")
        last = done.err.splitlines()[-1]
        assert done.code == 2 and "does not fit" in last and "generator.hidden.0.weight is (6, 6)" in last


class KeepsItsData(RandomImages):
    """An own data module whose hyper-parameters hold more than plain values."""

    def __init__(self, kept, **kwargs):
        super().__init__(8, 1, n=16, batch_size=4, **kwargs)
        self.save_hyperparameters("kept", logger=False)


@pytest.mark.parametrize(
    "kept", [torch.zeros(3), np.zeros(3), lambda: 3, [{"a": Path("x")}], object()], ids=lambda kept: type(kept).__name__
)
def test_data_that_keep_more_than_plain_values_are_refused(kept, tmp_path):
    game = CASES[0].game()
    with pytest.raises(UserError, match=r"KeepsItsData .*kept.*save_hyperparameters\(ignore="):
        trainer(tmp_path, 1).fit(game, datamodule=KeepsItsData(kept))


def test_data_that_keep_plain_values_train(tmp_path):
    game = CASES[0].game()
    trainer(tmp_path, 1).fit(game, datamodule=KeepsItsData({"a": [1, (2.0, "x", None)]}))
    assert game.updates_done == 1


@pytest.mark.parametrize("verb", ["validate", "test"])
def test_a_measurement_of_nothing_fails(verb, image_run):
    off = ["--fidelity.enabled=false", "--coverage.enabled=false"]
    done = command(verb, "--ckpt_path", image_run / "checkpoints" / "last.ckpt", *off)
    assert done.code == 1, done.err
    (line,) = [line for line in done.err.splitlines() if "measured nothing" in line]
    assert line.startswith(f"gan-lightning: {verb} measured nothing: fidelity is not enabled, coverage is not enabled")
    assert "retrieval" not in line  # of another kind of game


def test_an_option_of_a_part_that_a_config_turns_off_is_refused(tmp_path):
    (tmp_path / "off.yaml").write_text("fidelity: {enabled: false}\n")
    words = ["fit", "--config", "quickstart", "--config", tmp_path / "off.yaml", "--runs_dir", tmp_path / "runs"]
    done = command(*words, "--fidelity.n_samples", "64")
    line = "--fidelity.n_samples has no effect, as fidelity.enabled is false; give --fidelity.enabled true too"
    assert done.code == 2 and line in done.err and not (tmp_path / "runs").exists()
    assert command(*words, "--fidelity.n_samples", "64", "--fidelity.enabled", "true", "--print_config").code == 0


def test_a_checkpoint_is_measured_as_it_was_trained(image_run, tmp_path):
    shutil.copytree(image_run, tmp_path / "a")
    ckpt = tmp_path / "a" / "checkpoints" / "last.ckpt"
    for words, told in (
        (["--model.ema_decay", "0"], "model.ema_decay"),
        (["--model", "WGANGP"], "model"),
    ):
        done = command("validate", "--ckpt_path", ckpt, *words)
        assert done.code == 2 and f"this would be another model: {told}" in done.err.strip().splitlines()[-1], done.err
    cards = set((tmp_path / "a" / "evaluation").glob("*.json"))
    for words, n_new in (([], 1), ([], 1), (["--data.n=48"], 2)):
        assert command("validate", "--ckpt_path", ckpt, "--fidelity.n_samples=16", *words).code == 0
        assert len(set((tmp_path / "a" / "evaluation").glob("*.json")) - cards) == n_new
