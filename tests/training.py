"""Training for tests: a bare trainer, what it logged, checkpoints at chosen updates, and the command itself."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers.logger import DummyLogger

from gan_lightning.cli.main import main
from gan_lightning.runs.launch import RUN_FOLDER_VARIABLE


class Recorder(DummyLogger):
    """A logger that keeps every row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, dict[str, Any]]] = []

    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        self.rows.append((step or 0, metrics))

    def column(self, key: str) -> list[Any]:
        return [row[key] for _, row in self.rows if key in row]


class SaveAt(Callback):
    """Writes `<update>.ckpt` after each of the given updates, at the moment the real callback does."""

    def __init__(self, folder: Path, updates: Iterable[int]) -> None:
        self.folder, self.updates = folder, set(updates)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if pl_module.updates_done in self.updates:
            trainer.save_checkpoint(self.folder / f"{pl_module.updates_done}.ckpt")


def trainer(folder: Path, updates: int, callbacks: Iterable[Callback] = (), **options: Any) -> Trainer:
    """Return a trainer on the CPU that does nothing that was not asked for."""
    defaults: dict[str, Any] = {
        "max_steps": updates,
        "max_epochs": -1,
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "log_every_n_steps": 1,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "num_sanity_val_steps": 0,
        "limit_val_batches": 0,
    }
    return Trainer(default_root_dir=folder, callbacks=list(callbacks), **{**defaults, **options})


def train(game: Any, data: Any, folder: Path, updates: int, ckpt: Path | None = None, **options: Any) -> Recorder:
    """Train up to `updates` in all and return what was logged at each update."""
    recorder = Recorder()
    fitter = trainer(folder, updates, logger=recorder, **options)
    fitter.fit(game, datamodule=data, ckpt_path=ckpt, weights_only=True if ckpt else None)
    assert game.updates_done == fitter.global_step == updates
    return recorder


def assert_same(one: Any, other: Any, path: str = "") -> None:
    """Assert that two nested structures are equal, tensors to the bit."""
    assert type(one) is type(other), f"{path}: {type(one)} against {type(other)}"
    if isinstance(one, dict):
        assert list(one) == list(other), f"{path}: {list(one)} against {list(other)}"
        for key in one:
            assert_same(one[key], other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{path}/{index}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), f"{path}: differ by {(one - other).abs().max()}"
    else:
        assert one == other, f"{path}: {one!r} against {other!r}"


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def command(*words: Any) -> Outcome:
    """Run gan-lightning in this process, as if it were a new one."""
    os.environ.pop(RUN_FOLDER_VARIABLE, None)
    out, err = io.StringIO(), io.StringIO()
    code, handlers = (
        0,
        {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)},
    )
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    for number, handler in handlers.items():  # a run listens to signals that should end the tests
        signal.signal(number, handler)
    os.environ.pop(RUN_FOLDER_VARIABLE, None)
    return Outcome(code, out.getvalue(), err.getvalue())


def fit(folder: Path, config: dict[str, Any], *words: Any) -> Outcome:
    """Run `gan-lightning fit` with a config on top of what makes a run small; run folders go to `folder`."""
    base = {
        "runs_dir": str(folder),
        "trainer": {"accelerator": "cpu", "max_steps": 6, "val_check_interval": 3, "log_every_n_steps": 1},
        "samples": {"every_n_updates": 3, "n_rows": 2, "n_columns": 2},
        "fidelity": {"enabled": False},
        "checkpoints": {"every_n_updates": 3},
    }
    path = folder / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({**base, **config}))
    return command("fit", "--config", path, *words)


def networks(n_classes: int = 0, width: int = 6) -> dict[str, Any]:
    """Return a pair of MLPs as a config writes them."""
    common = {"width": width, "n_layers": 1, "n_classes": n_classes}
    return {
        "generator": {"class_path": "MLPGenerator", "init_args": {"latent_dim": 3, **common}},
        "critic": {"class_path": "MLPCritic", "init_args": common},
    }
