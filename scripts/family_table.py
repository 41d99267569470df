"""Train every family's digits and ring config through the command line and write the table `docs/families.md`.

    python scripts/family_table.py                      # what has not been run yet, one run after the other
    python scripts/family_table.py --only 'wgan*/ring'  # some of them (shell patterns over family/data)
    python scripts/family_table.py --seeds 0 1 2        # three seeds of each: the table has means and spreads
    python scripts/family_table.py --n 0                # only write the table from what has been run

Each run has one thread, and adds a line to `families.jsonl` beside the table, which is all that the table is made of; the
run folders are needed for pictures only. Of two lines of one config and seed the later counts. A run whose config has
not changed since is not repeated (take its line out to have it repeated), and a row stays until its changed config has
been run. Two calls with patterns of their own may run side by side: time is the processor's. The table is written anew
after every run, and the last grid of samples of seed 0 is copied to `docs/pictures/`. How long a run takes is its
config's choice: what is above the budget is marked.
A line `# Finding: ...` in a config's header becomes the note of its row.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import math
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from gan_lightning.cli.config_files import read_config

ROOT = Path(__file__).resolve().parent.parent
BUDGETS = {"digits": 180.0, "ring": 120.0}
"""Seconds of one core that a run may take in all, start-up and validation included."""


def main() -> None:
    """Run what is missing, one after the other, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=["*"], help="patterns over family/data, such as ali/* */ring")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds to run; the table has all there are")
    parser.add_argument("--n", type=int, help="at most this many runs in this call; 0 only writes the table")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "family_table", help="where run folders go")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "families.md", help="the table")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds after which a run is given up")
    options = parser.parse_args()
    configs = sorted(path for data in BUDGETS for path in ROOT.glob(f"configs/*/{data}.yaml"))
    n_run = 0
    for seed in options.seeds:
        for config in configs:
            name = f"{config.parent.name}/{config.stem}"
            chosen = any(fnmatch(name, pattern) for pattern in options.only)
            if chosen and not measured_at(config, options.out, seed) and (options.n is None or n_run < options.n):
                n_run += 1
                print(f"{name}, seed {seed} ...", file=sys.stderr, flush=True)
                result = train(config, options.runs_dir, seed, options.timeout)
                print(json.dumps(result), file=sys.stderr, flush=True)
                keep(result, options.out)
                write_table(configs, options.runs_dir, options.out)
    write_table(configs, options.runs_dir, options.out)


def run_folder(config: Path, runs_dir: Path, seed: int = 0) -> Path:
    """Return the run folder of a config and seed."""
    return runs_dir / f"{config.parent.name}-{config.stem}-{seed}"


