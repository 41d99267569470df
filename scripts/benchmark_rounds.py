#!/usr/bin/env python
"""Time rounds of GANs: this package's trainer against a plain PyTorch loop, one round each in turn, in one process.

    python scripts/benchmark_rounds.py                          all of them, minutes on one core
    python scripts/benchmark_rounds.py sngan_32 --rounds 3 --precision bf16-mixed
    python scripts/benchmark_rounds.py mlp_grid --against turns --rounds 200     what the trainer adds
    python scripts/benchmark_rounds.py mlp_grid --compile --rounds 200           with model.compile
    python scripts/benchmark_rounds.py sngan_32 --against mimicry                after pip install --no-deps torch-mimicry six

Both sides have networks of the same weights, the same batches' sizes, the same updates per round and one thread. The
plain loop is written in the usual style: blocks that upsample, then convolve, and convolve, then pool; separate
passes for real and fake; contiguous tensors; torch's default Adam; a DataLoader of float images. Ours is everything
between two calls of the trainer's callback: data, both players' updates, the running average of the weights, which
the plain loop does not keep, and Lightning. The plain loop runs with glibc's memory as a process has it that sets
nothing; ours keeps freed memory, and makes one round that is not timed after each of the plain loop's, which gave
it back. The numbers are medians over rounds of the ratio plain / ours, with the quartiles: of wall time, and of the
process's CPU time, which other programs on the machine disturb less.

`--against turns` has a loop over the game's own turns in place of the plain one: both losses, backward, the optimizers'
steps and the average, on copies of the same networks and on batches that lie ready, without Lightning. The ratio is then
turns / ours, and the trainer's overhead its inverse less 1. `--against mimicry` has torch-mimicry's networks and their own
`train_step` in place of the plain loop, for SNGAN and WGAN-GP, whose generator then is mimicry's, of width 256; its logger, data
sets and metrics are left out.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import importlib
import itertools
import logging
import resource
import statistics
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, relu, softplus
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.flop_counter import flop_registry

import gan_lightning as gl
from gan_lightning.networks.biggan import BigGANBlock
from gan_lightning.networks.layers.conditional import normalize
from gan_lightning.networks.layers.resampled import Conv3x3
from gan_lightning.networks.layers.resnet import CriticBlock, FirstCriticBlock, GeneratorBlock
from gan_lightning.protocols import Batch
from gan_lightning.randomness import Noise
from gan_lightning.runs.memory import keep_freed_memory

BATCH, N_IMAGES = 64, 1024


class Setting(NamedTuple):
    """One row: a game, and what the plain loop needs to play the same one."""

    game: Callable[..., Any]
    side: int
    n_critic: int
    loss: str
    penalty: float = 0.0
    n_classes: int = 0


@contextmanager
def silence() -> Iterator[None]:
    """Leave out Lightning's messages and all warnings meanwhile: they would stand between the lines of a table."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@silence()
