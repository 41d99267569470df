"""Everything that watches a run."""

from gan_lightning.callbacks.checkpoints import Checkpoints
from gan_lightning.callbacks.fidelity import Fidelity
from gan_lightning.callbacks.progress import Throughput, UpdateBar
from gan_lightning.callbacks.sample_grid import SampleGrid

__all__ = ["Checkpoints", "Fidelity", "SampleGrid", "Throughput", "UpdateBar"]
