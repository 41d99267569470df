"""Files of who rated what: their lines as ids, ratings and times, whatever the separator and the header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from gan_lightning.data.arrangement import OnError
from gan_lightning.errors import UserError

_SEPARATORS = ("\t", "::", ",", ";", "|")
_NAMES = {
    "user": ("user", "uid", "reader", "customer", "visitor", "session", "query"),
    "item": (
        "item",
        "iid",
        "movie",
        "product",
        "book",
        "song",
        "artist",
        "track",
        "business",
        "document",
        "asin",
        "sku",
    ),
    "rating": ("rating", "score", "stars", "value", "count", "weight", "plays", "label"),
    "time": ("time", "date"),
}
"""Words in the names of columns, in lower case."""


class Columns(NamedTuple):
    """At which place of a line each thing stands, from 0; None where the file has none."""

    user: int
    item: int
    rating: int | None
    time: int | None


@dataclass
class Lines:
    """What a file says: one entry for each pair of a user and an item, in the order of their last lines.

    Attributes:
        path: The file.
        rows: User, item, rating and time of each pair.
        n_lines: Lines with something on them, without the header.
        n_repeated: Lines whose pair a later line gives again.
        left_out: Lines that could not be read, by the reason.
        columns: Where things stand.
        header: Names of all columns, empty if the file does not give any.
    """

    path: Path
    columns: Columns
    header: list[str] = field(default_factory=list)
    rows: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    n_lines: int = 0
    n_repeated: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def read_lines(
    path: str | Path,
    separator: str | None = None,
    header: bool | None = None,
    columns: list[int] | None = None,
    on_error: OnError = "raise",
) -> Lines:
    """Return what a file of ratings says.

    Args:
        path: The file, UTF-8.
        separator: What stands between the columns; None finds tab, `::`, comma, semicolon, bar or white space.
        header: Whether the first line names the columns; None looks.
        columns: Places of user, item, rating and time, from 0; None takes the header's names, else this order.
        on_error: What to do about a line that cannot be read: "raise" names it and stops, "skip" counts it.

    Raises:
        UserError: There is no such file, it is empty, or a line cannot be read.
    """
    file = Path(path).expanduser()
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"{file} cannot be read: {error.strerror}; give a file of user, item, rating[, time]"
        ) from error
    lines = raw.removeprefix(b"\xef\xbb\xbf").splitlines()
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise UserError(f"{file} is empty; it must hold user, item, rating[, time] on each line")
    sample = [line.decode(errors="replace") for _, line in numbered[:50]]
    separator = _separator(sample) if separator is None else separator
    first = [cells.strip() for cells in _cells(sample[0], separator)]
    second = _cells(sample[1], separator) if len(sample) > 1 else []
    is_named = _names_columns(first, second) if header is None else header
    found = Lines(file, _columns(file, first, is_named, columns), first if is_named else [])
    for number, line in numbered[int(is_named) :]:
        found.n_lines += 1
        try:
            _take(found, line, separator)
        except ValueError as error:
            if on_error == "raise":
                what = "white space" if separator == " " else repr(separator)
                raise UserError(
                    f"{file}, line {number}: {error} (columns are separated by {what}); mend the line, or set "
                    "data.on_error to skip"
                ) from error
            found.left_out[str(error.args[-1] if len(error.args) > 1 else error).partition(":")[0]] += 1
    if not found.rows:
        raise UserError(f"{file} holds no line that can be read; it must hold user, item, rating[, time] on each line")
    return found


def _take(found: Lines, line: bytes, separator: str) -> None:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    cells = _cells(text, separator)
    where, needed = found.columns, max(place for place in found.columns if place is not None) + 1
    if len(cells) < needed:
        raise ValueError(f"too few columns: {len(cells)} where {needed} are needed")
    user, item = cells[where.user].strip(), cells[where.item].strip()
    if not user or not item:
        raise ValueError("an empty user or item")
    rating = 1.0 if where.rating is None else _number(cells[where.rating], "rating")
    time = 0.0 if where.time is None else _time(cells[where.time])
    if found.rows.pop((user, item), None) is not None:
        found.n_repeated += 1
    found.rows[user, item] = rating, time


def _number(cell: str, what: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"the {what} is no number: {cell.strip()[:40]!r}") from None
    if not isfinite(value):
        raise ValueError(f"the {what} is no finite number: {cell.strip()[:40]!r}")
    return value


def _time(cell: str) -> float:
    text = cell.strip()
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if not _is_number(text) else float(text)
    except ValueError:
        raise ValueError(f"the time is neither a number nor a date: {text[:40]!r}") from None


def _is_number(cell: str) -> bool:
    try:
        return isfinite(float(cell))
    except ValueError:
        return False


def _cells(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    if '"' in line and len(separator) == 1:
        return next(csv.reader([line], delimiter=separator), [])
    return line.split(separator)


def _separator(sample: list[str]) -> str:
    """Return the first separator that cuts nearly all lines into the same number of columns, white space if none does."""
    for separator in _SEPARATORS:
        counts = Counter(len(_cells(line, separator)) for line in sample)
        n_columns, n_lines = counts.most_common(1)[0]
        if n_columns > 1 and n_lines > len(sample) // 2:
            return separator
    return " "


def _names_columns(first: list[str], second: list[str]) -> bool:
    """Tell whether a first line names the columns: words of such names, or letters where the next line has a number."""
    words = [cell.lower() for cell in first if not any(sign.isdigit() for sign in cell)]
    if len(words) == len(first) and all(any(w in cell for cell in words for w in _NAMES[n]) for n in ("user", "item")):
        return True
    return any(_is_number(b) and not _is_number(a) for a, b in zip(first[2:3], second[2:3], strict=False))


def _place_of(name: str, cells: list[str], taken: set[int | None]) -> int | None:
    """Return the column that is called most nearly so among those that are not taken, None if none is.

    A column that is called by a word alone, or by it and an id, comes before one that has it among other words, and that
    before one in which it only stands; of equal ones the first in the order of the words.
    """
    called = [{word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", cell)} for cell in cells]
    kinds: list[Callable[[str, int], bool]] = [
        lambda word, i: word in called[i] and called[i] <= {word, f"{word}s", "id", "ids", "name", "key", "no"},
        lambda word, i: word in called[i],
        lambda word, i: any(one.startswith(word) for one in called[i]),
        lambda word, i: word in cells[i].lower(),
    ]
    for is_it in kinds:
        for word in _NAMES[name]:
            for i in range(len(cells)):
                if i not in taken and is_it(word, i):
                    return i
    return None


def _columns(file: Path, first: list[str], is_named: bool, given: list[int] | None) -> Columns:
    if given is not None:
        if not 2 <= len(given) <= 4 or min(given) < 0 or len(set(given)) < len(given):
            raise UserError(f"data.columns must be the places of user, item[, rating[, time]] from 0, got {given}")
        return Columns(given[0], given[1], *[*given[2:], None, None][:2])
    if len(first) < 2:
        raise UserError(
            f"{file}, line 1: there is one column, {first[0][:60]!r}, and user and item are needed; set data.separator to "
            "what stands between them"
        )
    places: dict[str, Any] = {}
    if is_named:
        for name in _NAMES:
            places[name] = _place_of(name, first, taken=set(places.values()))
        if places["user"] is not None and places["item"] is not None:
            return Columns(**places)
    return Columns(0, 1, 2 if len(first) > 2 else None, 3 if len(first) > 3 else None)
