"""The loggers of a run folder."""

from gan_lightning.loggers.csv import RunCSVLogger
from gan_lightning.loggers.wandb import RunWandbLogger

__all__ = [
    "RunCSVLogger",
    "RunWandbLogger",
]
