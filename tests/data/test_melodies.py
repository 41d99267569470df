"""Melodies: what is read of music files, what is refused or counted, and a run from files to MIDI."""

from __future__ import annotations

import json

import pytest
import torch

from gan_lightning.data import Melodies, Rolls
from gan_lightning.data.melodies import windows
from gan_lightning.data.music_files import Note, key_shift, music_files, read_pieces
from gan_lightning.evaluation import midi
from gan_lightning.evaluation.midi import midi_bytes
from gan_lightning.evaluation.sample_files import Midi
from gan_lightning.protocols import Notation
from gan_lightning.shapes import Tokens
from tests.training import command, fit

music21 = pytest.importorskip("music21")

TUNE = "X:1\nT:one\nM:4/4\nL:1/4\nK:D\nD F A d | c2 A2 | B>A G3/2F/2 | D4 |\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def tunes(tmp_path):
    folder = tmp_path / "tunes"
    folder.mkdir()
    (folder / "a.abc").write_text(TUNE)
    (folder / "book.abc").write_text(TUNE + "\n" + TUNE.replace("X:1", "X:2").replace("K:D", "K:C"))
    (folder / "c.mid").write_bytes(midi_bytes([[(0, 4, 62), (0, 4, 50), (4, 2, 64), (6, 2, 60), (12, 4, 67)]], 4))
    return folder


def test_notes_of_abc_midi_and_musicxml(tunes, tmp_path):
    music21.converter.parse(tunes / "a.abc").write("musicxml", tmp_path / "a.musicxml")
    pieces, bad = read_pieces([tunes / "a.abc", tmp_path / "a.musicxml", tunes / "c.mid"], 4, None)
    assert not bad
    abc, xml, midi = (piece.parts[0] for piece in pieces)
    assert abc[:5] == [Note(0, 4, 62), Note(4, 4, 66), Note(8, 4, 69), Note(12, 4, 74), Note(16, 8, 73)]
    assert abc[6:10] == [Note(32, 6, 71), Note(38, 2, 69), Note(40, 6, 67), Note(46, 2, 66)] and xml == abc
    assert midi == [Note(0, 4, 50), Note(0, 4, 62), Note(4, 2, 64), Note(6, 2, 60), Note(12, 4, 67)]


def test_what_was_read_is_kept_until_a_file_changes(tunes, monkeypatch, tmp_path):
    first = Melodies(str(tunes), length=16).reference("train").images
    monkeypatch.setattr("gan_lightning.data.music_files._scores", lambda file: 1 / 0)
    assert Melodies(str(tunes), length=16).reference("train").images.equal(first)
    assert "notes of 3 files in tunes" in command("cache").out
    (tunes / "a.abc").write_text(TUNE + "\n")
    with pytest.raises(ValueError, match="cannot take music from .*a.abc: division by zero"):
        Melodies(str(tunes), length=16).shape  # noqa: B018
    with pytest.raises(ValueError, match="cannot"):
        Melodies(str(tunes), length=16).shape  # noqa: B018


def test_tied_notes_are_one_and_those_beside_the_grid_are_counted(tmp_path):
    (tmp_path / "a.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\n{c}C4- | C2 (3DEF G |\n")
    (piece,), _ = read_pieces([tmp_path / "a.abc"], 1, None)
    assert piece.parts[0][0] == Note(0, 6, 60) and piece.n_moved >= 2


def test_midi_is_read_as_it_is_written(tmp_path):
    notes = [(i, 1, 60 + i % 12) for i in range(64)]
    for per_quarter in (8, 5):  # notes that a grid of sixteenths and triplets would move
        (tmp_path / "a.mid").write_bytes(midi_bytes([notes], per_quarter))
        (piece,), _ = read_pieces([tmp_path / "a.mid"], per_quarter, None)
        assert piece.parts[0] == [Note(*note) for note in notes] and piece.n_moved == 0
    (piece,), _ = read_pieces([tmp_path / "a.mid"], 4, None)
    assert piece.n_moved > 32


