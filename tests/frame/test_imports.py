"""Contract 9: the package imports in one direction, and the command line answers before torch is imported."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

PACKAGE = Path(__file__).parents[2] / "gan_lightning"
MODULES = sorted(PACKAGE.rglob("*.py"))

LAZY = {"torchvision", "torch_fidelity", "wandb", "sklearn", "matplotlib"}
"""Imported where they are used, not at start-up."""

LEAVES = {"errors", "protocols", "shapes", "randomness", "description"}
"""The modules of the root."""

_NAMED = {"errors", "protocols", "randomness", "shapes"}
ALLOWED: dict[str, set[str]] = {
    "__init__": {"*"},  # names the public API; what it imports lazily is imported by no room through it
    "__main__": {"cli"},
    "errors": set(),
    "randomness": {"errors"},
    "shapes": {"errors"},
    "protocols": {"errors", "randomness", "shapes"},
    "description": {"errors", "shapes"},
    "losses": {"errors"},
    "optimizers": {"errors"},
    "metrics": {"errors", "shapes", "execution.ranks"},
    "loggers": {"errors", "execution.lightning_private", "runs.files"},
    # a critic on frozen features, and what losses compare
    "networks": {*_NAMED, "metrics.efficientnet", "metrics.extractors"},
    "data": {*_NAMED, "description", "runs.files"},
    "runs": {"errors"},
    "execution": {"errors", "randomness"},
    "observations": {*_NAMED, "execution.ranks"},
    "stabilizers": {*_NAMED, "observations", "networks.base", "execution.ranks", "optimizers.schedules"},
    "games": {
        *_NAMED,
        "description",
        "stabilizers",
        "observations",
        "optimizers",
        "losses.objectives",
        "losses.perceptual",
        "losses.policy",
        "loggers.rows",
        "execution",
        "networks.base",
        "networks.encoders",  # their base classes: the players of joint inference
        "networks.perceptual",  # and what losses compare
        "networks.joint_critic",
        "runs.checkpoint_files",
        "runs.folders",
        "runs.home",
        "runs.memory",
        "runs.old_names",
        "runs.safetensors",
    },
    "families": {
        *_NAMED,
        "games",
        "stabilizers",
        "losses",
        "optimizers",
        "networks.base",
        "networks.perceptual",  # base classes
        "networks.stylizer",
        "networks.super_resolution",
        "networks.wrappers.classifying",
    },
    "evaluation": {*_NAMED, "description", "metrics", "data", "games", "runs.checkpoint_files", "runs.files"},
    "lab": {
        *_NAMED,
        "execution.process_state",
        "families",
        "games",
        "stabilizers",
        "observations",
        "optimizers",
        "losses",
        "networks",
        "data",
        "metrics",
    },
    "callbacks": {*_NAMED, "evaluation", "metrics", "runs", "loggers", "execution.lightning_private"},
    "cli": {"*"},
}
"""The allow-list: room: what it may import of the package beside itself, type-only and deferred imports included.

