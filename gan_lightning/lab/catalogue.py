"""All experiments, by name, in the order in which the theory is told."""

from __future__ import annotations

from gan_lightning.lab import collapse, critics, dirac, f_gan, gaussians, seq_gan, toys
from gan_lightning.lab.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for module in (gaussians, critics, f_gan, dirac, collapse, toys, seq_gan)
    for experiment in module.EXPERIMENTS
}
