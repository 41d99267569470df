"""Melodies as piano rolls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from gan_lightning.metrics.music import FIRST, melodies_of
from gan_lightning.protocols import Notation
from gan_lightning.shapes import Tokens

if TYPE_CHECKING:
    from PIL.Image import Image

_SCALE = 4  # pixels of a position and of a semitone


def piano_rolls(samples: Tensor, shape: Tokens, notation: Notation, n_columns: int | None = None) -> Image:
    """Return melodies as pictures of notes: time to the right, pitch upwards, a line at each quarter note.

    Args:
        samples: Probabilities of symbols `(N, V, L)`.
        shape: Their shape.
        notation: What the symbols mean.
        n_columns: Melodies in a row; about as many as there are rows if not given.
    """
    from PIL import Image as pil

    melodies = melodies_of(samples.argmax(1).cpu(), notation.low)
    n_columns = n_columns or math.ceil(math.sqrt(len(melodies)))
    height, width, gap = (shape.vocabulary - FIRST) * _SCALE, shape.length * _SCALE, 6
    n_rows = -(-len(melodies) // n_columns)
    canvas = np.full((n_rows * (height + gap) + gap, n_columns * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for index, melody in enumerate(melodies):
        tile = np.full((height, width, 3), 244, dtype=np.uint8)
        tile[:, :: notation.per_quarter * _SCALE] = 215
        for start, length, pitch in melody:
            top = height - (pitch - notation.low + 1) * _SCALE
            tile[top : top + _SCALE, start * _SCALE : (start + length) * _SCALE - 1] = (31, 59, 87)
        row, column = divmod(index, n_columns)
        y, x = gap + row * (height + gap), gap + column * (width + gap)
        canvas[y : y + height, x : x + width] = tile
    return pil.fromarray(canvas)
