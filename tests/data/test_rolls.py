"""Rolls: what is written of the voices and read back, and a run from files to MIDI of several tracks."""

from __future__ import annotations

import pytest
import torch

from gan_lightning.data import Rolls
from gan_lightning.data.music_files import Note
from gan_lightning.data.rolls import roll_of
from gan_lightning.evaluation.midi import midi_bytes
from gan_lightning.evaluation.music_pictures import pieces_of
from gan_lightning.metrics.music import symbols_of
from gan_lightning.protocols import Notation
from tests.training import command, fit

music21 = pytest.importorskip("music21")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def pieces(tmp_path):
    folder = tmp_path / "pieces"
    folder.mkdir()
    for place in range(3):
        upper = [(2 * i, 2, 60 + place + 2 * (i % 4)) for i in range(8)]
        (folder / f"{place}.mid").write_bytes(midi_bytes([upper, [(0, 8, 48), (8, 8, 53 - place)]], 2))
    return folder


def test_a_roll_says_what_was_played():
    voices = [[Note(0, 2, 64), Note(2, 3, 66), Note(6, 2, 66)], [Note(1, 6, 60)]]
    roll = roll_of(voices, height=8, low=60)
    assert roll.shape == (2, 8, 8) and int((roll == 255).sum()) == 13
    (piece,) = pieces_of(roll[None].float() / 127.5 - 1, Notation(2, 60, True))
    assert piece == voices


def test_the_lightest_row_sounds_if_it_is_above_zero():
    roll = torch.full((1, 1, 3, 4), -1.0)
    roll[0, 0, 2, 0], roll[0, 0, 1, 0], roll[0, 0, 0, 1:3], roll[0, 0, 1, 3] = 0.5, 0.4, 0.1, -0.1
    assert symbols_of(roll).tolist() == [[2, 4, 1, 0]]


def test_pieces_of_other_numbers_of_parts_are_left_out_and_counted(pieces):
    (pieces / "alone.mid").write_bytes(midi_bytes([[(0, 4, 60)]], 2))
    data = Rolls(str(pieces), voices=2, length=8, per_quarter=2, in_c=False)
    assert data.shape.size == (2, 32, 8) and data.notation.low == 48
    assert "1 pieces with another number of parts, left out" in data.found()
    with pytest.raises(ValueError, match="has 0 of 4 pieces with notes and the parts that are needed"):
        Rolls(str(pieces), voices=3).shape  # noqa: B018
    with pytest.raises(ValueError, match="voices must be at least 1, got 0"):
        Rolls(str(pieces), voices=0)


def test_a_run_from_files_to_midi_of_two_tracks(pieces, tmp_path):
    small = {"width": 4}
    config = {
        "name": "run",
        "data": {
            "class_path": "Rolls",
            "init_args": {"path": str(pieces), "voices": 2, "length": 16, "per_quarter": 2, "batch_size": 4},
        },
        "model": {
            "class_path": "LSGAN",
            "init_args": {
                "generator": {"class_path": "WGANGPCNNGenerator", "init_args": {"latent_dim": 3, **small}},
                "critic": {"class_path": "WGANGPCNNCritic", "init_args": small},
            },
        },
        "music": {"n_samples": 70},
    }
    outcome = fit(tmp_path, config)
    assert outcome.code == 0, outcome.err
    run = tmp_path / "run"
    assert (run / "evaluation/music-000006.json").is_file() and (run / "samples/000006.png").is_file()
    words = ["--ckpt_path", run / "checkpoints/last.ckpt", "--n", 2, "--out", tmp_path / "out", "--grid"]
    outcome = command("sample", *words)
    assert outcome.code == 0 and outcome.err.startswith("2 pieces"), outcome.err
    assert (tmp_path / "out/000001.mid").read_bytes()[10:12] == b"\x00\x02" and (tmp_path / "out/grid.png").is_file()
