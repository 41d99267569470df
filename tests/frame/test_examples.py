"""The example of an own family, network and data set is short, and plays from any folder."""

from __future__ import annotations

import sys
from pathlib import Path

from gan_lightning.games.restore import load
from tests.training import command

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_an_own_family_network_and_data_set_in_45_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    words = ["--trainer.max_steps", 4, "--trainer.val_check_interval", 4, "--trainer.logger", "false"]
    outcome = command("fit", "--config", EXAMPLES / "own.yaml", *words)
    assert outcome.code == 0, outcome.err
    assert len((EXAMPLES / "own.py").read_text().splitlines()) <= 45 and sys.path == before
    checkpoint = tmp_path / "runs" / "spiral" / "checkpoints" / "last.ckpt"
    monkeypatch.chdir(EXAMPLES)
    outcome = command("sample", "--trust", "--ckpt_path", checkpoint, "--out", tmp_path / "out", "--n", 8)
    assert outcome.code == 0, outcome.err
    assert load(checkpoint, trust=True).sample(3).shape == (3, 2)
    monkeypatch.delitem(sys.modules, "own")


def test_a_module_that_is_nowhere_says_where_it_was_looked_for(tmp_path):
    (tmp_path / "mine.yaml").write_text((EXAMPLES / "own.yaml").read_text().replace("own.", "nowhere_at_all."))
    outcome = command("fit", "--config", tmp_path / "mine.yaml")
    assert outcome.code == 2 and "beside the config" in outcome.err and len(outcome.err.splitlines()) == 1
