"""The card of a measurement: its numbers, what they depend on, and the file that holds both. docs/metrics.md has the fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from math import isfinite
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.trainer.states import TrainerFn

from gan_lightning.runs.files import replacing

SCHEMA = 1
"""Version of the fields of a card; raise it when one changes its meaning."""

COMPARED = (
    "extractor", "extractor_fingerprint", "extractor_resize", "real_fingerprint", "n_real", "n_generated", "isc_splits",
    "kid_subset_size", "labels", "truncation", "real_resize", "fake_resize", "n_std", "n_modes", "n_training",
    "ppl_epsilon", "ppl_interpolation", "ppl_discarded", "ppl_similarity", "std", "centres_fingerprint", "classifier",
    "classifier_fingerprint", "sources_fingerprint", "n_sources", "n_queries", "n_documents", "n_pictures", "factor", "n_symbols",
    "rate", "n_translated", "training_fingerprint",
)  # fmt: skip
"""Fields of a card that must agree for its numbers to stand in one column with another's."""


def card_of(values: Mapping[str, float], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a card: the schema's version and the time, the numbers, and what they depend on.

    A number that is not finite is null.
    """
    assert not values.keys() & facts.keys(), f"a fact would hide a number: {values.keys() & facts.keys()}"
    numbers = {name: value if isfinite(value) else None for name, value in values.items()}
    stamp = {"schema": SCHEMA, "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    return {**stamp, "metrics": list(values), **numbers, **facts}


def save_card(path: Path, card: Mapping[str, Any]) -> None:
    """Write a card, whole or not at all.

    Raises:
        OSError: What the operating system refuses.
    """
    with replacing(path) as part:
        part.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


def write_card(trainer: Any, values: Mapping[str, float], facts: Mapping[str, Any], prefix: str, *differs: str) -> Path:
    """Write the card into `evaluation/`, hand it to the loggers that show text, and return its path; call it on rank 0.

    While training the file is `<prefix><update>.json`. A measured checkpoint's is also named by the verb, the
    checkpoint's stem and hash, and what else tells measurements of it apart; the card names the checkpoint. A card that
    is there already and that does not compare with it, such as one on other data, is kept: a number is added to the name.

    Args:
        trainer: The trainer that measures.
        values: The measured numbers.
        facts: What they depend on, with `update`.
        prefix: What the file's name starts with.
        differs: Settings in which two measurements of one checkpoint may differ, as words of the file's name.
    """
    folder = Path(trainer.default_root_dir) / "evaluation"
    card = card_of(values, facts)
    words = [f"{facts['update']:06d}"]
    if trainer.state.fn not in ("fit", None):
        words.insert(0, TrainerFn(trainer.state.fn).value)
        checkpoint = trainer.ckpt_path
        if checkpoint and Path(checkpoint).is_file():
            digest = short_hash(Path(checkpoint))
            card |= {"checkpoint": Path(checkpoint).name, "checkpoint_sha256": digest}
            words += [Path(checkpoint).stem, digest[:8]]
        words += differs
    path = _own_place(folder / f"{prefix}{'-'.join(words)}.json", card)
    save_card(path, card)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):  # Weights & Biases takes the file
            text = f"```json\n{json.dumps(card, indent=2)}\n```"
            logger.experiment.add_text(f"cards/{prefix}card", text, facts["update"])
    return path


def _own_place(path: Path, card: Mapping[str, Any]) -> Path:
    """Return the path, or the first numbered one beside it that holds no card of another measurement."""
    number, place = 1, path
    while place.is_file():
        try:
            there = json.loads(place.read_text(encoding="utf-8"))
        except ValueError:
            break  # half written by a process that has died
        if all(there.get(name) == card.get(name) for name in COMPARED):
            break
        number += 1
        place = path.with_name(f"{path.stem}-{number}.json")
    return place


def short_hash(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256."""
    return file_hash(path)[:16]


def file_hash(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