def fingerprint(config: Path) -> str:
    """Return a hash of what the config says (comments aside), with its bases and the base of all runs under it."""
    said = [read_config(path) for path in (ROOT / "configs" / "base.yaml", config)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def keep(result: dict[str, Any], out: Path) -> None:
    """Add a run's result to the file beside the table."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.with_suffix(".jsonl").open("a") as file:
        file.write(json.dumps(result) + "\n")


def kept(config: Path, out: Path) -> list[dict[str, Any]]:
    """Return the results of a config, one for each seed in order: those of what it says now, else those of its last run."""
    path = out.with_suffix(".jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    lines = [line for line in lines if line["config"] == str(config.relative_to(ROOT))]
    marks = [line["fingerprint"] for line in lines]
    wanted = fingerprint(config) if fingerprint(config) in marks else marks[-1] if marks else None
    by_seed = {line["seed"]: line for line in lines if line["fingerprint"] == wanted}
    return [by_seed[seed] for seed in sorted(by_seed)]


def measured_at(config: Path, out: Path, seed: int) -> bool:
    """Return whether this very config has been run with a seed."""
    return any(result["seed"] == seed and result["fingerprint"] == fingerprint(config) for result in kept(config, out))


def train(config: Path, runs_dir: Path, seed: int, timeout: float) -> dict[str, Any]:
    """Run one config from its start and return its result."""
    folder = run_folder(config, runs_dir, seed)
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "gan_lightning", "fit", "--config", str(config.relative_to(ROOT))]
    command += ["--runs_dir", str(runs_dir), "--name", folder.name, "--seed_everything", str(seed)]
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    result: dict[str, Any] = {
        "fingerprint": fingerprint(config),
        "config": str(config.relative_to(ROOT)),
        "seed": seed,
        "machine": machine(),
    }
    try:
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, env=one_thread)
        if done.returncode:
            result["error"] = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]
    except subprocess.TimeoutExpired:
        result["error"] = f"given up after {timeout:.0f} s"
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    result["core_seconds"] = round(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime, 1)
    result |= measured(folder)
    if "error" not in result and has_encoder(config):
        result |= reconstruct(folder, config)
    return result


def measured(folder: Path) -> dict[str, Any]:
    """Return what the cards of a run folder say."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "evaluation").glob("*.json")):
        card = json.loads(path.read_text())
        for key in ("fid", "modes", "high_quality", "reverse_kl", "n_modes"):
            if key in card:
                value = math.nan if card[key] is None else card[key]  # null: the samples were not finite
                found.setdefault(f"{key}_before", value)
                found[key] = value
        found["updates"], found["kimg"] = card["update"], card["kimg"]
    return found


def has_encoder(config: Path) -> bool:
    """Return whether the config's family infers latents."""
    return "encoder" in read_config(config)["model"]["init_args"]


def reconstruct(folder: Path, config: Path) -> dict[str, Any]:
    """Write the run's reconstructions and return their errors, for digits with the share that keeps its class."""
    command = [sys.executable, "-m", "gan_lightning", "reconstruct", "--ckpt_path", "checkpoints/last.ckpt"]
    done = subprocess.run([*command, "--out", "reconstructions"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        return {"error": f"reconstruct: {(done.stderr.strip().splitlines() or ['?'])[-1][:300]}"}
    card = json.loads((folder / "reconstructions" / "reconstructions.json").read_text())
    found = {key: card[key] for key in ("sample_error", "mean_sample_error", "latent_error", "mean_latent_error")}
    if config.stem == "digits":
        found["same_class"] = same_class(folder / "checkpoints" / "last.ckpt")
    return found


def same_class(checkpoint: Path) -> float:
    """Return the share of held-out digits whose reconstruction the shipped classifier reads as their label."""
    from gan_lightning.data import Digits as DigitsData
    from gan_lightning.data.base import scale
    from gan_lightning.evaluation.pictures import to_uint8
    from gan_lightning.games.restore import load_game
    from gan_lightning.metrics import Digits

    game = load_game(checkpoint)
    held_out = DigitsData(image_size=game.shape.height).reference("eval")
    _, logits = Digits()(to_uint8(game.reconstruct(scale(held_out.images, game.dtype_of_samples))))
    assert logits is not None and held_out.labels is not None
    return (logits.argmax(1) == held_out.labels).float().mean().item()


def paper(config: Path) -> tuple[str, str]:
    """Return the family's class name and a link to its paper, as its module's docstring has it."""
    name = read_config(config)["model"]["class_path"].rpartition(".")[2]
    cls = getattr(importlib.import_module("gan_lightning.families"), name)
    text = sys.modules[cls.__module__].__doc__ or ""
    url = re.search(r"https?://\S+?(?=[\s,]|\.?$)", text, re.MULTILINE)
    author = re.split(r",| et al| &| and ", text)[0].strip().split()[-1]
    year = re.search(r"\b(?:19|20)\d\d\b", text.replace(url.group(), "") if url else text)
    label = f"{author} {year.group()}" if year else author
    return name, f"[{label}]({url.group().rstrip('.')})" if url else label


def note(config: Path, results: list[dict[str, Any]]) -> str:
    """Return whether the players see the labels, the findings in the config's header, and what went wrong."""
    header = "\n".join(line.lstrip("# ") for line in config.read_text().splitlines() if line.startswith("#"))
    found = re.search(r"Finding: (.*)", header, re.DOTALL)
    notes = ["sees labels"] if "n_classes" in json.dumps(read_config(config).get("model")) else []
    notes += [" ".join(found.group(1).split())] if found else []
    now = fingerprint(config)
    notes += [f"stopped: {result['error']}" for result in results if "error" in result]
    if any(result.get("fingerprint", now) != now for result in results):
        notes.append("measured before its config changed")
    if any(result.get("core_seconds", 0) > BUDGETS[config.stem] for result in results):
        notes.append(f"above the {BUDGETS[config.stem] / 60:.0f} minutes")
    return "; ".join(notes).replace(".; ", "; ").replace("|", "\\|")


def number(results: list[dict[str, Any]], key: str, digits: int = 1) -> str:
    """Return the mean over the seeds for a cell, with the standard deviation if there are several; a dash for none."""
    values = [result[key] for result in results if key in result]
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def write_table(configs: list[Path], runs_dir: Path, out: Path) -> None:
    """Write the table of all results that are kept, and the pictures of run folders that are there."""
    results = [(config, found) for config in configs if (found := kept(config, out))]
    counts = Counter(result.get("machine", "an unknown machine") for _, found in results for result in found)
    machines = "; ".join(f"{name} ({n} runs)" for name, n in counts.most_common())
    lines = [
        "# What each family reaches in minutes on two cores",
        "",
        f"Written by `python scripts/family_table.py`. Measured on {machines}.",
        "Where a row has several seeds, numbers are means ± standard deviations over them; modes are those of each.",
        "FID is that of the digits classifier that ships: 2,000 samples against the 360 held-out digits, comparable",
        "within this page only. The training digits are at 4.9. Rows that see labels have it easier: the labels give each",
        "class its share. Modes are those of the ring's 8 that any of 2,500 samples comes within 3 std of; the",
        "high-quality share counts those samples (a perfect sampler has 0.989; more is a collapse within modes).",
        "Minutes are those of one core for the whole command, start-up, validation and pictures included.",
        "ProjectionGAN, SAGAN, BigGAN and DCGAN have no ring: their networks are for images.",
        "",
    ]
    for data, title, head in (
        ("digits", "Digits", "FID before | FID after"),
        ("ring", "Ring of eight Gaussians", "modes before | modes after | high quality | reverse KL"),
    ):
        lines += [f"## {title}", "", f"| family | paper | {head} | updates | seeds | core minutes | command | note |"]
        lines += ["|" + "---|" * (lines[-1].count("|") - 1)]
        lines += [row(config, found) for config, found in results if config.stem == data]
        lines.append("")
    encoders = [(config, found[0]) for config, found in results if "sample_error" in found[0]]
    if encoders:
        lines += reconstructions(encoders, runs_dir, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines).rstrip() + "\n")
    for config, _ in results:
        keep_picture(config, runs_dir, out.parent / "pictures")


def keep_picture(config: Path, runs_dir: Path, folder: Path) -> None:
    """Copy a run's last grid of samples to where the documentation's site looks for it."""
    grids = sorted((run_folder(config, runs_dir) / "samples").glob("*.png"))
    if grids:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(grids[-1], folder / f"{config.parent.name}-{config.stem}.png")


def row(config: Path, results: list[dict[str, Any]]) -> str:
    """Return the row of a config's runs."""
    family, link = paper(config)
    if config.stem == "digits":
        figures = [number(results, "fid_before"), number(results, "fid")]
    else:
        figures = [
            ", ".join(f"{result[key]:.0f}" if key in result else "–" for result in results)
            for key in ("modes_before", "modes")
        ]
        figures += [number(results, "high_quality", 3), number(results, "reverse_kl", 3)]
    minutes = [{"minutes": result["core_seconds"] / 60} for result in results if "core_seconds" in result]
    seeds = ", ".join(str(result.get("seed", 0)) for result in results)
    cells = [family, link, *figures, str(results[0].get("updates", "–")), seeds, number(minutes, "minutes")]
    cells += [f"`gan-lightning fit --config {results[0]['config']}`"]
    return "| " + " | ".join([*cells, note(config, results)]) + " |"


def reconstructions(encoders: list[tuple[Path, dict[str, Any]]], runs_dir: Path, out: Path) -> list[str]:
    """Return the section on encoders, and copy their pictures of digits beside the table."""
    lines = [
        "## Reconstructions",
        "",
        "Mean squared errors of held-out x against G(E(x)), per pixel of images in [-1, 1] or per coordinate, and of",
        "drawn z against E(G(z)), per coordinate; in brackets what answering with the mean would give. Class kept: the",
        "share of the 360 held-out digits whose reconstruction the classifier reads as their label.",
        "",
        "| family | data | error of G(E(x)) | error of E(G(z)) | class kept |",
        "|---|---|---|---|---|",
    ]
    pictures = []
    for config, result in encoders:
        errors = [
            f"{result[f'{what}_error']:.4f} ({result[f'mean_{what}_error']:.4f})" for what in ("sample", "latent")
        ]
        lines.append(
            f"| {paper(config)[0]} | {config.stem} | {' | '.join(errors)} | {number([result], 'same_class', 3)} |"
        )
        if config.stem == "digits":
            name = f"{config.parent.name}-reconstructions.png"
            picture = run_folder(config, runs_dir) / "reconstructions" / "reconstructions.png"
            if picture.is_file():
                shutil.copy(picture, out.parent / name)
            pictures.append(f"![{paper(config)[0]}: originals and reconstructions]({name})")
    return [*lines, "", "Held-out digits, each row above its reconstructions:", "", "\n\n".join(pictures), ""]


def machine() -> str:
    """Return what the numbers were measured on."""
    import torch

    model = ""
    if Path("/proc/cpuinfo").is_file():
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        model = f" of {found.group(1).strip()}" if found else ""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores{model}, {capability}"


if __name__ == "__main__":
    main()