def main() -> None:
    """Time the settings asked for and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("settings", nargs="*", metavar="SETTING", help=f"of {', '.join(SETTINGS)}; all if none")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of each side, after one that is not timed")
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"], help="of our side")
    parser.add_argument("--compile", action="store_true", help="ours with model.compile")
    parser.add_argument("--against", default="plain", choices=["plain", "turns", "mimicry"], help="the other side")
    parser.add_argument("--n_critic", type=int, help="critic updates in a round; each setting's own if left out")
    options = parser.parse_args()
    if unknown := [name for name in options.settings if name not in SETTINGS]:
        parser.error(f"there is no setting {unknown[0]}; take of {', '.join(SETTINGS)}")
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    if options.n_critic is not None and options.n_critic < 1:
        parser.error(f"--n_critic must be at least 1, got {options.n_critic}")
    if options.against == "mimicry" and (other := set(options.settings or SETTINGS) - {"sngan_32", "wgan_gp_32"}):
        parser.error(f"--against mimicry is for sngan_32 and wgan_gp_32, got {min(other)}")
    torch.set_num_threads(1)
    peak = matmul_rate()
    if options.against == "turns" and options.precision != "32-true":
        parser.error(f"--against turns is in float32 on both sides, got --precision {options.precision}")
    other = f"{options.against} in float32"
    how = f"{options.precision}{', compiled' if options.compile else ''}"
    print(f"torch {torch.__version__}, one thread, batch {BATCH}, ours in {how}, {other}")
    print(f"matrix products of float32: {peak / 1e9:.0f} GFLOP/s")
    ratios = f"{'wall ratio':>22}{'CPU ratio':>22}"
    print(
        f"{'setting':12}{options.against + ' s':>9}{'ours s':>9}{ratios}{options.against + ' GFLOP':>14}{'ours':>8}{'of peak':>9}"
    )
    for name in options.settings or SETTINGS:
        print(row(name, SETTINGS[name], options, peak), flush=True)
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def row(name: str, setting: Setting, options: argparse.Namespace, peak: float) -> str:
    """Return the line of a setting: medians, quartiles of the ratios, and operations."""
    if options.n_critic is not None:
        setting = setting._replace(n_critic=options.n_critic)
    torch.manual_seed(0)
    images, labels = samples(setting)
    data = gl.data.data_of(images, labels, batch_size=BATCH)
    sizes = {"width": 256} if options.against == "mimicry" and setting.game is _wgan_gp else {}  # mimicry's generator
    game = setting.game(data, compile=options.compile, **sizes)
    game.n_critic = setting.n_critic
    other: Callable[[], None]
    if options.against == "turns":
        other = BareTurns(setting, game)
    else:
        other = (PlainLoop if options.against == "plain" else Mimicry)(setting, game, images, labels)
    in_turns = InTurns(other, options.rounds + 1, settles=options.against != "turns")
    bare_trainer(in_turns, in_turns.steps, precision=options.precision).fit(game, datamodule=data)
    ours, plain = in_turns.ours[1:], in_turns.plain[1:]
    wall = [p[0] / o[0] for o, p in zip(ours, plain, strict=True)]
    cpu = [p[1] / o[1] for o, p in zip(ours, plain, strict=True)]
    seconds = [statistics.median(pair[0] for pair in side) for side in (plain, ours)]
    of_peak = in_turns.flops[0] / statistics.median(pair[1] for pair in ours) / peak
    gflop = [n / 1e9 for n in reversed(in_turns.flops)]
    times = f"{seconds[0]:>9.3f}{seconds[1]:>9.3f}{spread(wall):>22}{spread(cpu):>22}"
    return f"{name:12}{times}{gflop[0]:>14.1f}{gflop[1]:>8.1f}{of_peak:>8.0%}"


def bare_trainer(callback: Callback, max_steps: int, **options: Any) -> Trainer:
    """Return a trainer on the CPU that logs, shows and saves nothing."""
    return Trainer(
        max_steps=max_steps,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
        **options,
    )


def spread(values: list[float]) -> str:
    """Return the median and the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def matmul_rate() -> float:
    """Return the floating-point operations per second of products of large matrices on one thread.

    The best of a matrix product and of the same product as a 1x1 convolution, which another library computes.
    """
    rates = []
    for n in (512, 1024, 2048) * 3:
        a, b = torch.randn(n, n), torch.randn(n, n)
        image, kernel = a.T.reshape(1, n, n, 1).contiguous(memory_format=torch.channels_last), b[:, :, None, None]
        for product in (lambda a=a, b=b: a @ b, lambda x=image, k=kernel: conv2d(x, k)):
            start = time.process_time()
            product()
            rates.append(2 * n**3 / (time.process_time() - start))
    return max(rates)


class Operations(TorchDispatchMode):
    """Count floating-point operations by torch's formulas, and of our own operator; its own counter does not go with
    `torch.func.grad`.
    """

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operator and add its count."""
        result = func(*args, **(kwargs or {}))
        if func.name() == "gan_lightning::products":
            self.total += 2 * args[0].numel() * args[1].shape[2]
        elif (count := flop_registry.get(func._overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=result)
        return result


class InTurns(Callback):
    """Play a plain round after each of the trainer's and take both times; the last one counts operations instead.

    A time is (wall, CPU); ours runs from the end of the plain round to the end of the trainer's next batch. If it `settles`, a
    batch of ours between them is not timed: it fetches the memory that the plain round gave back.
    """

    def __init__(self, plain: Callable[[], None], n_rounds: int, settles: bool = False) -> None:
        self.play, self.n_rounds, self.settles = plain, n_rounds, settles
        self.steps = (2 * n_rounds if settles else n_rounds) + 1
        self.ours: list[tuple[float, float]] = []
        self.plain: list[tuple[float, float]] = []
        self.flops: list[int] = []

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self._settled = not self.settles
        self._start = now()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Take our time, then play the plain round and take its time."""
        if not self._settled:
            self._settled, self._start = True, now()
            return
        if len(self.ours) == self.n_rounds:
            self._counter.__exit__(None, None, None)
            with Operations() as counter:
                self.play()
            self.flops = [self._counter.total, counter.total]
            return
        self.ours.append(since(self._start))
        start = now()
        self.play()
        self.plain.append(since(start))
        self._settled = not self.settles or len(self.ours) == self.n_rounds
        if len(self.ours) == self.n_rounds:
            pl_module._compiled = None  # whose kernels cannot be counted: they compute the same
            self._counter = Operations()
            self._counter.__enter__()
        self._start = now()


