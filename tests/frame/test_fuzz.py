"""Mutated configs: each trains, or is refused with exit code 2 and one line; nothing else happens."""

from __future__ import annotations

import copy
import random
import re
import shutil
import signal
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from gan_lightning.cli.names import named_classes
from tests.training import fit, networks

N, SEED, SECONDS = 1000, 20, 60
BASES: list[dict[str, Any]] = [
    {
        "data": {"class_path": "Ring", "init_args": {"n": 64, "batch_size": 8, "std": 0.02, "n_modes": 8}},
        "model": {
            "class_path": "WGANGP",
            "init_args": {
                "n_critic": 2,
                "gp_weight": 10.0,
                "ema_decay": 0.9,
                "critic_optimizer": {"class_path": "Adam", "init_args": {"lr": 0.001, "betas": [0.0, 0.9]}},
                "generator_schedule": {"class_path": "LinearDecay", "init_args": {"end": 10, "start": 1}},
                **networks(),
            },
        },
    },
    {
        "data": {
            "class_path": "RandomImages",
            "init_args": {"image_size": 8, "channels": 1, "n_classes": 3, "n": 32, "batch_size": 8, "flip": True},
        },
        "model": {
            "class_path": "SNGAN",
            "init_args": {
                "n_critic": 1,
                "critic_accumulation": 2,
                "critic_clip_norm": 5.0,
                "critic_penalties": [{"class_path": "R1", "init_args": {"weight": 1.0, "interval": 2}}],
                "observation": {"class_path": "InstanceNoise", "init_args": {"sigma": 0.1, "n_updates": 10}},
                **networks(3),
            },
        },
        "fidelity": {
            "enabled": True,
            "extractor": {"class_path": "Digits"},
            "n_samples": 16,
            "metrics": ["fid"],
            "seed": 1,
        },
        "coverage": {"n_samples": 16, "n_std": 3.0},
    },
    {
        "data": {"class_path": "Digits", "init_args": {"image_size": 16, "batch_size": 4, "limit": 16}},
        "model": {
            "class_path": "DCGAN",
            "init_args": {
                "generator": {"class_path": "DCGANGenerator", "init_args": {"width": 4, "latent_dim": 3}},
                "critic": {
                    "class_path": "DCGANCritic",
                    "init_args": {"width": 4, "norm": {"class_path": "torch.nn.BatchNorm2d"}},
                },
                "generator_terms": [{"class_path": "ModeSeeking", "init_args": {"weight": 0.1}}],
            },
        },
        "canary": {"every_n_updates": 1},
    },
]
COMMON = {
    "name": "fuzzed",
    "seed_everything": 3,
    "trainer": {
        "accelerator": "cpu",
        "devices": 1,
        "max_steps": 2,
        "val_check_interval": 1,
        "log_every_n_steps": 1,
        "precision": "32-true",
        "logger": [{"class_path": "RunCSVLogger"}],
    },
    "samples": {"every_n_updates": 1, "n_rows": 2, "n_columns": 2},
    "checkpoints": {"every_n_updates": 1, "every_n_minutes": 15.0},
}
VALUES: list[Any] = [None, float("nan"), float("inf"), -float("inf"), -1, 0, 1, 3, 0.5, -0.5, 1.5, True, "text", ""]
VALUES += [
    [],
    {},
    [1, 2],
    ["x"],
    {"a": 1},
    "1",
    "-1",
    "nan",
    "null",
    "nomodule.Class",
    "torch.nn.ReLU",
    "os.getcwd",
    "~",
]
VALUES += [{"class_path": "Adam", "init_args": {"lr": 0.001}}, {"class_path": "R1"}, {"class_path": "torch.nn.Tanh"}]


