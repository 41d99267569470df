from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(ROOT.glob("configs/*/digits.yaml")) + sorted(ROOT.glob("configs/*/ring.yaml"))


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("family_table", ROOT / "scripts" / "family_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["family_table"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_family_has_a_paper_to_link(config, script):
    name, link = script.paper(config)
    assert name in config.read_text()
    assert link.startswith("[") and "](http" in link and link.split("(")[0][-5:-1].isdigit(), link


def test_a_run_folder_becomes_a_row(script, tmp_path):
    config = ROOT / "configs" / "sngan" / "ring.yaml"
    folder = script.run_folder(config, tmp_path)
    (folder / "evaluation").mkdir(parents=True)
    for update, modes in ((0, 3.0), (100, 7.0)):
        card = {"modes": modes, "high_quality": 0.5, "reverse_kl": 0.25, "update": update, "kimg": 0.256 * update}
        (folder / "evaluation" / f"coverage-{update:06d}.json").write_text(json.dumps(card))
    result = {**script.measured(folder), "config": "configs/sngan/ring.yaml", "fingerprint": script.fingerprint(config)}
    result |= {"core_seconds": 90.0, "seed": 0}
    assert result["modes_before"] == 3 and result["modes"] == 7 and result["updates"] == 100
    out = tmp_path / "docs" / "families.md"
    script.keep(result | {"seed": 2, "modes": 8.0, "high_quality": 0.7, "core_seconds": 30.0}, out)
    script.keep(result | {"high_quality": 0.1}, out)
    script.keep(result, out)  # the later one of a seed counts
    script.write_table([config], tmp_path, out)
    table = out.read_text().splitlines()
    (row,) = [line for line in table if line.startswith("| SNGAN")]
    figures = (
        "| 3, 3 | 7, 8 | 0.600 ± 0.141 | 0.250 ± 0.000 | 100 | 0, 2 | 1.0 ± 0.7 |"  # sample deviation of .5 and .7
    )
    assert f"{figures} `gan-lightning fit --config configs/sngan/ring.yaml` |" in row
    assert row.count("|") == table[table.index("## Ring of eight Gaussians") + 2].count("|")


def test_a_run_of_one_family_leaves_the_rows_of_the_others(script, tmp_path):
    out = tmp_path / "families.md"
    config, other, third = (ROOT / "configs" / name / "ring.yaml" for name in ("sngan", "wgan", "lsgan"))
    for path, seed in ((config, 0), (other, 0), (other, 1), (third, 0)):
        mark = "of another config" if path == third else script.fingerprint(path)
        script.keep({"config": str(path.relative_to(ROOT)), "seed": seed, "fingerprint": mark, "modes": 8.0}, out)
    assert script.measured_at(other, out, 1) and not script.measured_at(config, out, 1)
    assert not script.measured_at(third, out, 0)
    script.keep({"config": "configs/lsgan/ring.yaml", "seed": 1, "fingerprint": "of another config", "modes": 7.0}, out)
    script.write_table([config, other, third], tmp_path, out)
    rows = [line for line in out.read_text().splitlines() if "fit --config" in line]
    assert [" | 0, 1 | " in row for row in rows] == [False, True, True]
    assert ["measured before its config changed" in row for row in rows] == [False, False, True]
    script.keep({"config": "configs/lsgan/ring.yaml", "seed": 0, "fingerprint": script.fingerprint(third)}, out)
    assert [result["seed"] for result in script.kept(third, out)] == [0]


def test_the_page_is_what_the_kept_results_say(script, tmp_path):
    out = tmp_path / "families.md"
    shutil.copy(ROOT / "docs" / "families.jsonl", tmp_path)
    script.write_table(sorted(p for d in script.BUDGETS for p in ROOT.glob(f"configs/*/{d}.yaml")), tmp_path, out)
    assert out.read_text() == (ROOT / "docs" / "families.md").read_text()


def test_a_changed_config_is_run_again_but_not_for_its_comments(script, tmp_path):
    config = tmp_path / "ring.yaml"
    config.write_text("# Finding: it\n# collapses.\nname: a\n")
    first = script.fingerprint(config)
    assert script.note(config, [{}]) == "it collapses."
    config.write_text("name: a\n")
    assert script.fingerprint(config) == first
    assert script.note(config, [{"error": "x|y", "core_seconds": 121}]) == "stopped: x\\|y; above the 2 minutes"
    config.write_text("name: b\n")
    assert script.fingerprint(config) != first
    config.write_text("# Finding: it learns.\nmodel: {init_args: {critic: {init_args: {n_classes: 10}}}}\n")
    assert script.note(config, []) == "sees labels; it learns."
