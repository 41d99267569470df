"""Train every family's digits and ring config through the command line and write the table `docs/families.md`.

    python scripts/family_table.py                      # what has not been run yet, one run after the other
    python scripts/family_table.py --only 'wgan*/ring'  # some of them (shell patterns over family/data)
    python scripts/family_table.py --n 0                # only write the table from what has been run

Each run leaves `result.json` in its run folder; a run whose config has not changed since is not repeated. The table is
written anew after every run. How long a run takes is its config's choice: what is above the budget is marked.
A line `# Finding: ...` in a config's header becomes the note of its row.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from gan_lightning.cli.config_files import read_config

ROOT = Path(__file__).resolve().parent.parent
BUDGETS = {"digits": 180.0, "ring": 120.0}
"""Seconds that a run may take in all, start-up and validation included."""


def main() -> None:
    """Run what is missing, one after the other, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=["*"], help="patterns over family/data, such as ali/* */ring")
    parser.add_argument("--n", type=int, help="at most this many runs in this call; 0 only writes the table")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "family_table", help="where run folders go")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "families.md", help="the table")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds after which a run is given up")
    options = parser.parse_args()
    configs = sorted(path for data in BUDGETS for path in ROOT.glob(f"configs/*/{data}.yaml"))
    n_run = 0
    for config in configs:
        name = f"{config.parent.name}/{config.stem}"
        chosen = any(fnmatch(name, pattern) for pattern in options.only)
        if chosen and stored(config, options.runs_dir) is None and (options.n is None or n_run < options.n):
            n_run += 1
            print(f"{name} ...", file=sys.stderr, flush=True)
            result = train(config, options.runs_dir, options.timeout)
            print(json.dumps(result), file=sys.stderr, flush=True)
            write_table(configs, options.runs_dir, options.out)
    write_table(configs, options.runs_dir, options.out)


def run_folder(config: Path, runs_dir: Path) -> Path:
    """Return the run folder of a config."""
    return runs_dir / f"{config.parent.name}-{config.stem}"


def fingerprint(config: Path) -> str:
    """Return a hash of what the config says (comments aside), with its bases and the base of all runs under it."""
    said = [read_config(path) for path in (ROOT / "configs" / "base.yaml", config)]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def stored(config: Path, runs_dir: Path) -> dict[str, Any] | None:
    """Return the result of a finished run of this very config, None if there is none."""
    path = run_folder(config, runs_dir) / "result.json"
    if not path.is_file():
        return None
    result = json.loads(path.read_text())
    return result if result["fingerprint"] == fingerprint(config) else None


def train(config: Path, runs_dir: Path, timeout: float) -> dict[str, Any]:
    """Run one config from its start and return its result, which is also written into the run folder."""
    folder = run_folder(config, runs_dir)
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "gan_lightning", "fit", "--config", str(config.relative_to(ROOT))]
    command += ["--runs_dir", str(runs_dir), "--name", folder.name]
    start = time.perf_counter()
    result: dict[str, Any] = {"fingerprint": fingerprint(config), "config": str(config.relative_to(ROOT))}
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)
        if done.returncode:
            result["error"] = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]
    except subprocess.TimeoutExpired:
        result["error"] = f"given up after {timeout:.0f} s"
    result["process_seconds"] = round(time.perf_counter() - start, 1)
    result |= measured(folder)
    if "error" not in result and has_encoder(config):
        result |= reconstruct(folder, config)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def measured(folder: Path) -> dict[str, Any]:
    """Return what the cards and `metrics.csv` of a run folder say."""
    found: dict[str, Any] = {"threads": int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))}
    for path in sorted((folder / "evaluation").glob("*.json")):
        card = json.loads(path.read_text())
        for key in ("fid", "modes", "high_quality", "reverse_kl", "n_modes"):
            if key in card:
                value = math.nan if card[key] is None else card[key]  # null: the samples were not finite
                found.setdefault(f"{key}_before", value)
                found[key] = value
        found["updates"], found["kimg"] = card["update"], card["kimg"]
    rates = []
    if (folder / "metrics.csv").is_file():
        with (folder / "metrics.csv").open(newline="") as file:
            rates = [
                float(row["perf/images_per_second"])
                for row in csv.DictReader(file)
                if row.get("perf/images_per_second")
            ]
    if rates and found.get("updates"):
        found["seconds_per_update"] = 1000 * found["kimg"] / found["updates"] / statistics.median(rates)
        found["train_seconds"] = round(found["seconds_per_update"] * found["updates"], 1)
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


