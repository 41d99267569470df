"""Samples as pictures: 8-bit pixels, grids, scatter plots, and their way to the loggers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image


def to_uint8(images: Tensor) -> Tensor:
    """Return images in [-1, 1] (clamped) as uint8 in 0 ... 255, rounded to nearest."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def picture(pixels: Tensor) -> Image:
    """Return one uint8 image `(C, H, W)` for the eye: 1 channel is grey, 3 and more show the first three as RGB."""
    from PIL import Image as pil

    pixels = pixels.cpu()
    shown = pixels[0] if len(pixels) < 3 else pixels[:3].permute(1, 2, 0)
    return pil.fromarray(shown.contiguous().numpy())


def grid(pixels: Tensor, n_columns: int | None = None) -> Image:
    """Return uint8 images `(N, C, H, W)` side by side, row after row, on white.

    Images below 32 pixels are enlarged by a whole factor, pixel for pixel, so that a person can see them.

    Args:
        pixels: The images.
        n_columns: Images in a row; near the square root of N if not given.
    """
    n, _, height, width = pixels.shape
    n_columns = n_columns or math.ceil(math.sqrt(n))
    factor = max(1, -(-48 // max(height, width))) if max(height, width) < 32 else 1
    pixels = pixels.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    gap, n_rows = 2, -(-n // n_columns)
    step_y, step_x = height * factor + gap, width * factor + gap
    canvas = pixels.new_full((pixels.shape[1], n_rows * step_y + gap, n_columns * step_x + gap), 255)
    for index, image in enumerate(pixels):
        y, x = gap + index // n_columns * step_y, gap + index % n_columns * step_x
        canvas[:, y : y + height * factor, x : x + width * factor] = image
    return picture(canvas)


def scatter(samples: Tensor, real: Tensor | None = None) -> Image:
    """Return the first two coordinates of vectors `(N, D)`, generated over real ones, as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image as pil

    figure = Figure(figsize=(5, 5), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()

    def plot(points: Tensor, colour: str, label: str) -> None:
        points = points.float().cpu()
        second = points[:, 1] if points.shape[1] > 1 else torch.zeros(len(points))
        axes.scatter(points[:, 0].numpy(), second.numpy(), s=4, c=colour, label=label, linewidths=0)

    if real is not None:
        plot(real, "#bbbbbb", "real")
    plot(samples, "#c0392b", "generated")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(loc="upper right")
    figure.tight_layout()
    canvas.draw()
    return pil.fromarray(torch.tensor(canvas.buffer_rgba())[..., :3].contiguous().numpy())


def log_picture(trainer: Any, key: str, image: Image, step: int) -> None:
    """Hand a picture, as 8-bit pixels, to every logger that shows pictures; call it on rank 0."""
    import numpy as np

    for logger in trainer.loggers:
        if hasattr(logger, "log_image"):  # Weights & Biases: a PIL image, because its floats come out black
            logger.log_image(key, [image], step=step)
        elif hasattr(getattr(logger, "experiment", None), "add_image"):
            pixels = np.asarray(image)
            logger.experiment.add_image(key, pixels, step, dataformats="HWC" if pixels.ndim == 3 else "HW")
