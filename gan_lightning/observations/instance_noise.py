"""Instance noise: the critic sees samples through Gaussian noise that fades."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.randomness import Noise

if TYPE_CHECKING:
    pass
from gan_lightning.observations.base import Observation


@final
class InstanceNoise(Observation):
    """x + sigma n, n ~ N(0, I), sigma falling on a straight line to 0 (Sonderby 2017, arXiv:1610.04490, section 3.3).

    Example:
        >>> noise = InstanceNoise(sigma=0.1, n_updates=100)
        >>> [round(noise.sigma_at(update), 3) for update in (0, 50, 200)]
        [0.1, 0.05, 0.0]

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
        sigma = self.sigma if self.n_updates is None else self.sigma_at(noise.update)
        if sigma == 0:
            return samples, labels
        return samples + sigma * noise.normal(len(samples), *samples.shape[1:]).to(samples.dtype), labels

    def sigma_at(self, update: int) -> float:
        """Return the standard deviation after `update` generator updates."""
        return self.sigma if self.n_updates is None else self.sigma * max(0.0, 1 - update / self.n_updates)
