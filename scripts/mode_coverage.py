"""Train PacGAN's Table 1 (Lin et al. 2018, arXiv:1712.04086) and our recipe; write what was reached beside what was published.

    python scripts/mode_coverage.py                                       all rows, three seeds: a night on two cores
    python scripts/mode_coverage.py --methods gan pacgan2 --data grid     some of them
    python scripts/mode_coverage.py --updates 4000 --out trial.md         a trial
    python scripts/mode_coverage.py --seeds                               only write the table of what has been run

Each run is `gan-lightning fit --resume auto` of a config of configs/coverage/ on one thread, `--jobs` of them at a time.
Stopped by Ctrl-C or killed, it goes on from the last checkpoints when it is started again; a run that is done is not
repeated (take its line out of the `.jsonl` beside the page, and its folder away, to have it repeated). Each run adds a
line there, and a row has the seeds of all lines; one without any stays as the page has it, or says "not run". Beside the
page lies a picture of samples, of the rows whose runs lie in --runs_dir; what the page has from its first `## ` on stays as
it is.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
KEYS = ("modes", "high_quality", "reverse_kl")


class Method(NamedTuple):
    """A row: config, samples to a pack, updates, the paper's means and standard errors by data, and packs in a batch."""

    config: str
    pack: int
    updates: int
    published: dict[str, tuple[str, str, str]]
    batch: int = 100


METHODS = {
    "gan": Method("gan", 1, 400_000, {
        "ring": ("6.3 ± 0.5", "0.982 ± 0.002", "0.45 ± 0.09"), "grid": ("17.3 ± 0.8", "0.948 ± 0.007", "0.70 ± 0.07"),
    }),
    "ali": Method("ali", 1, 200_000, {
        "ring": ("6.6 ± 0.3", "0.976 ± 0.004", "0.36 ± 0.04"), "grid": ("24.1 ± 0.4", "0.957 ± 0.006", "0.14 ± 0.03"),
    }),
    "pacgan2": Method("pacgan", 2, 400_000, {
        "ring": ("7.9 ± 0.1", "0.956 ± 0.020", "0.07 ± 0.03"), "grid": ("23.8 ± 0.7", "0.913 ± 0.008", "0.13 ± 0.04"),
    }),
    "pacgan3": Method("pacgan", 3, 400_000, {
        "ring": ("7.8 ± 0.1", "0.977 ± 0.003", "0.10 ± 0.02"), "grid": ("24.6 ± 0.4", "0.942 ± 0.004", "0.06 ± 0.02"),
    }),
    "pacgan4": Method("pacgan", 4, 400_000, {
        "ring": ("7.8 ± 0.1", "0.959 ± 0.014", "0.07 ± 0.02"), "grid": ("24.8 ± 0.2", "0.936 ± 0.006", "0.04 ± 0.01"),
    }),
    "ours": Method("ours_{data}", 1, 40_000, {
        "ring": ("8 wanted", "0.97 wanted", "0.02 wanted"), "grid": ("25 wanted", "0.97 wanted", "0.02 wanted"),
    }, 256),
}  # fmt: skip
DATA = {"ring": "Ring", "grid": "Grid"}


def main() -> None:
    """Train what is not there yet, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), metavar="METHOD")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA), metavar="DATA", help="ring, grid")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument(
        "--updates", type=int, help="generator updates of each run, for a trial; our rates need their own"
    )
    parser.add_argument("--compile", action="store_true", help="with model.compile: faster on small networks")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, one thread each")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "mode_coverage", help="where run folders go")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "mode_coverage.md", help="the table")
    options = parser.parse_args()
    if options.jobs < 1 or (options.updates is not None and options.updates < 1):
        parser.error(f"--jobs and --updates must be at least 1, got {options.jobs} and {options.updates}")
    runs = [(method, data, seed) for seed in options.seeds for data in options.data for method in options.methods]
    pool = ThreadPoolExecutor(options.jobs)
    try:
        failed = [said for said in pool.map(lambda run: train(*run, options), runs) if said]
    except KeyboardInterrupt:  # the children have it too, and save their state
        pool.shutdown(wait=True, cancel_futures=True)
        sys.exit("stopped; start it again to go on")
    picture(options, options.out.with_suffix(".png"))
    options.out.write_text(page(options))
    print(f"{options.out} written")
    if failed:
        sys.exit("\n".join(failed))


def run_folder(method: str, data: str, seed: int, options: argparse.Namespace) -> Path:
    """Return the folder of a run; other numbers of updates have other folders."""
    return options.runs_dir / f"{method}-{data}-{options.updates or METHODS[method].updates}-{seed}"


def train(method: str, data: str, seed: int, options: argparse.Namespace) -> str | None:
    """Make a run, or what is left of it; return what went wrong, None if it is done."""
    folder, row = run_folder(method, data, seed, options), METHODS[method]
    if folder.name in kept(options):
        return None
    n_updates = options.updates or METHODS[method].updates
    command = [
        sys.executable,
        "-m",
        "gan_lightning",
        "fit",
        "--config",
        f"configs/coverage/{row.config.format(data=data)}.yaml",
    ]
    command += ["--data", DATA[data], "--data.batch_size", str(row.batch * row.pack), "--seed_everything", str(seed)]
    command += ["--model.compile", "true"] if options.compile else []
    command += ["--runs_dir", str(options.runs_dir), "--name", folder.name, "--resume", "auto"]
    command += ["--trainer.max_steps", str(n_updates), "--trainer.val_check_interval", str(max(1, n_updates // 10))]
    if row.pack > 1:
        command += ["--model.observation.pack", str(row.pack)]
    start = time.perf_counter()
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=one_thread, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["?"])[-1]
        return f"{folder.name} ended with {done.returncode}: {last[:300]}"
    card = json.loads((folder / "evaluation" / f"coverage-{n_updates:06d}.json").read_text())
    minutes = (time.perf_counter() - start) / 60
    result = {"run": folder.name} | {key: card.get(key) for key in KEYS} | {"minutes_of_last_start": round(minutes, 1)}
    with options.out.with_suffix(".jsonl").open("a") as file:
        file.write(json.dumps(result) + "\n")
    print(f"{folder.name}: {result}", flush=True)
    return None


def kept(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the results of the runs that are done, by the names of their folders; of two the later."""
    path = options.out.with_suffix(".jsonl")
    lines = path.read_text().splitlines() if path.is_file() else []
    return {result["run"]: result for result in map(json.loads, lines)}


