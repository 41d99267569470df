"""Penalties on the slope of the critic."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.execution.ranks import sum_over_ranks
from gan_lightning.networks.base import Critic
from gan_lightning.optimizers.schedules import Schedule
from gan_lightning.protocols import Host
from gan_lightning.randomness import Noise
from gan_lightning.stabilizers.base import CriticPenalty
from gan_lightning.stabilizers.critic_of_turn import CriticOfTurn, judged_together
from gan_lightning.stabilizers.slopes import gradient_norms, interpolate, per_row, squared_gradient_norms


@final
class GradientPenalty(CriticPenalty):
    """E (|grad f(xh)| - 1)^2 on the lines between real and fake (Gulrajani 2017, arXiv:1704.00028, eq. 3).

    Example:
        >>> GradientPenalty()(critic, real, fake, None, noise).item()  # 10 (2 - 1)^2: the critic's slope is 2
        10.0

    Args:
        weight: lambda of the paper.
        one_sided: Penalise only norms above 1: E max(0, |grad f(xh)| - 1)^2 (the paper's appendix; arXiv:1709.08894).
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates.
    """

    name = "gradient_penalty"

    def __init__(self, weight: float = 10.0, one_sided: bool = False, interval: int = 1) -> None:
        super().__init__(weight, interval)
        self.one_sided = one_sided

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the mean over the batch of the squared excess of the gradient's norm over 1."""
        excess = gradient_norms(critic, interpolate(real, fake, noise), labels) - 1
        return (excess.relu() if self.one_sided else excess).square().mean()


@final
class R1(CriticPenalty):
    """1/2 E |grad f(x)|^2 on real samples (Mescheder 2018, arXiv:1801.04406, eq. 9).

    Example:
        >>> R1()(critic, real, fake, None, noise).item()  # 10 / 2 * 2^2
        20.0

    Args:
        weight: gamma of the paper; the 1/2 is in the formula.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates (lazy regularisation).
        schedule: Factor on the weight over generator updates; none keeps it constant.
    """

    name = "r1"

    def __init__(self, weight: float = 10.0, interval: int = 1, schedule: Schedule | None = None) -> None:
        super().__init__(weight, interval, schedule)

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return half the mean squared gradient norm at real samples."""
        return 0.5 * squared_gradient_norms(critic, real, labels).mean()


@final
class ApproximateR1(CriticPenalty):
    """1/2 E (f(x + s u) - f(x))^2 / s^2 on real samples, u ~ N(0, I): R1 without a second derivative, for small s.

    From Lin et al. 2025 (arXiv:2501.08316), whose lambda |f(x) - f(x + s u)|^2 it is with
    lambda = weight / (2 s^2). Its expectation is R1's up to terms in s^2, and it varies more, since each sample's slope is
    looked at in one direction only. Both sets of samples pass the critic at once, in full precision.

    Example:
        >>> noisy = ApproximateR1()(critic, real.expand(4, 2).repeat(1000, 1), fake, None, noise)
        >>> abs(noisy.item() - 20) < 2  # R1's is 10 / 2 * 2^2
        True

    Args:
        weight: gamma of R1.
        sigma: s, in units of the samples.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates.

    Raises:
        UserError: sigma is 0.
    """

    name = "approximate_r1"

    def __init__(self, weight: float = 10.0, sigma: float = 0.01, interval: int = 1) -> None:
        super().__init__(weight, interval)
        if not sigma > 0:
            raise UserError(f"sigma of ApproximateR1 must be above 0, got {sigma}; the authors' is 0.01 to 0.1")
        self.sigma = sigma

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return half the mean squared difference quotient of the logits in random directions."""
        if isinstance(critic, CriticOfTurn):
            critic = critic.of(real)
        points = real.detach().to(next((p.dtype for p in critic.parameters()), real.dtype))
        moved = points + self.sigma * noise.normal(len(points), *points.shape[1:]).to(points.dtype)
        with torch.autocast(points.device.type, enabled=False):
            here, there = judged_together(critic, points, moved, labels=labels)
        slopes = (there - here) / self.sigma
        return 0.5 * (slopes if slopes.dim() == 1 else slopes.flatten(1).mean(1)).square().mean()


@final
class R2(CriticPenalty):
    """1/2 E |grad f(G(z))|^2 on generated samples (Mescheder 2018, arXiv:1801.04406, eq. 9).

    Example:
        >>> R2()(critic, real, fake, None, noise).item()
        20.0

    Args:
        weight: gamma of the paper; the 1/2 is in the formula.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates (lazy regularisation).
        schedule: Factor on the weight over generator updates; none keeps it constant.
    """

    name = "r2"

    def __init__(self, weight: float = 10.0, interval: int = 1, schedule: Schedule | None = None) -> None:
        super().__init__(weight, interval, schedule)

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return half the mean squared gradient norm at generated samples."""
        return 0.5 * squared_gradient_norms(critic, fake, labels).mean()


@final
class DivergencePenalty(CriticPenalty):
    """E |grad f(u)|^p, u on the lines between real and generated samples (WGAN-div; Wu 2018, arXiv:1712.01026, eq. 9).

    The norm is Euclidean. The paper's expectation is over any distribution of points u. Its authors' code
    (musikisomorphie/wgan-div) takes the lines, with weight 10; common implementations take the samples themselves,
    1/2 (E |grad f(x)|^p + E |grad f(G(z))|^p), which is `on_lines` false (and was the only form in release 0.1.0).

    Example:
        >>> DivergencePenalty()(critic, real, fake, None, noise).item()  # 2 / 2 * (2^6 + 2^6)
        128.0

    Args:
        weight: k of the paper.
        power: p of the paper, at least 1.
        on_lines: Take u uniform on the line between a real and a generated sample, instead of half real, half generated.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates.
    """

    name = "divergence_penalty"

    def __init__(self, weight: float = 2.0, power: float = 6.0, on_lines: bool = True, interval: int = 1) -> None:
        super().__init__(weight, interval)
        if not power >= 1:
            raise UserError(f"power of DivergencePenalty must be at least 1, got {power}; the paper's is 6")
        self.power, self.on_lines = power, on_lines

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the mean power of the gradient's norm."""
        if self.on_lines:
            return gradient_norms(critic, interpolate(real, fake, noise), labels).pow(self.power).mean()
        norms = torch.stack([gradient_norms(critic, points, labels) for points in (real, fake)])
        return 0.5 * norms.pow(self.power).mean(1).sum()


@final
class PerturbationPenalty(CriticPenalty):
    """E (|grad f(xh)| - 1)^2 around real samples only: xh = x + a c s u (DRAGAN; Kodali 2017, arXiv:1705.07215).

    s is the standard deviation of all values of the global real batch, whatever its share of ranks and micro-batches; in
    joint inference too it is that of the samples alone. u is uniform in [0, 1), drawn for each
    coordinate, and a is uniform, drawn for each sample: a point on the way from a sample to its perturbed copy. The
    norm is Euclidean, over all axes of a sample.

    Example:
        >>> PerturbationPenalty()(critic, real, fake, None, noise).item()
        10.0

    Args:
        weight: lambda of the paper.
        spread: c, the size of the perturbation in standard deviations of the data.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates.
    """

    name = "perturbation_penalty"

    def __init__(self, weight: float = 10.0, spread: float = 0.5, interval: int = 1) -> None:
        super().__init__(weight, interval)
        if not spread >= 0:
            raise UserError(f"spread of PerturbationPenalty must not be negative, got {spread}; the authors' is 0.5")
        self.spread = spread
        self._std: Tensor | None
        self.register_buffer("_std", None, persistent=False)

    def before_update(self, game: Host, real: Tensor) -> None:
        """Take the standard deviation of the whole batch, over all ranks."""
        self._std = global_std(real)

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the mean over the batch of the squared difference of the gradient's norm from 1."""
        return (gradient_norms(critic, self.points(real, noise), labels) - 1).square().mean()

    def points(self, real: Tensor, noise: Noise) -> Tensor:
        """Return the points, shaped as `real` `(N, ...)`, at which the gradient is taken."""
        direction = noise.uniform(len(real), *real.shape[1:]).to(real.dtype)
        share = per_row(noise.uniform(len(real)), real).to(real.dtype)
        std = global_std(real) if self._std is None else self._std.to(real.dtype)
        return real + share * self.spread * std * direction


@torch.no_grad()
def global_std(values: Tensor) -> Tensor:
    """Return the standard deviation, a scalar, of all the values of all ranks' tensors.

    Example:
        >>> global_std(torch.tensor([1.0, 3.0]))
        tensor(1.)
    """
    wide = values.double() if values.device.type != "mps" else values.float()
    moments = torch.stack([torch.full_like(wide.sum(), wide.numel()), wide.sum(), wide.square().sum()])
    n, total, squares = sum_over_ranks(moments)
    return (squares / n - (total / n).square()).clamp(min=0).sqrt().to(values.dtype)
