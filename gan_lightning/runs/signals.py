"""Signals that ask a run to stop, heard from the first line of the program on; this file imports nothing slow."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

STOPPED = 75
"""Exit code of a run that was asked to stop and saved its state (EX_TEMPFAIL: start it again)."""

INTERRUPTED = 130
"""Exit code of a run that a second Ctrl-C ended at once."""

_NAMES = ("SIGTERM", "SIGUSR1", "SIGINT", "SIGHUP")
_FROM_THE_TERMINAL = ("SIGINT", "SIGHUP")  # sent to the workers too; ignored from birth under nohup and behind `&`
_heard: str | None = None
_listener: int | None = None


def listen() -> None:
    """Note SIGTERM, SIGUSR1, SIGINT and SIGHUP from now on instead of dying of them; forked processes still die.

    Before Python's imports are done (five seconds), the default action would kill a run without a word.
    """
    global _listener
    if threading.current_thread() is threading.main_thread():
        _listener = os.getpid()
        for name in _NAMES:
            number = signal.Signals.__members__.get(name)  # Windows has not all of them
            if number is None or (name in _FROM_THE_TERMINAL and signal.getsignal(number) is signal.SIG_IGN):
                continue
            signal.signal(number, _note)


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Put the handlers back as they were, and forget what was heard."""
    numbers = [number for name, number in signal.Signals.__members__.items() if name in _NAMES]
    before = {number: signal.getsignal(number) for number in numbers}
    forget()
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                if handler is not None:  # one that C has set cannot be set from here
                    signal.signal(number, handler)
        forget()


def heard() -> str | None:
    """Return the name of the first signal that was noted, None if there was none."""
    return _heard


def forget() -> None:
    """Start over, as for another run in the same process."""
    global _heard
    _heard = None


def _note(number: int, frame: FrameType | None) -> None:
    global _heard
    name = signal.Signals(number).name
    if os.getpid() != _listener:  # a loader's worker, which inherited this handler
        if name in _FROM_THE_TERMINAL:
            return  # it ends with the run
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    if name == "SIGINT" and _heard == name:
        os._exit(INTERRUPTED)
    if _heard is None:
        _heard = name
        if all(os.environ.get(name, "0") == "0" for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")):
            with suppress(OSError):  # nobody reads any more
                os.write(2, f"gan-lightning: {_heard} heard, stopping after this round\n".encode())
