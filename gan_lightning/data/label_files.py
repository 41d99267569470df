"""Labels that lie beside images: StyleGAN's `dataset.json`, and tables as CSV, TSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from gan_lightning.data.image_files import ImageFiles
from gan_lightning.errors import UserError, nearest, say

TABLES = (".csv", ".tsv", ".jsonl")
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "classname", "category", "target")
"""What the column of labels is called, where a table has several."""

Row = dict[str, Any]


def find_label_files(files: ImageFiles, folders: Iterable[str]) -> list[str]:
    """Return the files of labels that lie in one of these folders, `dataset.json` alone if there is any."""
    inside = [name for name in files.seen if name.rpartition("/")[0] in set(folders)]
    styles = [name for name in inside if name.rpartition("/")[2] == "dataset.json"]
    return styles or [name for name in inside if name.lower().endswith(TABLES)]


class Labels:
    """The class name of each image, as files of labels say.

    Attributes:
        of: Class name of each image that has one.
        source: The files that were used, for people.
        decides: Whether the folders' names mean nothing beside these files.
    """

    def __init__(self, files: ImageFiles, names: Sequence[str]) -> None:
        self.files = files
        self.names = names
        self.of: dict[str, str] = {}
        self.source = ""
        self.decides = False

    def read(self, label_files: Iterable[str], column: str | None, insist: bool) -> None:
        """Take up the labels of some files.

        Args:
            label_files: Their paths.
            column: The table's column of labels; None finds it.
            insist: Refuse a file that holds no classes; otherwise it is said and the file is left alone.

        Raises:
            UserError: A file cannot be read, or two lines say different things about one image.
        """
        used = []
        for file in label_files:
            try:
                found = self._style_gan(file) if file.endswith(".json") else self._table(file, column)
            except _NoClasses as reason:
                if insist:
                    raise UserError(f"{self.files.describe(file)}: {reason}") from None
                say(f"{self.files.describe(file)} is not used: {reason}")
                continue
            used.append(file)
            for name, label in found.items():
                if self.of.setdefault(name, label) != label:
                    raise UserError(
                        f"{name} is {self.of[name]} and {label} in {', '.join(used)}; give each image one class"
                    )
        self.source = ", ".join(used)
        self.decides = bool(used)

    def _style_gan(self, file: str) -> dict[str, str]:
        try:
            entries = json.loads(self._text(file))["labels"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.files.describe(file)} is not StyleGAN's: it must be a JSON object with labels, "
                "pairs of a file and its class"
            ) from error
        if entries is None:
            return {}
        pairs = list(entries.items()) if isinstance(entries, dict) else entries
        if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            raise UserError(f"{self.files.describe(file)}: labels must be pairs of a file and its class")
        return self._labels(file, [(str(name), value) for name, value in pairs])

    def _table(self, file: str, column: str | None) -> dict[str, str]:
        rows = self._json_lines(file) if file.lower().endswith(".jsonl") else self._rows(file)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        key = self._file_column(file, rows, columns)
        others = [name for name in columns if name != key]
        if column is not None and column not in others:
            raise UserError(
                f"{self.files.describe(file)} has no column {column}{nearest(column, others)}; "
                f"it has {', '.join(others) or 'no other'}"
            )
        known = [name for wanted in LABEL_COLUMNS for name in others if name.lower() == wanted]
        if column is None and not known and len(others) != 1:
            what = f"it has the columns {', '.join(others)}" if others else "it has no column of labels"
            raise _NoClasses(f"{what}; say which holds the classes, such as labels={file}:{(others or ['label'])[0]}")
        chosen = column or (known or others)[0]
        pairs = [(str(row[key]), row[chosen]) for row in rows if row.get(key) and row.get(chosen) not in (None, "")]
        if not pairs:
            raise _NoClasses(f"its column {chosen} is empty")
        found = self._labels(file, pairs)
        if column is None and not known and len(set(found.values())) == len(found) > 1:
            raise _NoClasses(f"{chosen} differs for every image, so it is no class; labels={file}:{chosen} insists")
        return found

    def _labels(self, file: str, pairs: list[tuple[str, Any]]) -> dict[str, str]:
        """Return the label of each image that the pairs name."""
        find = self._finder(file)
        found: dict[str, str] = {}
        for written, value in pairs:
            label = _as_class(value)
            name = find(written)
            if name is not None and found.setdefault(name, label) != label:
                raise UserError(
                    f"{self.files.describe(file)} says that {written} is {found[name]} and {label}; "
                    "give each image one class"
                )
        if pairs and not found:
            raise _NoClasses(f"none of the files it names is there, such as {pairs[0][0]}")
        return found

    def _finder(self, file: str) -> Any:
        """Return what finds the image that a cell of a file of labels means, None for none."""
        folder = file.rpartition("/")[0]
        below = [name for name in self.names if not folder or name.startswith(f"{folder}/")]
        exact, by_base, by_stem = set(below), _unique(below, 0), _unique(below, 1)

        def find(written: str) -> str | None:
            path = "/".join(part for part in written.strip().replace("\\", "/").split("/") if part not in ("", "."))
            full = f"{folder}/{path}" if folder else path
            if full in exact:
                return full
            if "/" not in path:
                return by_base.get(path) or by_stem.get(path)
            near = by_base.get(path.rpartition("/")[2], "")  # the table was written from another folder
            inner = near.removeprefix(f"{folder}/") if folder else near
            return near if near and (inner.endswith(f"/{path}") or f"/{path}".endswith(f"/{inner}")) else None

        return find

    def _file_column(self, file: str, rows: list[Row], columns: list[str]) -> str:
        """Return the column that names images: the one with most of them, the first of equals."""
        find = self._finder(file)
        best, most = "", 0
        for name in columns:
            cells = [str(row[name]) for row in rows[:1000] if isinstance(row.get(name), str | int)]
            # a file's name with its suffix is worth more than a number that is also a file's stem
            hits = sum(2 if "." in cell else 1 for cell in cells if find(cell))
            if hits > most:
                best, most = name, hits
        if not most:
            raise _NoClasses("no column names images that are there")
        return best

    def _rows(self, file: str) -> list[Row]:
        text = self._text(file)
        first = text.split("\n", 1)[0]
        delimiter = "\t" if file.lower().endswith(".tsv") else max(",;\t", key=first.count)
        try:
            table = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
        except csv.Error as error:
            raise UserError(f"{self.files.describe(file)} is not a table: {error}") from error
        if not table:
            raise _NoClasses("it is empty")
        find = self._finder(file)
        has_header = not any(find(cell) and "." in cell for cell in table[0])
        header = [cell.strip() for cell in table[0]] if has_header else [str(i) for i in range(len(table[0]))]
        return [dict(zip(header, map(str.strip, row), strict=False)) for row in table[has_header:]]

    def _json_lines(self, file: str) -> list[Row]:
        rows = []
        for number, line in enumerate(self._text(file).splitlines(), 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise UserError(f"{self.files.describe(file)}, line {number}: {error}") from error
                if not isinstance(row, dict):
                    raise UserError(f"{self.files.describe(file)}, line {number}: it must be a JSON object")
                rows.append(row)
        return rows

    def _text(self, file: str) -> str:
        try:
            return self.files.read(file).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.files.describe(file)} is not UTF-8: {error.reason}") from error
        except OSError as error:
            raise UserError(f"{self.files.describe(file)} cannot be read: {error.strerror}") from error


class _NoClasses(Exception):
    """A file holds no classes of images that are there."""


def _as_class(value: Any) -> str:
    if isinstance(value, list) and sorted(value) == [0] * (len(value) - 1) + [1]:  # one-hot
        return str(value.index(1))
    if isinstance(value, list | dict):
        raise _NoClasses(f"a label is {str(value)[:60]}, which is no class")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _unique(names: Sequence[str], without_suffix: int) -> dict[str, str]:
    """Return the paths by their last part, where it occurs once."""
    last = [name.rpartition("/")[2] for name in names]
    last = [part.rpartition(".")[0] or part for part in last] if without_suffix else last
    count = Counter(last)
    return {part: name for part, name in zip(last, names, strict=True) if count[part] == 1}
