"""scripts/usefulness.py: the control without a generator."""

from __future__ import annotations

import runpy
from pathlib import Path

import torch

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "usefulness.py"


def test_the_cut_class_is_repeated_up_to_the_others_mean_and_no_image_is_lost():
    labels = torch.tensor([0] * 5 + [1] * 2 + [2] * 7)
    rows = runpy.run_path(str(SCRIPT))["rebalanced"](labels, [1])
    assert labels[rows].bincount().tolist() == [5, 6, 7]
    assert rows.bincount().tolist() == [1] * 5 + [3, 3] + [1] * 7
