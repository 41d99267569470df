"""What the critic is shown of a sample: nothing is changed unless an observation is set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.randomness import Noise

if TYPE_CHECKING:
    from gan_lightning.gan import GAN


class Observation(nn.Module, ABC):
    """A differentiable view of samples, applied to real and generated ones alike, in both players' turns.

    Attributes:
        pack: How many samples are shown as one (PacGAN); the critic's channels are multiplied by it.
    """

    pack: int = 1

    @abstractmethod
    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Return what the critic sees of samples `(N, ...)` and labels `(N,)`: `(N / pack, ...)` and `(N / pack,)`."""

    def watch(self, gan: GAN, real: Tensor, labels: Tensor | None) -> None:
        """Take note of the real samples that the critic was just shown, in each of its turns."""

    def after_critic_update(self, gan: GAN) -> None:
        """Take note of a critic update; called without gradients after each one, on every rank."""

    def check(self, gan: GAN) -> None:
        """Raise a UserError that names both sides and the mend if the observation cannot be made in this game."""


@final
class Compose(Observation):
    """One observation after another.

    DiffAugment (Zhao 2020, arXiv:2006.10738) with the policy "color,translation,cutout" is
    `Compose([ColourJitter(), Translation(), Cutout()])`.

    Args:
        observations: In the order in which they are made; `Packing` can only be the last.
    """

    def __init__(self, observations: list[Observation]) -> None:
        super().__init__()
        if any(observation.pack > 1 for observation in observations[:-1]):
            raise UserError(
                f"Compose has {', '.join(type(o).__name__ for o in observations)}: Packing must be the last, because "
                "the others are drawn for each sample, not for each pack"
            )
        self.observations: list[Observation] = nn.ModuleList(observations)  # type: ignore[assignment]
        self.pack = observations[-1].pack if observations else 1

    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Return what the last observation makes of the others'."""
        for observation in self.observations:
            samples, labels = observation(samples, labels, noise)
        return samples, labels

    def watch(self, gan: GAN, real: Tensor, labels: Tensor | None) -> None:
        """Let each part take note."""
        for observation in self.observations:
            observation.watch(gan, real, labels)

    def after_critic_update(self, gan: GAN) -> None:
        """Let each part take note."""
        for observation in self.observations:
            observation.after_critic_update(gan)

    def check(self, gan: GAN) -> None:
        """Refuse what a part refuses."""
        for observation in self.observations:
            observation.check(gan)


@final
class InstanceNoise(Observation):
    """x + sigma n, n ~ N(0, I), sigma falling on a straight line to 0 (Sonderby 2017, arXiv:1610.04490, section 3.3).

    Args:
        sigma: Standard deviation at the start, in the units of the samples.
        n_updates: Generator updates until it is 0, after which samples pass unchanged; null keeps it constant.
    """

    def __init__(self, sigma: float = 0.1, n_updates: int | None = None) -> None:
        super().__init__()
        if not sigma > 0:
            raise UserError(f"sigma of InstanceNoise must be above 0, got {sigma}; leave the observation out for none")
        if n_updates is not None and n_updates < 1:
            raise UserError(f"n_updates of InstanceNoise must be at least 1, got {n_updates}; null keeps it constant")
        self.sigma, self.n_updates = sigma, n_updates

    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Return the samples with the noise of this update added."""
        sigma = self.sigma_at(noise.update)
        if sigma == 0:
            return samples, labels
        return samples + sigma * noise.normal(len(samples), *samples.shape[1:]).to(samples.dtype), labels

    def sigma_at(self, update: int) -> float:
        """Return the standard deviation after `update` generator updates."""
        return self.sigma if self.n_updates is None else self.sigma * max(0.0, 1 - update / self.n_updates)


@final
class Packing(Observation):
    """m independent samples shown as one, along the channels (PacGAN; Lin 2018, arXiv:1712.04086).

    The critic gives one logit per pack, so a batch has m times fewer of them; its first layer grows, the generator
    stays. A pack must be of one class, which a batch of labelled data is not: the critic must be unconditional.

    Args:
        pack: m; consecutive samples of the batch make a pack.
    """

    def __init__(self, pack: int = 2) -> None:
        super().__init__()
        if pack < 2:
            raise UserError(f"pack must be at least 2, got {pack}; leave Packing out to show single samples")
        self.pack = pack

    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Return packs `(N / m, m C, H, W)` of images `(N, C, H, W)`, `(N / m, m D)` of vectors, and no labels."""
        return samples.reshape(len(samples) // self.pack, -1, *samples.shape[2:]), None

    def check(self, gan: GAN) -> None:
        """Refuse labels, and batches that do not divide into packs."""
        if gan.critic.n_classes:
            raise UserError(
                f"Packing shows packs that mix classes, but {type(gan.critic).__name__} judges a sample by its label "
                f"(n_classes {gan.critic.n_classes}); set n_classes to 0 on both networks, or leave Packing out"
            )
        trainer = gan.trainer
        batch_size = getattr(getattr(trainer, "datamodule", None), "batch_size", None)
        if batch_size is None:
            return
        for n_parts in gan._accumulations:
            rows = batch_size // (trainer.world_size * n_parts)
            if rows % self.pack:
                raise UserError(
                    f"Packing makes packs of {self.pack}, but a process's share of the batch of {batch_size} is {rows} "
                    f"samples; set data.batch_size to a multiple of {self.pack * trainer.world_size * n_parts}"
                )
