"""Melodies and pieces of several voices as piano rolls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from gan_lightning.metrics.music import FIRST, Melody, melodies_of, symbols_of
from gan_lightning.protocols import Notation
from gan_lightning.shapes import Shape, Tokens

if TYPE_CHECKING:
    from PIL.Image import Image

_SCALE = 4  # pixels of a position and of a semitone


_COLORS = ((31, 59, 87), (200, 80, 60), (90, 150, 90), (150, 110, 180))
"""Of the first voice, the second, and so on."""


def pieces_of(samples: Tensor, notation: Notation) -> list[list[Melody]]:
    """Return the voices of each sample: one of melodies `(N, V, L)`, C of rolls `(N, C, H, L)`."""
    melodies = melodies_of(symbols_of(samples.cpu()), notation.low)
    n_voices = 1 if samples.ndim == 3 else samples.shape[1]
    return [melodies[start : start + n_voices] for start in range(0, len(melodies), n_voices)]


def piano_rolls(samples: Tensor, shape: Shape, notation: Notation, n_columns: int | None = None) -> Image:
    """Return melodies, or pieces of several voices, as pictures of notes.

    Time goes to the right, pitch upwards; there is a line at each quarter note.

    Args:
        samples: Probabilities of symbols `(N, V, L)`, or rolls `(N, C, H, L)`; voices have colors of their own.
        shape: Their shape.
        notation: What the symbols mean.
        n_columns: Melodies in a row; about as many as there are rows if not given.
    """
    from PIL import Image as pil

    pieces = pieces_of(samples, notation)
    n_columns = n_columns or math.ceil(math.sqrt(len(pieces)))
    n_pitches = shape.vocabulary - FIRST if isinstance(shape, Tokens) else shape.size[1]
    height, width, gap = n_pitches * _SCALE, shape.size[-1] * _SCALE, 6
    n_rows = -(-len(pieces) // n_columns)
    canvas = np.full((n_rows * (height + gap) + gap, n_columns * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for index, piece in enumerate(pieces):
        tile = np.full((height, width, 3), 244, dtype=np.uint8)
        tile[:, :: notation.per_quarter * _SCALE] = 215
        for voice, melody in enumerate(piece):
            for start, length, pitch in melody:
                top = height - (pitch - notation.low + 1) * _SCALE
                place = (slice(top, top + _SCALE), slice(start * _SCALE, (start + length) * _SCALE - 1))
                tile[place] = _COLORS[voice % len(_COLORS)]
        row, column = divmod(index, n_columns)
        y, x = gap + row * (height + gap), gap + column * (width + gap)
        canvas[y : y + height, x : x + width] = tile
    return pil.fromarray(canvas)
