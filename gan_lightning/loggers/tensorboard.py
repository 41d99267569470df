"""What Lightning's logger for TensorBoard is told of a run beside its numbers: its config, and its settings to compare by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from torch.utils.tensorboard.summary import hparams


def log_run(logger: TensorBoardLogger, config: Path, metrics: Iterable[str]) -> None:
    """Record the config as text, and its settings beside the metrics in the HParams tab; call it on rank 0.

    Args:
        logger: The logger.
        config: The run's config, the file in its folder.
        metrics: What the numbers to compare runs by are logged as; they follow while the run goes on.
    """
    text = config.read_text(encoding="utf-8")
    logger.experiment.add_text("config", "\n".join(f"    {line}" for line in text.splitlines()), 0)  # as code
    for part in hparams(dict(_settings(yaml.safe_load(text))), dict.fromkeys(metrics, 0.0)):
        logger.experiment.file_writer.add_summary(part, 0)


def forget_after(logger: TensorBoardLogger, update: int) -> None:
    """Have TensorBoard leave out what was logged at later steps, which a killed run makes anew; call it on rank 0."""
    for event in (Event(step=update + 1, file_version="brain.Event:2"), _session(update + 1)):
        logger.experiment.file_writer.add_event(event)


def _session(step: int) -> Event:
    """Return the event at which a program has started again."""
    return Event(step=step, session_log=SessionLog(status=SessionLog.START))


def _settings(value: Any, path: str = "") -> Iterator[tuple[str, bool | float | str]]:
    """Yield each setting under its name in the config, a class under that of its place, without what is not set."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in ("runs_dir", "trainer"):  # where and how long, not what
                same = key in ("class_path", "init_args")
                yield from _settings(inner, path if same else f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for index, inner in enumerate(value):
            yield from _settings(inner, f"{path}[{index}]")
    elif value is not None:
        plain = value.rpartition(".")[2] if isinstance(value, str) and value.startswith("gan_lightning.") else value
        yield path, plain if isinstance(plain, bool | int | float | str) else str(plain)
