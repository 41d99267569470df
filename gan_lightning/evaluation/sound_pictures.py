"""Sounds as spectrograms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_lightning.data.base import scale
from gan_lightning.evaluation.pictures import figure_of, rendered

if TYPE_CHECKING:
    from PIL.Image import Image

_RANGE = 70
"""Decibels between the lightest and the darkest."""


def waves_of(recordings: Tensor) -> Tensor:
    """Return the first channel `(N, L)` of recordings `(N, C, L)` as they are kept, in [-1, 1]."""
    return scale(recordings[:, 0], torch.float32)


def spectrograms(samples: Tensor, rate: int, n_columns: int | None = None, row_names: Sequence[str] = ()) -> Image:
    """Return sounds as pictures of their frequencies: time to the right, frequency upwards, dark is loud.

    Args:
        samples: Sounds `(N, C, L)`; the first channel is shown.
        rate: Samples of a second.
        n_columns: Sounds in a row; about as many as there are rows if not given.
        row_names: What stands before each row.
    """
    n = len(samples)
    n_columns = n_columns or math.ceil(math.sqrt(n))
    n_rows = math.ceil(n / n_columns)
    figure = figure_of(1.4 * n_columns + 0.6, 1.1 * n_rows + 0.3)
    for index, wave in enumerate(samples[:, 0].float().cpu()):
        axes = figure.add_subplot(n_rows, n_columns, index + 1)
        seconds = len(wave) / rate
        axes.imshow(decibels(wave), origin="lower", aspect="auto", cmap="magma_r", vmin=-_RANGE, vmax=0,
                    extent=(0, seconds, 0, rate / 2000))  # fmt: skip
        row, column = divmod(index, n_columns)
        if column == 0 and row < len(row_names):
            axes.set_ylabel(row_names[row], fontsize=7)
        axes.set_xticks(
            [0, seconds] if row == n_rows - 1 else [], ["0", f"{seconds:.2f} s"] if row == n_rows - 1 else []
        )
        axes.set_yticks([0, rate / 2000] if column == 0 else [], ["0", f"{rate / 2000:g} kHz"] if column == 0 else [])
        axes.tick_params(labelsize=6)
    return rendered(figure)


def decibels(wave: Tensor, size: int = 256) -> Tensor:
    """Return the spectrogram `(F, T)` of a sound `(L,)` in decibels, 0 the loudest place."""
    size = min(size, len(wave))
    spectrum = torch.stft(
        wave,
        size,
        max(size // 8, 1),
        window=torch.hann_window(size),
        center=True,
        pad_mode="constant",
        return_complex=True,
    ).abs()
    return 20 * (spectrum / spectrum.max().clamp(min=1e-9)).clamp(min=1e-6).log10()
