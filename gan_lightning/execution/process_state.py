"""What a run changes in its process, and how that is put back when it ends."""

from __future__ import annotations

import logging
import os
import random
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

_EXPECTED_WARNINGS = (
    ".*does not have many workers.*",
    ".*LightningCLI's args parameter.*",
    ".*in eval mode at the start of training.*",  # the generator's average always is
    ".*your dataloader is not resumable.*",  # its position is the game's clock
    ".*isinstance.treespec, LeafSpec.*",
    ".*Skipping val loop.*",
    ".*number of training batches .* is smaller than the logging interval.*",  # an epoch means nothing here
    ".*Using ModelCheckpoint with manual optimization.*",  # a checkpoint is of after an update, as its clock says
    ".*callbacks used to create the checkpoint need to be provided.*",  # somebody's own callback, left out on purpose
    ".*recommended to use `self.log.*sync_dist=True.*",  # metrics are the same on all ranks already
)
_EXPECTED_LINES = re.compile(
    r"GPU available|TPU available|HPU available|LOCAL_RANK: |You are using a CUDA device|.{0,4}Tip: |`Trainer.fit` stopped|"
    r"`weights_only` was not set|Restor(ing|ed) |Loaded model weights|Using .* Automatic Mixed Precision|Seed set to|"
    r"Initializing distributed|-+$|distributed_backend=|All distributed processes|\[rank: \d+\] Seed set"
)
_SPEAKERS = ("lightning.pytorch", "lightning.fabric")  # whose handlers print what all of Lightning logs


@contextmanager
def nothing_kept(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Put the buffers of a network and the global random generators back, as if nothing had been asked of it."""
    buffers = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


def random_state() -> dict[str, Any]:
    """Return the states of the global random generators."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state(), "cuda": cuda}


def set_random_state(state: dict[str, Any]) -> None:
    """Put the global random generators back to the states that `random_state` returned."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None:
        torch.cuda.set_rng_state_all(state["cuda"])


class KeepGenerators(Callback):
    """Gives the process its global random generators back when training ends: each turn seeds them for itself."""

    def __init__(self) -> None:
        self._state: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remember the states."""
        self._state = random_state()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put them back."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Put them back."""
        self._restore()

    def _restore(self) -> None:
        if self._state is not None:
            set_random_state(self._state)
            self._state = None


@contextmanager
def process_kept() -> Iterator[None]:
    """Silence what is true of every run and asks nothing of the user; put the process back as it was afterwards.

    Generators, environment variables, filters of warnings and of Lightning's log lines, and what is said of threads
    that fail, are kept.
    """
    state, environment = random_state(), dict(os.environ)
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    hook = threading.excepthook
    speakers = [handler for name in _SPEAKERS for handler in logging.getLogger(name).handlers]
    with warnings.catch_warnings():
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        for speaker in speakers:
            speaker.addFilter(_is_news)
        threading.excepthook = lambda failed: None if _is_told_elsewhere(failed) else hook(failed)
        try:
            yield
        finally:
            threading.excepthook = hook
            for speaker in speakers:
                speaker.removeFilter(_is_news)
            set_random_state(state)
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            os.environ.update(environment)


def _is_told_elsewhere(failed: threading.ExceptHookArgs) -> bool:
    """Tell whether TensorBoard's writing thread could not write: its next caller gets the same error, and says so."""
    return isinstance(failed.exc_value, OSError) and type(failed.thread).__module__.startswith("tensorboard.")


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a log line is not one that every run would have."""
    return not _EXPECTED_LINES.match(record.getMessage().strip())
