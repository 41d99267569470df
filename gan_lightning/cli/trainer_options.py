"""What Lightning's own options mean here: those that could do nothing, or something else, are refused with the fix.

docs/trainer.md has the whole table.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from gan_lightning.errors import UserError

_AN_EPOCH = "a run ends by trainer.max_steps, counted in generator updates"
_A_TICK = "an evaluation has one step: set fidelity.n_samples for its size, trainer.limit_val_batches 0 to leave it out"

REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "overfit_batches": ((0, 0.0), "data.limit N trains on a fixed subset of N samples"),
    "gradient_clip_val": ((None,), "model.critic_clip_norm and model.generator_clip_norm clip each player's gradient"),
    "gradient_clip_algorithm": ((None,), "model.critic_clip_norm and model.generator_clip_norm clip by the norm"),
    "accumulate_grad_batches": ((1,), "model.critic_accumulation and model.generator_accumulation cut the batch"),
    "max_epochs": ((None, -1), _AN_EPOCH),
    "min_epochs": ((None,), _AN_EPOCH),
    "limit_train_batches": ((None, 1.0), _AN_EPOCH),
    "check_val_every_n_epoch": ((None,), "trainer.val_check_interval counts generator updates"),
    "reload_dataloaders_every_n_epochs": ((0,), "data are loaded once, and drawn by the clock of the game"),
    "use_distributed_sampler": ((True,), "each process takes its rows of the global batch by itself"),
    "limit_val_batches": ((None, 0, 1, 1.0), _A_TICK),
    "limit_test_batches": ((None, 0, 1, 1.0), _A_TICK),
    "enable_checkpointing": (
        (None, True),
        "a run cannot be resumed without; checkpoints.every_n_updates 0 writes the last one only",
    ),
    "barebones": ((False,), "it turns off logging and checkpoints, without which a run leaves nothing"),
}
"""Option of the Trainer: the values that it may have, and what to set in its place."""

CALLBACKS = {
    "LearningRateFinder": "there are two learning rates, of model.critic_optimizer and model.generator_optimizer",
    "BatchSizeFinder": "data.batch_size is the global batch, and the result depends on it",
    "StochasticWeightAveraging": "model.ema_decay averages the generator",
    "WeightAveraging": "model.ema_decay averages the generator",
    "EMAWeightAveraging": "model.ema_decay averages the generator",
    "GradientAccumulationScheduler": "set model.critic_accumulation and model.generator_accumulation",
}
"""Callbacks of Lightning that steer what the game steers itself, and what to set in their place."""

_COUNTS = """
    RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE NODE_RANK GROUP_RANK MASTER_PORT
    SLURM_PROCID SLURM_NTASKS SLURM_LOCALID SLURM_NODEID SLURM_NNODES
""".split()


def check_options(trainer: Any, words: Iterable[str]) -> None:
    """Refuse options of the Trainer that have no effect here or another one.

    Args:
        trainer: The parsed options, as a namespace.
        words: The command line.

    Raises:
        UserError: There is one; the line has the option to set in its place.
    """
    for name, (allowed, instead) in REFUSED.items():
        value = trainer.get(name)
        if value not in allowed:
            raise UserError(f"trainer.{name} {value} is refused: {instead}")
    if trainer.val_check_interval is None:
        raise UserError("trainer.val_check_interval null is refused: give generator updates, or limit_val_batches 0")
    if any(word.startswith("--trainer.default_root_dir") for word in words):
        raise UserError("trainer.default_root_dir is the run folder: set --runs_dir and --name")
    callbacks = trainer.get("callbacks") or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        name = callback.class_path.rpartition(".")[2]
        if name in CALLBACKS:
            raise UserError(f"callback {name} is refused: {CALLBACKS[name]}")


def check_environment() -> None:
    """Refuse variables of a launcher that are no numbers, a rank outside its world, and options as variables.

    Raises:
        UserError: There is one.
    """
    for name in _COUNTS:
        if name in os.environ and not os.environ[name].isdecimal():
            raise UserError(
                f"the environment variable {name} must be a whole number, got {os.environ[name]!r}; unset it"
            )
    for rank, world in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS"), ("LOCAL_RANK", "LOCAL_WORLD_SIZE")):
        if rank in os.environ and int(os.environ.get(world, "1000000000")) <= int(os.environ[rank]):
            raise UserError(
                f"the environment variable {rank} must be below {world}, got {os.environ[rank]} of {os.environ[world]}"
            )
    for name, value in os.environ.items():
        is_switch = name == "JSONARGPARSE_DEFAULT_ENV" and value.lower() == "true"
        if is_switch or re.match(r"PL_(FIT|VALIDATE|TEST|TRAINER|MODEL|DATA|CONFIG|SEED_EVERYTHING)(_|$)", name):
            raise UserError(
                f"the environment variable {name} is refused: a run is told by its config and command line alone, so that "
                "its config.yaml is the whole of it; unset it and give the option"
            )


def check_tasks(devices: int, nodes: int) -> None:
    """Refuse a Slurm step of another number of tasks than the run has processes.

    Raises:
        UserError: It is another.
    """
    tasks = int(os.environ.get("SLURM_NTASKS", devices * nodes))
    if tasks != devices * nodes:
        raise UserError(
            f"Slurm started {tasks} tasks, but trainer.devices {devices} on trainer.num_nodes {nodes} needs "
            f"{devices * nodes}: start with srun --ntasks-per-node={devices} --nodes={nodes}, or set them to match"
        )