def places(config: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of everything in a nested config."""
    keys: Any = config if isinstance(config, dict) else range(len(config)) if isinstance(config, list) else ()
    return [found for key in keys for found in ((*path, key), *places(config[key], (*path, key)))]


def mutated(rng: random.Random) -> tuple[str, str]:
    """Return what was changed, and the YAML."""
    config = copy.deepcopy({**COMMON, **rng.choice(BASES)})
    for key in COMMON:
        if isinstance(config[key], dict):
            config[key] = {**config[key]}
    told = []
    twice = None
    for _ in range(rng.choice([1, 1, 1, 2])):
        path = rng.choice(places(config))
        holder = config
        for key in path[:-1]:
            holder = holder[key]
        key, kind = path[-1], rng.choice(["value", "value", "value", "remove", "rename", "add", "class", "twice"])
        names = sorted({cls.__name__ for cls in named_classes()})
        if kind == "value":
            holder[key] = value = copy.deepcopy(rng.choice(VALUES))
        elif kind == "remove":
            value = holder.pop(key)
        elif kind == "rename" and isinstance(holder, dict):
            value = key[:-2] + key[:-3:-1] if rng.random() < 0.7 else rng.choice(["a.b", "width", "init_args", "1"])
            holder[value] = holder.pop(key)
        elif kind == "add" and isinstance(holder, dict):
            value = rng.choice([key + "s", "widht", "seed", "shape", "image_size", "weight", "callbacks"])
            holder[value] = rng.choice([{}, {"a": {}}, 1, None, [], 5.0])
        elif kind == "class" and isinstance(holder, dict) and "class_path" in holder:
            holder["class_path"] = value = rng.choice(names)
        else:
            twice, value = path, "again"
        told.append(f"{kind} {'.'.join(map(str, path))} -> {value!r}")
    text = yaml.safe_dump(config, sort_keys=False)
    if twice and len(twice) == 1:
        text += f"{twice[0]}: {rng.choice(['{}', '1', 'null'])}\n"
    return "; ".join(told), text


class TookTooLong(BaseException):
    """Raised by the alarm."""


def outcome_of(text: str, folder: Path) -> tuple[str, str]:
    """Return the class of the outcome of `fit` with a config, and what it said."""

    def ring(*_: Any) -> None:
        raise TookTooLong

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "mutated.yaml").write_text(text)
    signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        outcome = fit(folder, {}, "--config", folder / "mutated.yaml", "--runs_dir", folder / "runs")
    except TookTooLong:
        return "took too long", ""
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "traceback", f"{type(error).__name__}: {str(error)[:300]} at {where.filename}:{where.lineno}"
    finally:
        signal.alarm(0)
    lines = [line for line in outcome.err.splitlines() if line.startswith("gan-lightning:")]
    last = outcome.err.strip().splitlines()[-1:] or [""]
    if outcome.code == 0:
        return "trained", ""
    if outcome.code == 1 and re.search("diverged", last[0]):
        return "diverged", last[0]
    if outcome.code == 2 and lines and last[0] == lines[-1] and "Traceback" not in outcome.err and len(last[0]) < 900:
        left = [path.name for path in (folder / "runs").glob("*")]
        return ("left a folder", f"{left} {last[0]}") if left else ("refused", last[0])
    return f"exit {outcome.code}", outcome.err[-500:]


@pytest.mark.slow
def test_mutated_configs_train_or_are_refused_in_one_line(tmp_path, record_property):
    rng = random.Random(SEED)
    counts: Counter[str] = Counter()
    wrong = []
    for index in range(N):
        told, text = mutated(rng)
        kind, said = outcome_of(text, tmp_path / "run")
        if kind == "took too long" and "trainer.max_steps" in told:  # -1 trains until it is stopped
            kind = "trained"
        counts[kind] += 1
        if kind not in ("trained", "refused", "diverged"):
            wrong.append(f"{index}: {kind}: {told}: {said}")
    table = "\n".join(f"{kind:15} {n}" for kind, n in counts.most_common())
    print(f"\n{table}")
    record_property("outcomes", table)
    assert not wrong, f"{table}\n" + "\n".join(wrong)