def now() -> tuple[float, float]:
    """Return wall and CPU seconds."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> tuple[float, float]:
    """Return wall and CPU seconds since then."""
    wall, cpu = now()
    return wall - start[0], cpu - start[1]


# The plain loop -----------------------------------------------------------------------------------------------------


class PlainLoop:
    """A round in the usual style, on copies of a game's networks whose blocks are written in the usual way.

    Its batches are of images `(N, C, H, W)`, uint8 or in [-1, 1], or of vectors `(N, D)`, with labels `(N,)` if there are any.
    """

    def __init__(self, setting: Setting, game: Any, images: Tensor, labels: Tensor | None) -> None:
        self.setting = setting
        self.generator, self.critic = self.networks(game)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), 2e-4, (0.0, 0.9))
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), 2e-4, (0.0, 0.9))
        floats = images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images
        labels = torch.zeros(len(images), dtype=torch.int64) if labels is None else labels
        loader = DataLoader(TensorDataset(floats, labels), BATCH, shuffle=True, drop_last=True)
        self.batches: Iterator[Any] = (batch for _ in iter(int, 1) for batch in loader)

    def networks(self, game: Any) -> tuple[Any, Any]:
        """Return the generator and the critic."""
        generator, critic = usual(game.generator), usual(game.critic)
        check_alike(game, generator, critic, self.setting.n_classes)
        return generator, critic

    def __call__(self) -> None:
        """Play the critic's updates, then the generator's, with the memory of a process that sets nothing."""
        give_back_freed_memory()
        self.play()
        keep_freed_memory()

    def play(self) -> None:
        """Play the critic's updates, then the generator's."""
        for _ in range(self.setting.n_critic):
            real, labels = next(self.batches)
            self.critic_optimizer.zero_grad()
            fake = self.generator(torch.randn(BATCH, self.generator.latent_dim), labels).detach()
            on_real, on_fake = self.critic(real, labels), self.critic(fake, labels)
            loss = CRITIC_LOSSES[self.setting.loss](on_real, on_fake)
            if self.setting.penalty:
                share = torch.rand(BATCH, *[1] * (real.dim() - 1))
                points = (share * real + (1 - share) * fake).requires_grad_(True)
                logits = self.critic(points, labels)
                (slopes,) = torch.autograd.grad(logits, points, torch.ones_like(logits), create_graph=True)
                loss = loss + self.setting.penalty * ((slopes.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
            loss.backward()
            self.critic_optimizer.step()
        self.generator_optimizer.zero_grad()
        fake = self.generator(torch.randn(BATCH, self.generator.latent_dim), labels)
        GENERATOR_LOSSES[self.setting.loss](self.critic(fake, labels)).backward()
        self.generator_optimizer.step()


class Mimicry(PlainLoop):
    """A round of torch-mimicry: its networks of the same sizes, each with its own `train_step`."""

    def networks(self, game: Any) -> tuple[Any, Any]:
        """Return its generator and critic."""
        for name in ("datasets", "metrics", "training"):  # which need TensorFlow and more
            sys.modules[f"torch_mimicry.{name}"] = types.ModuleType(name)
        family = "sngan" if self.setting.loss == "hinge" else "wgan_gp"
        nets = importlib.import_module(f"torch_mimicry.nets.{family}.{family}_32")
        prefix = family.replace("_", "").upper()
        generator, critic = (getattr(nets, f"{prefix}{player}32")() for player in ("Generator", "Discriminator"))
        sizes = [[sum(p.numel() for p in net.parameters()) for net in pair] for pair in (
            (generator, critic), (game.generator, game.critic)
        )]  # fmt: skip
        if abs(sizes[0][0] - sizes[1][0]) + abs(sizes[0][1] - sizes[1][1]) > 1:  # a last bias
            sys.exit(f"mimicry's networks have {sizes[0]} parameters, ours {sizes[1]}")
        return generator, critic

    def play(self) -> None:
        """Play the critic's updates, then the generator's."""
        log = types.SimpleNamespace(add_metric=lambda name, value, group: float(value))
        for _ in range(self.setting.n_critic):
            batch = next(self.batches)
            self.critic.train_step(
                batch, netG=self.generator, optD=self.critic_optimizer, log_data=log, device=torch.device("cpu")
            )
        self.generator.train_step(
            batch, netD=self.critic, optG=self.generator_optimizer, log_data=log, device=torch.device("cpu")
        )


def give_back_freed_memory() -> None:
    """Let glibc treat what is freed as it does by default, once its own thresholds have grown to their bounds."""
    if sys.platform == "linux":
        ctypes.CDLL(None).mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD
        ctypes.CDLL(None).mallopt(-1, 64 << 20)  # M_TRIM_THRESHOLD


class BareTurns:
    """The rounds of a copy of a game in nothing but torch: no trainer, no log, no check, no ranks, no schedule."""

    def __init__(self, setting: Setting, game: Any) -> None:
        self.game, self.n_critic = copy.deepcopy(game), setting.n_critic
        own = (list(self.game.critic_parameters()), list(self.game.generator_parameters()))
        self.players = [
            (parameters, player.optimizer(parameters), turn)
            for parameters, player, turn in zip(
                own, game.players, (self.game.critic_turn, self.game.generator_turn), strict=True
            )
        ]
        images, labels = samples(setting)
        floats = images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images
        parts = [None] * (N_IMAGES // BATCH) if labels is None else labels.split(BATCH)
        self.batches = itertools.cycle([Batch(*pair) for pair in zip(floats.split(BATCH), parts, strict=True)])
        self.n_updates = 0

    def __call__(self) -> None:
        """Play the critic's updates, then the generator's, and move the average."""
        for _ in range(self.n_critic):
            batch = next(self.batches)
            self.move(0, batch)
        self.move(1, batch)
        torch._foreach_lerp_(
            list(self.game.generator_average.parameters()), list(self.game.generator.parameters()), 0.001
        )

    def move(self, index: int, batch: Any) -> None:
        """Make one player's update."""
        for other, (parameters, _, _) in enumerate(self.players):
            for parameter in parameters:
                parameter.requires_grad_(other == index)
        self.n_updates += 1
        self.game.noise = Noise(self.n_updates, torch.device("cpu"), torch.float32)
        _, optimizer, turn = self.players[index]
        torch.stack(list(turn(batch).values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


CRITIC_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "hinge": lambda real, fake: relu(1 - real).mean() + relu(1 + fake).mean(),
    "logistic": lambda real, fake: softplus(-real).mean() + softplus(fake).mean(),
    "wasserstein": lambda real, fake: fake.mean() - real.mean(),
}
GENERATOR_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "hinge": lambda fake: -fake.mean(),
    "logistic": lambda fake: softplus(-fake).mean(),
    "wasserstein": lambda fake: -fake.mean(),
}


