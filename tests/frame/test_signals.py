"""Signals that ask to stop: the state is saved, and after `main` everything is as it was before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from gan_lightning.callbacks import Throughput
from gan_lightning.cli.main import main
from gan_lightning.runs.launch import RUN_FOLDER_VARIABLE
from tests.frame.test_paths import CONFIG
from tests.training import fit

NUMBERS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_saves_and_stops(number, tmp_path, monkeypatch, request):
    if signal.getsignal(number) == signal.SIG_IGN:  # the tests run under nohup, and an ignored signal stays ignored
        request.addfinalizer(lambda: signal.signal(number, signal.SIG_IGN))
        signal.signal(number, signal.SIG_DFL)
    before = [signal.getsignal(n) for n in NUMBERS]
    monkeypatch.setattr(Throughput, "on_train_batch_end", lambda *_: os.kill(os.getpid(), number))
    outcome = fit(tmp_path, CONFIG)
    assert outcome.code == 75, outcome.err
    assert f"stopped by {number.name} after update 1" in outcome.err
    assert (tmp_path / "h" / "checkpoints" / "last.ckpt").is_file()
    assert [signal.getsignal(n) for n in NUMBERS] == before


def test_main_puts_handlers_and_environment_back(tmp_path):
    fit(tmp_path, {**CONFIG, "name": "first"})
    before = [signal.getsignal(n) for n in NUMBERS]
    main(["fit", "--config", str(tmp_path / "config.yaml"), "--trainer.max_steps=1"])
    assert [signal.getsignal(n) for n in NUMBERS] == before
    assert RUN_FOLDER_VARIABLE not in os.environ


def test_a_second_interrupt_ends_at_once():
    code = "import os, signal, time; from gan_lightning.runs.signals import listen; signal.signal(2, signal.default_int_handler)\nlisten(); os.kill(os.getpid(), 2); os.kill(os.getpid(), 2); time.sleep(60)"  # noqa: E501
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 130


def test_closed_streams_do_not_end_a_run(tmp_path, monkeypatch):
    class Closed:
        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

        def isatty(self):
            return False

    fit(tmp_path, {**CONFIG, "name": "first"}, "--trainer.max_steps=1")
    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr(sys, "stderr", Closed())
    main(["fit", "--config", str(tmp_path / "config.yaml"), "--name", "closed"])
    assert (tmp_path / "closed" / "checkpoints" / "last.ckpt").is_file()


WAITING = """
import os, signal, sys, threading, time
from datetime import timedelta
from gan_lightning.runs.signals import end_at_once, listen, wait_for_the_round
listen()
end_at_once(lambda: print("cleaned", flush=True))
if sys.argv[2] == "met":
    wait_for_the_round()
    os.kill(os.getpid(), int(sys.argv[1]))
    print("goes on", flush=True)
    os._exit(0)
threading.Timer(0.2, os.kill, (os.getpid(), int(sys.argv[1]))).start()
from torch.distributed import TCPStore
store = TCPStore("127.0.0.1", 0, world_size=2, is_master=True, wait_for_workers=True, timeout=timedelta(seconds=30))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 75)])
def test_a_rank_that_waits_for_the_others_ends_at_a_signal(number, code):
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", WAITING, str(int(number)), "wait"], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert time.monotonic() - start < 25
    assert "cleaned" in done.stdout and number.name in done.stderr


def test_after_the_ranks_have_met_a_signal_waits_for_the_round():
    words = [sys.executable, "-c", WAITING, str(int(signal.SIGTERM)), "met"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "goes on" in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_waiting_for_rank_0s_decision_ends_at_once(number, code, tmp_path):
    program = (
        "from gan_lightning.runs.signals import listen; listen()\n"
        "from gan_lightning.runs.launch import agree\n"
        "import os, sys, threading\n"
        f"threading.Timer(0.3, os.kill, (os.getpid(), {int(number)})).start()\n"
        "agree(None, sys.argv[1], False)"
    )
    slurm = {"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train"}
    done = subprocess.run([sys.executable, "-c", program, tmp_path], env=os.environ | slurm, timeout=60)
    assert done.returncode == code
