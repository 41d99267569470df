"""Documents of queries, described by numbers and judged: LETOR's files, in the format of SVMlight."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.arrangement import OnError
from gan_lightning.data.base import RealData, Split
from gan_lightning.data.feedback import IndexPairs
from gan_lightning.data.stream import RealSamples, fingerprint, generator
from gan_lightning.errors import UserError
from gan_lightning.protocols import Candidates
from gan_lightning.shapes import Rankings


@dataclass
class _Judged:
    """Queries and their documents, those of one query side by side.

    Attributes:
        names: Names of the queries in the order in which they come.
        queries: Each document's query, `(D,)`, sorted.
        labels: Each document's label, `(D,)`.
        rows: Each document's features, by their numbers from 1.
        left_out: Lines that could not be read, by the reason.
    """

    names: list[str] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)
    rows: list[dict[int, float]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def n_features(self) -> int:
        """The largest number of a feature."""
        return max((max(row, default=0) for row in self.rows), default=0)


@final
class QueryDocuments(RealData):
    """Documents of queries from a file in LETOR's format; the samples are pairs of a query and a relevant document.

    A line is `label qid:QUERY 1:0.5 2:0.25 ... # anything`; features that are not named are 0. The documents of a query
    are ranked among each other. Held out is another file, or a part of the queries.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("letor").write_text("1 qid:a 1:1 2:0\\n0 qid:a 1:0 2:3\\n2 qid:b 1:9\\n0 qid:b 2:1\\n")
        >>> QueryDocuments("letor", eval_fraction=0.5).shape
        Rankings(queries=2, documents=4, features=2)

    Args:
        path: The file.
        threshold: Label from which on a document is relevant; 1 takes LETOR's 1 and 2, and neither 0 nor -1.
        test_path: Another such file to measure on.
        eval_fraction: Part of the queries to hold out, where there is no `test_path`; null takes 0.2.
        split_seed: Another number holds out other queries.
        normalize: Bring each feature to [0, 1] among the documents of a query, as LETOR's `_norm` files are.
        on_error: What to do about a line that cannot be read: "raise" names it and stops, "skip" leaves it out and counts.
        batch_size: Size of the global batch, pairs, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Raises:
        UserError: A number is out of its range, or the file cannot be used; the line names file and line.
    """

    def __init__(
        self,
        path: str,
        threshold: float = 1.0,
        test_path: str | None = None,
        eval_fraction: float | None = None,
        split_seed: int = 0,
        normalize: bool = True,
        on_error: OnError = "raise",
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        if test_path is not None and eval_fraction is not None:
            raise UserError(
                f"data.test_path {test_path} is held out already; leave data.eval_fraction {eval_fraction} out"
            )
        if eval_fraction is not None and not 0 < eval_fraction < 1:
            raise UserError(f"eval_fraction must be above 0 and below 1, got {eval_fraction}")
        self.path, self.test_path, self.threshold = path, test_path, threshold
        self.eval_fraction, self.split_seed = eval_fraction, split_seed
        self.normalize, self.on_error = normalize, on_error
        self.save_hyperparameters(logger=False)

    @cached_property
    def _files(self) -> tuple[_Judged, _Judged | None]:
        train = read_documents(self.path, self.on_error)
        test = None if self.test_path is None else read_documents(self.test_path, self.on_error)
        if test is not None and test.n_features > train.n_features:
            raise UserError(
                f"{self.test_path} has a feature {test.n_features}, and {self.path} none above {train.n_features}"
            )
        return train, test

    @cached_property
    def users(self) -> list[str]:
        """Names of the queries: those of the training file, then those of the held-out file."""
        train, test = self._files
        return train.names + (test.names if test else [])

    @cached_property
    def _queries(self) -> np.ndarray:
        """Each document's query, `(D,)`, sorted."""
        train, test = self._files
        return np.array(train.queries + [len(train.names) + q for q in (test.queries if test else [])], dtype=np.int64)

    @cached_property
    def _relevant(self) -> np.ndarray:
        """Whether each document is relevant to its query, `(D,)`."""
        train, test = self._files
        return np.array(train.labels + (test.labels if test else [])) >= self.threshold

    @cached_property
    def _is_out(self) -> np.ndarray:
        """Whether each query is held out, `(Q,)`."""
        train, test = self._files
        n = len(train.names)
        if test is not None:
            return np.arange(len(self.users)) >= n
        fraction = 0.2 if self.eval_fraction is None else self.eval_fraction
        order = torch.randperm(n, generator=generator(self.split_seed, 5)).numpy()
        found = np.zeros(n, dtype=bool)
        found[order[: min(round(fraction * n), n - 1)]] = True
        return found

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.searchsorted(self._queries, np.arange(len(self.users) + 1))

    @property
    def shape(self) -> Rankings:
        """How many queries and documents there are, and how many numbers describe a document."""
        return Rankings(len(self.users), len(self._queries), max(self._files[0].n_features, 1))

    @cached_property
    def features(self) -> Tensor:
        """What describes each document, `(D, F)`."""
        train, test = self._files
        table = np.zeros((len(self._queries), self.shape.features or 1), dtype=np.float32)
        for place, row in enumerate(train.rows + (test.rows if test else [])):
            for number, value in row.items():
                table[place, number - 1] = value
        if self.normalize:
            for begin, end in zip(self._offsets[:-1], self._offsets[1:], strict=True):
                low, high = table[begin:end].min(0), table[begin:end].max(0)
                table[begin:end] = (table[begin:end] - low) / np.where(high > low, high - low, 1)
        return torch.from_numpy(table)

    @cached_property
    def counts(self) -> Tensor:
        """1 for each document that is relevant to its training query, else 0, `(D,)`."""
        return torch.from_numpy(self._relevant & ~self._is_out[self._queries]).float()

    def load_split(self, split: Split) -> RealSamples:
        """Return the pairs of a query and a relevant document of a split.

        Raises:
            UserError: There are none to train on.
        """
        wanted = self._relevant & (self._is_out[self._queries] == (split == "eval"))
        if split == "train" and not wanted.any():
            raise UserError(
                f"{self.path}: no document to train on has a label of data.threshold {self.threshold:g} or more; set it lower"
            )
        places = np.flatnonzero(wanted)
        pairs = np.stack([self._queries[places], places], axis=1)
        description = f"QueryDocuments, {split} split"
        return IndexPairs(torch.from_numpy(pairs), None, description, others=self._documents_fingerprint)

    @cached_property
    def _documents_fingerprint(self) -> str:
        """What tells these documents from others: their features, queries and relevance."""
        parts = (self.features.numpy(), self._queries, self._relevant)
        return " ".join(map(fingerprint, parts))

    def candidates(self, queries: Tensor) -> Candidates:
        """Return the documents of these queries `(N,)`, as many columns as the longest list has."""
        rows = queries.numpy()
        begin, n = self._offsets[rows], np.diff(self._offsets)[rows]
        places = np.arange(n.max())
        valid = places < n[:, None]
        documents = np.where(valid, begin[:, None] + places, begin[:, None])
        positive = self._relevant[documents] & valid
        return Candidates(*(torch.from_numpy(part) for part in (documents, valid, positive)))

    def is_positive(self, queries: Tensor, documents: Tensor) -> Tensor:
        """Tell which documents `(N, M)`, of these queries, are relevant."""
        return torch.from_numpy(self._relevant[documents.numpy()])

    def ranked_queries(self) -> Tensor:
        """Return the held-out queries that have a relevant document."""
        n_relevant = np.bincount(self._queries[self._relevant], minlength=len(self.users))
        return torch.from_numpy(np.flatnonzero(self._is_out & (n_relevant > 0)))

    def relevance(self, queries: Tensor) -> tuple[Candidates, Tensor, Tensor]:
        """Return all documents of queries `(N,)`, which of them are relevant `(N, M)`, and that none is missing."""
        found = self.candidates(queries)
        return found, found.positive, torch.zeros(len(queries), dtype=torch.int64)

    def found(self) -> str:
        """Return in one line what there is."""
        n_out = int(self._is_out.sum())
        without = int((~np.isin(np.flatnonzero(~self._is_out), self._queries[self._relevant])).sum())
        text = (
            f"{len(self.users) - n_out:,} queries to train on and {n_out:,} held out, {len(self._queries):,} documents of "
            f"{self.shape.features:,} features, {int(self.counts.sum()):,} relevant ones to train on"
        )
        if without:
            text += f"; {without:,} queries have none and are not trained on"
        for file in self._files:
            for why, n in (file.left_out if file else {}).items():
                text += f"; {n:,} lines left out: {why}"
        return text

    def state_dict(self) -> dict[str, Any]:
        """Return what tells these data from others; other queries can be measured with the same networks."""
        return super().state_dict()


