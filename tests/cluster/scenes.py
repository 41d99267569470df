"""What both ranks of one launch play for test_two_ranks.py: `python -m tests.cluster.scenes FOLDER`.

Each scene is a function that writes what it found to `FOLDER/<scene>.<rank>.pt`; starting processes costs more than
they compute, so one launch plays them all.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, Trainer

from gan_lightning.callbacks import Canary, Checkpoints, Preemption
from gan_lightning.data import RandomImages
from gan_lightning.errors import RunFailed
from gan_lightning.execution.ranks import close_process_group
from gan_lightning.families import DCGAN, WGANGP
from gan_lightning.networks import DCGANCritic, DCGANGenerator, MLPCritic, MLPGenerator
from gan_lightning.runs.checkpoint_files import CheckpointFiles
from gan_lightning.runs.signals import _note, listen
from gan_lightning.shapes import shape_of
from tests.training import SaveAt, train

IMAGES = partial(RandomImages, image_size=8, channels=1, n=48, batch_size=8)
N_CRITIC = 3


def batch_normalised(**options: Any) -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(
        partial(DCGANGenerator, width=4, latent_dim=4),
        partial(DCGANCritic, width=4),
        shape=shape_of(8, 1),
        **options,
    )


def unnormalised(**options: Any) -> WGANGP:
    torch.manual_seed(0)
    return WGANGP(
        partial(MLPGenerator, width=16, n_layers=1, latent_dim=4),
        partial(MLPCritic, width=16, n_layers=1),
        shape=shape_of(8, 1),
        n_critic=N_CRITIC,
        **options,
    )


class Watch(Callback):
    """Calls a function at one moment of the run."""

    def __init__(self, moment: str, action: Any) -> None:
        setattr(self, moment, lambda trainer, game, *_: action(trainer, game))


def buffers(game: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in game.named_buffers()}


def resume_to_the_bit(folder: Path, **options: Any) -> dict[str, Any]:
    """Save at some updates on the way; go on from one of them; compare each rank's own state at the end."""
    game = batch_normalised()
    train(game, IMAGES(), folder, 6, callbacks=[SaveAt(folder, {2, 3, 5})], **options)
    straight = buffers(game) | dict(game.named_parameters())
    # nothing is saved on the way: what was saved above must not have mattered
    again = batch_normalised()
    train(again, IMAGES(), folder, 6, ckpt=folder / "3.ckpt", **options)
    return {"straight": straight, "resumed": buffers(again) | dict(again.named_parameters())}


def same_networks_in_validation(folder: Path, **options: Any) -> dict[str, Any]:
    """See the buffers before, in and after a validation, and what a checkpoint made in it holds."""
    seen: dict[str, Any] = {}
    game = batch_normalised()

    def note(name: str) -> Any:
        return lambda trainer, game: seen.setdefault(name, buffers(game))

    def save(trainer: Any, game: Any) -> None:
        trainer.save_checkpoint(folder / "mid.ckpt")

    callbacks = [
        Watch("on_train_batch_end", note("before")),
        Watch("on_validation_epoch_end", note("during")),
        Watch("on_validation_end", save),
        Watch("on_train_end", note("after")),
    ]
    limits: dict[str, Any] = {"limit_val_batches": 1, "val_check_interval": 1, "check_val_every_n_epoch": None}
    train(game, IMAGES(), folder, 1, callbacks=callbacks, **limits, **options)
    return seen


def bytes_sent(folder: Path, **options: Any) -> dict[str, Any]:
    """Count what is handed to collectives in rounds after the first, with everything on that a run has."""
    counts = {"all_reduce": 0, "other": 0}
    originals = {name: getattr(dist, name) for name in ("all_reduce", "broadcast", "all_gather")}

    def counted(name: str) -> Any:
        def call(first: Any, *args: Any, **kwargs: Any) -> Any:
            tensor = args[0] if name == "all_gather" else first
            kind = "all_reduce" if name == "all_reduce" and tensor.is_floating_point() else "other"
            counts[kind] += tensor.numel() * tensor.element_size()
            return originals[name](first, *args, **kwargs)

        return call

    def begin(trainer: Any, game: Any) -> None:
        counts.update(all_reduce=0, other=0)

    game = unnormalised()
    callbacks = [Watch("on_train_start", begin), Preemption(), Canary(every_n_updates=100)]
    for name in originals:
        setattr(dist, name, counted(name))
    try:
        train(game, IMAGES(), folder, 4, callbacks=callbacks, enable_checkpointing=True, **options)
    finally:
        for name, original in originals.items():
            setattr(dist, name, original)
    sizes = {
        name: sum(p.numel() * p.element_size() for p in getattr(game, name).parameters())
        for name in ("critic", "generator")
    }
    return {**counts, **sizes, "updates": 4}


