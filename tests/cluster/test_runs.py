"""Which folder a launch writes into: every rank must come to the same answer, and no two runs to one."""

from __future__ import annotations

import json
import os
import platform
from datetime import timedelta
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from torch.distributed import TCPStore

from gan_lightning.errors import RunFailed, UserError
from gan_lightning.runs import launch
from gan_lightning.runs.folders import Place
from gan_lightning.runs.launch import RUN_FOLDER_VARIABLE, agree
from gan_lightning.runs.locks import lock, unlock


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("SLURM", "TORCHELASTIC")) or name in ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv(RUN_FOLDER_VARIABLE, "")


def forbidden() -> Place:
    raise AssertionError("only rank 0 decides")


def as_rank(monkeypatch, rank, **variables):
    monkeypatch.setenv(RUN_FOLDER_VARIABLE, "")  # each rank is a process of its own
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value).format(rank=rank))


PLACE = Place(Path("runs/a"), Path("runs/a/checkpoints/last.ckpt"))


def test_one_process_decides_for_itself_and_leaves_word_to_its_children(tmp_path, monkeypatch):
    assert agree(lambda: PLACE, tmp_path, False) == PLACE
    given = json.loads(os.environ[RUN_FOLDER_VARIABLE])
    assert given["pid"] == os.getpid()
    other = Place(Path("runs/b"), None)
    assert agree(lambda: other, tmp_path, False) == other  # a second run in this process is another run
    monkeypatch.setenv(RUN_FOLDER_VARIABLE, json.dumps({**given, "pid": os.getppid()}))
    assert agree(forbidden, tmp_path, False) == PLACE


def test_slurm_ranks_read_what_rank_0_wrote(tmp_path, monkeypatch):
    slurm = {
        "SLURM_PROCID": "{rank}",
        "SLURM_NTASKS": 2,
        "SLURM_JOB_ID": 7,
        "SLURM_STEP_ID": 0,
        "SLURM_RESTART_COUNT": 1,
    }
    as_rank(monkeypatch, 0, **slurm)
    assert agree(lambda: PLACE, tmp_path, False) == PLACE
    as_rank(monkeypatch, 1, **slurm)
    assert agree(forbidden, tmp_path, False) == PLACE
    monkeypatch.setattr(launch, "_PATIENCE", 0.2)
    as_rank(monkeypatch, 1, **{**slurm, "SLURM_RESTART_COUNT": 2})  # what an earlier start left is not taken
    with pytest.raises(ValueError, match="runs_dir must be a folder that all nodes share"):
        agree(forbidden, tmp_path, False)


@pytest.mark.parametrize(
    ("error", "seen"),
    [(UserError("no checkpoint there"), UserError), (TypeError("no checkpoint there"), RunFailed)],
    ids=["user", "bug"],
)
@pytest.mark.parametrize("kind", ["slurm", "torchrun"])
def test_what_stops_rank_0_stops_the_others_with_the_same_words(kind, error, seen, tmp_path, monkeypatch):
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=5))
    variables = {
        "slurm": {"SLURM_PROCID": "{rank}", "SLURM_NTASKS": 2, "SLURM_JOB_ID": 8},
        "torchrun": {
            "TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_USE_AGENT_STORE": "True", "RANK": "{rank}", "WORLD_SIZE": 2,
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": server.port,
        },
    }[kind]  # fmt: skip

    def fail() -> Place:
        raise error

    monkeypatch.setattr(launch, "_PATIENCE", 5.0)
    for rank, decide, expected in ((0, fail, type(error)), (1, forbidden, seen)):
        as_rank(monkeypatch, rank, **variables)
        with pytest.raises(expected, match="no checkpoint there"):
            agree(decide, tmp_path, True)


def test_torchrun_ranks_ask_the_agents_store(tmp_path, monkeypatch):
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=5))
    for rank, decide in ((0, lambda: PLACE), (1, forbidden)):
        as_rank(
            monkeypatch, rank, TORCHELASTIC_RUN_ID="x", TORCHELASTIC_USE_AGENT_STORE="True", RANK="{rank}",
            WORLD_SIZE=2, MASTER_ADDR="127.0.0.1", MASTER_PORT=server.port,
        )  # fmt: skip
        assert agree(decide, tmp_path, False) == PLACE


def test_a_rank_started_by_hand_needs_a_name_and_resume(tmp_path, monkeypatch):
    monkeypatch.setenv("NODE_RANK", "1")
    with pytest.raises(ValueError, match="give --name NAME --resume auto"):
        agree(forbidden, tmp_path, False)
    assert agree(lambda: PLACE, tmp_path, True) == PLACE


def test_a_folder_in_use_is_refused_to_others(tmp_path):
    (tmp_path / "config.yaml").touch()
    (tmp_path / ".owner").write_text("process 7 on elsewhere")
    with FileLock(tmp_path / ".lock"):  # a lock belongs to an opened file, so this stands for a process
        with pytest.raises(ValueError, match="is in use by process 7 on elsewhere; wait for it to end"):
            lock(tmp_path)
    lock(tmp_path)
    lock(tmp_path)  # who holds it may come back
    assert (tmp_path / ".owner").read_text() == f"process {os.getpid()} on {platform.node()}"
    with pytest.raises(Timeout):
        FileLock(tmp_path / ".lock").acquire(timeout=0)
    unlock(tmp_path)
    FileLock(tmp_path / ".lock").acquire(timeout=0)
    assert (tmp_path / "config.yaml").is_file()


def test_a_folder_in_which_nothing_was_written_is_not_left_behind(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    lock(folder)
    unlock(folder)
    assert not folder.exists()
