"""Figures of the lab: matplotlib without a screen, and colours that the colour-blind can tell apart."""

from __future__ import annotations

from typing import Any

colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#000000"]
"""Okabe and Ito's."""


def axes_of(n_rows: int, n_columns: int, size: float = 3.0, width: float | None = None) -> tuple[Any, list[Any]]:
    """Return a figure and its axes, row by row, each `width` (`size` if none is given) by `size` inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(n_columns * (width or size), n_rows * size), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    return figure, list(axes.flat)
