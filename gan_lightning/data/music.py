"""What data sets of music have in common: their pieces, their keys, and which of them are held out."""

from __future__ import annotations

from abc import ABC
from functools import cached_property
from typing import Any

import torch

from gan_lightning.data.arrangement import OnError
from gan_lightning.data.base import RealData
from gan_lightning.data.music_files import Note, Piece, key_shift, music_files, read_pieces
from gan_lightning.data.stream import generator
from gan_lightning.errors import UserError, say
from gan_lightning.protocols import Notation


class Music(RealData, ABC):
    """Pieces of MusicXML, MIDI and ABC files on a grid, some of them held out whole, always the same ones.

    Args:
        path: A file, a folder with all its music, or a folder of music21's corpus, such as `music21:bach`.
        length: Positions of a sample.
        per_quarter: Positions in a quarter note.
        in_c: Move each piece to C major or A minor.
        stride: Positions from one window to the next; None takes a quarter of the length.
        eval_fraction: Part of the pieces to hold out.
        on_error: What to do about a file that cannot be read or has no notes.
        cache_dir: Folder for the notes, instead of the user's cache folder.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of the sample order; None takes the module's seed.

    Raises:
        UserError: A number is out of its range.
    """

    def __init__(
        self,
        path: str,
        length: int,
        per_quarter: int,
        in_c: bool,
        stride: int | None,
        eval_fraction: float,
        on_error: OnError,
        cache_dir: str | None,
        batch_size: int,
        seed: int | None,
    ) -> None:
        super().__init__(batch_size, seed)
        name = type(self).__name__
        if length < 2:
            raise UserError(f"length of {name} must be at least 2, got {length}")
        if not 1 <= per_quarter <= 96:
            raise UserError(f"per_quarter must be 1 to 96 positions in a quarter note, got {per_quarter}")
        if on_error not in ("raise", "skip"):
            raise UserError(f"on_error must be raise or skip, got {on_error!r}")
        if stride is not None and stride < 1:
            raise UserError(f"stride must be at least 1, got {stride}")
        if not 0 < eval_fraction < 1:
            raise UserError(f"eval_fraction must be above 0 and below 1, got {eval_fraction}")
        self.path, self.length, self.per_quarter, self.in_c = path, length, per_quarter, in_c
        self.stride, self.eval_fraction = stride or max(length // 4, 1), eval_fraction
        self.on_error, self.cache_dir = on_error, cache_dir

    def fits(self, piece: Piece) -> bool:
        """Tell whether a piece is used; it is unless overridden."""
        return True

    def taken(self, parts: list[list[Note]]) -> list[list[Note]]:
        """Return the parts of a piece that are used; all unless overridden."""
        return parts

    @cached_property
    def pieces(self) -> list[Piece]:
        """The pieces that are used, with their parts that have notes.

        Raises:
            UserError: A file cannot be read, or fewer than two pieces are left.
        """
        pieces, bad = read_pieces(music_files(self.path), self.per_quarter, self.cache_dir)
        if bad:
            name, reason = next(iter(bad.items()))
            if self.on_error == "raise":
                raise UserError(
                    f"cannot take music from {name}: {reason}; fix or remove it, or leave such files out with "
                    "on_error=skip (--data.on_error skip)"
                )
            self.left_out["without notes that can be read"] = len(bad)
            say(f"{self.path}: {len(bad)} files or tunes are left out, the first is {name} ({reason})")
        pieces = [piece._replace(parts=[part for part in piece.parts if part]) for piece in pieces]
        used = [piece for piece in pieces if self.fits(piece)]
        if len(used) < len(pieces):
            self.left_out["pieces with another number of parts"] = len(pieces) - len(used)
        if len(used) < 2:
            raise UserError(
                f"{self.path} has {len(used)} of {len(pieces)} pieces with notes and the parts that are needed; "
                "one to train on and one to hold out are needed"
            )
        return used

    @cached_property
    def voices(self) -> tuple[list[list[list[Note]]], list[list[list[Note]]]]:
        """The parts of each piece of both splits, in C if asked for, of notes that begin together the highest."""
        n_held_out = min(max(round(self.eval_fraction * len(self.pieces)), 1), len(self.pieces) - 1)
        held_out = set(torch.randperm(len(self.pieces), generator=generator(0, 7)).tolist()[:n_held_out])
        found: tuple[list[list[list[Note]]], list[list[list[Note]]]] = ([], [])
        for place, piece in enumerate(self.pieces):
            shift = key_shift([note for part in piece.parts for note in part]) if self.in_c else 0
            moved = [[note._replace(pitch=note.pitch + shift) for note in part] for part in self.taken(piece.parts)]
            found[place in held_out].append([melody_of(part) for part in moved])
        return found

    @cached_property
    def range(self) -> tuple[int, int]:
        """Lowest and highest pitch."""
        pitches = [note.pitch for split in self.voices for piece in split for part in piece for note in part]
        return min(pitches), max(pitches)

    @property
    def notation(self) -> Notation:
        """What the samples mean."""
        return Notation(self.per_quarter, self.low, self.in_c)

    @property
    def low(self) -> int:
        """The pitch that the lowest number means."""
        return self.range[0]

    def found(self) -> str:
        """Return in one line what there is."""
        n_notes = sum(len(part) for piece in self.pieces for part in piece.parts)
        text = (
            f"{len(self.reference('train')):,} windows of {self.length} positions to train on, "
            f"{len(self.reference('eval')):,} held out, of {len(self.pieces):,} pieces with {n_notes:,} notes, "
            f"{self.range[1] - self.range[0] + 1} pitches"
        )
        moved = sum(piece.n_moved for piece in self.pieces)
        graces = sum(piece.n_graces for piece in self.pieces)
        text += f"; {moved:,} notes moved to the grid" if moved else ""
        text += f"; {graces:,} grace notes left out" if graces else ""
        return text + "".join(f"; {n:,} {why}, left out" for why, n in self.left_out.items())

    def state_dict(self) -> dict[str, Any]:
        """Return what tells these data from others, and what the samples mean."""
        return {
            **super().state_dict(),
            "notation": self.notation._asdict(),
            "n_pitches": self.range[1] - self.range[0] + 1,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Say what has changed since the checkpoint was written.

        Raises:
            UserError: The samples mean something else.
        """
        then = (state_dict["notation"], state_dict["n_pitches"])
        now = (self.notation._asdict(), self.range[1] - self.range[0] + 1)
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


def _words(notation: dict[str, Any], n_pitches: int) -> str:
    in_c = "in C or A" if notation["in_c"] else "in their own keys"
    return f"{n_pitches} pitches from {notation['low']} on, {notation['per_quarter']} a quarter, {in_c}"
