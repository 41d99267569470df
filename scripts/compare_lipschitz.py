"""Train every experiment of configs/compare/ at every seed and write the table docs/lipschitz.md (and .json).

    python scripts/compare_lipschitz.py                 about an hour on two cores; start it again to resume
    python scripts/compare_lipschitz.py --updates 20 --seeds 0 --methods plain gp --out runs/trial    a trial

Each run is `gan-lightning fit --resume auto`, so it resumes from its last checkpoint, and leaves its measurements in
`runs/compare/<method>-<seed>/lipschitz.json`; what is there is not done again. The time of an update is measured at the
end with nothing else running, in rounds over all methods, so that a change of the machine's speed meets them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
METHODS = ("plain", "clipping", "gp", "one_sided_gp", "div", "dragan", "r1", "sn")
NAMES = {
    "plain": "plain",
    "clipping": "weight clipping",
    "gp": "gradient penalty",
    "one_sided_gp": "one-sided gradient penalty",
    "div": "divergence penalty",
    "dragan": "DRAGAN's penalty",
    "r1": "R1",
    "sn": "spectral normalisation",
}
N_SAMPLES = 2000
N_LINES = 1024
TIMED_UPDATES, TIMED_ROUNDS = 30, 5
_children: set[subprocess.Popen[str]] = set()


def main() -> None:
    """Train, measure and write what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=2000, help="generator updates of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, one thread each")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "compare")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "lipschitz", help="the table without its .md")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)  # one run folder, in a process of its own
    parser.add_argument("--time", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        _write_json(options.measure / "lipschitz.json", measure(options.measure, options.updates))
        return
    if options.time:
        path = options.runs_dir / "seconds.json"
        _write_json(path, seconds_per_update(options.runs_dir, options.methods, options.seeds[0]))
        return
    start = time.perf_counter()
    runs = [(method, seed) for seed in options.seeds for method in options.methods]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    with ThreadPoolExecutor(options.jobs) as pool:
        try:
            results = list(pool.map(lambda run: train_and_measure(run[0], run[1], options), runs))
        except BaseException:  # a signal or a run that failed: the others save their state and end
            pool.shutdown(wait=False, cancel_futures=True)
            for child in _children.copy():
                child.terminate()
            raise
    timings = options.runs_dir / "seconds.json"
    if not timings.is_file() or not set(options.methods) <= set(json.loads(timings.read_text())):
        _run(
            __file__,
            "--time",
            "--runs_dir",
            options.runs_dir,
            "--methods",
            *options.methods,
            "--seeds",
            options.seeds[0],
        )
    seconds = json.loads(timings.read_text())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    table = {
        "command": "python " + " ".join([os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]]),
        "updates": options.updates,
        "seeds": options.seeds,
        "versions": {name: version(name) for name in ("torch", "lightning")},
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "seconds_per_update": {method: seconds[method] for method in options.methods},
        "runs": results,
    }
    _write_json(options.out.with_suffix(".json"), table)
    options.out.with_suffix(".md").write_text(markdown(table))
    print(f"{options.out.with_suffix('.md')} written after {time.perf_counter() - start:.0f} s")


def train_and_measure(method: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Return the measurements of a run, made if they are not there."""
    folder = options.runs_dir / f"{method}-{seed}"
    path = folder / "lipschitz.json"
    if path.is_file():
        found = json.loads(path.read_text())
        if found["updates"] == options.updates:
            return found
        if found["updates"] > options.updates:
            raise SystemExit(f"{folder} was trained for {found['updates']} updates already; give another --runs_dir")
    _run(
        *("-m", "gan_lightning", "fit", "--config", ROOT / "configs" / "compare" / f"{method}.yaml"),
        *("--name", folder.name, "--runs_dir", options.runs_dir, "--resume", "auto", "--seed_everything", seed),
        *("--trainer.max_steps", options.updates, "--trainer.val_check_interval", options.updates),
    )
    _run(__file__, "--measure", folder, "--updates", options.updates)
    print(f"{folder.name} done", flush=True)
    return json.loads(path.read_text())


def measure(folder: Path, updates: int) -> dict[str, Any]:
    """Return what a run's last checkpoint measures."""
    import torch

    from gan_lightning.data import Digits as DigitImages
    from gan_lightning.evaluation.pictures import to_uint8
    from gan_lightning.games.restore import load_game
    from gan_lightning.metrics import Digits as Classifier
    from gan_lightning.metrics.coverage import class_coverage
    from gan_lightning.randomness import Noise
    from gan_lightning.stabilizers.slopes import gradient_norms, interpolate

    game = load_game(folder / "checkpoints" / "last.ckpt")
    if game.updates_done != updates:
        raise SystemExit(f"{folder} holds {game.updates_done} updates, not {updates}")
    method, _, seed = folder.name.rpartition("-")
    card = json.loads((folder / "evaluation" / f"{updates:06d}.json").read_text())

    logits = Classifier().load()(to_uint8(game.sample(N_SAMPLES, seed=0)))[1]
    assert logits is not None
    coverage = class_coverage(logits.softmax(1))

    images = DigitImages().reference("train").images
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:N_LINES]
    real = torch.as_tensor(images)[rows].float() / 127.5 - 1
    noise = Noise(0, game.device, torch.float32)
    with torch.no_grad():
        fake = game.generator(noise.normal(N_LINES, game.generator.latent_dim))
    norms = gradient_norms(game.critic, interpolate(real, fake, noise)).detach()
    layers = {
        re.sub(r"(^|\bnetwork\.|\blayers\.)", "", name): layer.weight.detach().flatten(1)
        for name, layer in game.critic.named_modules()
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d)
    }
    return {
        "method": method,
        "seed": int(seed),
        "updates": updates,
        "fid": card["fid"],
        "classes_covered": coverage.n_captured / 10,
        "reverse_kl": coverage.reverse_kl,
        "gradient_norm_mean": norms.mean().item(),
        "gradient_norm_std": norms.std().item(),
        "largest_singular_values": {name: torch.linalg.matrix_norm(x, 2).item() for name, x in layers.items()},
    }


