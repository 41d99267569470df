"""`gan-lightning lab`: names, pages and pictures, and exit code 1 when a known answer is missed."""

from __future__ import annotations

import math

import pytest
import torch

from gan_lightning.lab import catalogue
from gan_lightning.lab.experiment import Experiment, Found, Row
from gan_lightning.lab.figures import axes_of
from tests.training import command


def test_the_list_names_every_experiment():
    outcome = command("lab", "--list")
    assert outcome.code == 0 and all(name in outcome.out for name in catalogue.EXPERIMENTS)
    assert command("lab").out == outcome.out


def test_an_experiment_leaves_a_table_a_page_and_a_picture(tmp_path):
    outcome = command("lab", "lines", "--out", tmp_path / "found")
    assert outcome.code == 0 and "theta 0.5: W1" in outcome.out, outcome.err
    page = (tmp_path / "found" / "lines.md").read_text()
    assert "![" in page and "| theta 0.5: JS | 0.6931 | 0.6931 |" in page
    assert (tmp_path / "found" / "lines.png").stat().st_size > 10_000


def test_a_missed_answer_is_exit_code_1(tmp_path, monkeypatch):
    rows = [Row("a number", 1.2, 1.0, 0.1), Row("another", 1.0, 1.0, 0.1)]
    wrong = Experiment("wrong", "what is missed", 1, lambda seed: Found(rows, axes_of(1, 1)[0]))
    monkeypatch.setitem(catalogue.EXPERIMENTS, "wrong", wrong)
    outcome = command("lab", "wrong", "--out", tmp_path)
    assert outcome.code == 1 and "1 known answer missed: wrong: a number is 1.2, known 1" in outcome.err
    assert "MISSED" in outcome.out and (tmp_path / "wrong.md").is_file()


def test_unknown_names_and_places_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for words, said in (
        (["lab", "lins"], "did you mean lines"),
        (["lab", "--list", "lines"], "leave the names out"),
        (["lab", "lines", "--out", tmp_path / "file"], "is a file"),
    ):
        outcome = command(*words)
        assert outcome.code == 2 and said in outcome.err, outcome.err


@pytest.mark.parametrize(
    ("bound", "ours", "holds"),
    [
        ("near", 1.05, True),
        ("near", 0.85, False),
        ("at most", 0.2, True),
        ("at most", 1.2, False),
        ("at least", 1.2, True),
    ],
)
def test_what_a_row_says(bound, ours, holds):
    assert Row("a", ours, 1.0, 0.1, bound=bound).holds is holds
    assert not Row("a", math.nan, 1.0, 0.1, bound=bound).holds


def test_an_experiment_starts_from_its_seed_whatever_was_drawn_before() -> None:
    drawn: list[float] = []

    def draw(seed: int) -> Found:
        drawn.append(float(torch.randn(())))
        return Found([], None)

    experiment = Experiment("draws", "what networks would start from", 1, draw)
    for before, seed in ((1, 0), (2, 0), (2, 1)):
        torch.manual_seed(before)
        state = torch.get_rng_state()
        experiment.play(seed)
        assert torch.equal(torch.get_rng_state(), state)
    assert drawn[0] == drawn[1] != drawn[2]
