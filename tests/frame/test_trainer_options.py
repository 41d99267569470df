"""Lightning's own options work as documented or are refused in one line; docs/trainer.md lists them all."""

from __future__ import annotations

import inspect
import os
import tempfile
from pathlib import Path

import pytest
from lightning.pytorch import Trainer

from gan_lightning.cli.trainer_options import CALLBACKS, REFUSED, check_environment, check_tasks
from gan_lightning.errors import UserError
from gan_lightning.runs.checkpoint_files import read_checkpoint
from tests.frame.test_mistakes import CONFIG, assert_one_line
from tests.training import command, fit

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "trainer.md").read_text()


def test_the_table_has_every_option():
    options = set(inspect.signature(Trainer).parameters) - {
        "limit_predict_batches",
        "model_registry",
        "enable_autolog_hparams",
    }
    assert not [option for option in options if f"`{option}`" not in DOCUMENTED]


VALUES = {
    "overfit_batches": 1,
    "gradient_clip_val": 1.0,
    "gradient_clip_algorithm": "value",
    "accumulate_grad_batches": 2,
    "limit_train_batches": 0.5,
    "limit_val_batches": 3,
    "limit_test_batches": 0.5,
    "enable_checkpointing": False,
    "use_distributed_sampler": False,
    "barebones": True,
}


@pytest.mark.parametrize("option", REFUSED)
def test_options_without_effect_are_refused(option, tmp_path):
    config = {**CONFIG, "trainer": {**CONFIG["trainer"], option: VALUES.get(option, 1)}}
    assert_one_line(fit(tmp_path, config), f"trainer.{option}", "refused", REFUSED[option][1][:30])
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--trainer.val_check_interval=null"], ["val_check_interval"]),
        (["--trainer.val_check_interval=0"], ["val_check_interval", "at least 1"]),
        (["--trainer.precision=16-true"], ["16-true", "bf16-mixed"]),
        (["--trainer.precision=bf16-true"], ["bf16-true", "running averages", "bf16-mixed"]),
        (["--trainer.callbacks=LearningRateFinder"], ["LearningRateFinder", CALLBACKS["LearningRateFinder"]]),
        (["--trainer.callbacks=BatchSizeFinder"], ["BatchSizeFinder", "global batch"]),
        (["--trainer.default_root_dir=elsewhere"], ["--runs_dir"]),
        (["--trainer.accelerator=abacus"], ["abacus"]),
        (["--trainer.max_steps=-5"], ["max_steps"]),
        (["--trainer.max_time=soon"], ["soon"]),
    ],
    ids=str,
)
def test_options_that_are_refused(words, parts, tmp_path):
    assert_one_line(fit(tmp_path, CONFIG, *words), *parts)


def test_a_single_logger_writes_into_the_run_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    logger = {"class_path": "RunCSVLogger"}
    for name in ("one", "two"):
        done = fit(
            tmp_path,
            {**CONFIG, "name": name, "trainer": {**CONFIG["trainer"], **{"logger": logger, "log_every_n_steps": 1}}},
        )
        assert done.code == 0, done.err
        assert (tmp_path / name / "metrics.csv").is_file()
    assert not list((tmp_path / "here").iterdir())


def test_a_config_that_wants_another_folder_is_told_that_it_is_the_run_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    logger = {"class_path": "lightning.pytorch.loggers.CSVLogger", "init_args": {"save_dir": "there"}}
    options = {"default_root_dir": "elsewhere", "logger": [logger], "log_every_n_steps": 1}
    done = fit(tmp_path, {**CONFIG, "name": "one", "trainer": {**CONFIG["trainer"], **options}})
    assert done.code == 0, done.err
    told = [line for line in done.err.splitlines() if "is not used" in line]
    assert [line.split(" is not")[0].split(": ")[1] for line in told] == [
        "default_root_dir elsewhere",
        "save_dir there",
    ]
    assert all(f"the run folder is {tmp_path / 'one'};" in line for line in told) and not list(Path().iterdir())
    again = command("fit", "--config", tmp_path / "one/config.yaml", "--name", "two")
    assert again.code == 0 and "is not used" not in again.err, again.err
    assert list((tmp_path / "two").rglob("metrics.csv"))


