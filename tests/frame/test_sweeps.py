"""The sweeps of examples/sweeps: each command that they start is one that trains."""

from __future__ import annotations

import os
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.training import command

SWEEPS = Path(__file__).parents[2] / "examples" / "sweeps"


@pytest.mark.slow
def test_optuna_searches_prunes_and_goes_on(tmp_path, monkeypatch, capsys):
    optuna = pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["optuna_digits.py", "--trials", "5", "--updates", "5", "--samples", "64"])
    runpy.run_path(str(SWEEPS / "optuna_digits.py"), run_name="__main__")
    assert "FID" in capsys.readouterr().out
    study = optuna.load_study(study_name="digits", storage="sqlite:///sweep.db")
    states = [trial.state.name for trial in study.trials]
    assert len(states) == 5 and set(states) <= {"COMPLETE", "PRUNED"} and states[:3] == ["COMPLETE"] * 3
    assert all(len(trial.intermediate_values) == 6 for trial in study.trials if trial.state.name == "COMPLETE")
    monkeypatch.setattr(sys, "argv", ["optuna_digits.py", "--trials", "1", "--updates", "5", "--samples", "64"])
    runpy.run_path(str(SWEEPS / "optuna_digits.py"), run_name="__main__")
    assert len(optuna.load_study(study_name="digits", storage="sqlite:///sweep.db").trials) == 6


def test_what_an_agent_of_weights_and_biases_starts_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = yaml.safe_load((SWEEPS / "wandb_digits.yaml").read_text())
    assert sweep["metric"]["name"] == "val/fid_digits" and sweep["method"] in ("bayes", "random", "grid")
    given = [f"--{key}={(spec.get('values') or [spec.get('min')])[0]}" for key, spec in sweep["parameters"].items()]
    program, verb, *words = [word for part in sweep["command"] for word in (given if part == "${args}" else [part])]
    assert (program, verb) == ("gan-lightning", "fit")
    words += ["--trainer.logger", "false", "--trainer.max_steps", "1", "--trainer.limit_val_batches", "0"]
    done = command("fit", *words, "--model.critic.width", 4, "--model.generator.width", 4)
    assert done.code == 0, done.err
    config = yaml.safe_load((tmp_path / "runs/sweep/config.yaml").read_text())["model"]["init_args"]
    assert (config["critic_optimizer"]["init_args"]["lr"], config["n_critic"]) == (0.0001, 1)


@pytest.mark.parametrize("task", [0, 3, 4])
def test_a_task_of_the_array_takes_its_line(task, tmp_path):
    for name in ("srun", "scontrol"):
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\necho {name} "$@" >> "{tmp_path}/started"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "8"}
    environment |= {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(task)}
    done = subprocess.run(
        ["bash", SWEEPS / "array.sbatch", "--config", "quickstart"],
        env=environment,
        cwd=SWEEPS.parents[1],
        capture_output=True,
        text=True,
    )
    lines = (SWEEPS / "settings.txt").read_text().splitlines()
    if task == 4:
        assert done.returncode == 2 and "no line 4 in examples/sweeps/settings.txt, which has 4" in done.stderr
        return
    expected = f"srun gan-lightning fit --config quickstart {lines[task]} --name sweep-7-{task} --resume auto\n"
    assert (done.returncode, (tmp_path / "started").read_text()) == (0, expected), done.stderr
