"""The private parts of Lightning that this package needs, each with its reason; pyproject.toml bounds the version.

Each access is asserted: a Lightning that has moved one of them is told apart from a bug of ours in one line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.overrides.distributed import _sync_module_states
from lightning.pytorch.strategies import DDPStrategy, Strategy
from lightning.pytorch.utilities.model_helpers import _restricted_classmethod as restricted_classmethod
from torch import Tensor, nn

__all__ = ["restricted_classmethod"]  # a class method that an instance refuses, as Lightning's load_from_checkpoint


def trainer_of(module: LightningModule) -> Trainer | None:
    """Return a module's trainer, None if it has none: the public property raises then."""
    return _there(module, "_trainer")


def do_not_count(optimizer: Any) -> None:
    """Keep Lightning from counting this optimizer's steps: only the generator's may move `trainer.global_step`."""
    require(optimizer, "_on_before_step", "_on_after_step")
    optimizer._on_before_step = optimizer._on_after_step = lambda: None


def set_logged_step(trainer: Trainer, step: int) -> None:
    """Set the loggers' x-axis: Lightning's own count is one too many after some resumes."""
    loop = trainer.fit_loop.epoch_loop
    require(loop, "_batches_that_stepped")
    loop._batches_that_stepped = step


def ask_for_cuda_quickly(device: torch.device) -> None:
    """Let every step of an optimizer not look for NVIDIA's library anew (73 us each) in a training on the CPU.

    Lightning asks torch for the slow answer when it is imported, so that it can tell before it forks; nothing forks after
    the start of a training.
    """
    if device.type == "cpu":
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def show_numbers(trainer: Trainer, numbers: Mapping[str, Tensor | float]) -> None:
    """Put numbers where callbacks look for them (`callback_metrics`), as `log_dict` would in a third of a small round."""
    connector: Any = _there(trainer, "_logger_connector")
    shown: dict[str, Tensor] = _there(connector, "_callback_metrics")
    shown.update({name: torch.as_tensor(value) for name, value in numbers.items()})


def keep_signals(trainer: Trainer) -> None:
    """Keep Lightning's signal handlers out, and its flag to all ranks before every batch.

    They save in the middle of a step, or talk to other ranks from within the handler.
    """
    connector: Any = _there(trainer, "_signal_connector")
    loop: Any = trainer.fit_loop.epoch_loop
    require(connector, "register_signal_handlers")
    require(loop, "_broadcast_sigterm_tensor")
    connector.register_signal_handlers = lambda: None
    loop._broadcast_sigterm_tensor = lambda: None


def before_running(trainer: Trainer, action: Callable[[], None]) -> None:
    """Call `action` once everything is restored and nothing has run: Lightning has no hook there."""
    connector: Any = _there(trainer, "_signal_connector")
    register = _there(connector, "register_signal_handlers")

    def first() -> None:
        connector.register_signal_handlers = register
        register()
        action()

    connector.register_signal_handlers = first


def validate_first(trainer: Trainer) -> None:
    """Let a resumed run begin with a validation, as a new one does."""
    loop = trainer.fit_loop.epoch_loop.val_loop
    require(type(loop), "restarting")
    loop.restarting = False


def converts_batch_norm(strategy: DDPStrategy) -> bool:
    """Tell whether sync_batchnorm was asked for: only the strategy knows, under a private name."""
    return _there(strategy, "_layer_sync") is not None


def ddp_options(strategy: DDPStrategy) -> dict[str, Any]:
    """Return the options that the strategy will give torch's wrapper."""
    found: dict[str, Any] = _there(strategy, "_ddp_kwargs")
    return found


def share_states(module: nn.Module) -> None:
    """Broadcast parameters and buffers from rank 0, as Lightning's own strategies do."""
    _sync_module_states(module)


def name_of(strategy: Strategy) -> str:
    """Return what a strategy is called: third-party ones need not have registered a name."""
    return str(vars(type(strategy)).get("strategy_name") or type(strategy).__name__)


def require(owner: object, *names: str) -> None:
    """Assert that an object of Lightning's, such as a logger that we derive from, still has these private parts."""
    for name in names:
        _there(owner, name)


def _there(owner: Any, name: str) -> Any:
    assert hasattr(owner, name), f"this version of Lightning has no {type(owner).__name__}.{name}; see pyproject.toml"
    return getattr(owner, name)
