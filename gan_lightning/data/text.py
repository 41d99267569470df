"""Text of one's own: a file or a folder, cut into lines or windows of symbols."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gan_lightning.data.arrangement import class_order
from gan_lightning.data.base import RealData, Split
from gan_lightning.data.image_files import files_in
from gan_lightning.data.stream import RealSamples, generator
from gan_lightning.errors import UserError
from gan_lightning.protocols import Batch
from gan_lightning.shapes import Tokens

_UNKNOWN, _PADDING = "\N{REPLACEMENT CHARACTER}", ""  # as metrics.text has them
_BLOCK = 64
"""Windows' lengths in a block of text that is held out whole."""


Piece = tuple[str, int]
"""A line, or a block, and its class."""


class Symbols(RealSamples):
    """Sequences of symbols `(N, L)`, as their places in a vocabulary, int64 once they are batches."""

    def __post_init__(self) -> None:
        """Keep them as they are."""


@final
class Text(RealData):
    """Characters of a file, or of all `.txt` files of a folder, UTF-8.

    The vocabulary is that of the training part: the symbol for unknown characters, the padding behind the end of a line, then
    the characters by frequency. What is held out is the same each time: whole lines, or blocks of 64 windows' lengths. Classes
    are the folders that the files of a folder lie in.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("poem.txt").write_text("ab\\nba\\n" * 8)
        >>> data = Text("poem.txt", length=2, by="lines")
        >>> data.shape, data.vocabulary[2:]
        (Tokens(length=2, vocabulary=4), ['a', 'b'])

    Args:
        path: The file, or the folder.
        length: Symbols of a sample.
        by: "windows" cuts the text anywhere, "lines" takes whole lines, cut or padded at their ends; empty ones are left out.
        stride: Characters from one window to the next; null takes a quarter of the length.
        vocabulary_size: Largest number of symbols, with the two special ones; rarer characters are unknown. Null takes all.
        eval_fraction: Part to hold out.
        labels: "auto" takes the first level of sub-folders for classes if there are two or more and all files lie in them;
            "folders" insists on them, "none" ignores them.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Raises:
        UserError: A number is out of its range, or there is no text to train on; the line names the file.
    """

    def __init__(
        self,
        path: str,
        length: int = 32,
        by: Literal["windows", "lines"] = "windows",
        stride: int | None = None,
        vocabulary_size: int | None = None,
        eval_fraction: float = 0.1,
        labels: Literal["auto", "folders", "none"] = "auto",
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        if length < 2:
            raise UserError(f"length of Text must be at least 2, got {length}")
        if by not in ("windows", "lines"):
            raise UserError(f"by must be windows or lines, got {by!r}")
        if stride is not None and (stride < 1 or by == "lines"):
            raise UserError(f"stride {stride} must be at least 1, and is of windows; leave it out for lines")
        if vocabulary_size is not None and vocabulary_size < 4:
            raise UserError(f"vocabulary_size must be at least 4, two of them special, got {vocabulary_size}")
        if not 0 < eval_fraction < 1:
            raise UserError(f"eval_fraction must be above 0 and below 1, got {eval_fraction}")
        if labels not in ("auto", "folders", "none"):
            raise UserError(f"labels of Text must be auto, folders or none, got {labels!r}")
        self.path, self.length, self.by, self.stride = path, length, by, stride
        self.vocabulary_size, self.eval_fraction, self.labels = vocabulary_size, eval_fraction, labels
        self.save_hyperparameters(logger=False)

    @cached_property
    def _sorted_files(self) -> tuple[list[Path], list[str], list[int]]:
        """The files, the names of the classes, and the class of each file; no names without labels."""
        files = _files(self.path)
        below = [file.relative_to(Path(self.path).expanduser()).parts for file in files]
        outside = next((file for file, parts in zip(files, below, strict=True) if len(parts) < 2), None)
        if self.labels == "folders" and outside is not None:
            raise UserError(
                f"labels=folders needs every text in a class folder, but {outside} is in none; use labels=none"
            )
        names = class_order(parts[0] for parts in below) if outside is None and self.labels != "none" else []
        if len(names) < 2 and self.labels == "auto":
            names = []
        return files, names, [names.index(parts[0]) for parts in below] if names else [0] * len(files)

    @property  # type: ignore[misc]
    def classes(self) -> list[str]:  # read at first use, as the text is
        """Names of the classes in the order of their indices, empty without labels."""
        return self._sorted_files[1]

    @property
    def n_classes(self) -> int:  # type: ignore[override]  # read at first use, as the text is
        """Number of classes, 0 without labels."""
        return len(self.classes)

    @cached_property
    def _pieces(self) -> tuple[list[Piece], list[Piece]]:
        """The lines, or blocks, of both parts; no class is held out whole."""
        files, names, of_file = self._sorted_files
        pieces: list[Piece] = []
        for file, label in zip(files, of_file, strict=True):
            text = _read(file)
            if self.by == "lines":
                pieces += [(line, label) for line in text.splitlines() if line.strip()]
            else:
                step = _BLOCK * self.length
                pieces += [(text[i : i + step], label) for i in range(0, len(text), step)]
        if self.by == "windows":
            longest = max((len(text) for text, _ in pieces), default=0)
            if longest < self.length:
                raise UserError(
                    f"{self.path} holds {longest} characters, fewer than a window of data.length {self.length}"
                )
            if len(pieces) == 1:  # a short text
                ((text, label),) = pieces
                cut = max(self.length, round((1 - self.eval_fraction) * len(text)))
                rest = text[cut:] if len(text) - cut >= self.length else text
                return [(text[:cut], label)], [(rest, label)]
        elif not pieces:
            raise UserError(f"{self.path} holds no line with anything on it")
        for label, name in enumerate(names):
            if not any(
                of == label and len(text) >= (self.length if self.by == "windows" else 1) for text, of in pieces
            ):
                raise UserError(
                    f"class {name} of {self.path} has no text of data.length {self.length}; remove the folder"
                )
        order = torch.randperm(len(pieces), generator=generator(0, 6)).tolist()
        n = min(max(round(self.eval_fraction * len(pieces)), 1), len(pieces) - 1)
        left = Counter(label for _, label in pieces)
        held_out = set() if n else set(order)
        for place in order:
            label = pieces[place][1]
            if len(held_out) < n and left[label] > 1:
                held_out.add(place)
                left[label] -= 1
        train = [piece for place, piece in enumerate(pieces) if place not in held_out or not n]
        return train, [piece for place, piece in enumerate(pieces) if place in held_out]

    @cached_property
    def vocabulary(self) -> list[str]:
        """The symbols in the order of their places: unknown, padding, and the characters by frequency."""
        counts: Counter[str] = Counter()
        for piece, _ in self._pieces[0]:
            counts.update(piece)
        counts.pop(_UNKNOWN, None)
        if len(counts) < 2:
            raise UserError(f"{self.path} has {len(counts)} kinds of characters to train on; a text has at least 2")
        by_frequency = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        n = None if self.vocabulary_size is None else self.vocabulary_size - 2
        return [_UNKNOWN, _PADDING, *by_frequency[:n]]

    @property
    def shape(self) -> Tokens:
        """Length of a sample and size of the vocabulary."""
        return Tokens(self.length, len(self.vocabulary))

    @property
    def stored_size(self) -> tuple[int, ...]:
        """A sample is kept as the places of its symbols `(L,)`."""
        return (self.length,)

    def load_split(self, split: Split) -> RealSamples:
        """Return the samples of a split."""
        places = {symbol: place for place, symbol in enumerate(self.vocabulary)}
        kind = np.uint8 if len(places) <= 256 else np.int32
        rows, labels = [], []
        for piece, label in self._pieces[0 if split == "train" else 1]:
            symbols = np.array([places.get(symbol, 0) for symbol in piece], dtype=kind)
            if self.by == "lines":
                row = np.ones(self.length, dtype=kind)  # padding
                row[: len(symbols)] = symbols[: self.length]
                rows.append(row[None])
            elif len(symbols) >= self.length:
                stride = self.stride or max(self.length // 4, 1)
                rows.append(np.lib.stride_tricks.sliding_window_view(symbols, self.length)[::stride])
            else:
                continue
            labels += [label] * len(rows[-1])
        if not rows:
            raise UserError(f"{self.path}: the {split} part is shorter than a window of data.length {self.length}")
        what = f"Text of {Path(self.path).name}, {split} split, {self.by} of {self.length}"
        return Symbols(torch.from_numpy(np.concatenate(rows)), torch.tensor(labels) if self.n_classes else None, what)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Turn symbols into probabilities `(N, V, L)` on their device: 1 for the symbol that stands there."""
        if not isinstance(batch, list):
            return batch
        module = self.trainer.lightning_module if self.trainer is not None else None
        dtype = module.dtype if module is not None and isinstance(module.dtype, torch.dtype) else torch.float32
        return [Batch(probabilities(real, len(self.vocabulary), dtype), labels) for real, labels, *_ in batch]

    def found(self) -> str:
        """Return in one line what there is."""
        train, held_out = self.reference("train"), self.reference("eval")
        n_unknown = int((train.images == 0).sum())
        text = (
            f"{len(train):,} {self.by} of {self.length} characters to train on, {len(held_out):,} held out, "
            f"{len(self.vocabulary):,} symbols"
        )
        if self.n_classes:
            text += f", {self.n_classes} classes"
        (learned, *more), (measured, *others) = self._pieces
        if not (more or others) and measured[0].startswith(learned[0]):
            text += "; too short to hold out: it is measured on what it is trained on"
        return text + (f"; {n_unknown / train.images.numel():.2%} of the characters are unknown" if n_unknown else "")

    def state_dict(self) -> dict[str, Any]:
        """Return what tells these data from others, and the vocabulary."""
        return {**super().state_dict(), "vocabulary": self.vocabulary}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Say what has changed since the checkpoint was written.

        Raises:
            UserError: The vocabulary is another, so that symbols would mean others.
        """
        if (then := state_dict["vocabulary"]) != self.vocabulary:
            raise UserError(
                f"the checkpoint has a vocabulary of {len(then)} symbols, and {self.path} has another of "
                f"{len(self.vocabulary)}; give the text that it was trained on, or train anew"
            )
        if "n" in state_dict:
            super().load_state_dict(state_dict)


def probabilities(symbols: Tensor, n_symbols: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return symbols `(N, L)` as probabilities `(N, V, L)`: 1 for the symbol that stands there, else 0.

    Example:
        >>> probabilities(torch.tensor([[1, 0]]), 2)
        tensor([[[0., 1.],
                 [1., 0.]]])
    """
    return one_hot(symbols.long(), n_symbols).transpose(1, 2).to(dtype)


def _files(path: str) -> list[Path]:
    place = Path(path).expanduser()
    if not place.is_dir():
        return [place]
    return files_in(place, (".txt",), "text file")


def _read(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; give a text file or a folder of them") from error
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UserError(f"{file}, line {line}: it is not UTF-8; save it as UTF-8 first") from error
