"""The config of a run: what of it is written into its folder and its checkpoints, and compared with when it goes on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger

from gan_lightning.callbacks.measuring import Measuring
from gan_lightning.cli.config_files import as_yaml
from gan_lightning.cli.parser import Parser
from gan_lightning.errors import UserError, imported_class, say
from gan_lightning.loggers.tensorboard import forget_after, log_run
from gan_lightning.protocols import Classed, RunLogger
from gan_lightning.runs.files import set_aside
from gan_lightning.runs.home import without_home
from gan_lightning.runs.old_names import with_new_names

PORTABLE = (
    "seed_everything",
    "name",
    "model",
    "data",
    "samples",
    "fidelity",
    "coverage",
    "retrieval",
    "ngrams",
    "translations",
    "upscaling",
    "music",
    "sound",
)


_NOWHERE = {"default_root_dir": None, "save_dir": "."}
"""Options of the trainer and of its loggers that are the run folder, and what stands there for it in a config."""


class SaveConfig(SaveConfigCallback):
    """Writes `config.yaml` into the run folder, and what other verbs need of it into every checkpoint."""

    _classes: list[str] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the names of classes that the data found, which are written down."""
        self._classes = classes_of(trainer.datamodule)  # type: ignore[attr-defined]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file, on rank 0: only now nothing of a resume is refused any more. One without updates to make leaves it."""
        has_updates = not 0 < trainer.max_steps <= pl_module.updates_done  # type: ignore[operator]
        path = Path(trainer.default_root_dir) / "config.yaml"
        if trainer.is_global_zero and (has_updates or not path.is_file()):
            text = as_yaml(self._plain)
            if path.is_file() and path.read_text() != text:
                set_aside(path)
            path.write_text(text)
            for logger in trainer.loggers:
                if isinstance(logger, RunLogger):
                    logger.log_run(path)
                elif isinstance(logger, TensorBoardLogger):
                    if done := pl_module.updates_done:
                        forget_after(logger, int(done))  # type: ignore[arg-type]
                    log_run(logger, path, ["loss/critic", "loss/generator", *_measured(trainer, pl_module)])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the config of model, data and metrics."""
        config = self._plain
        checkpoint["config"] = {key: config[key] for key in PORTABLE if key in config}
        for key in ("hyper_parameters", "datamodule_hyper_parameters"):
            if key in checkpoint:
                checkpoint[key] = without_home(checkpoint[key])

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say in one line which settings are not those of the checkpoint."""
        then, now = with_new_names(without_home(checkpoint.get("config"))), self._plain
        if trainer.state.fn != "fit" and then:
            _refuse_another_model(then, now)
        if trainer.state.fn == "fit" and then:
            changes = [text for key in ("model", "data") for text in _changes(then.get(key), now.get(key), key)]
            changes = [
                text for text in changes if text.split()[0] not in ("data.batch_size", "model.seed")
            ]  # told apart
            if changes:
                say(f"resuming with other settings than the checkpoint's: {', '.join(changes)}")

    @cached_property
    def _plain(self) -> dict[str, Any]:
        """The config as plain values; where a run resumed from is no part of it, nor are its folder and the user's home."""
        config = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        config = {key: value for key, value in config.items() if key not in ("ckpt_path", "resume")}
        for part, key, _ in _places(config.get("trainer") or {}):
            part[key] = _NOWHERE[key]
        arguments = config["data"].get("init_args") or {}
        if self._classes and "classes" in arguments:
            arguments["classes"] = self._classes
        return with_new_names(without_home(config))


def _refuse_another_model(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise a UserError if a checkpoint is measured as another family, or with options of it that were typed."""
    changes = _changes(then.get("model"), now.get("model"), "model")
    is_typed = any(word.startswith("--model") for word in Parser.words)
    family = [str(config.get("model", {}).get("class_path", "")).rpartition(".")[2] for config in (then, now)]
    if changes and (is_typed or family[0] != family[1]):
        raise UserError(
            f"a checkpoint is measured as it was trained, and this would be another model: {', '.join(changes[:3])}; leave it out"
        )


def _measured(trainer: Trainer, game: LightningModule) -> list[str]:
    """Return what this run's measurements are logged as."""
    callbacks = [callback for callback in trainer.callbacks if isinstance(callback, Measuring)]  # type: ignore[attr-defined]
    return [name for callback in callbacks if callback.measures(trainer, game) for name in callback.names(trainer)]


def _changes(then: Any, now: Any, name: str) -> list[str]:
    """Return "name old -> new" for each value of a nested config that is not the same."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*then, *now])
        return [text for key in keys for text in _changes(then.get(key), now.get(key), f"{name}.{key}")]
    if then == now:
        return []
    return [f"{name.replace('.init_args', '').replace('.class_path', '')} {_short(then)} -> {_short(now)}"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _places(trainer: Any) -> Iterator[tuple[Any, str, Any]]:
    """Yield mapping, key and default of each option that is the run folder, of the trainer and of its loggers."""
    yield trainer, "default_root_dir", None
    for logger in trainer["logger"] if isinstance(trainer.get("logger"), list) else []:
        if "save_dir" in (logger.get("init_args") or {}):
            kind: Any = imported_class(logger["class_path"])
            default = inspect.signature(kind).parameters["save_dir"].default if kind is not None else None
            yield logger["init_args"], "save_dir", default


def put_into(folder: Path, trainer: Any) -> None:
    """Have the trainer and its loggers write into the run folder; say so where a config wants another."""
    usual = (None, ".", str(folder))
    others = {str(part[key]): key for part, key, default in _places(trainer) if part[key] not in (*usual, default)}
    for given, key in others.items():
        say(f"{key} {given} is not used: the run folder is {folder}; --runs_dir and --name say where it lies")
    for part, key, _ in _places(trainer):
        part[key] = str(folder)


def classes_of(data: Any) -> list[str] | None:
    """Return the names of the data's classes, None if they have none."""
    return list(data.classes) if isinstance(data, Classed) else None
