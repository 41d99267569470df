"""All experiments, by name, in the order in which the theory is told."""

from __future__ import annotations

from gan_lightning.lab import dirac, gaussians
from gan_lightning.lab.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment for module in (gaussians, dirac) for experiment in module.EXPERIMENTS
}
