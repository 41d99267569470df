"""Samples as pictures: 8-bit pixels, grids, scatter plots, and their way to the loggers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from gan_lightning.data.base import RealData, scale
from gan_lightning.data.base import drawn as some_rows
from gan_lightning.protocols import RunLogger, ShowsPictures, ShowsText
from gan_lightning.shapes import Images, Pair, Shape, Signals, Tokens

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


LARGEST_SIDE = 16_384
"""Pixels of the longer side of a grid, beyond which common viewers and image formats give up."""


def cell(height: int, width: int) -> tuple[int, int]:
    """Return how often a grid enlarges an image, and the pixels of the longer side of its cell with the gap."""
    factor = -(-64 // max(height, width)) if max(height, width) < 32 else 1
    return factor, max(height, width) * factor + 2


def grid(pixels: Tensor, n_columns: int | None = None, row_names: Sequence[str] = ()) -> Image:
    """Return uint8 images `(N, C, H, W)` side by side, row after row, on white.

    Images below 32 pixels are enlarged, bicubically, to at least 64, because a person reads an 8x8 digit badly.

    Args:
        pixels: The images.
        n_columns: Images in a row; near the square root of N if not given.
        row_names: What to write before each row.
    """
    from PIL import Image as pil
    from PIL import ImageDraw, ImageFont

    n, _, height, width = pixels.shape
    n_columns = n_columns or math.ceil(math.sqrt(n))
    factor, _ = cell(height, width)
    gap, sides = 2, (width * factor, height * factor)
    tiles = [picture(image) for image in pixels]
    font = ImageFont.load_default(min(16, max(8, sides[1] - 2)))
    margin = max((math.ceil(font.getlength(name)) + 4 for name in row_names), default=0)
    size = (margin + n_columns * (sides[0] + gap) + gap, -(-n // n_columns) * (sides[1] + gap) + gap)
    canvas = pil.new(tiles[0].mode, size, 255 if tiles[0].mode == "L" else (255, 255, 255))
    for row, name in enumerate(row_names):
        ImageDraw.Draw(canvas).text((2, gap + (row + 0.5) * (sides[1] + gap)), name, "black", font, "lm")
    for index, tile in enumerate(tiles):
        x, y = index % n_columns, index // n_columns
        place = (margin + gap + x * (sides[0] + gap), gap + y * (sides[1] + gap))
        canvas.paste(tile if factor == 1 else tile.resize(sides, pil.Resampling.BICUBIC), place)
    return canvas


def drawn(samples: Tensor, shape: Shape, n_columns: int | None = None, row_names: Sequence[str] = ()) -> Image:
    """Return samples of any shape as a picture.

    Images are tiles of a grid, vectors points, signals curves, and sequences of symbols maps of their probabilities, a
    column for each position.

    Args:
        samples: Samples `(N, *shape.size)`, images in [-1, 1].
        shape: Shape of a sample.
        n_columns: Samples in a row; about as many as there are rows if not given.
        row_names: What stands before each row of images.
    """
    if isinstance(shape, Pair):
        return drawn(samples, shape.target, n_columns, row_names)
    if isinstance(shape, Images):
        return grid(to_uint8(samples), n_columns, row_names)
    if isinstance(shape, Tokens):
        return grid(to_uint8(2 * samples[:, None] - 1), n_columns)
    return curves(samples, n_columns) if isinstance(shape, Signals) else scatter(samples)


def real_samples(data: Any, n: int) -> Tensor | None:
    """Return at most n training samples, always the same ones, images in [-1, 1]; None of data of somebody else's making."""
    if not isinstance(data, RealData):
        return None
    found = data.reference("train")
    return scale(found.images[torch.tensor(some_rows(len(found), n))], torch.float32)


def curves(samples: Tensor, n_columns: int | None = None) -> Image:
    """Return signals `(N, C, L)` as plots over time, a line for each channel, all to one scale."""
    n = len(samples)
    n_columns = n_columns or math.ceil(math.sqrt(n))
    figure = figure_of(2 * n_columns, 1.2 * math.ceil(n / n_columns))
    reach = 1.05 * float(samples.abs().max()) or 1.0
    for index, signal in enumerate(samples.float().cpu()):
        axes = figure.add_subplot(math.ceil(n / n_columns), n_columns, index + 1)
        axes.plot(signal.T.numpy(), linewidth=0.8)
        axes.set_ylim(-reach, reach)
        axes.set_axis_off()
    return rendered(figure)


