"""The command line; `main` answers help and typing errors before torch is imported."""

from gan_lightning.cli.main import main

__all__ = ["main"]
