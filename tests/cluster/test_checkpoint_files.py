"""Files: whole or not there, refused if they hold code, and the disk may fill up."""

from __future__ import annotations

import os
import pickle
import resource
import shutil

import pytest
import torch

from gan_lightning.errors import RunFailed, UserError
from gan_lightning.runs import checkpoint_files
from gan_lightning.runs.checkpoint_files import CheckpointFiles, is_whole, read_checkpoint
from gan_lightning.runs.folders import newest_checkpoint, resume_from
from gan_lightning.runs.home import with_home, without_home
from tests.training import command

CHECKPOINT = {"clock": {"updates_done": 3}, "hyper_parameters": {}, "weights": torch.arange(30_000.0)}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def save(path, **changes):
    CheckpointFiles().save_checkpoint({**CHECKPOINT, **changes}, path)


def test_a_saved_checkpoint_is_whole_and_leaves_nothing_beside_it(folder):
    save(folder / "checkpoints" / "last.ckpt")
    assert os.listdir(folder / "checkpoints") == ["last.ckpt"]
    assert is_whole(folder / "checkpoints" / "last.ckpt")
    assert torch.equal(read_checkpoint(folder / "checkpoints" / "last.ckpt")["weights"], CHECKPOINT["weights"])


def test_a_full_disk_leaves_the_checkpoint_before_it(folder):
    path = folder / "checkpoints" / "last.ckpt"
    save(path)
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        with pytest.raises(
            RunFailed, match="could not be written: File too large; the last.ckpt before it is complete"
        ):
            save(path, weights=torch.zeros(30_000))
        with pytest.raises(RunFailed, match="no checkpoint was there before"):
            save(path.with_name("best.ckpt"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["last.ckpt"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "zeroed"])
def test_the_newest_whole_checkpoint_is_taken_and_a_torn_one_named(folder, damage, capsys):
    older, newer = folder / "checkpoints" / "best.ckpt", folder / "checkpoints" / "last.ckpt"
    save(older)
    save(newer)
    os.utime(older, (1, 1))
    assert newest_checkpoint(folder) == newer
    content = bytearray(newer.read_bytes())
    middle = len(content) // 2
    if damage == "flipped":
        content[middle] ^= 1
    elif damage == "zeroed":
        content[middle : middle + 4096] = bytes(4096)
    newer.write_bytes(content[: {"cut": middle, "empty": 0}.get(damage, len(content))])
    capsys.readouterr()
    assert newest_checkpoint(folder) == older
    assert f"{newer} is truncated; it is not used" in capsys.readouterr().err


def test_a_part_left_by_a_killed_run_is_named_and_not_used(folder, capsys):
    (folder / "checkpoints" / "last.ckpt.123.part").write_bytes(b"PK")
    assert newest_checkpoint(folder) is None
    assert "last.ckpt.123.part was still being written when its run died" in capsys.readouterr().err


class _Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


@pytest.mark.parametrize("legacy", [True, False], ids=["pickle", "zip"])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(folder, legacy, monkeypatch):
    monkeypatch.chdir(folder)
    path = folder / "bomb.ckpt"
    if legacy:
        path.write_bytes(pickle.dumps({**CHECKPOINT, "bomb": _Bomb()}))
    else:
        torch.save({**CHECKPOINT, "bomb": _Bomb()}, path)
    with pytest.raises(ValueError, match="is refused: it holds more than tensors and plain values|not a checkpoint"):
        CheckpointFiles().load_checkpoint(path)
    assert not (folder / "exploded").exists()


def test_resume_looks_into_the_named_run_only(tmp_path):
    save(tmp_path / "runs" / "a" / "checkpoints" / "last.ckpt")
    place = resume_from("auto", tmp_path / "runs", "b")
    assert place == (tmp_path / "runs" / "b", None)
    assert (
        resume_from("auto", tmp_path / "runs", "a").checkpoint == tmp_path / "runs" / "a" / "checkpoints" / "last.ckpt"
    )
    for where in (tmp_path / "runs" / "b", tmp_path / "nowhere"):
        with pytest.raises(ValueError, match="--resume takes auto, a run folder or a"):
            resume_from(str(where), tmp_path / "runs", "b")


def test_the_home_folder_is_not_written_out(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    given = {"root": "/home/someone/data", "other": ["/home/someone", "/home/someone-else", 3]}
    assert without_home(given) == {"root": "~/data", "other": ["~", "/home/someone-else", 3]}
    assert with_home(without_home(given)) == given


def copies(folder):
    """Write `last.ckpt` at update 30, and `best.ckpt` at update 10 with the newer date, as a copy has it."""
    last, best = folder / "checkpoints" / "last.ckpt", folder / "checkpoints" / "best.ckpt"
    save(last, clock={"updates_done": 30})
    save(best, clock={"updates_done": 10})
    os.utime(last, (1, 1))
    return last, best


def test_the_furthest_checkpoint_is_taken_whatever_its_date(folder):
    last, best = copies(folder)
    assert newest_checkpoint(folder) == last
    save(best, clock={"updates_done": 30})
    assert newest_checkpoint(folder) == last
    save(best, clock={"updates_done": 31})
    assert newest_checkpoint(folder) == best


def test_going_back_to_an_earlier_checkpoint_leaves_the_later_one_alone(folder, tmp_path):
    last, best = copies(folder)
    assert resume_from(str(last), tmp_path / "runs", "back").folder.resolve() == folder.resolve()
    assert resume_from(str(best), tmp_path / "runs", "back").folder.resolve() == (tmp_path / "runs" / "back").resolve()


def test_no_flipped_bit_goes_unseen(folder):
    path = folder / "checkpoints" / "last.ckpt"
    save(path, weights=torch.arange(300.0))
    content, whole, n_refused = path.read_bytes(), read_checkpoint(path), 0
    for position in range(0, len(content), 7):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        try:
            again = read_checkpoint(path)
        except UserError as error:
            assert str(path) in str(error)
            n_refused += 1
        else:
            assert torch.equal(again.pop("weights"), whole["weights"])
            assert again == {key: value for key, value in whole.items() if key != "weights"}
    assert n_refused > 100


@pytest.mark.parametrize("verb", ["validate", "resume"])
def test_a_command_reads_a_checkpoint_once(verb, image_run, tmp_path, monkeypatch):
    run = tmp_path / "images"
    shutil.copytree(image_run, run)
    read = []
    load = torch.load

    def counted(path, **options):
        if not options.get("mmap"):  # that reads the clock alone
            read.append(path)
        return load(path, **options)

    monkeypatch.setattr(checkpoint_files.torch, "load", counted)
    if verb == "validate":
        outcome = command("validate", "--ckpt_path", run / "checkpoints/last.ckpt")
    else:
        words = ["--runs_dir", tmp_path, "--name", "images", "--resume", "auto", "--trainer.max_steps", "7"]
        outcome = command("fit", "--config", run / "config.yaml", *words)
    assert outcome.code == 0, outcome.err
    assert len([path for path in read if str(path).endswith("last.ckpt")]) == 1
