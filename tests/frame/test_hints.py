"""Options that a message, a page or a config's comment names are there."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lightning.pytorch import LightningDataModule, Trainer

from gan_lightning.callbacks import Checkpoints, Fidelity, SampleGrid
from gan_lightning.cli.help import VERBS
from gan_lightning.cli.names import named_classes
from gan_lightning.games.game import Game
from tests.frame.test_mistakes import assert_one_line
from tests.training import command

ROOT = Path(__file__).parents[2]
PART = re.compile(r"(?<![\w./-])(?:--)?(trainer|model|data|checkpoints|fidelity|samples)\.([a-z_]+)(?![\w(/.])")
OPTION = re.compile(r"(?<![\w-])--([a-z_]+)(?![\w.-])")
NOT_OPTIONS = {
    "--mnist": "an option of scripts/train_digits_classifier.py",
    "trainer.global_step": "an attribute",
    "model.init_args": "a key of YAML",
    "data.image_size": "a key of 0.1.0, told with the new one",
    "data.channels": "a key of 0.1.0, told with the new one",
    "model.observation": "a key of 0.1.0, told with the new one",
    "model.seed": "told that seed_everything takes its place",
    "data.vocabulary": "an attribute",
    "data.shape": "what a module of data declares, in messages of Python",
    "--option": "any",
    "--show": "git's",
    "--porcelain": "git's",
    "--untracked": "git's",
    "--ntasks": "srun's",
    "--nodes": "srun's",
}


def texts() -> Iterator[tuple[Path, str]]:
    for file in sorted((ROOT / "gan_lightning").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield file, node.value
    for file in [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "configs").rglob("*.yaml")),
    ]:
        yield file, file.read_text()


def arguments(*classes: type) -> set[str]:
    bases = {base for cls in classes for base in cls.__mro__ if "__init__" in vars(base)}
    return {name for base in bases for name in inspect.signature(vars(base)["__init__"]).parameters}


def test_every_option_that_is_named_is_there():
    known = {f"trainer.{name}" for name in arguments(Trainer)}
    for part, kind in {"model": Game, "data": LightningDataModule}.items():
        known |= {f"{part}.{name}" for name in arguments(*(c for c in named_classes() if issubclass(c, kind)))}
    for part, cls in {"checkpoints": Checkpoints, "fidelity": Fidelity, "samples": SampleGrid}.items():
        known |= {f"{part}.{name}" for name in arguments(cls)}
    named: dict[str, Path] = {}
    for file, text in texts():
        named |= {f"{part}.{name}": file for part, name in PART.findall(text)}
    assert len(named) > 30
    files = (".csv", ".npy", ".npz", ".zip", ".json", ".yaml", ".html", ".txt", ".png")
    named = {name: file for name, file in named.items() if not name.endswith(files)}
    wrong = {name: file.name for name, file in named.items() if name not in known and name not in NOT_OPTIONS}
    assert not wrong


def test_every_option_of_a_verb_that_is_named_is_there():
    files = ["help.py", "arguments.py", "verbs_of_checkpoints.py", "verbs_of_numbers.py"]
    verbs = "\n".join((ROOT / "gan_lightning" / "cli" / name).read_text() for name in files)
    known = set(OPTION.findall(verbs)) | {"version"}
    named: dict[str, Path] = {}
    for file, text in texts():
        if file.suffix == ".py":
            named |= dict.fromkeys(OPTION.findall(text), file)
    assert not {n: f.name for n, f in named.items() if n not in known and f"--{n}" not in NOT_OPTIONS}


@pytest.mark.parametrize("verb", ["fit", "validate", "test"])
def test_the_nearest_option_is_one_that_the_command_line_takes(verb):
    done = command(verb, "--checkpoints.save_to_log_dirr", "x", "--config", "wgan_gp/ring")
    assert_one_line(done, "checkpoints.save_to_log_dirr")
    assert "did you mean checkpoints.save_to_log_dir" not in done.err
    assert verb in VERBS