def test_a_fast_dev_run_keeps_nothing(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    trial = {**CONFIG, "trainer": {**CONFIG["trainer"], "fast_dev_run": 2}}
    done = fit(tmp_path, trial)
    assert done.code == 0 and "fast_dev_run: 2 updates" in done.err and "nothing is kept" in done.err, done.err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["config.yaml", "temporary"]
    assert_one_line(fit(tmp_path, trial, "--resume", "auto"), "fast_dev_run", "leave --resume out")


def test_lightnings_timer_and_profiler(tmp_path):
    timer = {"class_path": "lightning.pytorch.callbacks.Timer", "init_args": {"duration": {"milliseconds": 300}}}
    options = {"max_steps": -1, "callbacks": [timer], "profiler": "simple"}
    done = fit(tmp_path, {**CONFIG, "trainer": {**CONFIG["trainer"], **options}})
    assert done.code == 0 and "Traceback" not in done.err, done.err
    (run,) = (path.parent for path in tmp_path.glob("*/checkpoints"))
    assert 1 <= read_checkpoint(run / "checkpoints/last.ckpt")["clock"]["updates_done"]
    assert "interval: step" in (run / "config.yaml").read_text()


def test_time_ends_a_run_and_what_it_took_is_kept_by_a_resume(tmp_path):
    options = {"max_steps": -1, "max_time": {"milliseconds": 300}}
    done = fit(tmp_path, {**CONFIG, "trainer": {**CONFIG["trainer"], **options}})
    assert done.code == 0, done.err
    (run,) = (path.parent for path in tmp_path.glob("*/checkpoints"))
    timers = [key for key in read_checkpoint(run / "checkpoints/last.ckpt")["callbacks"] if key.startswith("Timer")]
    assert timers


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        ({"RANK": "zero"}, ["RANK", "zero"]),
        ({"WORLD_SIZE": "2.5"}, ["WORLD_SIZE", "2.5"]),
        ({"SLURM_NTASKS": ""}, ["SLURM_NTASKS", "''"]),
        ({"SLURM_PROCID": "-1"}, ["SLURM_PROCID", "-1"]),
        ({"RANK": "2", "WORLD_SIZE": "2"}, ["RANK", "below WORLD_SIZE", "2 of 2"]),
        ({"PL_TRAINER_MAX_STEPS": "3"}, ["PL_TRAINER_MAX_STEPS", "refused", "command line"]),
        ({"PL_FIT__MODEL__N_CRITIC": "3"}, ["PL_FIT__MODEL__N_CRITIC", "refused"]),
        ({"JSONARGPARSE_DEFAULT_ENV": "true"}, ["JSONARGPARSE_DEFAULT_ENV", "refused"]),
    ],
    ids=str,
)
def test_variables_that_are_refused(variables, parts, tmp_path, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError):
        check_environment()
    assert_one_line(fit(tmp_path, CONFIG), *parts)


def test_a_slurm_step_of_other_tasks(monkeypatch):
    check_tasks(2, 1)
    monkeypatch.setenv("SLURM_NTASKS", "1")
    check_tasks(1, 1)
    with pytest.raises(UserError, match=r"1 tasks.*devices 2.*--ntasks-per-node=2"):
        check_tasks(2, 1)


def test_an_allocation_without_srun_trains(tmp_path, monkeypatch):
    for name, value in {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "mine"}.items():
        monkeypatch.setenv(name, value)
    done = fit(tmp_path, CONFIG)
    assert done.code == 0, done.err
    assert "not started by srun" in done.err


@pytest.mark.parametrize("words", [["--name", "a" * 300], ["--runs_dir", "FILE"], ["--runs_dir", "FILE/x"]], ids=str)
def test_paths_that_the_operating_system_refuses(words, tmp_path):
    (tmp_path / "FILE").write_text("")
    assert_one_line(
        fit(tmp_path, CONFIG, *(word.replace("FILE", str(tmp_path / "FILE")) for word in words)), "cannot be used"
    )


def test_sampling_into_a_path_that_is_refused(image_run, tmp_path):
    words = ["--ckpt_path", image_run / "checkpoints" / "last.ckpt"]
    (tmp_path / "file").write_text("")
    assert_one_line(command("sample", *words, "--n", 1, "--out", tmp_path / "file" / "below"), "file")
    assert_one_line(command("sample", *words, "--n", 1, "--out", tmp_path / ("a" * 300)), "File name too long")
    assert_one_line(command("export", *words, "--out", tmp_path / "file" / "g.pt2"), "file")


def test_a_user_without_a_home(tmp_path, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    done = fit(tmp_path, CONFIG)
    assert done.code == 0, done.err
