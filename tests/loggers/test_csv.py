"""`metrics.csv` continues after whatever a dying machine has made of it, and no moment loses rows that were there."""

from __future__ import annotations

import csv

import pytest

from gan_lightning.loggers import RunCSVLogger


def log(folder, *steps, **more):
    logger = RunCSVLogger(str(folder))
    for step in steps:
        logger.log_metrics({"loss": step / 2, **more}, step)
    logger.finalize("success")


def steps(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["loss"]) == int(row["step"]) / 2 for row in rows)
    return [int(row["step"]) for row in rows]


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda content: content[:-3], [0, 1]),  # "1.0,2\r\n" -> "1.0,": half a row
        (lambda content: content[:-2], [0, 1]),  # "1.0,2", of which nobody knows whether it was 20
        (lambda content: content[:-1], [0, 1]),
        (lambda content: b"", []),
        (lambda content: bytes(len(content)), []),
        (lambda content: content + bytes(512), [0, 1, 2]),
        (lambda content: content[:-4] + bytes(4), [0, 1]),
        (lambda content: content[:8], []),
        (lambda content: content.replace(b"0.5,1", b"0.5"), [0, 2]),
        (lambda content: content.replace(b"0.5,1", b"0.5,\xff"), [0, 2]),
    ],
)
def test_sound_rows_are_kept_and_broken_ones_dropped_with_a_line(damage, kept, tmp_path, capsys):
    log(tmp_path, 0, 1, 2)
    path = tmp_path / "metrics.csv"
    path.write_bytes(damage(path.read_bytes()))
    is_told = bool(path.read_bytes())
    log(tmp_path, 3, 4)
    assert steps(tmp_path) == [*kept, 3, 4]
    assert capsys.readouterr().err.count("broken rows, which are dropped") == is_told


def test_opening_leaves_the_file_until_the_new_one_is_whole(tmp_path, monkeypatch):
    log(tmp_path, 0, 1, 2)
    before = (tmp_path / "metrics.csv").read_bytes()
    logger = RunCSVLogger(str(tmp_path))
    logger.log_hyperparams({})
    assert (tmp_path / "metrics.csv").read_bytes() == before
    monkeypatch.setattr("gan_lightning.runs.files.os.fsync", _killed)
    with pytest.raises(KeyboardInterrupt):
        logger.log_metrics({"loss": 1.5}, 3)
    assert (tmp_path / "metrics.csv").read_bytes() == before
    assert not (tmp_path / "metrics.csv.part").exists()


def test_a_new_column_never_empties_the_file(tmp_path, monkeypatch):
    logger = RunCSVLogger(str(tmp_path))
    logger.log_metrics({"loss": 0.0}, 0)
    before = (tmp_path / "metrics.csv").read_bytes()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("gan_lightning.runs.files.os.fsync", _killed)
        logger.log_metrics({"loss": 0.5, "fid": 3.0}, 1)
    assert (tmp_path / "metrics.csv").read_bytes() == before
    logger.log_metrics({"loss": 1.0}, 2)
    assert steps(tmp_path)[0] == 0 and steps(tmp_path)[-1] == 2


def test_rows_made_anew_replace_the_old_ones(tmp_path):
    log(tmp_path, 0, 1, 2)
    log(tmp_path, 1, 2, 3, fid=2.0)
    assert steps(tmp_path) == [0, 1, 2, 3]


def test_a_run_that_logs_nothing_leaves_the_file(tmp_path):
    log(tmp_path, 0, 1)
    before = (tmp_path / "metrics.csv").read_bytes()
    logger = RunCSVLogger(str(tmp_path))
    logger.log_hyperparams({})
    logger.finalize("success")
    assert (tmp_path / "metrics.csv").read_bytes() == before


def _killed(descriptor):
    raise KeyboardInterrupt
