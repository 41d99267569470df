"""Contract 9: the package imports in one direction, and the command line answers before torch is imported."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

PACKAGE = Path(__file__).parents[2] / "gan_lightning"
MODULES = sorted(PACKAGE.rglob("*.py"))

COMMANDS = {
    path.stem for path in PACKAGE.glob("*.py") if "fail" in path.read_text() and "cli import" in path.read_text()
}
"""Files of the command line: they report the user's mistakes."""

LAZY = {"torchvision", "torch_fidelity", "wandb", "sklearn", "matplotlib"}
"""Imported where they are used, not at start-up."""

FORBIDDEN = {  # the part of the package: what it must not import of the package
    "losses": {""},
    "objectives": {"", "-losses"},
    "noise": {""},
    "optimizers": {""},
    "networks": {"", "-networks", "-noise"},
    "metrics": {"", "-metrics"},
    "penalties": {"game", "gan", "families", "data", "callbacks", "cli", "lightning_cli", "runs", "strategies"},
    "observation": {"game", "gan", "families", "data", "callbacks", "cli", "lightning_cli", "runs", "strategies"},
    "generator_terms": {"game", "gan", "families", "data", "callbacks", "cli", "lightning_cli", "runs", "strategies"},
    "game": {
        "gan",
        "penalties",
        "families",
        "networks",
        "data",
        "callbacks",
        "cli",
        "lightning_cli",
        "metrics",
        "runs",
    },
    "gan": {"families", "data", "callbacks", "cli", "lightning_cli", "metrics", "runs", "strategies"},
    "families": {"families", "data", "callbacks", "cli", "lightning_cli", "metrics", "runs", "strategies"},
    "data": {"game", "gan", "families", "callbacks", "cli", "lightning_cli", "penalties", "losses", "networks"},
    "callbacks": {"game", "gan", "families", "data", "networks", "losses", "penalties", "cli", "lightning_cli"},
    "strategies": {"game", "gan", "families", "data", "callbacks", "cli", "lightning_cli", "metrics"},
}
"""An empty string forbids everything but what is named with a minus."""


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Yield each imported module and whether it is imported when the file is; TYPE_CHECKING blocks are left out."""

    def walk(node: ast.AST, at_start: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
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


def part_of(module: str) -> str:
    """Return the part of the package that a module belongs to: its first name under gan_lightning."""
    return module.split(".")[1] if module.startswith("gan_lightning.") else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts
    part = own[0]
    parts = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    rules = FORBIDDEN.get(part, set())
    everything = "" in rules
    allowed = {rule[1:] for rule in rules if rule.startswith("-")}
    for module, at_start in imports(ast.parse(path.read_text())):
        assert not (at_start and module.split(".")[0] in LAZY and part != "lab"), f"imports {module} at start-up"
        target = part_of(module)
        if target not in parts:
            continue
        if part != "__main__":
            assert target != "lightning_cli" or part == "cli", f"{part} imports {module}"
        if target == "cli":
            assert part in ("lightning_cli", "from_checkpoint", "__main__") or part == "cli" or part in COMMANDS, module
        if part == "families" and own[-1] == "__init__":
            continue
        if part == "families" and target == "networks":
            assert not is_concrete_network(module), f"a family imports a concrete network: {module}"
        if everything:
            assert target in allowed, f"{part} imports {module}"
        else:
            assert target not in rules, f"{part} imports {module}"


def test_there_are_no_cycles():
    """Over modules, counting only what is imported at start-up."""
    known = {
        ".".join(("gan_lightning", *p.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): p
        for p in MODULES
    }
    graph = {
        name: {m for m, at_start in imports(ast.parse(path.read_text())) if at_start and m in known and m != name}
        for name, path in known.items()
    }
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
    "words", [["--help"], ["fit", "--help"], ["sample", "--help"], ["--version"], []], ids=" ".join
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
