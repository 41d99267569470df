"""scripts/mode_coverage.py: runs go on, rows say what was not run."""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("mode_coverage", ROOT / "scripts" / "mode_coverage.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mode_coverage"] = module
    spec.loader.exec_module(module)
    return module


def options(tmp_path, **given):
    common = {"runs_dir": tmp_path, "updates": 10, "data": ["ring"], "methods": ["gan", "pacgan2"]}
    return argparse.Namespace(**common | given)


def test_rows_have_mean_and_standard_error_over_the_seeds_that_are_done(script, tmp_path):
    for seed, modes in ((0, 6.0), (1, 8.0)):
        folder = script.run_folder("gan", "ring", seed, options(tmp_path))
        folder.mkdir()
        (folder / "result.json").write_text(
            json.dumps({"modes": modes, "high_quality": 0.5, "reverse_kl": None, "minutes_of_last_start": 2.0})
        )
    gan, pacgan = [line for line in script.table(options(tmp_path)).splitlines() if line.startswith("| ring")]
    assert gan.startswith("| ring | gan | 10 | 2 | 7.0 ± 1.0 | 6.3 ± 0.5 | 0.500 ± 0.000 | 0.982 ± 0.002 | – |")
    assert pacgan.startswith("| ring | pacgan2 | 10 | not run | – | 7.9 ± 0.1 |")


def test_a_run_that_is_done_is_not_repeated_and_others_go_on(script, tmp_path, monkeypatch):
    calls = []

    def played(command, **_):
        calls.append(command)
        card = tmp_path / command[command.index("--name") + 1] / "evaluation" / "coverage-000010.json"
        card.parent.mkdir(parents=True)
        card.write_text(json.dumps({"modes": 8.0, "high_quality": 0.9, "reverse_kl": 0.1, "update": 10}))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(script.subprocess, "run", played)
    assert script.train("pacgan4", "ring", 0, options(tmp_path)) is None
    assert script.train("pacgan4", "ring", 0, options(tmp_path)) is None
    (command,) = calls
    words = " ".join(map(str, command))
    assert "--data Ring --data.batch_size 400" in words and "--model.observation.pack 4" in words
    assert "--resume auto" in words and "--trainer.max_steps 10 " in words + " "


def test_our_row_keeps_its_length_batch_and_schedule(script, tmp_path, monkeypatch):
    calls = []
    failed = subprocess.CompletedProcess([], 2, "", "stop here")
    monkeypatch.setattr(script.subprocess, "run", lambda command, **_: calls.append(command) or failed)
    script.train("ours", "grid", 1, options(tmp_path))
    words = " ".join(map(str, calls[0])) + " "
    config = yaml.safe_load((ROOT / "configs/coverage/ours.yaml").read_text())
    n_updates = config["trainer"]["max_steps"]
    assert f"--trainer.max_steps {n_updates} " in words and "--data.batch_size 256 " in words
    assert config["data"]["init_args"]["batch_size"] == 256
    assert config["model"]["init_args"]["critic_schedule"]["init_args"]["end"] == n_updates


def test_the_table_goes_where_the_page_has_a_place_for_it(script, tmp_path):
    page = tmp_path / "page.md"
    assert script.page(options(tmp_path, out=page)).startswith("| data | method |")
    page.write_text("# Title\n\n<!-- table -->\nold\n<!-- end of the table -->\n\nMore.\n")
    page.write_text(script.page(options(tmp_path, out=page)))
    again = script.page(options(tmp_path, out=page))
    assert again == page.read_text() and "old" not in again
    assert again.startswith("# Title\n\n<!-- table -->\n| data |") and again.endswith(
        "\n<!-- end of the table -->\n\nMore.\n"
    )
    assert again.count("| ring | gan | 10 | not run |") == 1


def test_a_run_that_fails_is_told(script, tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 2, "", "something\ngan-lightning: the last line")
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: failed)
    said = script.train("gan", "ring", 0, options(tmp_path))
    assert said == "gan-ring-10-0 ended with 2: gan-lightning: the last line"
