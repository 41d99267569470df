"""Optimizers and learning-rate schedules as values."""

from gan_lightning.optimizers.functional import FunctionalAdam, FunctionalOptimizer, FunctionalSGD, functional
from gan_lightning.optimizers.schedules import CosineDecay, LinearDecay, Schedule, WarmUp
from gan_lightning.optimizers.specs import SGD, Adam, OptimizerSpec, RMSprop, TorchOptimizer

__all__ = [
    "Adam",
    "CosineDecay",
    "FunctionalAdam",
    "FunctionalOptimizer",
    "FunctionalSGD",
    "LinearDecay",
    "OptimizerSpec",
    "RMSprop",
    "SGD",
    "Schedule",
    "TorchOptimizer",
    "WarmUp",
    "functional",
]