def upsample(images: Tensor) -> Tensor:
    """Double the resolution."""
    return interpolate(images, scale_factor=2.0, mode="nearest")


def convolve(layer: nn.Conv2d, images: Tensor) -> Tensor:
    """Return the 3x3 convolution with a layer's weight."""
    return conv2d(images, layer.weight, layer.bias, padding=1)


class UsualGeneratorBlock(GeneratorBlock):
    """Upsample, then convolve, on both ways."""

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, 2H, 2W)`."""
        hidden = convolve(self.conv1, upsample(self.activation1(normalize(self.norm1, inputs, labels))))
        hidden = self.conv2(self.activation2(normalize(self.norm2, hidden, labels)))
        return hidden + self.shortcut(upsample(inputs))


class UsualBigGANBlock(BigGANBlock):
    """Upsample, then convolve, on both ways."""

    def forward(self, inputs: Tensor, conditions: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, 2H, 2W)`."""
        hidden = convolve(self.conv1, upsample(self.activation1(self.norm1(inputs, conditions))))
        hidden = self.conv2(self.activation2(self.norm2(hidden, conditions)))
        return hidden + self.shortcut(upsample(inputs))


class UsualFirstCriticBlock(FirstCriticBlock):
    """Convolve, then pool."""

    def forward(self, images: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H/2, W/2)`."""
        hidden = convolve(self.conv2, self.activation1(self.conv1(images)))
        return avg_pool2d(hidden, 2) + self.shortcut(avg_pool2d(images, 2))


