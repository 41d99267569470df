"""A run that is sent a signal stops at the end of a round with code 75, and resumes as if nothing had been."""

from __future__ import annotations

import os
import signal
import time

from tests.cluster.launch import content, end_group, fit_here, load, start, wait_for, write_config
from tests.training import assert_same


def test_signals_at_the_start_and_on_the_way_cost_nothing(tmp_path, capsys):
    config = write_config(tmp_path)
    log = tmp_path / "output.log"
    endless = ("--name", "stopped", "--resume", "auto", "--trainer.max_steps", "1000000")
    last = tmp_path / "runs" / "stopped" / "checkpoints" / "last.ckpt"

    first = start(config, *endless)
    try:
        time.sleep(0.7)  # Python is running, torch is not imported yet
        os.kill(first.pid, signal.SIGTERM)
        assert first.wait(600) == 75, log.read_text()
    finally:
        end_group(first)
    assert "SIGTERM heard" in log.read_text()
    assert load(last)["clock"]["updates_done"] == 1

    second = start(config, *endless)
    try:
        wait_for(r"[2-9]\d*/1000000 updates", log, second)
        os.kill(second.pid, signal.SIGUSR1)
        assert second.wait(600) == 75, log.read_text()
    finally:
        end_group(second)
    stopped_at = load(last)["clock"]["updates_done"]
    assert f"stopped by SIGUSR1 after update {stopped_at}" in log.read_text()
    assert "--name stopped --resume auto" in log.read_text()

    total = str(stopped_at + 3)
    capsys.readouterr()
    fit_here(config, *endless[:-1], total)
    assert f"resuming {tmp_path / 'runs' / 'stopped'} from last.ckpt" in capsys.readouterr().err
    fit_here(config, "--name", "straight", "--trainer.max_steps", total)
    assert_same(content(last), content(tmp_path / "runs" / "straight" / "checkpoints" / "last.ckpt"))
