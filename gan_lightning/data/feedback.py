"""Who likes what: users, items, and the pairs that are known, as rounds for a game of retrieval and as a test of it."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.stream import RealSamples, fingerprint
from gan_lightning.errors import UserError
from gan_lightning.protocols import Candidates
from gan_lightning.shapes import Rankings


@dataclass(eq=False)
class IndexPairs(RealSamples):
    """Pairs of indices `(N, 2)`, int64, of a query and a document that is relevant to it.

    Attributes:
        others: A hash of what a game sees beside the pairs, "" if there is nothing.
    """

    others: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        """Keep them as they are."""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the pairs, and of what a game sees beside them."""
        own = fingerprint(self.images.numpy())
        return sha256(f"{own} {self.others}".encode()).hexdigest() if self.others else own


@dataclass
class Pairs:
    """Which of n columns belong to each of n rows, as sorted pairs of indices.

    Attributes:
        pairs: The pairs `(P, 2)`, int64, sorted, each once.
        n_rows: Number of rows.
        n_columns: Number of columns.
    """

    pairs: np.ndarray
    n_rows: int
    n_columns: int

    @cached_property
    def keys(self) -> np.ndarray:
        """One number for each pair, sorted."""
        return self.pairs[:, 0] * self.n_columns + self.pairs[:, 1]

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where each row's pairs begin, and where the last one's end, `(n_rows + 1,)`."""
        return np.searchsorted(self.pairs[:, 0], np.arange(self.n_rows + 1))

    def counts(self) -> np.ndarray:
        """Return how many columns each row has, `(n_rows,)`."""
        return np.diff(self.offsets)

    def table(self, rows: np.ndarray) -> np.ndarray:
        """Return for some rows `(N,)` which columns they have, `(N, n_columns)`."""
        begin, n = self.offsets[rows], self.counts()[rows]
        places = np.arange(n.sum()) - np.repeat(n.cumsum() - n, n) + np.repeat(begin, n)
        found = np.zeros((len(rows), self.n_columns), dtype=bool)
        found[np.repeat(np.arange(len(rows)), n), self.pairs[places, 1]] = True
        return found

    def has(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Tell which pairs of rows and columns, of one shape, there are."""
        wanted = rows * self.n_columns + columns
        places = np.searchsorted(self.keys, wanted).clip(max=max(len(self.keys) - 1, 0))
        return self.keys[places] == wanted if len(self.keys) else np.zeros(wanted.shape, dtype=bool)


@dataclass
class Judged:
    """All that is known of users and items.

    Attributes:
        users: Names of the users in the order of their indices.
        items: Names of the items.
        liked: Pairs to train on.
        seen: Pairs of a user and an item that the user has, liked or not.
        held_out: Liked pairs to measure on; some may be in `liked` too, those do not count.
        n_missing: How many items that are not among `items` each user likes, `(users,)`.
        notes: What is to be said of the data, for people.
    """

    users: list[str]
    items: list[str]
    liked: Pairs
    seen: Pairs
    held_out: Pairs
    n_missing: np.ndarray
    notes: list[str]


class Feedback(RealData):
    """Users and what they like; the samples are the pairs of a user and a liked item, by index.

    Measured are users who like an item of the held-out part and one of the training part. All items are ranked but those
    that the user likes in the training part, as in IRGAN's code; ties are broken by the items' order.

    Attributes:
        users: Names of the users in the order of their indices, which is that of their names, numbers as numbers.
        items: Names of the items, likewise.
    """

    features = None

    @abstractmethod
    def judge(self) -> Judged:
        """Return all that is known; it is asked for once."""

    @cached_property
    def judged(self) -> Judged:
        """All that is known."""
        return self.judge()

    @property
    def shape(self) -> Rankings:
        """How many users and items there are."""
        return Rankings(len(self.judged.users), len(self.judged.items))

    @property
    def users(self) -> list[str]:
        """Names of the users."""
        return self.judged.users

    @property
    def items(self) -> list[str]:
        """Names of the items."""
        return self.judged.items

    @cached_property
    def counts(self) -> Tensor:
        """How many users like each item in the training part, `(items,)`."""
        return torch.from_numpy(np.bincount(self.judged.liked.pairs[:, 1], minlength=len(self.items))).float()

    def load_split(self, split: Split) -> RealSamples:
        """Return the liked pairs of a split."""
        pairs = self.judged.liked if split == "train" else self.judged.held_out
        return IndexPairs(torch.from_numpy(pairs.pairs), None, f"{type(self).__name__}, {split} split")

    def candidates(self, queries: Tensor) -> Candidates:
        """Return all items, and which of them these users `(N,)` like."""
        return Candidates(None, None, torch.from_numpy(self.judged.liked.table(queries.numpy())))

    def is_positive(self, queries: Tensor, documents: Tensor) -> Tensor:
        """Tell which items `(N, M)` users `(N,)` like in the training part."""
        rows, columns = np.broadcast_arrays(queries.numpy()[:, None], documents.numpy())
        return torch.from_numpy(self.judged.liked.has(rows, columns))

    def ranked_queries(self) -> Tensor:
        """Return the users who are measured."""
        known = self.judged.liked.counts() > 0
        n_relevant = self.judged.held_out.counts() + self.judged.n_missing
        return torch.from_numpy(np.flatnonzero(known & (n_relevant > 0)))

    def relevance(self, queries: Tensor) -> tuple[Candidates, Tensor, Tensor]:
        """Return what is ranked for users `(N,)`, what they like of it `(N, M)`, and how much that is not ranked `(N,)`."""
        rows = queries.numpy()
        liked = self.judged.liked.table(rows)
        relevant = self.judged.held_out.table(rows) & ~liked
        missing = torch.from_numpy(self.judged.n_missing[rows])
        return Candidates(None, torch.from_numpy(~liked), torch.from_numpy(liked)), torch.from_numpy(relevant), missing

    def found(self) -> str:
        """Return in one line what there is."""
        known = self.judged
        without = int((known.liked.counts() == 0).sum())
        notes = [f"{without:,} users have nothing to train on"] if without else []
        return "; ".join(
            [
                f"{len(known.users):,} users and {len(known.items):,} items, {len(known.liked.pairs):,} pairs to train on, "
                f"{len(known.held_out.pairs):,} held out of {len(self.ranked_queries()):,} users",
                *known.notes,
                *notes,
            ]
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what tells these data from others, and what recommending needs: names, and what every user has."""
        known = self.judged
        own = {
            "users": known.users,
            "items": known.items,
            "seen": torch.from_numpy(known.seen.pairs[:, 1].astype(np.int32)),
            "offsets": torch.from_numpy(known.seen.offsets.astype(np.int64)),
        }
        return {**super().state_dict(), **own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Say what has changed since the checkpoint was written.

        Raises:
            UserError: Users or items are others, so that indices mean others.
        """
        for what, then, now in (("users", state_dict["users"], self.users), ("items", state_dict["items"], self.items)):
            if then != now:
                new = next((name for name in now if name not in set(then)), None) or next(iter(set(then) - set(now)))
                raise UserError(
                    f"the checkpoint knows {len(then):,} {what} and the data have {len(now):,}, of which {new!r} is on one "
                    "side only: their embeddings would be mixed up; give the file that it was trained on, or train anew"
                )
        if "n" in state_dict:
            super().load_state_dict(state_dict)
