"""`gan-lightning cache`: what is kept for the next run, and where."""

from __future__ import annotations

import json
from pathlib import Path

from gan_lightning.data.packing import cache_home
from gan_lightning.evaluation.moments import name_of

_KEPT = (".npy", ".pt", ".notes")


def tell(clear: bool) -> None:
    """Print what the cache folder holds, line by line, and remove it if told to.

    That is packed images and sound, and the notes of music (`packs/`), and what was computed of real samples for metrics
    (`moments/`, `features/`).
    """
    home = cache_home()
    files = sorted(path for path in home.rglob("*") if path.is_file()) if home.is_dir() else []
    total = sum(path.stat().st_size for path in files)
    for path in files:
        if path.suffix in _KEPT:
            card = path if path.suffix == ".notes" else path.with_suffix(".json")
            name = name_of(path) if path.suffix == ".pt" else _name(card)
            print(f"{path.stat().st_size / 1e6:10,.1f} MB  {path.relative_to(home)}  {name}")
    others = [path for path in files if path.suffix not in (*_KEPT, ".json")]
    if others:
        print(f"{sum(path.stat().st_size for path in others) / 1e6:10,.1f} MB  {len(others)} other files")
    print(f"{total / 1e6:10,.1f} MB  in {home}")
    if clear:
        for path in files:
            path.unlink(missing_ok=True)  # a run that has it mapped keeps it
        print("removed; what is needed again is made again")


def _name(card: Path) -> str:
    try:
        return str(json.loads(card.read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError):
        return "unfinished"
