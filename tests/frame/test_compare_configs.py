"""The experiments that docs/lipschitz.md compares differ in how the critic is held, and in nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gan_lightning.cli.config_files import read_config

FOLDER = Path(__file__).parents[2] / "configs" / "compare"
METHODS = {"plain", "clipping", "gp", "one_sided_gp", "div", "dragan", "r1", "sn"}


def test_the_experiments_differ_in_nothing_else() -> None:
    configs: dict[str, Any] = {path.stem: read_config(path) for path in FOLDER.glob("*.yaml")}
    assert set(configs) == METHODS
    held: set[str] = set()
    for method, config in configs.items():
        assert config.pop("name") == f"compare-{method}"
        arguments = config["model"]["init_args"]
        ways = {key: arguments.pop(key) for key in ("critic_penalties", "critic_constraint") if key in arguments}
        if arguments["critic"]["class_path"] == "SpectrallyNormalizedCritic":
            arguments["critic"] = arguments["critic"]["init_args"]["network"]
            ways["normalised"] = True
        assert len(ways) == (method != "plain")
        held.add(yaml.safe_dump(ways))
    assert len(held) == len(METHODS)
    assert all(config == configs["plain"] for config in configs.values())
