"""gan_lightning: generative adversarial networks on PyTorch Lightning, one frame for every family."""

from gan_lightning.runs.old_names import know_old_names

__version__ = "0.1.0"

know_old_names()
