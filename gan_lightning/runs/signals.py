"""Signals that ask a run to stop, heard from the first line of the program on; this file imports nothing slow."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

STOPPED = 75
"""Exit code of a run that was asked to stop and saved its state (EX_TEMPFAIL: start it again)."""

_NAMES = ("SIGTERM", "SIGUSR1")
_heard: str | None = None
_listener: int | None = None


def listen() -> None:
    """Note SIGTERM and SIGUSR1 from now on instead of dying of them; forked processes go on to die.

    Before Python's imports are done (five seconds), the default action would kill a run without a word.
    """
    global _listener
    if threading.current_thread() is threading.main_thread():
        _listener = os.getpid()
        for name in _NAMES:
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), _note)


def heard() -> str | None:
    """Return the name of the first signal that was noted, None if there was none."""
    return _heard


def forget() -> None:
    """Start over, as for another run in the same process."""
    global _heard
    _heard = None


def _note(number: int, frame: FrameType | None) -> None:
    global _heard
    if os.getpid() != _listener:  # a loader's worker, which inherited this handler
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    if _heard is None:
        _heard = signal.Signals(number).name
        if all(os.environ.get(name, "0") == "0" for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")):
            os.write(2, f"gan-lightning: {_heard} heard, stopping after this round\n".encode())
