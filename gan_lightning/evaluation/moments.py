"""What was computed of real data, moments and features, kept under the user's cache folder for the next measurement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from gan_lightning.data.packing import cache_home
from gan_lightning.errors import in_one_line, say
from gan_lightning.evaluation.measures import Draw, Measured, measure
from gan_lightning.metrics.extractors import FeatureExtractor
from gan_lightning.metrics.fidelity import Moments
from gan_lightning.runs.checkpoint_files import is_whole
from gan_lightning.runs.files import replacing

_FORMAT = 2


def statistics_key(fingerprint: str, n: int, extractor: FeatureExtractor) -> str:
    """Return the name under which what an extractor makes of n samples is kept, a hash over all that it depends on."""
    key = {
        "format": _FORMAT,
        "data": fingerprint,
        "n": n,
        "extractor": [extractor.name, extractor.fingerprint()],
        "torch-fidelity": version("torch-fidelity"),
    }
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]


def measure_kept(
    extractors: Sequence[FeatureExtractor],
    n: int,
    fingerprint: str,
    name: str,
    draw: Callable[[], Draw],
    keep: bool,
    labels: Tensor | None = None,
    rank: int = 0,
    world_size: int = 1,
    broadcast: Callable[[Any], Any] = lambda value: value,
) -> list[Measured]:
    """Return what each extractor makes of n fixed samples: what is kept, and the rest in one pass, which is kept then.

    Args:
        extractors: The extractors.
        n: Number of samples.
        fingerprint: Hash of their content.
        name: What they are, for people.
        draw: Returns what `measure` draws them with, called only if something is missing.
        keep: Whether features are needed too.
        labels: Their classes.
        rank: This process.
        world_size: Number of processes.
        broadcast: Returns rank 0's value on every rank.
    """
    keys = [statistics_key(fingerprint, n, extractor) for extractor in extractors]

    def look_up(key: str) -> Measured | None:
        moments = read_moments(key, n)
        features = read_features(key, n) if keep and moments is not None else None
        if moments is None or (keep and features is None):
            return None
        return Measured(n, moments, features, None, labels)

    found = cast(list[Measured | None], broadcast([look_up(key) for key in keys] if rank == 0 else None))
    missing = [index for index, had in enumerate(found) if had is None]
    if missing:
        drawn = draw()
        say(f"features of {n} real samples ({name})")
        made = measure(
            [extractors[i] for i in missing], n, drawn, keep, False, None, labels, rank=rank, world_size=world_size
        )
        for index, new in zip(missing, made, strict=True):
            found[index] = new
            if rank == 0:
                keep_moments(keys[index], new.moments, name, extractors[index])
                if new.features is not None:
                    keep_features(keys[index], new.features, name, extractors[index])
    return cast(list[Measured], found)


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


def name_of(path: Path) -> str:
    """Return for people what is kept in a file: of which samples, by which extractor; "damaged" for any other."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        owner = state.get("extractor")
        return " by ".join(filter(None, [state.get("name") or "samples of an older version", owner and owner[0]]))
    except Exception:  # bytes that are no pickle raise anything
        return "damaged"


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


def keep_moments(key: str, moments: Moments, name: str = "", extractor: FeatureExtractor | None = None) -> None:
    """Keep moments for the next run, complete or not at all; a cache that cannot be written is only slower.

    The name says what of, for people, and the extractor by whose features, for whoever is given the file.
    """
    owner = None if extractor is None else [extractor.name, extractor.fingerprint()]
    state = {
        "key": key,
        "n": moments.n,
        "total": moments.total,
        "outer": moments.outer,
        "name": name,
        "extractor": owner,
    }
    _keep(moments_file(key), state, "moments")


def keep_features(key: str, features: Tensor, name: str = "", extractor: FeatureExtractor | None = None) -> None:
    """Keep features for the next run, as `keep_moments`."""
    owner = None if extractor is None else [extractor.name, extractor.fingerprint()]
    _keep(features_file(key), {"key": key, "features": features, "name": name, "extractor": owner}, "features")


def _keep(path: Path, state: dict[str, Any], what: str) -> None:
    try:
        with replacing(path) as part:
            torch.save(state, part)
    except (OSError, RuntimeError) as error:  # torch hides the file's own error
        say(f"the real {what} are not kept for the next run: {str(error).splitlines()[0]}")
