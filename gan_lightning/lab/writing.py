"""What an experiment leaves: a table on the screen, a page in Markdown, a picture."""

from __future__ import annotations

from gan_lightning.lab.experiment import Experiment, Found, Row


def number(value: float) -> str:
    """Return a number with four significant digits."""
    return f"{value:.4g}"


def cells(row: Row) -> list[str]:
    """Return a row as a table shows it."""
    bound = {"near": "", "at most": "≤ ", "at least": "≥ "}[row.bound]
    mark = "" if row.holds else " MISSED"
    return [row.name, number(row.ours), bound + number(row.known), number(row.difference), row.source + mark]


HEAD = ["", "ours", "known", "difference", "known from"]


def on_screen(found: Found) -> str:
    """Return the table for a terminal."""
    table = [HEAD, *(cells(row) for row in found.rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )


def in_markdown(rows: list[list[str]]) -> str:
    """Return a table, its first row the head."""
    head, *rest = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(experiment: Experiment, found: Found, seed: int) -> str:
    """Return the page in Markdown; its picture is `<name>.png` beside it."""
    parts = [
        f"# {experiment.name}",
        experiment.sentence[0].upper() + experiment.sentence[1:] + ".",
        f"`gan-lightning lab {experiment.name}`" + (f" (seed {seed})" if seed else ""),
        f"![{experiment.sentence}]({experiment.name}.png)",
        *found.notes,
        *([in_markdown(found.table)] if found.table else []),
        in_markdown([HEAD, *(cells(row) for row in found.rows)]),
    ]
    return "\n\n".join(parts) + "\n"
