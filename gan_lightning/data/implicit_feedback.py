"""Ratings of a file as implicit feedback, and a synthetic set whose preferences are known."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, final

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.arrangement import OnError
from gan_lightning.data.feedback import Feedback, Judged, Pairs
from gan_lightning.data.ratings_files import Lines, read_lines
from gan_lightning.data.stream import generator
from gan_lightning.errors import UserError


@final
class ImplicitFeedback(Feedback):
    """Who likes what, from a file with a user, an item, and perhaps a rating and a time on each line.

    MovieLens' `u.data`, `u1.base`, `ratings.dat` and `ratings.csv` need no more than their path. Ids may be anything; a
    header is found and its names of columns are understood. A pair that is given twice counts once, as its last line says.

    Held out is another file, or a part of each user's lines. Of a held-out file, users who are not in the training file
    are left out; items that are not there cannot be ranked, and count as liked items that are missed.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("ratings").write_text("ann::dune::5::1\\nann::heat::2::2\\nbob::heat::4::3\\n")
        >>> ImplicitFeedback("ratings", threshold=4).shape
        Rankings(queries=2, documents=2, features=None)

    Args:
        path: The file.
        threshold: Rating from which on an item is liked; null likes every line.
        test_path: Another such file to measure on.
        eval_fraction: Part of each user's lines to hold out, where there is no `test_path`; null takes 0.2.
        split: Which lines of a user are held out: "random" ones, always the same, or the last ones, "chronological".
        split_seed: Another number holds out other random lines.
        separator: What stands between the columns; null finds tab, `::`, comma, semicolon, bar or white space.
        header: Whether the first line names the columns; null looks.
        columns: Places of user, item, rating and time, from 0; null takes the header's names, else this order.
        on_error: What to do about a line that cannot be read: "raise" names it and stops, "skip" leaves it out and counts.
        batch_size: Size of the global batch, pairs, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Raises:
        UserError: A number is out of its range, or the file cannot be used; the line names file and line.
    """

    def __init__(
        self,
        path: str,
        threshold: float | None = None,
        test_path: str | None = None,
        eval_fraction: float | None = None,
        split: Literal["random", "chronological"] = "random",
        split_seed: int = 0,
        separator: str | None = None,
        header: bool | None = None,
        columns: list[int] | None = None,
        on_error: OnError = "raise",
        batch_size: int = 256,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        if test_path is not None and eval_fraction is not None:
            raise UserError(
                f"data.test_path {test_path} is held out already; leave data.eval_fraction {eval_fraction} out"
            )
        if eval_fraction is not None and not 0 < eval_fraction < 1:
            raise UserError(f"eval_fraction must be above 0 and below 1, got {eval_fraction}")
        if split not in ("random", "chronological"):
            raise UserError(f"split must be random or chronological, got {split!r}")
        if separator == "":
            raise UserError("separator must not be empty; leave it out to have it found")
        self.path, self.test_path, self.threshold = path, test_path, threshold
        self.eval_fraction, self.split, self.split_seed = eval_fraction, split, split_seed
        self.separator, self.header, self.columns, self.on_error = separator, header, columns, on_error
        self.save_hyperparameters(logger=False)

    def judge(self) -> Judged:
        """Read the files."""
        lines = self._read(self.path)
        users, items = in_order({user for user, _ in lines.rows}), in_order({item for _, item in lines.rows})
        place_of_user, place_of_item = _places(users), _places(items)
        index = np.array([(place_of_user[user], place_of_item[item]) for user, item in lines.rows], dtype=np.int64)
        values = np.array(list(lines.rows.values()), dtype=np.float64)
        is_liked = self._likes(values[:, 0], lines.path)
        n_missing = np.zeros(len(users), dtype=np.int64)
        notes = _notes(lines)
        if self.test_path is None:
            is_out = self._held_out(index[:, 0], values[:, 1], lines)
            held_out = index[is_out & is_liked]
        else:
            is_out = np.zeros(len(index), dtype=bool)
            test = self._read(self.test_path)
            notes += _notes(test)
            liked = self._likes(np.array([rating for rating, _ in test.rows.values()]), test.path)
            pairs = [pair for pair, likes in zip(test.rows, liked, strict=True) if likes]
            strangers = in_order({user for user, _ in pairs if user not in place_of_user})
            if strangers:
                notes.append(
                    f"{test.path}: {len(strangers):,} users who are not in the training file are left out, such as "
                    f"{strangers[0]}"
                )
            pairs = [pair for pair in pairs if pair[0] in place_of_user]
            for user, item in pairs:
                n_missing[place_of_user[user]] += item not in place_of_item
            if n_missing.any():
                notes.append(f"{test.path}: {n_missing.sum():,} pairs have an item that is not in the training file")
            known = [(place_of_user[u], place_of_item[i]) for u, i in pairs if i in place_of_item]
            held_out = np.array(known, dtype=np.int64).reshape(-1, 2)
        train = index[~is_out & is_liked]
        if not len(train):
            raise UserError(
                f"{lines.path}: no line is left to train on: of {len(index):,} pairs {int(is_liked.sum()):,} are liked; set "
                "data.threshold lower or data.eval_fraction smaller"
            )
        sizes = len(users), len(items)
        return Judged(
            users,
            items,
            liked=_pairs(train, *sizes),
            seen=_pairs(index[~is_out], *sizes),
            held_out=_pairs(held_out, *sizes),
            n_missing=n_missing,
            notes=notes,
        )

    def _read(self, path: str) -> Lines:
        return read_lines(path, self.separator, self.header, self.columns, self.on_error)

    def _likes(self, ratings: np.ndarray, path: Path) -> np.ndarray:
        if self.threshold is None:
            return np.ones(len(ratings), dtype=bool)
        likes = ratings >= self.threshold
        if not likes.any():
            raise UserError(
                f"{path}: no rating reaches data.threshold {self.threshold:g}, the highest is {ratings.max():g}; set it "
                "lower, or to null where there are no ratings"
            )
        return likes

    def _held_out(self, users: np.ndarray, times: np.ndarray, lines: Lines) -> np.ndarray:
        """Tell which pairs are held out; at least one of each user's stays."""
        if self.split == "chronological" and lines.columns.time is None:
            raise UserError(
                f"{lines.path} has no column of times for data.split chronological; set data.columns, or split random"
            )
        key = times
        if self.split == "random":
            key = torch.rand(len(users), generator=generator(self.split_seed, 4), dtype=torch.float64).numpy()
        order = np.lexsort((key, users))
        n = np.bincount(users)
        place = np.empty(len(users), dtype=np.int64)
        place[order] = np.arange(len(users)) - np.repeat(n.cumsum() - n, n)
        fraction = 0.2 if self.eval_fraction is None else self.eval_fraction
        n_out = np.minimum(np.round(fraction * n).astype(np.int64), n - 1)
        return place >= (n - n_out)[users]


