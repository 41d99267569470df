"""Where modules of one's own are looked for: the current folder, and the folder of a config that names them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def searched(folder: str) -> Iterator[None]:
    """Let modules of a folder be found, last of all; `python -m` finds those of the current folder first of all.

    Args:
        folder: The folder; "" is the current one.
    """
    try:
        here = os.getcwd()
    except OSError:  # it has been removed
        here = ""
    place = os.path.abspath(folder) if folder and here else folder or here
    if not place or place in sys.path or (place == here and "" in sys.path):
        yield
        return
    sys.path.append(place)
    try:
        yield
    finally:
        sys.path.remove(place)
