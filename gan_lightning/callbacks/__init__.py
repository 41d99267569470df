"""Everything that watches a run."""

from gan_lightning.callbacks.canary import Canary
from gan_lightning.callbacks.checkpoints import Checkpoints
from gan_lightning.callbacks.coverage import Coverage
from gan_lightning.callbacks.diagnostics import Diagnostics
from gan_lightning.callbacks.fidelity import Fidelity
from gan_lightning.callbacks.music import MelodyStatistics
from gan_lightning.callbacks.preemption import Preemption
from gan_lightning.callbacks.progress import Throughput, UpdateBar
from gan_lightning.callbacks.retrieval import Retrieval
from gan_lightning.callbacks.sample_grid import SampleGrid
from gan_lightning.callbacks.sound import SoundStatistics
from gan_lightning.callbacks.text import NgramDivergence
from gan_lightning.callbacks.translations import Translations
from gan_lightning.callbacks.upscaling import Upscaling

__all__ = [
    "Canary",
    "Checkpoints",
    "Coverage",
    "Diagnostics",
    "Fidelity",
    "MelodyStatistics",
    "NgramDivergence",
    "Preemption",
    "Retrieval",
    "SampleGrid",
    "SoundStatistics",
    "Throughput",
    "Translations",
    "UpdateBar",
    "Upscaling",
]
