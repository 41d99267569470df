"""The card of a measurement: its numbers, what they depend on, and the file that holds both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from lightning.pytorch.trainer.states import TrainerFn

from gan_lightning.runs.files import replacing


def write_card(trainer: Any, values: Mapping[str, float], facts: Mapping[str, Any], prefix: str, *differs: str) -> Path:
    """Write the card into `evaluation/` and return its path; call it on rank 0. A number that is not finite is null.

    While training the file is `<prefix><update>.json`. A measured checkpoint's is also named by the verb, the
    checkpoint's stem and hash, and what else tells measurements of it apart, so that no two share a file; the card
    names the checkpoint.

    Args:
        trainer: The trainer that measures.
        values: The measured numbers.
        facts: What they depend on, with `update`.
        prefix: What the file's name starts with.
        differs: Settings in which two measurements of one checkpoint may differ, as words of the file's name.
    """
    assert not values.keys() & facts.keys(), f"a fact would hide a number: {values.keys() & facts.keys()}"
    folder = Path(trainer.default_root_dir) / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    card = {name: value if isfinite(value) else None for name, value in values.items()} | dict(facts)
    words = [f"{facts['update']:06d}"]
    if trainer.state.fn not in ("fit", None):
        words.insert(0, TrainerFn(trainer.state.fn).value)
        checkpoint = trainer.ckpt_path
        if checkpoint and Path(checkpoint).is_file():
            digest = short_hash(Path(checkpoint))
            card |= {"checkpoint": Path(checkpoint).name, "checkpoint_sha256": digest}
            words += [Path(checkpoint).stem, digest[:8]]
        words += differs
    path = folder / f"{prefix}{'-'.join(words)}.json"
    with replacing(path) as part:
        part.write_text(json.dumps(card, indent=2) + "\n")
    return path


def short_hash(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()[:16]
