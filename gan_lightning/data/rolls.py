"""Piano rolls of pieces of several voices."""

from __future__ import annotations

from pathlib import Path
from typing import final

import torch

from gan_lightning.data.arrangement import OnError
from gan_lightning.data.base import Split
from gan_lightning.data.music import Music
from gan_lightning.data.music_files import Note, Piece
from gan_lightning.data.stream import RealSamples
from gan_lightning.errors import UserError
from gan_lightning.shapes import Images

_MULTIPLE = 16
"""The height of a roll is a multiple of it, so that networks can halve it four times."""


@final
class Rolls(Music):
    """Piano rolls of MusicXML, MIDI and ABC files: images of a channel for each voice, pitch upwards, time to the right.

    White is what sounds; a note that is struck again at once is not told from one that is held. Pieces with another number
    of parts are left out and counted. What is held out are whole pieces, always the same ones. Files are read by music21
    (`pip install 'gan-lightning[music]'`), once: the notes are kept in the user's cache folder.

    Example:
        >>> from pathlib import Path
        >>> for name in "xyz":
        ...     _ = Path(f"{name}.abc").write_text("X:1\\nM:4/4\\nL:1/4\\nK:C\\nV:1\\nc d e c|\\nV:2\\nC2 G,2|\\n")
        >>> data = Rolls(".", voices=2, length=8, per_quarter=2)
        >>> data.shape
        Images(height=32, width=8, channels=2)
        >>> data.reference("train").images[0, 0].argmax(0)  # from above: c d e c
        tensor([14, 14, 12, 12, 10, 10, 14, 14])

    Args:
        path: A file, a folder with all its music, or a folder of music21's corpus, such as `music21:bach`.
        voices: Parts of a piece.
        length: Positions of a sample.
        per_quarter: Positions in a quarter note: 4 is a grid of sixteenths. What lies beside it is moved and counted.
        in_c: Move each piece to C major or A minor, whichever is nearer to its key (Krumhansl & Schmuckler).
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
        voices: int = 4,
        length: int = 64,
        per_quarter: int = 4,
        in_c: bool = True,
        stride: int | None = None,
        eval_fraction: float = 0.1,
        on_error: OnError = "raise",
        cache_dir: str | None = None,
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(path, length, per_quarter, in_c, stride, eval_fraction, on_error, cache_dir, batch_size, seed)
        if voices < 1:
            raise UserError(f"voices must be at least 1, got {voices}")
        self.n_voices = voices
        self.save_hyperparameters(logger=False)

    def fits(self, piece: Piece) -> bool:
        """Tell whether a piece has as many parts."""
        return len(piece.parts) == self.n_voices

    @property
    def shape(self) -> Images:
        """A channel for each voice, a row for each pitch and some above, a column for each position."""
        low, high = self.range
        return Images(-(-(high - low + 1) // _MULTIPLE) * _MULTIPLE, self.length, self.n_voices)

    @property
    def low(self) -> int:
        """The pitch of the lowest row: the lowest there is, or so far below that the highest row is a MIDI number."""
        return min(self.range[0], 128 - self.shape.height)

    def load_split(self, split: Split) -> RealSamples:
        """Return the windows of a split; those without a note are left out."""
        shape, low = self.shape, self.low
        rows = []
        for piece in self.voices[split == "eval"]:
            roll = roll_of(piece, shape.height, low)
            lacking = max(self.length - roll.shape[2], 0)
            roll = torch.nn.functional.pad(roll, (0, lacking))
            rows += [window for window in roll.unfold(2, self.length, self.stride).unbind(2) if window.any()]
        what = f"rolls of {Path(self.path).name}, {split} split, {len(rows)} of {'x'.join(map(str, shape.size))}"
        return RealSamples(torch.stack(rows).contiguous(), None, what)


def roll_of(voices: list[list[Note]], height: int, low: int) -> torch.Tensor:
    """Return the roll `(C, H, L)`, 255 where a voice sounds, of all of a piece; the lowest pitch is the lowest row.

    Example:
        >>> roll_of([[Note(0, 2, 61)]], height=3, low=60)[0]
        tensor([[  0,   0],
                [255, 255],
                [  0,   0]], dtype=torch.uint8)
    """
    n = max(note.start + note.length for voice in voices for note in voice)
    roll = torch.zeros(len(voices), height, n, dtype=torch.uint8)
    for channel, voice in enumerate(voices):
        for note in voice:
            roll[channel, height - 1 - (note.pitch - low), note.start : note.start + note.length] = 255
    return roll
