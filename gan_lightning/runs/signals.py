"""Signals that ask a run to stop, heard from the first line of the program on; this file imports nothing slow."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from gan_lightning.errors import speaks

STOPPED = 75
"""Exit code of a run that was asked to stop and saved its state (EX_TEMPFAIL: start it again)."""

INTERRUPTED = 130
"""Exit code of a run that a second Ctrl-C ended at once."""

_NAMES = ("SIGTERM", "SIGUSR1", "SIGINT", "SIGHUP")
_FROM_THE_TERMINAL = ("SIGINT", "SIGHUP")  # sent to the workers too; ignored from birth under nohup and behind `&`
_AT_ONCE = {"SIGTERM": 143, "SIGINT": 130}
_heard: str | None = None
_ending: socket.socket | None = None
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
            wait_for_the_round()
            for number, handler in before.items():
                if handler is not None:  # one that C has set cannot be set from here
                    signal.signal(number, handler)
        forget()


def end_at_once(clean_up: Callable[[], None]) -> None:
    """From now until `wait_for_the_round`, end this process at a signal: it has nothing to save yet.

    While ranks wait for each other, the main thread is in torch's code, where no Python handler runs. Python itself notes
    the signal in a file descriptor, which a thread reads. The exit code is 143 for SIGTERM, 130 for SIGINT, else 75.

    Args:
        clean_up: What to do before.
    """
    global _ending
    if _ending is not None or threading.current_thread() is not threading.main_thread():
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    _ending = writing

    def end(name: str) -> None:
        with suppress(OSError):
            os.write(2, f"gan-lightning: {name} heard while the ranks wait for each other, nothing is lost\n".encode())
        clean_up()
        os._exit(_AT_ONCE.get(name, STOPPED))

    def read() -> None:
        with reading:
            while number := reading.recv(1):
                if (name := signal.Signals(number[0]).name) in _NAMES:
                    end(name)

    signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=read, daemon=True).start()
    if _heard is not None:
        end(_heard)


def wait_for_the_round() -> None:
    """Undo `end_at_once`: from now on a signal lets the round end and the state be saved."""
    global _ending
    if _ending is not None:
        signal.set_wakeup_fd(-1)
        _ending.close()
        _ending = None


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End this process at a signal inside the block: it waits for other ranks, and has nothing to save or clean up."""
    end_at_once(lambda: None)
    try:
        yield
    finally:
        wait_for_the_round()


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
        if speaks():
            with suppress(OSError):  # nobody reads any more
                os.write(2, f"gan-lightning: {_heard} heard, stopping after this round\n".encode())
