"""What a run folder shows without a browser: `curves.png` of its rows, `film.gif` of its grids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gan_lightning.errors import in_one_line, say
from gan_lightning.evaluation.pictures import figure_of, rendered
from gan_lightning.evaluation.report import Run, axes, evenly, read_run, thinned
from gan_lightning.runs.files import replacing

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_FILM = 640
"""Pixels of the longer side of the film of a run folder."""

_FRAMES = 60  # of that film, evenly over training
_PANELS = 12


def write_run_pictures(folder: Path) -> list[str]:
    """Write `curves.png` if a number was logged twice and `film.gif` if there are two grids; return the names of those.

    Raises:
        UserError: It is no run folder.
        OSError: What the operating system refuses.
    """
    run, written = read_run(folder, folder.name), []
    if (image := curves_of(run)) is not None:
        with replacing(folder / "curves.png") as part:
            image.save(part, "PNG")
        written.append("curves.png")
    film = frames([run.grids[index][1] for index in evenly(_FRAMES, len(run.grids))], LARGEST_FILM)
    if len(film) > 1:
        with replacing(folder / "film.gif") as part:
            write_film(film, part)
        written.append("film.gif")
    return written


def curves_of(run: Run) -> Image | None:
    """Return the losses, each measurement and each probability over generator updates; None if no number came twice."""
    panels = {"loss": [key for key in run.curves if key.startswith("loss/")]}
    panels |= {key: [key] for key in run.curves if key.startswith(("val/", "augmentation/"))}
    shown = {name: [key for key in keys if len(run.curves[key][0]) > 1] for name, keys in panels.items()}
    shown = {name: keys for name, keys in shown.items() if keys}
    if not shown:
        return None
    n_columns = min(3, len(shown))
    n_rows = -(-min(len(shown), _PANELS) // n_columns)
    figure = figure_of(4.2 * n_columns, 2.6 * n_rows)
    updates = axes(run)["updates"] or []
    for place, (name, keys) in enumerate([*shown.items()][:_PANELS]):
        panel = figure.add_subplot(n_rows, n_columns, place + 1)
        for key in keys:
            at, values = thinned(*run.curves[key])
            numbers = [float("nan") if value is None else value for value in values]
            few = "o-" if len(at) < 30 else "-"
            panel.plot([updates[i] for i in at], numbers, few, markersize=3, linewidth=1, label=key.rpartition("/")[2])
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
        if len(keys) > 1:
            panel.legend(fontsize=8)
    figure.supxlabel("generator updates", fontsize=9)
    return rendered(figure)


def frames(files: Sequence[Path], largest: int | None = None) -> list[Image]:
    """Return pictures, all of the last one's size and none larger than `largest`; what cannot be read is left out."""
    from PIL import Image

    found = []
    for path in files:
        try:
            with Image.open(path) as image:
                frame = image.convert("RGB")
        except OSError as error:
            say(f"{path} cannot be read and is left out: {in_one_line(error)}")
            continue
        if largest is not None:
            frame.thumbnail((largest, largest))
        found.append(frame)
    return [frame if frame.size == found[-1].size else frame.resize(found[-1].size) for frame in found]


def write_film(film: Sequence[Image], path: Path) -> None:
    """Write frames as a GIF, the last one longer.

    Raises:
        OSError: What the operating system refuses.
    """
    durations = [150] * (len(film) - 1) + [1500]
    film[0].save(path, "GIF", save_all=True, append_images=film[1:], duration=durations, loop=0)