@final
class SyntheticFeedback(Feedback):
    """Users whose preferences are known: items drawn without repetition from a softmax of random factors.

    The held-out part is drawn from what is left. A ranking by the true preferences is the best there is.

    Example:
        >>> SyntheticFeedback(n_users=3, n_items=8, n_liked=2, n_held_out=1).reference("train").images.shape
        torch.Size([6, 2])

    Args:
        n_users: Number of users.
        n_items: Number of items.
        n_liked: Items that each user likes in the training part.
        n_held_out: Items that each user likes in the held-out part.
        n_factors: Numbers that describe a user and an item.
        sharpness: How strongly the users prefer: the factor on the scores.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch, pairs, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Attributes:
        preferences: Scores `(users, items)`.

    Raises:
        UserError: A number is out of its range.
    """

    def __init__(
        self,
        n_users: int = 300,
        n_items: int = 200,
        n_liked: int = 20,
        n_held_out: int = 10,
        n_factors: int = 4,
        sharpness: float = 2.0,
        sample_seed: int = 0,
        batch_size: int = 256,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        for name, number in (("n_users", n_users), ("n_liked", n_liked), ("n_held_out", n_held_out)):
            if number < 1:
                raise UserError(f"{name} must be at least 1, got {number}")
        if n_liked + n_held_out > n_items:
            raise UserError(f"n_items {n_items} are fewer than n_liked {n_liked} and n_held_out {n_held_out} together")
        self.n_users, self.n_items, self.n_liked, self.n_held_out = n_users, n_items, n_liked, n_held_out
        self.n_factors, self.sharpness, self.sample_seed = n_factors, sharpness, sample_seed
        self.save_hyperparameters(logger=False)
        random = generator(sample_seed, 0)
        users = torch.randn(n_users, n_factors, generator=random)
        items = torch.randn(n_items, n_factors, generator=random)
        self.preferences: Tensor = sharpness * users @ items.T / n_factors**0.5

    def judge(self) -> Judged:
        """Draw the pairs."""
        n = self.n_liked + self.n_held_out
        # Gumbel's trick: torch's multinomial draws other items from release to release
        uniform = torch.rand(self.preferences.shape, generator=generator(self.sample_seed, 1), dtype=torch.float64)
        gumbel = -(-uniform.clamp(min=1e-300).log()).log()
        drawn = (self.preferences.double() + gumbel).topk(n).indices.numpy()
        rows = np.arange(self.n_users)
        sizes = self.n_users, self.n_items
        parts = [
            _pairs(np.stack([np.repeat(rows, part.shape[1]), part.flatten()], axis=1), *sizes)
            for part in (drawn[:, : self.n_liked], drawn[:, self.n_liked :])
        ]
        users, items = ([str(i) for i in range(size)] for size in sizes)
        return Judged(users, items, parts[0], parts[0], parts[1], np.zeros(self.n_users, dtype=np.int64), [])


def in_order(names: Iterable[str]) -> list[str]:
    """Return names sorted, as numbers where all of them are whole numbers.

    Example:
        >>> in_order({"10", "9"}), in_order({"b", "10", "9"})
        (['9', '10'], ['10', '9', 'b'])
    """
    found = list(names)
    are_numbers = all(name.isascii() and name.isdigit() for name in found)
    return sorted(found, key=(lambda name: (int(name), name)) if are_numbers else (lambda name: (0, name)))


def _places(names: list[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _pairs(index: np.ndarray, n_users: int, n_items: int) -> Pairs:
    return Pairs(np.unique(index, axis=0).reshape(-1, 2), n_users, n_items)


def _notes(lines: Lines) -> list[str]:
    notes = [f"{lines.path}: {n:,} lines left out: {why}" for why, n in lines.left_out.items()]
    if lines.header:
        places = {name: place for name, place in lines.columns._asdict().items() if place is not None}
        taken = (f"{name} from {lines.header[place]}" for name, place in places.items() if place < len(lines.header))
        notes.insert(0, f"{lines.path}: {', '.join(taken)}")
    if lines.n_repeated:
        notes.append(f"{lines.path}: {lines.n_repeated:,} lines give a pair again; the last one counts")
    return notes
