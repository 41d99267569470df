"""Moments of real data, kept under the user's cache folder for the next measurement."""

from __future__ import annotations

from pathlib import Path

import torch

from gan_lightning.data.packing import cache_home
from gan_lightning.errors import in_one_line, say
from gan_lightning.metrics.fidelity import Moments
from gan_lightning.runs.checkpoint_files import is_whole
from gan_lightning.runs.files import replacing


def moments_file(key: str) -> Path:
    """Return where the moments of a key are kept."""
    return cache_home() / "moments" / f"{key}.pt"


def read_moments(key: str, n: int) -> Moments | None:
    """Return the moments of n samples, None if there are none; damaged or foreign ones are said, and made anew.

    The file's checksums are compared, and what it says about itself.
    """
    path = moments_file(key)
    if not path.is_file():
        return None
    try:
        if not is_whole(path):  # torch reads over flipped bits
            raise ValueError("its checksum is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
        moments, owner = Moments(state["n"], state["total"], state["outer"]), state["key"]
        (width,) = state["total"].shape
        if (owner, moments.n, tuple(state["outer"].shape)) != (key, n, (width, width)):
            raise ValueError("it is of other data")
    except Exception as error:  # bytes that are no pickle raise anything
        reason = in_one_line(error)[:100]
        say(f"the kept moments {path} are damaged ({reason}); they are made anew")
        return None
    return moments


def keep_moments(key: str, moments: Moments) -> None:
    """Keep moments for the next run, complete or not at all; a cache that cannot be written is only slower."""
    path = moments_file(key)
    try:
        with replacing(path) as part:
            torch.save({"key": key, "n": moments.n, "total": moments.total, "outer": moments.outer}, part)
    except (OSError, RuntimeError) as error:  # torch hides the file's own error
        say(f"the real moments are not kept for the next run: {str(error).splitlines()[0]}")