def figure_of(width: float, height: float) -> Any:
    """Return an empty figure of so many inches, that needs no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100)
    FigureCanvasAgg(figure)
    return figure


def rendered(figure: Any) -> Image:
    """Return a figure as a picture."""
    import numpy as np
    from PIL import Image as pil

    figure.tight_layout()
    figure.canvas.draw()
    return pil.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())


def scatter(samples: Tensor, real: Tensor | None = None) -> Image:
    """Return the first two coordinates of vectors `(N, D)`, as a picture; real ones as small crosses over the generated."""
    figure = figure_of(5, 5)
    axes = figure.add_subplot()

    def plot(points: Tensor, label: str, **style: Any) -> None:
        points = points.float().cpu()
        second = points[:, 1] if points.shape[1] > 1 else torch.zeros(len(points))
        axes.scatter(points[:, 0].numpy(), second.numpy(), label=label, **style)

    plot(samples, "generated", s=14, c="#e8927c", alpha=0.6, linewidths=0)
    if real is not None:
        plot(real, "real", s=9, c="#1f3b57", marker="+", linewidths=0.5)
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(loc="upper right")
    return rendered(figure)


def log_picture(trainer: Any, key: str, image: Image, step: int) -> None:
    """Hand a picture, as 8-bit pixels, to every logger that shows pictures; call it on rank 0."""
    import numpy as np

    for logger in trainer.loggers:
        if isinstance(logger, ShowsPictures):  # Weights & Biases: a PIL image, because its floats come out black
            logger.log_image(key, [image], step=step)
        elif isinstance(logger, TensorBoardLogger):
            pixels = np.asarray(image)
            logger.experiment.add_image(key, pixels, step, dataformats="HWC" if pixels.ndim == 3 else "HW")


def log_text(trainer: Any, key: str, texts: Sequence[str], step: int) -> None:
    """Hand texts to every logger that shows them; call it on rank 0."""
    for logger in trainer.loggers:
        if isinstance(logger, ShowsText):
            logger.log_text(key, ["text"], [[text] for text in texts], step=step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text(
                key, "\n".join(f"    {text}" for text in texts), step
            )  # as code: letter by letter


def log_weights(trainer: Any, game: Any, step: int) -> None:
    """Hand each player's weights, layer by layer, to every logger that shows histograms; call it on rank 0.

    The keys are `weights/critic/<layer>` and `weights/generator/<layer>`. A layer's biases, and layers that only scale and
    shift, have none.
    """
    if not _takers_of_histograms(trainer):
        return
    weights: dict[str, list[Tensor]] = {}
    for player, network in (("critic", game.critic), ("generator", game.generator)):
        for name, parameter in network.named_parameters():
            if parameter.dim() > 1:
                own, is_parametrized, _ = name.partition(".parametrizations.")
                layer = own if is_parametrized else name.rpartition(".")[0]
                weights.setdefault(f"weights/{player}/{layer}", []).append(parameter.detach().flatten())
    log_histograms(trainer, {key: torch.cat(parts) for key, parts in weights.items()}, step)


def log_histograms(trainer: Any, tensors: Mapping[str, Tensor], step: int) -> None:
    """Hand the finite values of each tensor to every logger that shows histograms; call it on rank 0."""
    takers = _takers_of_histograms(trainer)
    if not takers:
        return
    flat = {key: values.detach().float().cpu().flatten() for key, values in tensors.items()}
    finite = {key: found for key, values in flat.items() if len(found := values[values.isfinite()])}
    for logger in takers:
        if isinstance(logger, RunLogger):
            logger.log_histograms(finite, step)
        else:
            for key, values in finite.items():
                logger.experiment.add_histogram(key, values, step)


def _takers_of_histograms(trainer: Any) -> list[RunLogger | TensorBoardLogger]:
    return [logger for logger in trainer.loggers if isinstance(logger, RunLogger | TensorBoardLogger)]