class UsualCriticBlock(CriticBlock):
    """Convolve, then pool, on both ways."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H, W)`, or to half the resolution."""
        hidden = self.conv1(self.activation1(self.norm1(inputs)))
        hidden = convolve(self.conv2, self.activation2(self.norm2(hidden)))
        return self.pool(hidden) + self.pool(self.shortcut(inputs))


class UsualConv3x3(Conv3x3):  # type: ignore[misc]
    """Convolve as torch does."""

    forward = nn.Conv2d.forward


USUAL: tuple[type, ...] = (
    UsualConv3x3, UsualGeneratorBlock, UsualBigGANBlock, UsualFirstCriticBlock, UsualCriticBlock
)  # fmt: skip


def usual(network: Any) -> Any:
    """Return a copy of a network, its weights included, with the blocks written in the usual way."""
    network = copy.deepcopy(network)
    for module in network.modules():
        for block in USUAL:
            if isinstance(module, block.__mro__[1]):  # spectral normalization makes a class of its own of a layer
                module.forward = types.MethodType(block.forward, module)
    return network


def check_alike(game: Any, generator: Any, critic: Any, n_classes: int) -> None:
    """Stop if the two sides' networks are not the same function."""
    labels = torch.arange(4) % n_classes if n_classes else None
    latents = torch.randn(4, generator.latent_dim)
    with torch.no_grad():
        for network in (game.generator, generator, game.critic, critic):
            network.eval()
        made = game.generator(latents, labels), generator(latents, labels)
        judged = [network(made[0], labels) for network in (game.critic, critic)]
        torch.testing.assert_close(made[0], made[1], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(judged[0], judged[1], rtol=1e-4, atol=1e-5)
        for network in (game.generator, generator, game.critic, critic):
            network.train()


# The settings -------------------------------------------------------------------------------------------------------


def samples(setting: Setting) -> tuple[Tensor, Tensor | None]:
    """Return images of noise, or the grid's points, with labels if the setting has classes."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(N_IMAGES) % setting.n_classes if setting.n_classes else None
    if not setting.side:
        centers = torch.randint(0, 5, (N_IMAGES, 2), generator=draws) / 2 - 1
        return centers + 0.05 * torch.randn(N_IMAGES, 2, generator=draws), labels
    size = (N_IMAGES, 3, setting.side, setting.side)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=draws), labels


def _sngan(data: Any, **options: Any) -> Any:
    nets, families = gl.networks, gl.families
    game = families.SNGAN(nets.SNGANResNetGenerator, nets.SNGANResNetCritic, shape=data.shape, **options)
    sizes = [sum(p.numel() for p in network.parameters()) for network in (game.generator, game.critic)]
    if sizes != [4_276_739, 1_053_824]:  # the authors'; mimicry has a last bias beside
        sys.exit(f"the networks have {sizes} parameters, not 4,276,739 and 1,053,824")
    return game


def _wgan_gp(data: Any, width: int = 128, **options: Any) -> Any:
    generator, critic = partial(gl.networks.WGANGPResNetGenerator, width=width), gl.networks.WGANGPResNetCritic
    return gl.families.WGANGP(generator, critic, shape=data.shape, **options)


def _dcgan(data: Any, **options: Any) -> Any:
    return gl.families.DCGAN(gl.networks.DCGANGenerator, gl.networks.DCGANCritic, shape=data.shape, **options)


def _biggan(data: Any, **options: Any) -> Any:
    generator = partial(gl.networks.BigGANGenerator, width=64, chunk_dim=32, n_classes=10)
    critic = partial(gl.networks.BigGANCritic, width=64, n_classes=10)
    return gl.families.BigGAN(
        generator, critic, shape=data.shape, orthogonal_weight=0.0, classes=data.classes, **options
    )


def _mlp(data: Any, **options: Any) -> Any:
    generator = partial(gl.networks.MLPGenerator, latent_dim=2, width=128, n_layers=3)
    critic = partial(gl.networks.MLPCritic, width=128, n_layers=3)
    return gl.families.WGANGP(generator, critic, shape=data.shape, **options)


SETTINGS = {
    "mlp_grid": Setting(_mlp, 0, 5, "wasserstein", penalty=10.0),
    "dcgan_64": Setting(_dcgan, 64, 1, "logistic"),
    "sngan_32": Setting(_sngan, 32, 5, "hinge"),
    "wgan_gp_32": Setting(_wgan_gp, 32, 5, "wasserstein", penalty=10.0),
    "biggan_32": Setting(_biggan, 32, 4, "hinge", n_classes=10),
}


if __name__ == "__main__":
    main()
