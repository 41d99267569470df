#!/usr/bin/env python
"""Count the bytes that data-parallel training sends per generator update: gan_ddp against Lightning's stock strategy.

    python scripts/count_bytes.py                      two processes on this machine, gloo, no GPU needed
    python scripts/count_bytes.py --n_critic 2 --width 64

Two counts are printed. "gradients" is what one process hands to all-reduce, counted at the call (gan_ddp) or in a
communication hook of DistributedDataParallel (stock). "wire" is what the loopback device carried, halved: what each of
the two processes sent, with the headers of TCP and IP and everything else that a run says. The script puts itself
into a network namespace of its own (unshare, as root or where users may), so that nothing else is counted; without that
the column is left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

STRATEGIES = ("gan_ddp", "ddp_find_unused_parameters_true")
WARM_UP, ROUNDS = 2, 10
_ALONE = "GAN_LIGHTNING_COUNTS_ALONE"


def main() -> None:
    """Count and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n_critic", type=int, default=5, help="critic updates in a round")
    parser.add_argument("--width", type=int, default=16, help="width of the networks (WGAN-GP's, 32x32)")
    parser.add_argument("--as_rank", nargs=2, metavar=("STRATEGY", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_rank:
        count_as_rank(*options.as_rank, options.n_critic, options.width)
        return
    if _ALONE not in os.environ:
        go_where_it_is_quiet()
    rows = {strategy: count(strategy, options) for strategy in STRATEGIES}
    critic, generator = (rows["gan_ddp"][name] for name in ("critic", "generator"))
    n = options.n_critic
    expected = {
        "gan_ddp": ("n_critic |critic| + |generator|", n * critic + generator),
        "ddp_find_unused_parameters_true": ("(n_critic + 1)(|critic| + |generator|)", (n + 1) * (critic + generator)),
    }
    print(
        f"n_critic {n}, |critic| {critic:,} bytes, |generator| {generator:,} bytes; per generator update and process\n"
    )
    print(f"{'strategy':34}{'formula':40}{'expected':>13}{'gradients':>13}{'other':>8}{'wire':>13}")
    for strategy, (formula, size) in expected.items():
        row = rows[strategy]
        wire = f"{row['wire']:>13,.0f}" if row["wire"] else f"{'-':>13}"
        print(f"{strategy:34}{formula:40}{size:>13,}{row['gradients']:>13,.0f}{row['other']:>8,.0f}{wire}")
    one, other = (rows[strategy]["gradients"] for strategy in STRATEGIES)
    print(f"\nstock / gan_ddp: {other / one:.2f}")
    row = rows["gan_ddp"]
    if row["gradients"] != expected["gan_ddp"][1] or row["other"] >= 1000:
        sys.exit("gan_ddp sent something else than it should")
    if row["wire"] > 1.02 * expected["gan_ddp"][1]:  # headers take half a per cent
        sys.exit("gan_ddp had more on the wire than its gradients and the headers of TCP and IP")


def go_where_it_is_quiet() -> None:
    """Start over in a network namespace with nothing but a loopback device, if this user may make one."""
    os.environ[_ALONE] = ""
    flags = ["--net"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--net"]
    up = "ip link set lo up && exec "
    if shutil.which("unshare") and shutil.which("ip"):
        if subprocess.run(["unshare", *flags, "sh", "-c", f"{up}true"], capture_output=True).returncode == 0:
            os.environ[_ALONE] = "yes"
            inner = ["sh", "-c", f'{up}"$@"', "sh", sys.executable, *sys.argv]
            os.execvp("unshare", ["unshare", *flags, *inner])


def count(strategy: str, options: argparse.Namespace) -> dict[str, float]:
    """Train on two processes under a strategy and return the bytes per generator update and process."""
    import json

    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        common = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": "2",
            "NODE_RANK": "0",
            "GLOO_SOCKET_IFNAME": "lo",
            "OMP_NUM_THREADS": "1",
        }
        shape = ["--n_critic", str(options.n_critic), "--width", str(options.width)]
        command = [sys.executable, __file__, *shape, "--as_rank", strategy, folder]
        ranks = [
            subprocess.Popen(
                command, env={**os.environ, **common, "LOCAL_RANK": str(rank)}, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True,
            )
            for rank in range(2)
        ]  # fmt: skip
        for rank in ranks:
            output, _ = rank.communicate()
            if rank.returncode:
                sys.exit(output)
        return json.loads((Path(folder) / "counts.json").read_text())


def count_as_rank(strategy: str, folder: str, n_critic: int, width: int) -> None:
    """Be one of the two processes; the first writes what it counted."""
    import json

    import torch
    import torch.distributed as dist
    from lightning.pytorch import Callback, Trainer

    import gan_lightning.execution.gan_ddp  # noqa: F401  registers gan_ddp
    from gan_lightning.callbacks import Preemption
    from gan_lightning.data import RandomImages
    from gan_lightning.families import WGANGP
    from gan_lightning.networks import WGANGPCNNCritic, WGANGPCNNGenerator
    from gan_lightning.shapes import shape_of

    sent = {"gradients": 0, "other": 0}
    at: dict[str, int] = {}

    def counted(function: Any) -> Any:
        def call(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            sent["gradients" if tensor.is_floating_point() else "other"] += tensor.numel() * tensor.element_size()
            return function(tensor, *args, **kwargs)

        return call

    def hook(state, bucket):  # torch compares annotations, so there are none
        sent["gradients"] += bucket.buffer().numel() * bucket.buffer().element_size()
        buffer = bucket.buffer().div_(2)
        return dist.all_reduce(buffer, async_op=True).get_future().then(lambda done: done.value()[0])

    class Count(Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            if strategy != "gan_ddp":
                trainer.strategy.model.register_comm_hook(None, hook)

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            if trainer.global_step in (WARM_UP, WARM_UP + ROUNDS):
                dist.barrier()
                if trainer.global_step == WARM_UP:
                    sent.update(gradients=0, other=0)
                    at["start"] = loopback_bytes()
                else:
                    at["end"] = loopback_bytes()
                    at.update(sent)
                dist.barrier()

    if strategy == "gan_ddp":
        dist.all_reduce, dist.broadcast = counted(dist.all_reduce), counted(dist.broadcast)  # type: ignore[assignment]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    game = WGANGP(
        partial(WGANGPCNNGenerator, width=width),
        partial(WGANGPCNNCritic, width=width),
        shape=shape_of(32, 3),
        n_critic=n_critic,
    )
    trainer = Trainer(
        accelerator="cpu", devices=2, strategy=strategy, max_steps=WARM_UP + ROUNDS + 1, max_epochs=-1, logger=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, default_root_dir=folder,
        enable_checkpointing=strategy == "gan_ddp",
        callbacks=[Count(), *([Preemption()] if strategy == "gan_ddp" else [])],
    )  # fmt: skip
    trainer.fit(game, datamodule=RandomImages(image_size=32, channels=3, n=64, batch_size=4))
    if trainer.is_global_zero:
        counts = {name: at[name] / ROUNDS for name in ("gradients", "other")}
        counts["wire"] = (at["end"] - at["start"]) / 2 / ROUNDS if os.environ.get(_ALONE) else 0
        for name in ("critic", "generator"):
            counts[name] = sum(p.numel() * p.element_size() for p in getattr(game, name).parameters())
        (Path(folder) / "counts.json").write_text(json.dumps(counts))
    dist.barrier()
    dist.destroy_process_group()


def loopback_bytes() -> int:
    """Return how many bytes the loopback device has sent."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "lo":
            return int(numbers.split()[8])
    return 0


if __name__ == "__main__":
    main()