def canary(folder: Path, **options: Any) -> dict[str, Any]:
    """Let one rank's weights drift by one rounding step after the second update."""

    def nudge(trainer: Any, game: Any) -> None:
        if trainer.global_step == 2 and trainer.global_rank == 1:
            weight = game.critic.output.weight
            with torch.no_grad():
                weight.view(-1)[0] = torch.nextafter(weight.view(-1)[0], torch.tensor(9.0))

    try:
        train(unnormalised(), IMAGES(), folder, 6, callbacks=[Watch("on_train_batch_end", nudge), Canary(1)], **options)
    except RunFailed as failed:
        return {"message": str(failed)}
    return {"message": None}


def disk_is_full(folder: Path, **options: Any) -> dict[str, Any]:
    """Let the writing fail on rank 0: the other must learn of it."""
    (folder / "full").mkdir(exist_ok=True)
    if dist.get_rank() == 0:
        (folder / "full" / "checkpoints").write_text("")  # a file where the folder should be
    try:
        saving: dict[str, Any] = {
            "callbacks": [Checkpoints(1)],
            "plugins": [CheckpointFiles()],
            "enable_checkpointing": True,
        }
        train(unnormalised(), IMAGES(), folder / "full", 2, **saving, **options)
    except RunFailed as failed:
        return {"message": str(failed)}
    return {"message": None}


def one_rank_is_signalled(folder: Path, **options: Any) -> dict[str, Any]:
    """Send a signal to rank 1 only, in the middle of a round."""

    def signal_rank_1(trainer: Any, game: Any) -> None:
        if trainer.global_step == 2 and trainer.global_rank == 1:
            listen()
            _note(15, None)

    preemption = Preemption()
    watch = Watch("on_train_batch_start", signal_rank_1)
    trainer = Trainer(
        max_steps=50, max_epochs=-1, callbacks=[watch, Checkpoints(0, 0), preemption], default_root_dir=folder,
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        plugins=[CheckpointFiles()], **options,
    )  # fmt: skip
    trainer.fit(unnormalised(), datamodule=IMAGES())
    updates = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["clock"]["updates_done"]
    return {"stopped_by": preemption.stopped_by, "global_step": trainer.global_step, "saved": updates}


def minutes_are_over_on_one_rank(folder: Path, **options: Any) -> dict[str, Any]:
    """Put rank 1's watch forward in the third round: both must save in that round, and in no other but the last."""
    keeper, saved = Checkpoints(0, 1.0), []

    def put_forward(trainer: Any, game: Any) -> None:
        if trainer.global_step == 2 and trainer.global_rank == 1:
            keeper._saved_at -= 61

    def note(trainer: Any, game: Any) -> None:
        if (path := folder / "checkpoints" / "last.ckpt").is_file():
            saved.append(torch.load(path, weights_only=True)["clock"]["updates_done"])

    watches = [Watch("on_train_batch_start", put_forward), Watch("on_validation_end", note)]
    limits: dict[str, Any] = {"limit_val_batches": 1, "val_check_interval": 1, "check_val_every_n_epoch": None}
    plugins: dict[str, Any] = {"plugins": [CheckpointFiles()], "enable_checkpointing": True}
    train(
        unnormalised(), IMAGES(), folder, 5, callbacks=[*watches, keeper, Preemption()], **plugins, **limits, **options
    )
    return {"saved": saved}


SCENES = (
    resume_to_the_bit,
    same_networks_in_validation,
    bytes_sent,
    canary,
    one_rank_is_signalled,
    minutes_are_over_on_one_rank,
    disk_is_full,
)


def main(folder: Path) -> None:
    rank = int(os.environ["LOCAL_RANK"])
    options = {"devices": int(os.environ["WORLD_SIZE"]), "strategy": "gan_ddp"}
    for scene in SCENES:
        (folder / scene.__name__).mkdir(exist_ok=True)
        torch.save(scene(folder / scene.__name__, **options), folder / f"{scene.__name__}.{rank}.pt")
    close_process_group()
    print("played", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
