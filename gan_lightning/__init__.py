"""gan_lightning: generative adversarial networks on PyTorch Lightning, one frame for every family.

    import gan_lightning as gl

What is named here is imported when it is first used, so that the command line answers before torch is there.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gan_lightning.runs.old_names import know_old_names

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule as LightningModule
    from lightning.pytorch import Trainer as Trainer

    from gan_lightning import callbacks as callbacks
    from gan_lightning import data as data
    from gan_lightning import evaluation as evaluation
    from gan_lightning import families as families
    from gan_lightning import games as games
    from gan_lightning import loggers as loggers
    from gan_lightning import losses as losses
    from gan_lightning import metrics as metrics
    from gan_lightning import networks as networks
    from gan_lightning import observations as observations
    from gan_lightning import optimizers as optimizers
    from gan_lightning import randomness as randomness
    from gan_lightning import shapes as shapes
    from gan_lightning import stabilizers as stabilizers
    from gan_lightning.errors import UserError as UserError
    from gan_lightning.games.game import Game as Game
    from gan_lightning.games.gan import GAN as GAN
    from gan_lightning.games.restore import load as load
    from gan_lightning.games.restore import start_from as start_from
    from gan_lightning.optimizers import SGD as SGD
    from gan_lightning.optimizers import Adam as Adam
    from gan_lightning.optimizers import RMSprop as RMSprop
    from gan_lightning.optimizers import TorchOptimizer as TorchOptimizer

__version__ = "0.2.0"

_ROOMS = (
    "callbacks",
    "data",
    "evaluation",
    "families",
    "games",
    "loggers",
    "losses",
    "metrics",
    "networks",
    "observations",
    "optimizers",
    "randomness",
    "shapes",
    "stabilizers",
)
_PLACES = {
    "GAN": "gan_lightning.games.gan",
    "Game": "gan_lightning.games.game",
    "UserError": "gan_lightning.errors",
    **dict.fromkeys(("load", "start_from"), "gan_lightning.games.restore"),
    **dict.fromkeys(("Adam", "RMSprop", "SGD", "TorchOptimizer"), "gan_lightning.optimizers"),
    "Trainer": "lightning.pytorch",
}
"""Public name: the module that has it."""

__all__ = [*_ROOMS, *_PLACES]


def __getattr__(name: str) -> Any:
    """Import a room or a name when it is first used, and Lightning's trainer with the strategy `gan_ddp`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module("gan_lightning.execution")
    found = import_module(f"gan_lightning.{name}") if name in _ROOMS else vars(import_module(_PLACES[name]))[name]
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


know_old_names()
if "lightning.pytorch" in sys.modules:  # Trainer(strategy="gan_ddp") before anything else is named
    import_module("gan_lightning.execution")
