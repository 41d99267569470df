"""The table at the end of the slow suite: fault, times tried, lost updates, exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

_TRIED: list[tuple[str, int, int]] = []

Fault = Callable[[str, int, int], None]


@pytest.fixture
def fault() -> Fault:
    """Note one try of a fault: its name, the updates that had to be made anew, and the exit code."""

    def note(name: str, lost: int, code: int) -> None:
        _TRIED.append((name, lost, code))

    return note


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not _TRIED:
        return
    terminalreporter.section("faults")
    terminalreporter.write_line(f"{'fault':58} {'times':>5}  {'lost updates':>12}  exit code")
    for name in dict.fromkeys(name for name, _, _ in _TRIED):
        lost = [lost for other, lost, _ in _TRIED if other == name]
        codes = sorted({code for other, _, code in _TRIED if other == name})
        spread = f"{min(lost)} to {max(lost)}" if min(lost) < max(lost) else str(lost[0])
        terminalreporter.write_line(f"{name:58} {len(lost):5}  {spread:>12}  {', '.join(map(str, codes))}")
