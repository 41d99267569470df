"""Train the runs of docs/when_it_does_not_train.md, failures and fixes, and draw the page's figures.

    python scripts/diagnostics_page.py                 some minutes on two cores; runs that are there are not made again

Each run is `gan-lightning fit --config diagnostics/<failure>`, the fix with the options of `FIXES` beside it. The curves are
those of the runs' `metrics.csv`, the pictures their last sample grids.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FIXES: dict[str, list[str]] = {
    "vanishing": ["--model", "NonSaturatingGAN"],
    "collapse": [],  # the page points to a config that ships
    "overpowering": ["--model.critic_penalties", "[{class_path: GradientPenalty}]"],
}
CURVES: dict[str, list[str]] = {
    "vanishing": ["logits/told_apart", "grad_norm/generator", "val/fid_digits"],
    "collapse": ["spread/samples", "spread/features", "val/modes"],
    "overpowering": ["logits/told_apart", "slope/between", "val/fid_digits"],
}
LOGARITHMIC = ("grad_norm/generator", "slope/between", "val/fid_digits", "sigma/output")
COLORS = {"failure": "#c0392b", "fix": "#2471a3"}


def main() -> None:
    """Train what is not there yet and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "diagnostics")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    for name, fix in FIXES.items():
        runs = {"failure": options.runs_dir / name}
        if fix:
            runs["fix"] = options.runs_dir / f"{name}-fixed"
        for kind, folder in runs.items():
            if not (folder / "report.html").is_file():
                words = ["fit", "--config", f"diagnostics/{name}", "--runs_dir", str(options.runs_dir)]
                words += ["--name", folder.name, *(fix if kind == "fix" else [])]
                subprocess.run([sys.executable, "-m", "gan_lightning", *words], check=True)
        draw(runs, CURVES[name], options.out / f"diagnostics-{name}.png")


def read(folder: Path, key: str) -> tuple[list[int], list[float]]:
    """Return the updates and the numbers of a key."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [(int(row["step"]), float(row[key])) for row in csv.DictReader(file) if row.get(key)]
    return [step for step, _ in rows], [value for _, value in rows]


def draw(runs: dict[str, Path], keys: list[str], path: Path) -> None:
    """Draw the runs' last samples, and their curves in one panel for each key."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(11, 5.2), dpi=90)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 6)
    for index, (kind, folder) in enumerate(runs.items()):
        axes: Any = figure.add_subplot(grid[0, 3 * index : 3 * index + 3])
        axes.imshow(Image.open(max((folder / "samples").glob("*.png"))).convert("RGB"))
        axes.set_title(f"{kind}: samples after the last update", fontsize=9, color=COLORS[kind])
        axes.set_axis_off()
    for index, key in enumerate(keys):
        axes = figure.add_subplot(grid[1, 2 * index : 2 * index + 2])
        for kind, folder in runs.items():
            axes.plot(*read(folder, key), color=COLORS[kind], linewidth=1.2, label=kind)
        axes.set_title(key, fontsize=9)
        axes.set_xlabel("generator updates", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
        if key in LOGARITHMIC:
            axes.set_yscale("log")
        if index == 0:
            axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    print(path)


if __name__ == "__main__":
    main()
