"""Faults of machines, tried on real runs: `pytest -m slow tests/cluster` ends in a table of them.

Each fault is followed by `--resume auto`, and the end is compared to the bit with a run that nothing happened to.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cluster.launch import (
    command,
    content,
    end_group,
    fit,
    free_port,
    group_is_gone,
    load,
    popen,
    start,
    wait_for,
    write_config,
)
from tests.training import assert_same

pytestmark = pytest.mark.slow

UPDATES = 60
TWO = ("--trainer.devices", "2", "--trainer.strategy", "gan_ddp")


def updates_saved(folder: Path, name: str) -> int:
    path = folder / "runs" / name / "checkpoints" / "last.ckpt"
    return load(path)["clock"]["updates_done"] if path.is_file() else 0


def updates_played(log: Path) -> int:
    """Return the last update that a run said it had made."""
    return max((int(n) for n in re.findall(r"^played (\d+)$", log.read_text(), re.MULTILINE)), default=0)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The folder of a config and of the runs that nothing happens to, `one` process and `two`."""
    folder = tmp_path_factory.mktemp("straight")
    config = write_config(
        folder,
        # wide enough that writing takes a good part of a round, and every round is written
        model={
            "class_path": "DCGAN",
            "init_args": {
                "generator": {"class_path": "DCGANGenerator", "init_args": {"width": 48, "latent_dim": 4}},
                "critic": {"class_path": "DCGANCritic", "init_args": {"width": 48}},
            },
        },
        trainer={"max_steps": UPDATES, "callbacks": [{"class_path": "tests.cluster.telling.Tell"}]},
        checkpoints={"every_n_updates": 1},
    )
    for name, options in (("one", ()), ("two", TWO)):
        done = fit(config, "--name", name, *options)
        assert done.returncode == 0, done.stdout
    return folder


def test_sigkill_at_random_moments(straight, fault):
    """Kill a run again and again, at moments that cover start-up, rounds and the writing of checkpoints."""
    config, log, name = straight / "config.yaml", straight / "killed.log", "killed"
    random.seed(0)
    kills = while_writing = 0
    while kills < 24:
        log.write_text("")
        before = updates_saved(straight, name)
        process = start(config, "--name", name, "--resume", "auto", log=log)
        try:
            if kills % 6 == 0:
                time.sleep(random.uniform(0.0, 4.0))  # while it starts
            else:
                wait_for(r"^(?s:.)*played", log, process, 600)
                if kills % 2:
                    time.sleep(random.uniform(0.0, 0.1))
                elif not kill_while_writing(process, straight / "runs" / name / "checkpoints"):
                    continue  # it was done before it was caught
            os.kill(process.pid, signal.SIGKILL)
            code = process.wait(60)
        finally:
            end_group(process)
        if code != -signal.SIGKILL:  # it was done before it was killed
            break
        parts = list((straight / "runs" / name).glob("checkpoints/*.part"))
        kind = "SIGKILL while a checkpoint was written" if parts else "SIGKILL at a random moment"
        while_writing += bool(parts)
        played = max(updates_played(log), before)
        saved = updates_saved(straight, name)
        fault(kind, played - saved, 128 + signal.SIGKILL)
        assert 0 <= played - saved <= 1, "more was lost than the round after the last checkpoint"
        kills += 1
        if kills % 8 == 0:
            done = fit(config, "--name", name, "--resume", "auto", "--trainer.max_steps", str(saved + 1))
            if parts:
                assert "was still being written when its run died; it is not used" in done.stdout
        if saved >= UPDATES - 8:  # start over, so that there are always rounds left to be killed in
            finish_and_compare(straight, config, name, "one")
            name = f"killed-{kills}"
    finish_and_compare(straight, config, name, "one")
    assert kills >= 20 and while_writing >= 3