def read_documents(path: str | Path, on_error: OnError = "raise") -> _Judged:
    """Return what a file in LETOR's format says.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("documents").write_text("2 qid:10 1:0.5 3:1 # GX001\\n")
        >>> read_documents("documents").rows
        [{1: 0.5, 3: 1.0}]

    Args:
        path: The file, UTF-8.
        on_error: What to do about a line that cannot be read: "raise" names it and stops, "skip" counts it.

    Raises:
        UserError: There is no such file, it holds nothing, or a line cannot be read.
    """
    file = Path(path).expanduser()
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; give a file in LETOR's format") from error
    found: dict[str, list[tuple[float, dict[int, float]]]] = {}
    left_out: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        words = line.partition(b"#")[0].decode(errors="replace").split()
        if not words:
            continue
        try:
            query, label, row = _document(words)
        except ValueError as error:
            if on_error == "raise":
                raise UserError(
                    f"{file}, line {number}: {error}; a line is: label qid:QUERY 1:0.5 2:0.25 ... Mend it, or set "
                    "data.on_error to skip"
                ) from error
            left_out[str(error).partition(":")[0]] += 1
            continue
        found.setdefault(query, []).append((label, row))
    if not found:
        raise UserError(f"{file} holds no document; a line is: label qid:QUERY 1:0.5 2:0.25 ...")
    judged = _Judged(list(found), left_out=left_out)
    for place, documents in enumerate(found.values()):
        for label, row in documents:
            judged.queries.append(place)
            judged.labels.append(label)
            judged.rows.append(row)
    return judged


def _document(words: list[str]) -> tuple[str, float, dict[int, float]]:
    if len(words) < 2 or not words[1].startswith("qid:") or words[1] == "qid:":
        raise ValueError("there is no query behind the label")
    row = {}
    for word in words[2:]:
        number, colon, value = word.partition(":")
        if not colon or not number.isdigit() or int(number) < 1:
            raise ValueError(f"a feature is not number:value: {word[:40]!r}")
        row[int(number)] = _finite(value)
    return words[1][4:], _finite(words[0]), row


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise ValueError(f"what should be a number is none: {text[:40]!r}")
    return value