def table(options: argparse.Namespace) -> str:
    """Return the page: ours, over all seeds that are done, and the paper's."""
    lines = [
        "# Mode coverage: PacGAN's table",
        "",
        f"`{' '.join(['python', 'scripts/mode_coverage.py', *without_paths(sys.argv[1:])])}`, "
        f"torch {version('torch')}, Python {platform.python_version()}, {os.cpu_count()} cores, one thread a run.",
        "",
        "Networks, optimizers and batches are those of Lin et al. 2018, arXiv:1712.04086, Table 1 (`configs/coverage/`), 2,500",
        "samples; the players take turns here and move at once there. ± is the standard error over seeds, ours and the",
        "paper's (10 runs). The paper's updates are 400,000, ALI's 200,000; the row `ours` is not in the paper.",
        "",
        "| data | method | updates | seeds | modes | paper's | high quality | paper's | reverse KL | paper's | minutes |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    done = kept(options)
    there = options.out.read_text().splitlines() if options.out.is_file() else []
    for data in DATA:
        for method in METHODS:
            n_updates = options.updates or METHODS[method].updates
            row = f"{method}-{data}-{n_updates}-"
            results = [result for name, result in sorted(done.items()) if name.startswith(row)]
            if not results:
                before = [line for line in there if line.startswith(f"| {data} | {method} | {n_updates:,} |")]
                if before or data not in options.data or method not in options.methods:
                    lines += before
                    continue
            cells = [data, method, f"{n_updates:,}", str(len(results)) if results else "not run"]
            for key, digits, published in zip(KEYS, (1, 3, 3), METHODS[method].published[data], strict=True):
                cells += [spread([result[key] for result in results], digits), published]
            cells.append(spread([result["minutes_of_last_start"] for result in results], 1))
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def without_paths(words: list[str]) -> list[str]:
    """Return a command's words without the options that say where things lie."""
    paths = ("--runs_dir", "--out")
    return [
        word for before, word in zip(["", *words], words, strict=False) if word not in paths and before not in paths
    ]


def page(options: argparse.Namespace) -> str:
    """Return the table, the picture if there is one, and the sections that the page has behind them."""
    before = options.out.read_text() if options.out.is_file() else ""
    shown = options.out.with_suffix(".png")
    picture_line = f"\n![Samples of each method over the modes]({shown.name})\n" if shown.is_file() else ""
    first = before.find("\n## ")
    return table(options) + picture_line + (before[first:] if first >= 0 else "")


def picture(options: argparse.Namespace, out: Path) -> None:
    """Draw 2,500 samples of a seed of each row that has one over the modes; nothing if no row has one."""
    drawn = []
    for data in DATA:
        for method in METHODS:
            name = run_folder(method, data, 0, options).name
            found = [done for done in sorted(kept(options)) if done.startswith(name.removesuffix("0"))]
            found = [one for one in found if (options.runs_dir / one / "checkpoints").is_dir()]
            drawn += [(f"{data}: {name.removesuffix('-0')}", data, options.runs_dir / found[0])] if found else []
    if not drawn:
        return
    import gan_lightning as gl  # slow to import
    from gan_lightning.lab.figures import axes_of, colors

    n_columns = min(len(drawn), 6)
    figure, axes = axes_of(math.ceil(len(drawn) / n_columns), n_columns)
    for axis, (title, data, folder) in zip(axes, drawn, strict=False):
        modes = getattr(gl.data, DATA[data])()
        edge = 1.2 * float(modes.centres.abs().max())
        axis.plot(*gl.load(folder).sample(2500).cpu().T, ".", color=colors[1], markersize=1.5)
        axis.plot(*modes.centres.T, "o", color=colors[0], markersize=9, fillstyle="none")
        axis.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
        axis.set_title(title, fontsize=9)
    for axis in axes[len(drawn) :]:
        axis.axis("off")
    figure.savefig(out, dpi=100)


def spread(values: list[Any], digits: int) -> str:
    """Return mean and standard error; a dash for none, or if a run has no such number."""
    if not values or None in values:
        return "–"
    error = f" ± {statistics.stdev(values) / math.sqrt(len(values)):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{error}"


if __name__ == "__main__":
    main()