A room without a line here fails. Beneath a name all of its modules are meant.
"""


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield each imported module and whether it is imported when the file is, type-only imports included."""

    def walk(node: ast.AST, at_start: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(child, False)
                continue
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield alias.name, at_start
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, "imports between packages are absolute"
                yield child.module or "", at_start
                for alias in child.names:
                    yield f"{child.module}.{alias.name}", at_start
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                yield from walk(child, at_start and not inside)

    yield from walk(tree, True)


def is_concrete_network(name: str) -> bool:
    """Tell whether a name is a network that can be built; one that wraps whatever network it is given is none."""
    module, _, attribute = name.rpartition(".")
    if name.count(".") < 3:
        return False
    found = getattr(importlib.import_module(module), attribute, None)
    if not (inspect.isclass(found) and issubclass(found, nn.Module)) or inspect.isabstract(found):
        return False
    return not {"generator", "critic"} & set(inspect.signature(found).parameters)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def named_modules(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each module of the package that a file imports, the most exact name of it, without the package's own."""
    found = list(imports(ast.parse(path.read_text())))
    for name, at_start in found:
        if name.startswith("gan_lightning.") and is_module(name):
            yield name.removeprefix("gan_lightning."), at_start
    for text in ast.walk(ast.parse(path.read_text())):  # import_module("gan_lightning...") hides from the above
        if isinstance(text, ast.Call) and ast.unparse(text.func).endswith("import_module"):
            assert path.stem == "old_names" or room_of(path) in ("data", "__init__"), (
                f"{path.name} imports by a computed name: {ast.unparse(text)}"
            )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_its_line_allows(path):
    room = room_of(path)
    assert room in ALLOWED, f"{room} has no line in the allow-list"
    for name, at_start in imports(ast.parse(path.read_text())):
        assert not (at_start and name.split(".")[0] in LAZY and room != "lab"), f"imports {name} at start-up"
    for name, _ in named_modules(path):
        if name.split(".")[0] == room or "*" in ALLOWED[room]:
            if room == "families" and path.stem != "__init__":
                raise AssertionError(f"a family imports another one: {name}")
            continue
        allowed = any(name == line or name.startswith(f"{line}.") for line in ALLOWED[room])
        # the room's name itself is named on the way to one of its modules
        assert allowed or any(line.startswith(f"{name}.") for line in ALLOWED[room]), f"{room} imports {name}"


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("families/*.py")), ids=lambda path: path.stem)
def test_families_import_no_concrete_network(path):
    for name, _ in imports(ast.parse(path.read_text())):
        if name.startswith("gan_lightning.networks."):
            assert not is_concrete_network(name), f"a family imports a concrete network: {name}"


def test_nothing_imports_the_command_line():
    for path in MODULES:
        if room_of(path) not in ("cli", "__main__"):
            assert not any(name.split(".")[0] == "cli" for name, _ in named_modules(path)), path


def test_the_root_holds_leaves_only():
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "__main__", *LEAVES}
    assert set(ALLOWED) - {"__init__", "__main__"} - LEAVES == {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }


def test_probes_are_few():
    """Contracts are declared in protocols.py; what is asked by name is what nobody can declare, such as torchvision's data."""
    probes = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("hasattr", "getattr", "setattr", "object.__setattr__")
    ]
    assert len(probes) <= 20, probes


def test_lightnings_private_parts_are_in_one_file():
    """But for those of a class that is derived from: those are asserted when it is built."""
    for path in MODULES:
        for line in path.read_text().splitlines():
            reached = re.search(r"\b(trainer|strategy|optimizer|loop|connector|module)(\.\w+)*\._[a-z]", line)
            assert not reached or path.name == "lightning_private.py", f"{path}: {line}"


def test_there_are_no_cycles():
    """Over modules, type-only and deferred imports included; a package's face shows its own modules and is left out."""
    known = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in MODULES if path.stem != "__init__"
    }
    graph = {name: {m for m, _ in named_modules(path) if m in known and m != name} for name, path in known.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " imports ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["fit", "--help"],
        ["sample", "--help"],
        ["validate", "--help"],
        ["doctor", "--help"],
        ["--version"],
        [],
        ["configs"],
    ],
    ids=" ".join,
)
def test_help_answers_before_torch_is_imported(words):
    code = f"""
import sys
from gan_lightning.cli.main import main
try:
    main({words!r})
except SystemExit as stop:
    assert not stop.code
heavy = {{"torch", "lightning", "numpy", "jsonargparse"}} & set(sys.modules)
assert not heavy, heavy
"""
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()
        if seconds[-1] < 0.3:
            break
    assert sorted(seconds)[0] < 1.0  # 0.3 on an idle machine


def test_the_module_runs_as_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "gan_lightning", "--version"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stdout.startswith("gan-lightning ")


def test_garbage_is_collected_again_after_the_imports_of_a_verb(tmp_path):
    code = """
import gc
from gan_lightning.cli.main import main
for words, n in ((["sample"], 0), (["cache"], 100_000)):
    try:
        main(words)
    except SystemExit:
        pass
    assert gc.isenabled() and gc.get_freeze_count() >= n, gc.get_freeze_count()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
