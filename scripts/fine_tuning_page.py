"""Train the runs of docs/fine_tuning.md, from scratch and from weights, and draw the page's figure.

    python scripts/fine_tuning_page.py                 some minutes on two cores; runs that are there are not made again

A generator of the digits 0 to 4 (all of scikit-learn's training digits of these classes) is where the runs on 300 pictures of
the digits 5 to 9 start from; FID is of 2,000 samples against the held-out digits 5 to 9, by the package's own classifier.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import mean

import torch
from PIL import Image

from gan_lightning.data import Digits
from gan_lightning.evaluation.pictures import figure_of
from gan_lightning.evaluation.report import grids_in, read_run

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (0, 1, 2)
FREEZE = ["--model.critic", "FrozenCritic", "--model.critic.n_layers", "1"]
FREEZE += ["--model.critic.network", "SNGANResNetCritic", "--model.critic.network.init_args.width", "32"]
ARMS: dict[str, list[str]] = {"from scratch": [], "fine-tuned": [], "fine-tuned, FreezeD": FREEZE}


def main() -> None:
    """Train what is not there yet, print the table and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "fine-tuning")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "fine_tuning.png")
    options = parser.parse_args()
    runs: Path = options.runs_dir
    for name, classes, limit in (("first", range(5), None), ("second", range(5, 10), 300)):
        write(runs / name, classes, limit)
    train(runs, "pretrained", runs / "first", 1000, 500, 0)
    for arm, words in ARMS.items():
        start = ["--init_from", str(runs / "pretrained")] if arm != "from scratch" else []
        for seed in SEEDS:
            train(runs, name_of(arm, seed), runs / "second", 400, 50, seed, [*start, *words])
    curves = {arm: [read(runs / name_of(arm, seed)) for seed in SEEDS] for arm in ARMS}
    steps = [step for step, _ in curves["from scratch"][0]]
    print(f"| generator updates | {' | '.join(ARMS)} |\n|---|{'---|' * len(ARMS)}")
    for row, step in enumerate(steps):
        found = [[curve[row][1] for curve in curves[arm]] for arm in ARMS]
        print(f"| {step} | {' | '.join(f'{mean(v):.1f} ({min(v):.1f} to {max(v):.1f})' for v in found)} |")
    draw(runs, curves, options.out)


def write(folder: Path, classes: range, limit: int | None) -> None:
    """Write the digits of some classes as a folder of PNG files: `train` and `test`."""
    if folder.exists():
        return
    data = Digits()
    for split, name in (("train", "train"), ("eval", "test")):
        samples = data.reference(split)  # type: ignore[arg-type]
        assert samples.labels is not None
        chosen = torch.isin(samples.labels, torch.tensor(classes)).nonzero().flatten()
        (folder / name).mkdir(parents=True)
        for index in chosen[: limit if split == "train" else None]:
            Image.fromarray(samples.images[index, 0].numpy()).save(folder / name / f"{int(index):04d}.png")


def train(
    runs: Path, name: str, data: Path, updates: int, every: int, seed: int, words: list[str] | None = None
) -> None:
    """Train the small SNGAN of the digits on a folder."""
    if (runs / name / "report.html").is_file():
        return
    source = ["--data", "ImageFolder", "--data.root", str(data), "--data.image_size", "8", "--data.channels", "1"]
    length = ["--trainer.max_steps", str(updates), "--trainer.val_check_interval", str(every)]
    command = ["fit", "--config", "sngan/digits", "--runs_dir", str(runs), "--name", name, *source, *length]
    subprocess.run(
        [sys.executable, "-m", "gan_lightning", *command, "--seed_everything", str(seed), *(words or [])], check=True
    )


def name_of(arm: str, seed: int) -> str:
    """Return what the run of an arm is called."""
    return f"{arm.replace(', ', '-').replace(' ', '-').lower()}-{seed}"


def read(folder: Path) -> list[tuple[int, float]]:
    """Return updates and FID."""
    run = read_run(folder, folder.name)
    return [
        (int(run.steps[at]), value)
        for at, value in zip(*run.curves["val/fid_digits"], strict=True)
        if value is not None
    ]


def draw(runs: Path, curves: dict[str, list[list[tuple[int, float]]]], path: Path) -> None:
    """Draw the curves, and the samples of seed 0 after 100 and after all updates."""
    figure = figure_of(11, 6.4)
    grid = figure.add_gridspec(2, 4)
    panel = figure.add_subplot(grid[:, :2])
    for color, (arm, found) in zip(("#c0392b", "#2471a3", "#27ae60"), curves.items(), strict=True):
        for index, curve in enumerate(found):
            label = arm if not index else None
            panel.plot(*zip(*curve, strict=True), "o-", color=color, alpha=0.8, linewidth=1, markersize=3, label=label)
    panel.set_yscale("log")
    panel.set_xlabel("generator updates")
    panel.set_title("FID of 300 pictures of 5 to 9 (digits classifier; three seeds each)", fontsize=10)
    panel.grid(alpha=0.3)
    panel.legend()
    for row, arm in enumerate(("from scratch", "fine-tuned")):
        grids = grids_in(runs / name_of(arm, 0))
        shown = [next(file for file in grids if int(file.stem) == 100), grids[-1]]
        for column, file in enumerate(shown):
            place = figure.add_subplot(grid[row, 2 + column])
            place.imshow(Image.open(file).convert("L"), cmap="gray")
            place.set_title(f"{arm}, {int(file.stem)} updates", fontsize=9)
            place.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