def note(config: Path, result: dict[str, Any]) -> str:
    """Return the findings in the config's header, and what went wrong."""
    header = "\n".join(line.lstrip("# ") for line in config.read_text().splitlines() if line.startswith("#"))
    found = re.search(r"Finding: (.*)", header, re.DOTALL)
    notes = [" ".join(found.group(1).split())] if found else []
    if "error" in result:
        notes.append(f"stopped: {result['error']}")
    if result.get("process_seconds", 0) > BUDGETS[config.stem]:
        notes.append(f"above the {BUDGETS[config.stem] / 60:.0f} minutes")
    return "; ".join(notes).replace("|", "\\|")


def number(value: float | None, digits: int = 1) -> str:
    """Return a number for a cell, a dash if there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def write_table(configs: list[Path], runs_dir: Path, out: Path) -> None:
    """Write the table of all runs that are finished."""
    results = [(config, result) for config in configs if (result := stored(config, runs_dir)) is not None]
    threads = sorted({result.get("threads", 1) for _, result in results}) or [1]
    lines = [
        "# What each family reaches in minutes on two cores",
        "",
        f"Written by `python scripts/family_table.py`, one run of each config, seed 0; {machine()}.",
        "FID is that of the digits classifier that ships: 2,000 samples against the 360 held-out digits, comparable",
        "within this page only. Modes are those of the ring's 8 that any of 2,500 samples comes within 3 std of; the",
        "high-quality share counts those samples (a perfect sampler has 0.989; more is a collapse within modes).",
        "Seconds are the median per generator update, critic updates included; minutes are those of the whole command,",
        "start-up, validation and pictures included. "
        + f"Each run had {' or '.join(str(n) for n in threads)} thread{'s' if max(threads) > 1 else ''}.",
        "ProjectionGAN, SAGAN, BigGAN and DCGAN have no ring: their networks are for images.",
        "",
    ]
    for data, title, head in (
        ("digits", "Digits", "FID before | FID after"),
        ("ring", "Ring of eight Gaussians", "modes before | modes after | high quality | reverse KL"),
    ):
        lines += [f"## {title}", "", f"| family | paper | {head} | s / update | updates | minutes | command | note |"]
        lines += ["|" + "---|" * (lines[-1].count("|") - 1)]
        for config, result in results:
            if config.stem == data:
                lines.append(row(config, result))
        lines.append("")
    encoders = [(config, result) for config, result in results if "sample_error" in result]
    if encoders:
        lines += reconstructions(encoders, runs_dir, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines).rstrip() + "\n")


def row(config: Path, result: dict[str, Any]) -> str:
    """Return the row of one run."""
    family, link = paper(config)
    if config.stem == "digits":
        figures = [number(result.get("fid_before")), number(result.get("fid"))]
    else:
        figures = [number(result.get("modes_before"), 0), number(result.get("modes"), 0)]
        figures += [number(result.get("high_quality"), 3), number(result.get("reverse_kl"), 3)]
    seconds = result.get("process_seconds")
    cells = [family, link, *figures, number(result.get("seconds_per_update"), 4), str(result.get("updates", "–"))]
    cells += [number(None if seconds is None else seconds / 60), f"`gan-lightning fit --config {result['config']}`"]
    return "| " + " | ".join([*cells, note(config, result)]) + " |"


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
            f"| {paper(config)[0]} | {config.stem} | {' | '.join(errors)} | {number(result.get('same_class'), 3)} |"
        )
        if config.stem == "digits":
            name = f"{config.parent.name}-reconstructions.png"
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(run_folder(config, runs_dir) / "reconstructions" / "reconstructions.png", out.parent / name)
            pictures.append(f"![{paper(config)[0]}: originals and reconstructions]({name})")
    return [*lines, "", "Held-out digits, each row above its reconstructions:", "", "\n\n".join(pictures), ""]


def machine() -> str:
    """Return what the numbers were measured on."""
    import torch

    model = ""
    if Path("/proc/cpuinfo").is_file():
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        model = f" of {found.group(1).strip()}" if found else ""
    return f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores{model}"


if __name__ == "__main__":
    main()
