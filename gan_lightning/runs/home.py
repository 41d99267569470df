"""The user's home folder in what is saved: written as `~`, and expanded where it is read."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any


def without_home(value: Any) -> Any:
    """Return nested plain values with the user's home folder written as `~` at the start of paths."""
    if isinstance(value, dict):
        return {key: without_home(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_home(inner) for inner in value]
    home = os.path.expanduser("~")  # "~" itself where nobody knows: a container's user without a name
    if isinstance(value, str) and (value == home or value.startswith(home + os.sep)) and home not in (os.sep, "~"):
        return "~" + value[len(home) :]
    return value


def with_home(value: Any) -> Any:
    """Return nested values with a `~` at the start of paths as the user's home folder: `without_home` undone.

    Namespaces are changed in place.
    """
    if isinstance(value, argparse.Namespace):
        for key, inner in vars(value).items():
            vars(value)[key] = with_home(inner)
        return value
    if isinstance(value, dict):
        return {key: with_home(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(with_home(inner) for inner in value)
    if isinstance(value, Path):
        return value.expanduser()
    if isinstance(value, str) and (value == "~" or value.startswith("~" + os.sep)):
        return os.path.expanduser(value)
    return value
