"""Runs and cards on one page: curves, grids of the same latents, numbers that can be compared, settings that differ."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from gan_lightning.errors import UserError, in_one_line, say
from gan_lightning.evaluation.cards import COMPARED
from gan_lightning.runs.files import replacing

LARGEST_PAGE = 4_500_000
"""Bytes of a page, kept by showing fewer grids."""

_POINTS = 500  # of a curve: more than there are pixels
_GRIDS = 24  # of a run, evenly over training

_SETTINGS_ASIDE = ("name", "runs_dir", "default_root_dir", "save_dir")  # where a run lies, not what it is


@dataclass
class Run:
    """What a run folder, or a card alone, has to show.

    Attributes:
        name: What it is called.
        steps: The updates of the rows of `metrics.csv`, in order.
        curves: Of each key, indices into `steps` and the numbers, None where they are not finite.
        cards: File names and contents of the cards.
        config: The settings, None for a card alone.
        grids: Updates and files of the sample grids.
    """

    name: str
    steps: list[float] = field(default_factory=list)
    curves: dict[str, tuple[list[int], list[float | None]]] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    config: dict[str, Any] | None = None
    grids: list[tuple[int, Path]] = field(default_factory=list)


def read_run(path: Path, name: str) -> Run:
    """Return what a run folder or a card holds; what is damaged is said and left out.

    Raises:
        UserError: It is neither.
    """
    if path.is_file():
        card = _read_card(path)
        if card is None:
            raise UserError(f"{path} is no card: it must be JSON with the fields that docs/metrics.md lists")
        return Run(name, cards={path.name: card})
    metrics = path / "metrics.csv"
    if not (metrics.is_file() or (path / "config.yaml").is_file() or (path / "evaluation").is_dir()):
        what = (
            "is no run folder: it has no metrics.csv, config.yaml or evaluation/" if path.is_dir() else "is not there"
        )
        raise UserError(f"{path} {what}; give run folders or cards")
    run = Run(name)
    if metrics.is_file():
        _read_metrics(metrics, run)
    for file in sorted((path / "evaluation").glob("*.json")):
        found = _read_card(file)
        if found is None:
            say(f"{file} is no card and is left out")
        else:
            run.cards[file.name] = found
    run.config = _read_config(path / "config.yaml")
    run.grids = [(int(file.stem), file) for file in grids_in(path)]
    return run


def grids_in(folder: Path) -> list[Path]:
    """Return the sample grids of a run folder, in the order of their updates."""
    files = [path for path in (folder / "samples").glob("*.png") if path.stem.isdecimal()]
    return sorted(files, key=lambda path: int(path.stem))


def evenly(n: int, total: int) -> list[int]:
    """Return at most n of the indices below `total`, evenly, with the first and the last; of one the last."""
    if n == 1 and total:
        return [total - 1]
    return sorted({round(i * (total - 1) / (n - 1)) for i in range(n)}) if n < total else [*range(total)]


def _read_metrics(path: Path, run: Run) -> None:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        for row in csv.DictReader(file):
            step = _number(row.get("step"))
            if step is None:
                continue  # a row that a dying machine has left broken
            index = len(run.steps)
            run.steps.append(step)
            for key, text in row.items():
                if key is None or key == "step" or not text or not isinstance(text, str):
                    continue
                indices, values = run.curves.setdefault(key, ([], []))
                indices.append(index)
                values.append(_number(text))


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if isfinite(value) else None


def _read_card(path: Path) -> dict[str, Any] | None:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and ("versions" in card or "schema" in card) else None


def _read_config(path: Path) -> dict[str, Any] | None:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError, yaml.YAMLError) as error:
        say(f"{path} cannot be read and is left out: {in_one_line(error)}")
        return None
    return config if isinstance(config, dict) else None


def numbers_of(card: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the measured numbers of a card; cards of 0.1.0 do not list them."""
    known = card.get("metrics")
    if isinstance(known, list):
        return {str(name): card.get(str(name)) for name in known}
    old = (
        "fid",
        "isc_mean",
        "isc_std",
        "kid_mean",
        "kid_std",
        "precision",
        "recall",
        "modes",
        "high_quality",
        "reverse_kl",
    )
    return {name: card[name] for name in old if name in card}


