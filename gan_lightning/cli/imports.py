"""Imports without looking for garbage in between, a quarter of their time: torch and Lightning make a million objects."""

from __future__ import annotations

import gc
import sys

_waits = False


def collect_later() -> None:
    """Let Python's collector wait for `collect_again`, in a process that has not imported torch yet."""
    global _waits
    if "torch" not in sys.modules and gc.isenabled():
        gc.disable()
        _waits = True


def collect_again() -> None:
    """End the wait; what has been imported is left out of later collections."""
    global _waits
    if _waits:
        gc.freeze()
        gc.enable()
        _waits = False
