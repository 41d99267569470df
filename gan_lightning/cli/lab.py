"""`gan-lightning lab`: the experiments by name, each with a table, a page and a picture."""

from __future__ import annotations

import sys
import time
from functools import partial
from operator import methodcaller

from gan_lightning.errors import RunFailed, UserError, nearest
from gan_lightning.evaluation.output import output_folder, write_whole
from gan_lightning.lab.catalogue import EXPERIMENTS
from gan_lightning.lab.writing import on_screen, page


def tell() -> None:
    """Print the experiments."""
    for name, experiment in EXPERIMENTS.items():
        print(f"{name:12} {experiment.seconds:>4} s  {experiment.sentence}")
    print("\ngan-lightning lab NAME ... plays some, gan-lightning lab all plays all. Seconds are of one core, about.")


def play(names: list[str], out: str, seed: int) -> None:
    """Play experiments and write what they found into the folder `out`.

    Raises:
        UserError: There is no such experiment, or the folder cannot be used.
        RunFailed: A known answer was missed.
    """
    chosen = list(EXPERIMENTS) if names == ["all"] else names
    for name in chosen:
        if name not in EXPERIMENTS:
            raise UserError(f"there is no experiment {name!r}{nearest(name, EXPERIMENTS)}; --list tells all")
    folder = output_folder(out)
    missed = []
    for name in chosen:
        experiment = EXPERIMENTS[name]
        print(f"{name}: {experiment.sentence} (about {experiment.seconds} s)", file=sys.stderr)
        start = time.perf_counter()
        found = experiment.play(seed)
        text = page(experiment, found, seed).encode()
        write_whole(folder / f"{name}.md", methodcaller("write", text))
        write_whole(folder / f"{name}.png", partial(found.figure.savefig, format="png", dpi=110))
        print("\n".join([on_screen(found), *found.notes]))
        print(f"{time.perf_counter() - start:.0f} s; {folder / name}.md and .png\n", file=sys.stderr)
        missed += [
            f"{name}: {row.name} is {row.ours:.4g}, known {row.known:.4g}" for row in found.rows if not row.holds
        ]
    if missed:
        raise RunFailed(f"{len(missed)} known answer{'s' if len(missed) > 1 else ''} missed: {'; '.join(missed[:5])}")