def test_the_rows_of_a_roll_are_midi_numbers(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.mid").write_bytes(midi_bytes([[(i, 1, 108 + i % 18) for i in range(64)]], 4))
    data = Rolls(str(tmp_path), length=16, voices=1, in_c=False)
    height = data.shape.height
    assert data.notation.low + height == 128 and data.range[0] == 108
    assert data.reference("train").images[0].nonzero()[:, 1].max() == height - 1 - (108 - data.notation.low)


def test_hidden_files_are_not_read(tunes):
    (tunes / ".ipynb_checkpoints").mkdir()
    (tunes / ".ipynb_checkpoints" / "a.abc").write_text(TUNE)
    (tunes / "d.ABC").write_text(TUNE)
    assert [file.name for file in music_files(str(tunes))] == ["a.abc", "book.abc", "c.mid", "d.ABC"]


def test_keys():
    degrees = (0, 4, 7, 5, 4, 2, 0, 7, 9, 7, 4, 2, 11, 12)
    for tonic in range(12):
        shift = key_shift([Note(i, 2, 48 + tonic + degree) for i, degree in enumerate(degrees)])
        assert (tonic + shift) % 12 == 0 and -6 <= shift < 6
    minor = [Note(i, 2, 57 + degree) for i, degree in enumerate((0, 3, 7, 8, 7, 3, 2, 0, 11, 12))]
    assert key_shift(minor) == 0 and key_shift([n._replace(pitch=n.pitch + 3) for n in minor]) == -3


def test_windows_begin_with_what_sounds_and_end_with_rests():
    melody = [Note(1, 4, 62), Note(8, 1, 60)]
    assert windows(melody, 4, 2, 60) == [[0, 4, 1, 1], [4, 1, 1, 0], [4, 0, 0, 0]]
    assert windows(melody, 12, 3, 60) == [[0, 4, 1, 1, 1, 0, 0, 0, 2, 0, 0, 0]]


def test_pieces_stand_in_c_or_in_their_own_keys(tunes):
    both = [Melodies(str(tunes), length=16, in_c=in_c) for in_c in (True, False)]
    lows = [data.notation.low for data in both]
    assert both[0].notation.in_c and lows[0] != lows[1] and lows[1] == 60
    assert len(Melodies(str(tunes), length=16, parts="all").reference("train")) >= len(both[0].reference("train"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.mid", midi_bytes([[]], 4), "empty.mid: it has no notes"),
        ("nothing.mid", b"", "nothing.mid: it is empty"),
        ("broken.mid", midi_bytes([[(0, 4, 60)]], 4)[:30], "broken.mid: "),
        ("broken.mxl", b"PK\x03\x04 no zip", "broken.mxl: "),
        ("broken.xml", b"<score-partwise><part", "broken.xml: "),
    ],
)
def test_what_has_no_notes_is_named_or_counted(tunes, name, content, said, capsys):
    (tunes / name).write_bytes(content)
    with pytest.raises(ValueError) as refused:
        Melodies(str(tunes)).shape  # noqa: B018
    assert said in str(refused.value) and "\n" not in str(refused.value)
    data = Melodies(str(tunes), length=16, on_error="skip")
    assert "1 without notes that can be read, left out" in data.found()
    assert f"1 files or tunes are left out, the first is {tunes / name}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"length": 1}, "length of Melodies must be at least 2, got 1"),
        ({"per_quarter": 0}, "per_quarter must be 1 to 96"),
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"eval_fraction": 0.0}, "eval_fraction must be above 0"),
        ({"path": "none"}, "none is not there; give a music file"),
        ({"path": "music21:none"}, "music21:none is not there"),
    ],
)
def test_numbers_out_of_range(tunes, options, said):
    with pytest.raises(ValueError, match=said):
        Melodies(**{"path": str(tunes), **options}).shape  # noqa: B018