def kill_while_writing(process: subprocess.Popen[str], folder: Path) -> bool:
    """Stop a process, to be killed, at a moment when a part file is there; tell whether that succeeded."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if not folder.is_dir():
            continue
        if any(name.endswith(".part") for name in os.listdir(folder)):
            os.kill(process.pid, signal.SIGSTOP)
            if any(name.endswith(".part") for name in os.listdir(folder)):
                return True
            os.kill(process.pid, signal.SIGCONT)
    return False


def finish_and_compare(folder: Path, config: Path, name: str, reference: str, *options: str) -> None:
    done = fit(config, "--name", name, "--resume", "auto", *options)
    assert done.returncode == 0, done.stdout
    compare(folder, name, reference)


def compare(folder: Path, name: str, reference: str) -> None:
    one, other = (content(folder / "runs" / which / "checkpoints" / "last.ckpt") for which in (name, reference))
    assert one["clock"]["updates_done"] == other["clock"]["updates_done"]
    assert_same(one, other)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=lambda n: signal.Signals(n).name)
@pytest.mark.parametrize("ranks", [1, 2])
def test_signals_lose_nothing(number, ranks, straight, fault):
    name = f"signalled-{number}-{ranks}"
    options = TWO if ranks == 2 else ()
    log = straight / f"{name}.log"
    for at in (1, 7, 20):
        log.write_text("")
        process = start(straight / "config.yaml", "--name", name, "--resume", "auto", *options, log=log)
        try:
            wait_for(rf"played {at}\d*\n", log, process, 600)
            os.kill(process.pid, number)
            assert process.wait(300) == 75, log.read_text()
            assert group_is_gone(process, 60)
        finally:
            end_group(process)
        lost = updates_played(log) - updates_saved(straight, name)
        assert lost == 0
        fault(f"{signal.Signals(number).name}, {ranks} process{'es' * (ranks > 1)}", lost, 75)
    finish_and_compare(straight, straight / "config.yaml", name, "two" if ranks == 2 else "one", *options)


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("launcher", ["lightning", "torchrun", "none"])
def test_one_rank_killed_ends_the_others_within_a_minute(victim, launcher, straight, fault):
    """Under Lightning's launcher, under torchrun, and with ranks that nobody watches over."""
    name, log = f"widowed-{launcher}-{victim}", straight / f"widowed-{launcher}-{victim}.log"
    config = straight / "config.yaml"
    options = ("--name", name, "--resume", "auto", *TWO)
    processes = launch(launcher, config, options, log)
    try:
        wait_for("played 5", log, processes[0], 600)
        ranks = dict(re.findall(r"rank (\d) is process (\d+)", log.read_text()))
        os.kill(int(ranks[str(victim)]), signal.SIGKILL)
        began = time.monotonic()
        for process in processes:
            assert group_is_gone(process, 60), log.read_text()[-3000:]
        assert time.monotonic() - began < 60
        codes = [process.wait() for process in processes]
    finally:
        for process in processes:
            end_group(process)
    code = next((c for i, c in enumerate(codes) if c and not (launcher == "none" and i == victim)), 0)
    assert code not in (0, 75)
    lost = updates_played(log) - updates_saved(straight, name)
    assert 0 <= lost <= 1
    fault(f"rank {victim} of 2 killed, {launcher}", lost, code if code > 0 else 128 - code)
    finish_and_compare(straight, config, name, "two", *TWO)


def launch(launcher: str, config: Path, options: tuple[str, ...], log: Path) -> list[subprocess.Popen[str]]:
    if launcher == "lightning":
        return [start(config, *options, log=log)]
    port = str(free_port())
    if launcher == "none":
        common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "NODE_RANK": "0"}
        return [start(config, *options, log=log, LOCAL_RANK=str(rank), **common) for rank in range(2)]
    python, *rest = command(config, *options)
    torchrun = [python, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port, *rest]
    return [popen(torchrun, log, config.parent)]


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_full_disk_stops_training_with_a_line_and_keeps_the_last_checkpoint(ranks, straight, fault, tmp_path):
    """Fill a small file system, mounted for this, in the middle of a run."""
    if os.geteuid():
        pytest.skip("needs root, to mount a file system")
    name, log = f"full-{ranks}", straight / f"full-{ranks}.log"
    options = TWO if ranks == 2 else ()
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=True)
    try:
        common = ("--runs_dir", str(disk), "--name", name, "--resume", "auto", *options)
        process = start(straight / "config.yaml", *common, log=log)
        try:
            wait_for("played 3", log, process, 600)
            filler = disk / "filler"
            with pytest.raises(OSError), filler.open("wb") as file:
                while True:
                    file.write(bytes(2**16))
                    file.flush()
            code = process.wait(300)
            assert group_is_gone(process, 60)
        finally:
            end_group(process)
        told = [line for line in log.read_text().splitlines() if "No space left on device" in line]
        assert code == 1 and len(told) == 1, log.read_text()[-3000:]
        assert told[0].startswith("gan-lightning: ") and "--resume auto" in told[0]
        assert not list(disk.glob(f"{name}/checkpoints/*.part"))
        saved = load(disk / name / "checkpoints" / "last.ckpt")["clock"]["updates_done"]
        lost = updates_played(log) - saved
        assert lost <= 2
        fault(f"full disk, {ranks} process{'es' * (ranks > 1)}", lost, code)
        filler.unlink()
        done = fit(straight / "config.yaml", *common)
        assert done.returncode == 0, done.stdout
        reference = content(straight / "runs" / ("two" if ranks == 2 else "one") / "checkpoints" / "last.ckpt")
        assert_same(content(disk / name / "checkpoints" / "last.ckpt"), reference)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_the_python_of_a_run_dies_of_an_error(straight, fault):
    """An exception in the middle of a step, as a broken file or a bug raises it."""
    log, name = straight / "broken.log", "broken"
    config = straight / "config.yaml"
    process = start(config, "--name", name, "--resume", "auto", log=log, GAN_LIGHTNING_TEST_BREAK_AT="9")
    try:
        assert process.wait(600) == 1
    finally:
        end_group(process)
    assert "broken on purpose" in log.read_text()
    fault("exception in the middle of a round", updates_played(log) - updates_saved(straight, name), 1)
    finish_and_compare(straight, config, name, "one")
