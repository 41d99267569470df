"""Samples as files: which form each kind of data has outside of a tensor."""

from __future__ import annotations

import wave
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.lib.format import open_memmap
from torch import Tensor

from gan_lightning.data.audio_files import to_int16
from gan_lightning.evaluation import pictures
from gan_lightning.evaluation.midi import midi_bytes, play, sound_font
from gan_lightning.evaluation.music_pictures import piano_rolls, pieces_of
from gan_lightning.evaluation.sound_pictures import spectrograms
from gan_lightning.metrics.text import spelled
from gan_lightning.protocols import Notation
from gan_lightning.shapes import Images, Shape, Signals, Tokens, Vectors

if TYPE_CHECKING:
    from PIL.Image import Image


_MOST_PLAYED = 20
"""Pieces of music that are played: about half a second each."""


class Form(ABC):
    """How samples of a shape are written into a folder.

    Attributes:
        first: The first file that is written.
    """

    first: ClassVar[str]

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    @abstractmethod
    def write(self, samples: Tensor, first: int, n: int, folder: Path) -> None:
        """Write samples `(N, *shape.size)` on the CPU, the first of them number `first` of n in all."""

    def words(self, n: int) -> str:
        """Return what n samples are, for messages."""
        return self.first

    def drawn(self, samples: Tensor, n_columns: int | None = None) -> Image:
        """Return samples as a picture."""
        return pictures.drawn(samples, self.shape, n_columns)


@final
class Pictures(Form):
    """Images: one PNG each."""

    first = "000000.png"

    def write(self, samples: Tensor, first: int, n: int, folder: Path) -> None:
        """Write images."""
        for index, pixels in enumerate(pictures.to_uint8(samples), first):
            pictures.picture(pixels).save(folder / f"{index:06d}.png")

    def words(self, n: int) -> str:
        """Return what n samples are, for messages."""
        return f"{n} pictures"


@final
class Rows(Form):
    """Vectors: rows of a table."""

    first = "samples.csv"

    def write(self, samples: Tensor, first: int, n: int, folder: Path) -> None:
        """Write vectors."""
        with (folder / self.first).open("a") as file:
            file.writelines(",".join(f"{value:.9g}" for value in row) + "\n" for row in samples.tolist())


@final
class Lines(Form):
    """Text: one sample a line."""

    first = "samples.txt"

    def __init__(self, shape: Shape, vocabulary: list[str]) -> None:
        super().__init__(shape)
        self.vocabulary = vocabulary

    def write(self, samples: Tensor, first: int, n: int, folder: Path) -> None:
        """Write texts."""
        with (folder / self.first).open("a", encoding="utf-8") as file:
            file.writelines(f"{text}\n" for text in spelled(samples, self.vocabulary))


@final
class Midi(Form):
    """Melodies, or pieces of several voices: one MIDI file each; the first few as WAV too, where fluidsynth is installed."""

    first = "000000.mid"

    def __init__(self, shape: Shape, notation: Notation) -> None:
        super().__init__(shape)
        self.notation, self.font, self.n_played = notation, sound_font(), 0

    def write(self, samples: Tensor, first: int, n: int, folder: Path) -> None:
        """Write pieces, a track for each voice."""
        for index, piece in enumerate(pieces_of(samples, self.notation), first):
            path = folder / f"{index:06d}.mid"
            path.write_bytes(midi_bytes(piece, self.notation.per_quarter))
            if self.font is not None and index < _MOST_PLAYED:
                if play(path, self.font):
                    self.n_played += 1
                else:
                    self.font = None

    def words(self, n: int) -> str:
        """Return what n samples are, for messages."""
        played = f", {self.n_played} of them as WAV," if self.n_played else ""
        return f"{n} {'pieces' if isinstance(self.shape, Images) else 'melodies'}{played}"

    def drawn(self, samples: Tensor, n_columns: int | None = None) -> Image:
        """Return melodies as piano rolls."""
        return piano_rolls(samples, self.shape, self.notation, n_columns)


@final
class Sounds(Form):
    """Sound: one WAV file each, 16 bits, in as many channels as it has."""

    first = "000000.wav"

    def __init__(self, shape: Shape, rate: int) -> None:
        super().__init__(shape)
        self.rate = rate

    def write(self, samples: Tensor, first: int, n: int, folder: Path) -> None:
        """Write sounds; what is louder than 1 is clipped."""
        for index, sound in enumerate(samples.float().numpy(), first):
            with wave.open(str(folder / f"{index:06d}.wav"), "wb") as file:
                file.setnchannels(len(sound))
                file.setsampwidth(2)
                file.setframerate(self.rate)
                file.writeframes(to_int16(sound.T).astype("<i2").tobytes())

    def words(self, n: int) -> str:
        """Return what n samples are, for messages."""
        return f"{n} sounds of {self.rate} Hz"

    def drawn(self, samples: Tensor, n_columns: int | None = None) -> Image:
        """Return sounds as spectrograms."""
        return spectrograms(samples, self.rate, n_columns)


@final
class Arrays(Form):
    """Anything else: one array `(n, ...)`, float32."""

    first = "samples.npy"

    def write(self, samples: Tensor, first: int, n: int, folder: Path) -> None:
        """Write tensors."""
        path = folder / self.first
        new = None if first else (n, *self.shape.size)
        rows = open_memmap(path, "r+" if first else "w+", None if first else np.float32, new)
        rows[first : first + len(samples)] = samples.float().numpy()
        rows.flush()


def form_of(shape: Shape, checkpoint: dict[str, Any]) -> Form:
    """Return the form of samples of a shape; what its data are is in the state that they left in a checkpoint.

    Args:
        shape: Shape of a sample.
        checkpoint: The checkpoint, whole.
    """
    if notation := said(checkpoint, "notation"):
        return Midi(shape, Notation(**notation))
    if isinstance(shape, Images):
        return Pictures(shape)
    if isinstance(shape, Vectors):
        return Rows(shape)
    if isinstance(shape, Tokens) and (vocabulary := said(checkpoint, "vocabulary")):
        return Lines(shape, vocabulary)
    if isinstance(shape, Signals) and (rate := said(checkpoint, "rate")):
        return Sounds(shape, rate)
    return Arrays(shape)


def said(checkpoint: dict[str, Any], key: str) -> Any:
    """Return what the data said of themselves under a key, None if they did not."""
    return next((part[key] for part in checkpoint.values() if isinstance(part, dict) and key in part), None)
