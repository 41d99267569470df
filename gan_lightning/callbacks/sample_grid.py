"""The sample grid: what fixed latents look like throughout training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from gan_lightning.errors import UserError, require
from gan_lightning.evaluation.music_pictures import piano_rolls
from gan_lightning.evaluation.pictures import (
    LARGEST_SIDE,
    cell,
    drawn,
    log_picture,
    log_text,
    log_weights,
    real_samples,
    scatter,
)
from gan_lightning.evaluation.sound_pictures import spectrograms
from gan_lightning.metrics.text import spelled
from gan_lightning.protocols import Classed, Notated, Sampler, Sounding, Spelled
from gan_lightning.shapes import Images, Signals, Tokens, Vectors


class SampleGrid(Callback):
    """Writes `samples/<update>.png` from the same latents each time, and gives the picture to the loggers.

    A conditional generator gets one row per class, with its name, an unconditional one `n_rows`; no grid is higher than
    16,384 pixels. The first row of a grid of images are pictures of the training data. Vectors are drawn as a scatter plot
    with real ones, melodies as piano rolls, sounds as spectrograms; text is written to `samples/<update>.txt`, one sample a
    line. Loggers that show histograms get those of both players' weights, one a layer, at the start, at every validation and
    at the end. Rank 0 draws; other ranks do nothing.

    Args:
        every_n_updates: Generator updates between two grids; 0 draws only the first and the last, null (None) also one
            at every validation.
        n_rows: Rows of an unconditional generator's grid.
        n_columns: Images in a row.
        seed: The latents' seed.
    """

    def __init__(self, every_n_updates: int | None = 1000, n_rows: int = 8, n_columns: int = 8, seed: int = 0) -> None:
        if n_rows < 1 or n_columns < 1:
            raise UserError(f"n_rows and n_columns must be at least 1, got {n_rows} and {n_columns}")
        require("the sample grids", every_n_updates=every_n_updates)
        self.every_n_updates, self.n_rows, self.n_columns, self.seed = every_n_updates, n_rows, n_columns, seed
        self._drawn: int | None = None
        self._weighed: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the grid that the run starts from."""
        self._draw(trainer, pl_module)
        self._weigh(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw when the interval is over."""
        if self.every_n_updates and trainer.global_step % self.every_n_updates == 0:
            self._draw(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw with every validation of a training run, if no interval is given."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        if self.every_n_updates is None:
            self._draw(trainer, pl_module)
        self._weigh(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the grid that the run ends with."""
        self._draw(trainer, pl_module)
        self._weigh(trainer, pl_module)

    def _weigh(self, trainer: Trainer, game: Any) -> None:
        if trainer.is_global_zero and isinstance(game, Sampler) and self._weighed != game.updates_done:
            self._weighed = game.updates_done
            log_weights(trainer, game, game.updates_done)

    def _draw(self, trainer: Trainer, game: Any) -> None:
        if not trainer.is_global_zero or not isinstance(game, Sampler) or self._drawn == game.updates_done:
            return
        self._drawn = game.updates_done
        path = Path(trainer.default_root_dir) / "samples" / f"{game.updates_done:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(game.shape, Tokens) and isinstance(data, Spelled):
            texts = spelled(game.sample(self.n_rows * self.n_columns, seed=self.seed), data.vocabulary)
            path.with_suffix(".txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
            log_text(trainer, "samples", texts, game.updates_done)
            return
        image = draw_samples(game, self.n_rows, self.n_columns, self.seed, trainer.datamodule)  # type: ignore[attr-defined]
        image.save(path)
        log_picture(trainer, "samples", image, game.updates_done)


def draw_samples(game: Any, n_rows: int, n_columns: int, seed: int, data: Any = None) -> Any:
    """Return a picture of samples: one row per class if there are classes; vectors as points with real ones.

    Images have a row of the data's above them, always the same ones.
    """
    if isinstance(data, Notated):
        return piano_rolls(game.sample(n_rows * n_columns, seed=seed), game.shape, data.notation, n_columns)
    if isinstance(game.shape, Vectors):
        return scatter(game.sample(1000, seed=seed), real_samples(data, 200))
    real = real_samples(data, n_columns) if isinstance(game.shape, Images) else None
    labels = None
    names: list[str] = []
    n_rows = game.n_classes or n_rows
    height, width = game.shape.size[-2:]
    n_rows = min(n_rows, max(1, LARGEST_SIDE // cell(height, width)[1] - 1))
    if game.n_classes:
        labels = [row for row in range(n_rows) for _ in range(n_columns)]
        classes = list(game.classes) if isinstance(game, Classed) else []
        if real is not None or classes != [str(i) for i in range(len(classes))]:
            names = [name if len(name) <= 24 else f"{name[:23]}…" for name in classes[:n_rows]]
    samples = game.sample(n_rows * n_columns, labels, seed)
    if isinstance(game.shape, Signals) and isinstance(data, Sounding):
        return spectrograms(samples, data.rate, n_columns, names)
    if real is not None and len(real) == n_columns:
        samples, names = torch.cat([real.to(samples), samples]), ["real", *names]
    return drawn(samples, game.shape, n_columns, names)