def seconds_per_update(runs_dir: Path, methods: list[str], seed: int) -> dict[str, list[float]]:
    """Return the median seconds of a round (one update of each player) in each of several timings of each method."""
    from benchmark_rounds import bare_trainer, silence
    from lightning.pytorch import Callback

    from gan_lightning.data import Digits as DigitImages
    from gan_lightning.games.restore import load_game

    class Clock(Callback):
        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_train_batch_start(self, *_: Any) -> None:
            self.start = time.perf_counter()

        def on_train_batch_end(self, *_: Any) -> None:
            self.seconds.append(time.perf_counter() - self.start)

    found: dict[str, list[float]] = {method: [] for method in methods}
    for _ in range(TIMED_ROUNDS):
        for method in methods:
            game = load_game(runs_dir / f"{method}-{seed}" / "checkpoints" / "last.ckpt").train()
            game.updates_done = game.critic_updates_done = 0
            clock = Clock()
            with silence():
                bare_trainer(clock, TIMED_UPDATES + 5, limit_val_batches=0).fit(
                    game, datamodule=DigitImages(batch_size=64)
                )
            found[method].append(statistics.median(clock.seconds[5:]))
    return found


def markdown(table: dict[str, Any]) -> str:
    """Return the tables of all methods."""
    methods = list(table["seconds_per_update"])
    base = methods[0]
    lines = [
        "# What holding the critic does",
        "",
        "Made by `" + table["command"] + "`; do not edit by hand.",
        "",
        f"The experiments are `configs/compare/*.yaml`: scikit-learn's 8x8 digits, one network, the non-saturating "
        f"loss, {table['updates']} generator updates and as many of the critic, batch 64, seeds "
        f"{', '.join(map(str, table['seeds']))}; they differ in nothing but how the critic is held. Mean and standard "
        f"deviation are over seeds. torch {table['versions']['torch']}, Python {table['python']}, one thread a run.",
        "",
        f"| method | FID (digits) | time, {base} = 1 | gradient norm on lines | classes covered | reverse KL |",
        "|---|---|---|---|---|---|",
    ]
    for method in methods:
        runs = [run for run in table["runs"] if run["method"] == method]
        ratios = [
            mine / theirs
            for mine, theirs in zip(table["seconds_per_update"][method], table["seconds_per_update"][base], strict=True)
        ]
        cells = [
            _spread([run["fid"] for run in runs], 1),
            f"{statistics.median(ratios):.2f}",
            _spread([run["gradient_norm_mean"] for run in runs], 3),
            _spread([100 * run["classes_covered"] for run in runs], 0) + " %",
            _spread([run["reverse_kl"] for run in runs], 3),
        ]
        lines.append(f"| {NAMES[method]} | {' | '.join(cells)} |")
    lines += [
        "",
        f"FID compares {N_SAMPLES} samples of the averaged generator with the held-out digits, on the features of the "
        "digits classifier that ships: it is not comparable with FID on Inception. The gradient norm is the mean of "
        f"|grad f| at {N_LINES} points on lines between training digits and samples of the generator. Classes are "
        "those that the classifier sees among the samples; the KL divergence in nats is from their shares to equal "
        f"shares. The time is that of an update: the median over {TIMED_ROUNDS} interleaved timings of its ratio.",
        "",
        "Largest singular value of each layer of the critic, as a matrix (out, in k k), mean over seeds:",
        "",
        f"| layer | {' | '.join(NAMES[method] for method in methods)} |",
        "|---|" + "---|" * len(methods),
    ]
    for layer in table["runs"][0]["largest_singular_values"]:
        values = {m: [r["largest_singular_values"][layer] for r in table["runs"] if r["method"] == m] for m in methods}
        lines.append(f"| {layer} | {' | '.join(f'{statistics.mean(values[m]):.2f}' for m in methods)} |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float], digits: int) -> str:
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def _run(*arguments: Any) -> None:
    """Run Python with these arguments on one thread; say what it said if it fails."""
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    _children.add(child)
    output, _ = child.communicate()
    _children.discard(child)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}:\n{output[-3000:]}")


def _write_json(path: Path, content: Any) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n")
    part.replace(path)


if __name__ == "__main__":
    main()
