"""Which classes have a short name in YAML: those that the faces imported here show, and what they import."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import gan_lightning.data
import gan_lightning.execution
import gan_lightning.families
import gan_lightning.loggers
import gan_lightning.losses
import gan_lightning.metrics
import gan_lightning.networks
import gan_lightning.observations
import gan_lightning.optimizers
import gan_lightning.stabilizers  # noqa: F401


def named_classes() -> Iterator[type]:
    """Yield the classes of this package that have been imported: those whose name alone is enough."""
    for name, module in list(sys.modules.items()):
        if name.startswith("gan_lightning."):
            for cls in list(vars(module).values()):
                if inspect.isclass(cls) and cls.__module__ == name and not cls.__name__.startswith("_"):
                    yield cls
