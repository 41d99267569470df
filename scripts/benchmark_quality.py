#!/usr/bin/env python
"""Time to quality: minutes of training until a given fid_efficientnet_lite0, ours against a plain PyTorch loop.

    python scripts/benchmark_quality.py --data cifar10.zip --fid 150 120

Both sides train an SNGAN (narrow residual networks, hinge loss) on the same images from the same initial weights: the trainer,
and the plain loop of scripts/benchmark_rounds.py, a round of each in turn in one process with one thread. Every `--every`
updates both are measured, with the same latents, against `--n_samples` images. Measuring is not part of the time; the
trainer, its data and its running average are. Ours is measured twice: as the generator stands, which is what the plain loop
has, and by the average of its weights, which is what this package samples from. Minutes are of processor time, which other
programs disturb less; those of wall time stand beside them. So few samples bias the distance: compare it with the other
side's only.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import torch
from benchmark_rounds import PlainLoop, Setting, bare_trainer, now, silence, since
from lightning.pytorch import Callback, Trainer
from torch import Tensor

import gan_lightning as gl
from gan_lightning.data import ImageFolder
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.metrics import EfficientNetLite0
from gan_lightning.metrics.fidelity import Moments, frechet_distance
from gan_lightning.networks import SNGANResNetCritic, SNGANResNetGenerator

PLAIN, OURS, AVERAGE = SIDES = ("plain", "ours", "ours, averaged")
BATCH = 50  # images that the extractor is given at once


@silence()
def main() -> None:
    """Train both sides and print when each was good enough."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder or zip of images, or one with a train folder")
    parser.add_argument("--fid", type=float, nargs="+", required=True, help="the distances to be reached")
    parser.add_argument("--image_size", type=int, default=32)
    parser.add_argument("--width", type=int, default=32, help="channels of both networks; the paper has 256 and 128")
    parser.add_argument("--n_critic", type=int, default=1, help="critic updates in a round")
    parser.add_argument("--every", type=int, default=250, help="updates between two measurements")
    parser.add_argument("--n_samples", type=int, default=1000, help="images of each side of the distance")
    parser.add_argument("--max_updates", type=int, default=2000, help="of the generator")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in ("width", "n_critic", "every", "max_updates"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    if options.n_samples < 2:
        parser.error(f"--n_samples must be at least 2, got {options.n_samples}")
    torch.set_num_threads(1)
    folder = ImageFolder(options.data, options.image_size)
    folder.prepare_data()
    images = torch.as_tensor(folder.reference("train").images)
    if options.n_samples > len(images):
        parser.error(f"--n_samples must be at most {len(images):,}, the number of images, got {options.n_samples}")
    print(
        f"SNGAN {options.width} wide, {len(images):,} images, n_critic {options.n_critic}, seed {options.seed}, FID of "
        f"{options.n_samples:,} samples, torch {torch.__version__}, one thread\n"
        f"{'updates':>8}" + "".join(f"{side:>16}{'minutes':>9}" for side in SIDES)
    )
    race = play(images, options)
    for wanted in options.fid:
        print(verdict(wanted, race))


def play(images: Tensor, options: argparse.Namespace) -> Race:
    """Return both sides' distances and times, trained on uint8 images `(N, C, H, W)`."""
    torch.manual_seed(options.seed)
    data = gl.data.data_of(images)
    game = gl.families.SNGAN(
        partial(SNGANResNetGenerator, width=options.width),
        partial(SNGANResNetCritic, width=options.width),
        shape=data.shape,
        n_critic=options.n_critic,
        seed=options.seed,
    )
    setting = Setting(lambda data: game, options.image_size, options.n_critic, "hinge")
    race = Race(PlainLoop(setting, game, images, None), images, options)
    bare_trainer(race, options.max_updates).fit(game, datamodule=data)
    return race


class Race(Callback):
    """Plays a plain round after each of the trainer's, takes the times of both, and measures both now and then.

    Attributes:
        rows: For each measurement the number of updates, each side's distance, and each side's (wall, CPU) seconds so far.
    """

    def __init__(self, plain: PlainLoop, images: Tensor, options: argparse.Namespace) -> None:
        self.plain, self.options = plain, options
        self.extractor = EfficientNetLite0().load()
        draws = torch.Generator().manual_seed(options.seed)
        self.real = self.moments(images[torch.randperm(len(images), generator=draws)[: options.n_samples]])
        self.latents = torch.randn(options.n_samples, plain.generator.latent_dim, generator=draws)
        self.seconds = {side: (0.0, 0.0) for side in SIDES}
        self.rows: list[tuple[int, dict[str, float], dict[str, tuple[float, float]]]] = []

    def on_train_start(self, *_: Any) -> None:
        """Start the clock."""
        self._start = now()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        """Take our time, play and time the plain round, and measure if it is time to."""
        self._add((OURS, AVERAGE), since(self._start))
        start = now()
        self.plain()
        self._add((PLAIN,), since(start))
        if pl_module.updates_done % self.options.every == 0 or pl_module.updates_done == self.options.max_updates:
            self.look(pl_module)
            reached = [any(row[1][side] <= min(self.options.fid) for row in self.rows) for side in SIDES]
            trainer.should_stop = all(reached)
        self._start = now()

    def look(self, game: Any) -> None:
        """Measure all sides and print them."""
        networks = {PLAIN: self.plain.generator, OURS: game.generator, AVERAGE: game.generator_average}
        found = {side: frechet_distance(self.real, self.moments(self.made(net))) for side, net in networks.items()}
        self.rows.append((game.updates_done, found, dict(self.seconds)))
        print(
            f"{game.updates_done:>8}"
            + "".join(f"{found[side]:>16.1f}{self.seconds[side][1] / 60:>9.2f}" for side in SIDES),
            flush=True,
        )

    @torch.no_grad()
    def made(self, generator: Any) -> Tensor:
        """Return what a generator makes of the latents, uint8 `(N, C, H, W)`."""
        was_training = generator.training
        generator.eval()
        images = torch.cat([to_uint8(generator(latents)) for latents in self.latents.split(BATCH)])
        generator.train(was_training)
        return images

    def moments(self, images: Tensor) -> Moments:
        """Return the moments of the features of uint8 images `(N, C, H, W)`."""
        moments = Moments()
        for batch in images.split(BATCH):
            moments.update(self.extractor(batch)[0])
        return moments

    def _add(self, sides: tuple[str, ...], seconds: tuple[float, float]) -> None:
        for side in sides:
            wall, cpu = self.seconds[side]
            self.seconds[side] = wall + seconds[0], cpu + seconds[1]


def verdict(wanted: float, race: Race) -> str:
    """Return when each side has reached a distance, and the ratio of the plain side's time to ours."""
    times, parts = {}, []
    for side in SIDES:
        row = next((row for row in race.rows if row[1][side] <= wanted), None)
        if row is None:
            parts.append(f"{side}: not within {race.rows[-1][0]} updates")
            continue
        wall, times[side] = row[2][side]
        parts.append(f"{side}: {row[0]} updates, {times[side] / 60:.2f} minutes (wall {wall / 60:.2f})")
    for side in (OURS, AVERAGE):
        if PLAIN in times and side in times:
            parts.append(f"plain / {side}: {times[PLAIN] / times[side]:.2f}")
    return f"FID {wanted:g}: {'; '.join(parts)}"


if __name__ == "__main__":
    main()
