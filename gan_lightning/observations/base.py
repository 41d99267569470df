"""What the critic is shown of a sample: nothing is changed unless an observation is set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.protocols import Host
from gan_lightning.randomness import Noise


class Observation(nn.Module, ABC):
    """A differentiable view of samples, applied to real and generated ones alike, in both players' turns.

    Attributes:
        pack: How many samples are shown as one (PacGAN); the critic's channels are multiplied by it.
    """

    pack: int = 1

    @abstractmethod
    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        """Return what the critic sees of samples `(N, ...)` and labels `(N,)`: `(N / pack, ...)` and `(N / pack,)`."""

    def watch(self, game: Host, real: Tensor, labels: Tensor | None) -> None:
        """Take note of the real samples that the critic was just shown, in each of its turns."""

    def after_critic_update(self, game: Host) -> None:
        """Take note of a critic update; called without gradients after each one, on every rank."""

    def check(self, game: Host) -> None:
        """Raise a UserError that names both sides and the fix if the observation cannot be made in this game."""


@final
class Compose(Observation):
    """One observation after another.

    DiffAugment (Zhao 2020, arXiv:2006.10738) with the policy "color,translation,cutout" is
    `Compose([ColorJitter(), Translation(), Cutout()])`.

    Example:
        >>> from gan_lightning.observations import Packing, Translation
        >>> view, labels = Compose([Translation(), Packing(2)])(torch.rand(4, 3, 8, 8), None, noise)
        >>> view.shape
        torch.Size([2, 6, 8, 8])

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

    def watch(self, game: Host, real: Tensor, labels: Tensor | None) -> None:
        """Let each part take note."""
        for observation in self.observations:
            observation.watch(game, real, labels)

    def after_critic_update(self, game: Host) -> None:
        """Let each part take note."""
        for observation in self.observations:
            observation.after_critic_update(game)

    def check(self, game: Host) -> None:
        """Refuse what a part refuses."""
        for observation in self.observations:
            observation.check(game)
