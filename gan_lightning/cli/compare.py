"""`gan-lightning compare` and `report`: runs and cards in one table and on one page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from gan_lightning.errors import RunFailed, UserError
from gan_lightning.evaluation.report import Run, groups_of, read_run, write_page, write_report


def compare(given: Sequence[str], out: str) -> None:
    """Print the numbers of runs and cards, those that can be compared in one table, and write the page.

    Raises:
        UserError: One is neither a run folder nor a card, or the page cannot be written.
    """
    paths = [Path(word).expanduser() for word in given]
    runs = [read_run(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    path = Path(out).expanduser()
    if path.is_dir():
        raise UserError(f"--out {path} is a folder; give a file such as {path / 'compare.html'}")
    if path.is_file() and not path.read_bytes()[:15].lower().startswith(b"<!doctype html>"):
        raise UserError(f"--out {path} is there already, and is no page; give another name, or remove it")
    if not path.absolute().parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to write --out {path.name} to; make it first")
    print(_tables(runs))
    try:
        write_page(runs, " against ".join(run.name for run in runs) if len(runs) < 4 else f"{len(runs)} runs", path)
    except OSError as error:
        raise RunFailed(f"{path} cannot be written: {error.strerror}; give another --out") from error
    print(f"page in {path}", file=sys.stderr)


def report(run: str) -> None:
    """Write `report.html` of a run folder.

    Raises:
        UserError: It is no run folder.
        RunFailed: The file cannot be written.
    """
    folder = Path(run).expanduser()
    if folder.is_file():
        raise UserError(f"{folder} is a file; report takes a run folder, compare takes cards too")
    try:
        path = write_report(folder)
    except OSError as error:
        raise RunFailed(f"{folder / 'report.html'} cannot be written: {error.strerror}") from error
    print(path)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return short names that differ."""
    names = [path.resolve().name if path.is_dir() else path.stem for path in paths]
    if len(set(names)) < len(names):
        names = ["/".join(path.resolve().parts[-2:]) for path in paths]
    if len(set(names)) < len(names):
        names = [f"{index} {name}" for index, name in enumerate(names, 1)]
    return names


def _tables(runs: Sequence[Run]) -> str:
    lines: list[str] = []
    for index, group in enumerate(groups_of(runs)):
        if index:
            lines += ["", f"not comparable with the first table; these differ: {', '.join(group['differs'])}"]
        rows = [["", "update", *group["metrics"]]]
        for row in group["rows"]:
            values = (row["values"].get(name) for name in group["metrics"])
            rows.append([row["name"], str(row["update"]), *("-" if v is None else f"{v:.5g}" for v in values)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells).rstrip())
        if group["words"]:
            lines.append(f"({group['words']})")
    return "\n".join(lines) or "no cards: nothing was measured"
