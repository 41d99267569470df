"""Melodies of music files: one symbol for each position of a grid."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, final

import torch

from gan_lightning.data.arrangement import OnError
from gan_lightning.data.base import RealData, Split
from gan_lightning.data.music_files import Note, Piece, key_shift, music_files, read_pieces
from gan_lightning.data.stream import RealSamples, generator
from gan_lightning.data.text import Symbols, probabilities
from gan_lightning.errors import UserError, say
from gan_lightning.protocols import Batch, Notation
from gan_lightning.shapes import Tokens

_REST, _HOLD, _FIRST = 0, 1, 2  # as metrics.music has them


@final
class Melodies(RealData):
    """Melodies of MusicXML, MIDI and ABC files, cut into windows of a grid.

    At each position stands a rest, the hold of what sounds already, or the pitch that is struck. Of notes that sound at once
    the highest is the melody. What is held out are whole pieces, always the same ones. Files are read by music21
    (`pip install 'gan-lightning[music]'`), once: the notes are kept in the user's cache folder.

    Example:
        >>> from pathlib import Path
        >>> for name in "xyz":
        ...     _ = Path(f"{name}.abc").write_text("X:1\\nM:4/4\\nL:1/4\\nK:G\\nG B d g | d2 G2 |\\n")
        >>> data = Melodies(".", length=16, per_quarter=2, stride=4)
        >>> data.shape, data.notation
        (Tokens(length=16, vocabulary=15), Notation(per_quarter=2, low=72, in_c=True))
        >>> data.reference("train").images[0]  # G B d g as C E G c
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
        super().__init__(batch_size, seed)
        if length < 2:
            raise UserError(f"length of Melodies must be at least 2, got {length}")
        if not 1 <= per_quarter <= 96:
            raise UserError(f"per_quarter must be 1 to 96 positions in a quarter note, got {per_quarter}")
        if parts not in ("first", "all"):
            raise UserError(f"parts must be first or all, got {parts!r}")
        if on_error not in ("raise", "skip"):
            raise UserError(f"on_error must be raise or skip, got {on_error!r}")
        if stride is not None and stride < 1:
            raise UserError(f"stride must be at least 1, got {stride}")
        if not 0 < eval_fraction < 1:
            raise UserError(f"eval_fraction must be above 0 and below 1, got {eval_fraction}")
        self.path, self.length, self.per_quarter, self.in_c, self.parts = path, length, per_quarter, in_c, parts
        self.stride, self.eval_fraction, self.on_error, self.cache_dir = stride, eval_fraction, on_error, cache_dir
        self.save_hyperparameters(logger=False)

    @cached_property
    def _pieces(self) -> list[Piece]:
        pieces, bad = read_pieces(music_files(self.path), self.per_quarter, self.cache_dir)
        if bad:
            name, reason = next(iter(bad.items()))
            if self.on_error == "raise":
                raise UserError(
                    f"cannot take music from {name}: {reason}; fix or remove it, or leave such files out with "
                    "on_error=skip (--data.on_error skip)"
                )
            self.left_out = {"without notes that can be read": len(bad)}
            say(f"{self.path}: {len(bad)} files or tunes are left out, the first is {name} ({reason})")
        if len(pieces) < 2:
            raise UserError(
                f"{self.path} has {len(pieces)} pieces with notes; one to train on and one to hold out are needed"
            )
        return pieces

    @cached_property
    def _melodies(self) -> tuple[list[list[Note]], list[list[Note]]]:
        """The melodies of both splits."""
        n_held_out = min(max(round(self.eval_fraction * len(self._pieces)), 1), len(self._pieces) - 1)
        held_out = set(torch.randperm(len(self._pieces), generator=generator(0, 7)).tolist()[:n_held_out])
        melodies: tuple[list[list[Note]], list[list[Note]]] = ([], [])
        for place, piece in enumerate(self._pieces):
            shift = key_shift([note for part in piece.parts for note in part]) if self.in_c else 0
            for part in [part for part in piece.parts if part][: 1 if self.parts == "first" else None]:
                moved = [note._replace(pitch=note.pitch + shift) for note in part]
                melodies[place in held_out].append(melody_of(moved))
        return melodies

    @cached_property
    def notation(self) -> Notation:
        """What the symbols mean."""
        return Notation(self.per_quarter, self._range[0], self.in_c)

    @cached_property
    def _range(self) -> tuple[int, int]:
        pitches = [note.pitch for split in self._melodies for melody in split for note in melody]
        return min(pitches), max(pitches)

    @property
    def shape(self) -> Tokens:
        """Length of a sample and number of symbols."""
        low, high = self._range
        return Tokens(self.length, _FIRST + high - low + 1)

    @property
    def stored_size(self) -> tuple[int, ...]:
        """A sample is kept as its symbols `(L,)`."""
        return (self.length,)

    def load_split(self, split: Split) -> RealSamples:
        """Return the windows of a split; those without a note are left out."""
        rows = []
        for melody in self._melodies[split == "eval"]:
            rows += windows(melody, self.length, self.stride or max(self.length // 4, 1), self.notation.low)
        what = f"melodies of {Path(self.path).name}, {split} split, {len(rows)} windows of {self.length}"
        return Symbols(torch.tensor(rows, dtype=torch.uint8), None, what)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Turn symbols into probabilities `(N, V, L)` on their device: 1 for the symbol that stands there."""
        if not isinstance(batch, list):
            return batch
        module = self.trainer.lightning_module if self.trainer is not None else None
        dtype = module.dtype if module is not None and isinstance(module.dtype, torch.dtype) else torch.float32
        return [Batch(probabilities(real, self.shape.vocabulary, dtype), labels) for real, labels in batch]

    def found(self) -> str:
        """Return in one line what there is."""
        n_notes = sum(len(part) for piece in self._pieces for part in piece.parts)
        text = (
            f"{len(self.reference('train')):,} windows of {self.length} positions to train on, "
            f"{len(self.reference('eval')):,} held out, of {len(self._pieces):,} pieces with {n_notes:,} notes, "
            f"{self.shape.vocabulary} symbols"
        )
        moved = sum(piece.n_moved for piece in self._pieces)
        graces = sum(piece.n_graces for piece in self._pieces)
        text += f"; {moved:,} notes moved to the grid" if moved else ""
        text += f"; {graces:,} grace notes left out" if graces else ""
        return text + "".join(f"; {n:,} {why}, left out" for why, n in self.left_out.items())

    def state_dict(self) -> dict[str, Any]:
        """Return what tells these data from others, and what the symbols mean."""
        return {**super().state_dict(), "notation": self.notation._asdict(), "n_symbols": self.shape.vocabulary}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Say what has changed since the checkpoint was written.

        Raises:
            UserError: The symbols mean something else.
        """
        then = (state_dict["notation"], state_dict["n_symbols"])
        now = (self.notation._asdict(), self.shape.vocabulary)
        if then != now:
            raise UserError(
                f"the checkpoint was trained on {_words(*then)}, and {self.path} has {_words(*now)}; give the music that it "
                "was trained on, or train anew"
            )
        if "n" in state_dict:
            super().load_state_dict(state_dict)


def melody_of(notes: list[Note]) -> list[Note]:
    """Return the highest of the notes that begin together, each until the next begins; notes are sorted by beginning.

    Example:
        >>> melody_of([Note(0, 4, 60), Note(0, 4, 64), Note(2, 2, 62)])
        [Note(start=0, length=2, pitch=64), Note(start=2, length=2, pitch=62)]
    """
    highest = {note.start: note for note in sorted(notes, key=lambda note: (note.start, note.pitch))}
    melody = list(highest.values())
    ends = [following.start for following in melody[1:]] + [10**9]
    return [note._replace(length=min(note.length, end - note.start)) for note, end in zip(melody, ends, strict=True)]


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


def _words(notation: dict[str, Any], n_symbols: int) -> str:
    in_c = "in C or A" if notation["in_c"] else "in their own keys"
    return f"{n_symbols} symbols from pitch {notation['low']} on, {notation['per_quarter']} a quarter, {in_c}"
