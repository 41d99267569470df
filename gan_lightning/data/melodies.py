"""Melodies of music files: one symbol for each position of a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, final

import torch

from gan_lightning.data.arrangement import OnError
from gan_lightning.data.base import Split
from gan_lightning.data.music import Music
from gan_lightning.data.music_files import Note
from gan_lightning.data.stream import RealSamples
from gan_lightning.data.text import Symbols, probabilities
from gan_lightning.errors import UserError
from gan_lightning.protocols import Batch
from gan_lightning.shapes import Tokens

_REST, _HOLD, _FIRST = 0, 1, 2  # as metrics.music has them


@final
class Melodies(Music):
    """Melodies of MusicXML, MIDI and ABC files, cut into windows of a grid.

    At each position stands a rest, the hold of what sounds already, or the pitch that is struck. Of notes that sound at once
    the highest is the melody. What is held out are whole pieces, always the same ones. Files are read by music21
    (`pip install 'gan-lightning[music]'`), once: the notes are kept in the user's cache folder.

    Example:
        >>> from pathlib import Path
        >>> for name in "xyz":
        ...     _ = Path(f"{name}.abc").write_text("X:1\\nM:4/4\\nL:1/4\\nK:G\\nG B d g | d2 G2 |\\n")
        >>> tunes = Melodies(".", length=16, per_quarter=2, stride=4)
        >>> tunes.shape, tunes.notation
        (Tokens(length=16, vocabulary=15), Notation(per_quarter=2, low=72, in_c=True))
        >>> tunes.reference("train").images[0]  # G B d g as C E G c
        tensor([ 2,  1,  6,  1,  9,  1, 14,  1,  9,  1,  1,  1,  2,  1,  1,  1],
               dtype=torch.uint8)

    Args:
        path: A file, a folder with all its music, or a folder of music21's corpus, such as `music21:bach`.
        length: Positions of a sample.
        per_quarter: Positions in a quarter note: 4 is a grid of sixteenths. What lies beside it is moved and counted.
        in_c: Move each piece to C major or A minor, whichever is nearer to its key (Krumhansl & Schmuckler).
        parts: "first" takes the upper part of each piece, "all" every part, as a melody of its own.
        stride: Positions from one window to the next; null takes a quarter of the length.
        eval_fraction: Part of the pieces to hold out.
        on_error: What to do about a file that cannot be read or has no notes: "raise" names it and stops, "skip" leaves
            it out and counts it.
        cache_dir: Folder for the notes, instead of the user's cache folder.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Raises:
        UserError: A number is out of its range, a file cannot be read, or there are fewer than two pieces.
    """

    def __init__(
        self,
        path: str,
        length: int = 64,
        per_quarter: int = 4,
        in_c: bool = True,
        parts: Literal["first", "all"] = "first",
        stride: int | None = None,
        eval_fraction: float = 0.1,
        on_error: OnError = "raise",
        cache_dir: str | None = None,
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(path, length, per_quarter, in_c, stride, eval_fraction, on_error, cache_dir, batch_size, seed)
        if parts not in ("first", "all"):
            raise UserError(f"parts must be first or all, got {parts!r}")
        self.parts = parts
        self.save_hyperparameters(logger=False)

    def taken(self, parts: list[list[Note]]) -> list[list[Note]]:
        """Return the upper part, or all."""
        return parts[:1] if self.parts == "first" else parts

    @property
    def shape(self) -> Tokens:
        """Length of a sample and number of symbols."""
        low, high = self.range
        return Tokens(self.length, _FIRST + high - low + 1)

    @property
    def stored_size(self) -> tuple[int, ...]:
        """A sample is kept as its symbols `(L,)`."""
        return (self.length,)

    def load_split(self, split: Split) -> RealSamples:
        """Return the windows of a split; those without a note are left out."""
        rows = []
        for piece in self.voices[split == "eval"]:
            for melody in piece:
                rows += windows(melody, self.length, self.stride, self.range[0])
        what = f"melodies of {Path(self.path).name}, {split} split, {len(rows)} windows of {self.length}"
        return Symbols(torch.tensor(rows, dtype=torch.uint8), None, what)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Turn symbols into probabilities `(N, V, L)` on their device: 1 for the symbol that stands there."""
        if not isinstance(batch, list):
            return batch
        module = self.trainer.lightning_module if self.trainer is not None else None
        dtype = module.dtype if module is not None and isinstance(module.dtype, torch.dtype) else torch.float32
        return [Batch(probabilities(real, self.shape.vocabulary, dtype), labels) for real, labels, *_ in batch]


def windows(melody: list[Note], length: int, stride: int, low: int) -> list[list[int]]:
    """Return a melody's windows as symbols, each of `length` positions; the last is filled with rests if it is the only one.

    A note that sounds when a window begins is struck there; windows without a note are left out.

    Example:
        >>> windows([Note(0, 3, 60), Note(4, 2, 62)], length=4, stride=2, low=60)
        [[2, 1, 1, 0], [2, 0, 4, 1]]
    """
    n = max(melody[-1].start + melody[-1].length, length)
    symbols, sounding = [_REST] * n, [_REST] * n
    for note in melody:
        symbols[note.start : note.start + note.length] = [_FIRST + note.pitch - low] + [_HOLD] * (note.length - 1)
        sounding[note.start : note.start + note.length] = [_FIRST + note.pitch - low] * note.length
    rows = [[sounding[start], *symbols[start + 1 : start + length]] for start in range(0, n - length + 1, stride)]
    return [row for row in rows if max(row) >= _FIRST]