def test_a_folder_of_other_files_or_with_one_piece_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="there are no music files in"):
        Melodies(str(tmp_path)).shape  # noqa: B018
    with pytest.raises(ValueError, match="a.txt is no music file that can be read"):
        Melodies(str(tmp_path / "a.txt")).shape  # noqa: B018
    (tmp_path / "a.abc").write_text(TUNE)
    with pytest.raises(ValueError, match="has 1 of 1 pieces with notes"):
        Melodies(str(tmp_path)).shape  # noqa: B018


def test_music_is_played_where_fluidsynth_is_installed(tmp_path, monkeypatch):
    player, font = tmp_path / "bin/fluidsynth", tmp_path / "fonts/a.sf2"
    for path in (player, font):
        path.parent.mkdir()
        path.touch()
    monkeypatch.setenv("PATH", str(player.parent))
    monkeypatch.setattr(midi, "FONT_FOLDERS", (str(font.parent),))
    assert midi.sound_font() is None  # it cannot be run
    player.write_text('#!/bin/sh\nwhile [ "$1" != -F ]; do shift; done\necho "$3 $4" > "$2"\n')
    player.chmod(0o755)
    form = Midi(Tokens(8, 9), Notation(per_quarter=2, low=60, in_c=False))
    form.write(torch.rand(3, 9, 8), 0, 3, tmp_path)
    assert form.words(3) == "3 melodies, 3 of them as WAV,"
    assert (tmp_path / "000002.wav").read_text() == f"{font} {tmp_path / '000002.mid'}\n"
    form.write(torch.rand(1, 9, 8), 20, 21, tmp_path)
    assert (tmp_path / "000020.mid").is_file() and not (tmp_path / "000020.wav").exists()  # not a thousand of them
    player.write_text("#!/bin/sh\nexit 3\n")
    form = Midi(form.shape, form.notation)
    form.write(torch.rand(2, 9, 8), 0, 2, tmp_path / "bin")
    assert form.words(2) == "2 melodies" and form.font is None


def test_a_run_from_tunes_to_midi(tunes, tmp_path, monkeypatch):
    monkeypatch.setattr(midi, "FONT_FOLDERS", ())
    small = {"width": 4, "n_blocks": 1}
    config = {
        "name": "run",
        "data": {"class_path": "Melodies", "init_args": {"path": str(tunes), "length": 16, "batch_size": 4}},
        "model": {
            "class_path": "WGANGP",
            "init_args": {
                "n_critic": 2,
                "generator": {"class_path": "TextGenerator", "init_args": {"latent_dim": 3, **small}},
                "critic": {"class_path": "TextCritic", "init_args": small},
            },
        },
        "music": {"n_samples": 70},
        "checkpoints": {"every_n_updates": 0, "monitor": "val/interval_js_2"},
    }
    outcome = fit(tmp_path, config)
    assert outcome.code == 0, outcome.err
    assert "of 4 pieces with" in outcome.err
    run = tmp_path / "run"
    card = json.loads((run / "evaluation/music-000006.json").read_text())
    assert 0 <= card["interval_js_2"] <= 1 and card["of_training_melodies"]["in_key"] > 0.5
    assert (run / "samples/000006.png").is_file() and not list((run / "evaluation").glob("ngrams*"))

    for path in tunes.iterdir():  # a checkpoint alone is enough for samples
        path.rename(tmp_path / path.name)
    words = ["--ckpt_path", run / "checkpoints/last.ckpt", "--n", 3, "--out", tmp_path / "out", "--grid"]
    outcome = command("sample", *words)
    assert outcome.code == 0, outcome.err
    assert "3 melodies of" in outcome.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *(f"00000{i}.mid" for i in range(3)),
        "grid.png",
    ]
    for name in ("a.abc", "book.abc", "c.mid"):
        (tmp_path / name).rename(tunes / name)
    outcome = command("validate", "--ckpt_path", run / "checkpoints/last.ckpt")
    assert outcome.code == 0, outcome.err
    outcome = command("validate", "--ckpt_path", run / "checkpoints/last.ckpt", "--data.per_quarter", 2)
    assert outcome.code == 2 and "the checkpoint was trained on" in outcome.err
