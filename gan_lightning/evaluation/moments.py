"""What was computed of real data, moments and features, kept under the user's cache folder for the next measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lightning.data.packing import cache_home
from gan_lightning.errors import in_one_line, say
from gan_lightning.metrics.fidelity import Moments
from gan_lightning.runs.checkpoint_files import is_whole
from gan_lightning.runs.files import replacing


def moments_file(key: str) -> Path:
    """Return where the moments of a key are kept."""
    return cache_home() / "moments" / f"{key}.pt"


def features_file(key: str) -> Path:
    """Return where the features of a key are kept."""
    return cache_home() / "features" / f"{key}.pt"


def read_moments(key: str, n: int) -> Moments | None:
    """Return the moments of n samples, None if there are none; damaged or foreign ones are said, and made anew.

    The file's checksums are compared, and what it says about itself.
    """
    state = _read(moments_file(key), key, n, "moments")
    if state is None:
        return None
    return Moments(state["n"], state["total"], state["outer"])


def read_features(key: str, n: int) -> Tensor | None:
    """Return the features `(n, F)`, None if there are none; damaged or foreign ones are said, and made anew."""
    state = _read(features_file(key), key, n, "features")
    return None if state is None else state["features"]


def _read(path: Path, key: str, n: int, what: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        if not is_whole(path):  # torch reads over flipped bits
            raise ValueError("its checksum is wrong")
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if what == "moments":
            (width,) = state["total"].shape
            is_right = tuple(state["outer"].shape) == (width, width) and state["n"] == n
        else:
            is_right = state["features"].dim() == 2 and len(state["features"]) == n
        if state["key"] != key or not is_right:
            raise ValueError("it is of other data")
    except Exception as error:  # bytes that are no pickle raise anything
        reason = in_one_line(error)[:100]
        say(f"the kept {what} {path} are damaged ({reason}); they are made anew")
        return None
    return state


def keep_moments(key: str, moments: Moments, name: str = "") -> None:
    """Keep moments for the next run, complete or not at all; a cache that cannot be written is only slower."""
    state = {"key": key, "n": moments.n, "total": moments.total, "outer": moments.outer, "name": name}
    _keep(moments_file(key), state, "moments")


def keep_features(key: str, features: Tensor, name: str = "") -> None:
    """Keep features for the next run, as `keep_moments`."""
    _keep(features_file(key), {"key": key, "features": features, "name": name}, "features")


def _keep(path: Path, state: dict[str, Any], what: str) -> None:
    try:
        with replacing(path) as part:
            torch.save(state, part)
    except (OSError, RuntimeError) as error:  # torch hides the file's own error
        say(f"the real {what} are not kept for the next run: {str(error).splitlines()[0]}")
