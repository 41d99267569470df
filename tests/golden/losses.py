"""The golden numbers: what the first three rounds of every row of tests/cases.py log, in double precision.

They are the same from version to version: a change that is meant to leave numbers alone leaves `losses.json` as it is,
and one that changes them on purpose writes it anew, in a commit that says why:

    python -m tests.golden.losses
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from tests.cases import CASES, Case
from tests.training import train

PATH = Path(__file__).with_name("losses.json")
UPDATES = 3


def play(case: Case, folder: Path, **options: Any) -> list[dict[str, float]]:
    """Return the losses and terms of each round."""
    recorder = train(case.game(), case.data(), folder, UPDATES, precision="64-true", **options)
    rows: list[dict[str, float]] = []
    for _, row in recorder.rows:
        numbers = {
            key: float(value) for key, value in row.items() if key.startswith(("critic/", "generator/", "loss/"))
        }
        if numbers:
            rows.append(numbers)
    return rows


def main() -> None:
    """Write the file."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            found[case.name] = play(case, Path(folder))
    PATH.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"{len(found)} rows in {PATH}")


if __name__ == "__main__":
    main()
