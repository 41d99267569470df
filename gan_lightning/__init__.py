"""gan_lightning: generative adversarial networks on PyTorch Lightning, one frame for every family."""

__version__ = "0.1.0"