def groups_of(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the newest card of each kind of each run, in groups whose numbers can be compared."""
    groups: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    for run in runs:
        newest: dict[str, dict[str, Any]] = {}
        for card in run.cards.values():  # of equal settings the last update counts
            facts = json.dumps({name: card.get(name) for name in COMPARED}, sort_keys=True)
            if facts not in newest or (card.get("update") or 0) >= (newest[facts].get("update") or 0):
                newest[facts] = card
        for settings, card in newest.items():
            row = {"name": run.name, "update": card.get("update"), "values": numbers_of(card)}
            key = json.loads(settings)
            group = next((rows for known, rows in groups if known == key), None)
            if group is None:
                groups.append((key, [row]))
            else:
                group.append(row)
    found = []
    for fields, rows in groups:
        first = groups[0][0]
        words = [f"{name}: {str(fields[name])[:16]}" for name in COMPARED[:7] if fields[name] is not None]
        found.append(
            {
                "metrics": list(dict.fromkeys(name for row in rows for name in row["values"])),
                "rows": rows,
                "differs": [name for name in COMPARED if fields[name] != first[name]],
                "words": ", ".join(words),
            }
        )
    return found


def differences(runs: Sequence[Run]) -> list[list[Any]]:
    """Return a row for each setting in which the runs with a config differ: its name, and its value in each."""
    flat = [dict(_flat(run.config or {})) for run in runs]
    with_config = [settings for run, settings in zip(runs, flat, strict=True) if run.config is not None]
    names = dict.fromkeys(name for settings in flat for name in settings)
    return [
        [
            name,
            *(settings.get(name) if run.config is not None else None for run, settings in zip(runs, flat, strict=True)),
        ]
        for name in names
        if name.rpartition(".")[2] not in _SETTINGS_ASIDE
        and any(s.get(name) != with_config[0].get(name) for s in with_config)
    ]


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{path}[{index}]")
    else:
        yield path, value


def axes(run: Run) -> dict[str, list[float | None] | None]:
    """Return the x-axes over the rows: updates, kimg, and hours of training as images per second say.

    Hours leave evaluations out; an axis that the run has not logged is None.
    """
    kimg = _between(run, "progress/kimg")
    hours: list[float | None] | None = None
    speeds = run.curves.get("perf/images_per_second")
    if kimg is not None and speeds is not None:
        hours, passed, before, known = [], 0.0, 0.0, dict(zip(*speeds, strict=True))
        first = next((value for value in speeds[1] if value), None)
        speed = first
        for index, seen in enumerate(kimg):
            speed = known.get(index) or speed
            if seen is not None and speed:
                passed += max(0.0, seen - before) * 1000 / speed / 3600
                before = max(before, seen)
            hours.append(passed)
    return {"updates": list(run.steps), "kimg": kimg, "hours": hours}


def _between(run: Run, key: str) -> list[float | None] | None:
    """Return a growing number at each row, by lines between the rows that have it."""
    if key not in run.curves:
        return None
    points = sorted((run.steps[i], y) for i, y in zip(*run.curves[key], strict=True) if y is not None)
    if not points:
        return None
    found: list[float | None] = []
    for step in run.steps:
        after = next((index for index, (x, _) in enumerate(points) if x >= step), None)
        if after is None:
            found.append(points[-1][1] * step / points[-1][0] if points[-1][0] else points[-1][1])
        elif after == 0 or points[after][0] == step:
            x, y = points[after]
            found.append(y if x == step or not x else y * step / x)
        else:
            (x0, y0), (x1, y1) = points[after - 1], points[after]
            found.append(y0 + (y1 - y0) * (step - x0) / (x1 - x0))
    return found


def thinned(indices: list[int], values: list[float | None]) -> tuple[list[int], list[float | None]]:
    """Return at most so many points, each the mean of its neighbors; a number that is not finite stays one."""
    size = -(-len(values) // _POINTS)
    if size < 2:
        return indices, values
    at, means = [], list[float | None]()
    for start in range(0, len(values), size):
        part = values[start : start + size]
        finite = [value for value in part if value is not None]
        at.append(indices[min(start + size, len(indices)) - 1])
        means.append(sum(finite) / len(finite) if len(finite) == len(part) else None)
    return at, means


def page(runs: Sequence[Run], title: str) -> str:
    """Return the page, self-contained: no network, any browser, below `LARGEST_PAGE` bytes."""
    shown: list[dict[str, Any]] = []
    for run in runs:
        curves = {key: thinned(*points) for key, points in run.curves.items()}
        used = sorted({index for at, _ in curves.values() for index in at})
        place = {index: n for n, index in enumerate(used)}
        rows = {name: None if x is None else [_short(x[i]) for i in used] for name, x in axes(run).items()}
        shown.append(
            {
                "name": run.name,
                "note": _family(run.config),
                "axes": rows,
                "curves": {
                    key: {"at": [place[i] for i in at], "y": [_short(y) for y in ys]}
                    for key, (at, ys) in curves.items()
                },
                "grids": [],
                "config": None if run.config is None else yaml.safe_dump(run.config, sort_keys=False),
            }
        )
    cards = [{"name": f"{run.name}: {name}", "card": card} for run in runs for name, card in run.cards.items()][-60:]
    content = {
        "title": title,
        "made": f"made by gan-lightning, {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "runs": shown,
        "groups": groups_of(runs),
        "differences": differences(runs),
        "cards": cards,
    }
    template = files("gan_lightning.evaluation").joinpath("report.html").read_text(encoding="utf-8")
    room = LARGEST_PAGE - len(template) - len(json.dumps(content))
    n_runs = max(1, sum(1 for run in runs if run.grids))
    for run, entry in zip(runs, shown, strict=True):
        entry["grids"] = _grids(run, room // n_runs)
    return template.replace("@DATA@", json.dumps(content).replace("<", "\\u003c"))


def _family(config: dict[str, Any] | None) -> str:
    model = (config or {}).get("model")
    return str(model.get("class_path", "")).rpartition(".")[2] if isinstance(model, dict) else ""


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _grids(run: Run, room: int) -> list[dict[str, Any]]:
    """Return as many grids, evenly over training and with the first and the last, as fit into so many bytes."""
    n = min(_GRIDS, len(run.grids))
    while n > 0:
        found: list[dict[str, Any]] = []
        for index in evenly(n, len(run.grids)):
            update, path = run.grids[index]
            image = _embedded(path)
            if image is not None:
                found.append({"update": update, "image": image})
        if sum(len(grid["image"]) for grid in found) <= room:
            return found
        n //= 2
    return []


def _embedded(path: Path) -> str | None:
    """Return a grid as a data URL, as it is where it is small, else as a JPEG of at most 640 pixels."""
    from PIL import Image

    try:
        content = path.read_bytes()
        if len(content) <= 40_000:
            with Image.open(io.BytesIO(content)) as image:
                image.load()
            return "data:image/png;base64," + base64.b64encode(content).decode()
        with Image.open(io.BytesIO(content)) as image:
            small = image.convert("RGB")
            small.thumbnail((640, 640))
        packed = io.BytesIO()
        small.save(packed, "JPEG", quality=82)
    except Exception as error:  # Pillow raises anything on a damaged file
        say(f"{path} cannot be read and is left out: {in_one_line(error)}")
        return None
    return "data:image/jpeg;base64," + base64.b64encode(packed.getvalue()).decode()


def write_page(runs: Sequence[Run], title: str, path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        OSError: What the operating system refuses.
    """
    with replacing(path) as part:
        part.write_text(page(runs, title), encoding="utf-8")


def write_report(folder: Path) -> Path:
    """Write `report.html` of a run into its folder and return its path.

    Raises:
        UserError: It is no run folder.
        OSError: What the operating system refuses.
    """
    path = folder / "report.html"
    write_page([read_run(folder, folder.resolve().name)], folder.resolve().name, path)
    return path
