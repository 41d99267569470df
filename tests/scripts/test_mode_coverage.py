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
from PIL import Image

import gan_lightning as gl
from gan_lightning.data import Ring
from gan_lightning.families import NonSaturatingGAN
from tests.cases import Case

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
    common = {"compile": False, "runs_dir": tmp_path, "updates": 10, "data": ["ring"], "methods": ["gan", "pacgan2"]}
    common["out"] = tmp_path / "page.md"
    return argparse.Namespace(**common | given)


def keep(method, data, seed, tmp_path, script, **numbers):
    """Write down that a run is done, and return its folder."""
    folder = script.run_folder(method, data, seed, options(tmp_path))
    result = {"modes": 8.0, "high_quality": 0.5, "reverse_kl": 0.1, "minutes_of_last_start": 2.0} | numbers
    with (tmp_path / "page.jsonl").open("a") as file:
        file.write(json.dumps({"run": folder.name} | result) + "\n")
    return folder


def test_rows_have_mean_and_standard_error_over_the_seeds_that_are_done(script, tmp_path):
    for seed, modes in ((0, 6.0), (1, 9.0), (1, 8.0)):  # of two of one seed the later counts
        keep("gan", "ring", seed, tmp_path, script, modes=modes, reverse_kl=None)
    gan, pacgan = [line for line in script.table(options(tmp_path)).splitlines() if line.startswith("| ring")]
    assert gan.startswith("| ring | gan | 10 | 2 | 7.0 ± 1.0 | 6.3 ± 0.5 | 0.500 ± 0.000 | 0.982 ± 0.002 | – |")
    assert pacgan.startswith("| ring | pacgan2 | 10 | not run | – | 7.9 ± 0.1 |")


def test_rows_whose_runs_are_not_here_stay_as_the_page_has_them(script, tmp_path):
    row = "| grid | ours | 10 | 3 | 25.0 ± 0.0 | 25 wanted |"
    (tmp_path / "page.md").write_text(
        f"{row}\n| ring | gan | 10 | 2 | 7.0 |\n| ring | ali | 11 | 2 | of other updates |\n"
    )
    lines = [line for line in script.table(options(tmp_path)).splitlines() if line.startswith(("| ring", "| grid"))]
    assert lines[0] == "| ring | gan | 10 | 2 | 7.0 |" and lines[2] == row and len(lines) == 3
    assert lines[1].startswith("| ring | pacgan2 | 10 | not run |")


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


def test_the_sections_behind_the_table_stay(script, tmp_path):
    given = options(tmp_path, out=tmp_path / "page.md")
    assert script.page(given) == script.table(given)
    given.out.write_text("# Old title\n\n| old |\n\n## More\n\nText.\n")
    for _ in range(2):
        given.out.write_text(script.page(given))
    assert given.out.read_text() == script.table(given) + "\n## More\n\nText.\n"


def test_the_picture_has_the_rows_that_are_done(script, tmp_path):
    given = options(tmp_path, out=tmp_path / "page.md")
    script.picture(given, tmp_path / "page.png")
    assert not (tmp_path / "page.png").exists()
    game = Case(NonSaturatingGAN, data=Ring).game()
    keep("pacgan2", "ring", 2, tmp_path, script)  # whose folder lies elsewhere
    folder = keep("pacgan2", "ring", 3, tmp_path, script)
    (folder / "checkpoints").mkdir(parents=True)
    loaded = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gl, "load", lambda path: loaded.append(path) or game, raising=False)
        script.picture(given, tmp_path / "page.png")
    assert loaded == [folder]
    assert Image.open(tmp_path / "page.png").size == (300, 300)
    assert "![Samples" in script.page(given)


def test_a_run_that_fails_is_told(script, tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 2, "", "something\ngan-lightning: the last line")
    monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: failed)
    said = script.train("gan", "ring", 0, options(tmp_path))
    assert said == "gan-ring-10-0 ended with 2: gan-lightning: the last line"
