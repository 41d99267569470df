"""What modules, classes and options of release 0.1.0 are called now, so that what was written for it still resolves.

Standard library only: it is imported with the package, and imports a module only when an old name is asked for.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "augmentation": "observations",
    "checkpoint_files": "runs.checkpoint_files",
    "constraints": "stabilizers",
    "divergences": "losses",
    "from_checkpoint": "games.restore",
    "functional_optimizers": "optimizers.functional",
    "game": "games.game",
    "gan": "games.gan",
    "generator_terms": "stabilizers.generator_terms",
    "held_critic": "games.penalized",
    "joint_inference": "games.joint",
    "kernels": "losses",
    "networks.activations": "networks.layers.activations",
    "networks.attention": "networks.layers.attention",
    "networks.classifying": "networks.wrappers.classifying",
    "networks.concatenation": "networks.wrappers.concatenation",
    "networks.conditional": "networks.layers.conditional",
    "networks.initialisation": "networks.layers.initialization",
    "networks.minibatch_discrimination": "networks.wrappers.minibatch_discrimination",
    "networks.recomputed": "networks.wrappers.recomputed",
    "networks.resnet": "networks.layers.resnet",
    "networks.spectral_norm": "networks.layers.spectral_norm",
    "networks.virtual_batch_norm": "networks.wrappers.virtual_batch_norm",
    "noise": "randomness",
    "objectives": "losses",
    "observation": "observations",
    "penalties": "stabilizers",
    "pictures": "evaluation.pictures",
    "reconstruction": "evaluation.reconstruction",
    "regularisers": "stabilizers",
    "stabilisers": "stabilizers",
    "stabilisers.generator_terms": "stabilizers.generator_terms",
    "stop_signals": "runs.signals",
    "strategies": "execution.gan_ddp",
}
"""Old module of the package: the module, or the face of the room, that has its classes now."""

RENAMED = {
    "ColourJitter": "ColorJitter",
    "ConsistencyRegularisation": "ConsistencyRegularization",
    "EntropyRegularisation": "EntropyRegularization",
    "Initialisation": "Initialization",
    "InitialisedCritic": "InitializedCritic",
    "InitialisedGenerator": "InitializedGenerator",
    "OrthogonalRegularisation": "OrthogonalRegularization",
    "SpectrallyNormalisedCritic": "SpectrallyNormalizedCritic",
    "SpectrallyNormalisedEncoder": "SpectrallyNormalizedEncoder",
    "SpectrallyNormalisedGenerator": "SpectrallyNormalizedGenerator",
    "SpectrallyNormalisedJointCritic": "SpectrallyNormalizedJointCritic",
}
"""Old class: its name now. Python finds the old name in the faces of the rooms."""

OPTIONS = {"initialisation": "initialization"}
"""Old argument of a class: its name now."""


class _Finder(MetaPathFinder, Loader):
    """Resolves an old module's name to the module that has its contents."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec for the names in the table, None for all others."""
        package, _, old = fullname.partition(".")
        return ModuleSpec(fullname, self) if package == "gan_lightning" and old in MOVED else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that has the contents."""
        module = import_module(f"gan_lightning.{MOVED[spec.name.partition('.')[2]]}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module its own spec back: the import system has put the old name's in its place."""
        spec = module.__spec__
        assert spec is not None
        module.__spec__ = spec.loader_state


def know_old_names() -> None:
    """Let the import system resolve the old names, in this process from now on."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # first: an old room's files would be found a second time in the new one


def with_new_names(value: Any, key: str = "") -> Any:
    """Return nested plain values with old modules, classes and options written as they are now.

    Args:
        value: Plain values; a string is a class path, the short name of a class, or neither.
        key: Under which the value stands: what follows `name` is a name that the user gave.
    """
    if isinstance(value, dict):
        return {OPTIONS.get(name, name): with_new_names(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_new_names(inner, key) for inner in value]
    if not isinstance(value, str) or key == "name":
        return value
    if not value.startswith("gan_lightning."):
        return RENAMED.get(value, value)
    module, _, name = value.partition(".")[2].rpartition(".")
    return ".".join(filter(None, ["gan_lightning", MOVED.get(module, module), RENAMED.get(name, name)]))


def option_with_new_names(argument: str, value: str) -> tuple[str, str]:
    """Return an option of the command line, such as `--model.observation`, and its value with the names of now."""
    if not argument.startswith(("--model", "--data")):
        return argument, value
    classes = re.compile(rf"\b({'|'.join(RENAMED)})\b")
    value = with_new_names(classes.sub(lambda old: RENAMED[old[0]], value))
    return ".".join(OPTIONS.get(word, word) for word in argument.split(".")), value
