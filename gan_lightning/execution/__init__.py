"""Where and how fast a game runs, never what it computes."""

from gan_lightning.execution.gan_ddp import GANDDPStrategy

__all__ = [
    "GANDDPStrategy",
]
