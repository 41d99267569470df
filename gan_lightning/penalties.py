"""Penalties on the critic: what is added to its loss, whatever the family.

A penalty is a module (so that its state, if any, is in the checkpoint) which returns one weighted term.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, final

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic
from gan_lightning.randomness import Noise

if TYPE_CHECKING:
    from gan_lightning.held_critic import HeldCritic


def couples_batch(network: nn.Module) -> list[str]:
    """Return the names of the layers through which samples of a batch influence each other (batch statistics)."""
    return [
        name or type(module).__name__
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) or getattr(module, "couples_batch", False)
    ]


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """Return `values` `(N,)` as `(N, 1, ..., 1)` with as many axes as `like`."""
    return values.reshape(-1, *[1] * (like.dim() - 1))


def input_gradients(critic: Critic, points: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return the gradient of each sample's own logit at that sample, shaped as `points`, differentiable in the critic.

    Computed in full precision whatever the autocast. `torch.func` is used where it can be (it compiles); a critic with
    batch statistics changes buffers in its forward pass, which only `torch.autograd` allows; so does a recomputed one.
    """

    def total(samples: Tensor) -> Tensor:
        return critic(samples, labels).sum()

    # under bf16-mixed a generator gives bfloat16, which a critic outside autocast cannot take
    points = points.detach().to(next((p.dtype for p in critic.parameters()), points.dtype))
    with torch.autocast(points.device.type, enabled=False):
        if couples_batch(critic) or any(getattr(module, "recomputes", False) for module in critic.modules()):
            points.requires_grad_(True)
            (gradients,) = torch.autograd.grad(total(points), points, create_graph=True)
            return gradients
        return torch.func.grad(total)(points)


def squared_gradient_norms(critic: Critic, points: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return the squared Euclidean norm over all non-batch axes of each sample's gradient, `(N,)`."""
    return input_gradients(critic, points, labels).flatten(1).square().sum(1)


def gradient_norms(critic: Critic, points: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return the Euclidean norm of each sample's gradient, `(N,)`, with a finite derivative where it is 0."""
    return (squared_gradient_norms(critic, points, labels) + 1e-12).sqrt()


def interpolate(real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
    """Return points on the lines from real to fake, one uniform coefficient per sample (arXiv:1704.00028, section 4)."""
    share = per_row(noise.uniform(len(real)), real).to(real.dtype)
    return share * real + (1 - share) * fake


class CriticPenalty(nn.Module, ABC):
    """One term of the critic's loss that any family can take.

    Attributes:
        name: The term's name: logged as `critic/<name>`.
        per_sample: Whether its formula holds only where samples do not influence each other's logits.
        of_logits: Whether it looks at the critic's logits.
    """

    name: ClassVar[str]
    per_sample: ClassVar[bool] = True
    of_logits: ClassVar[bool] = True

    def __init__(self, weight: float, interval: int = 1) -> None:
        super().__init__()
        if interval < 1:
            raise UserError(f"interval of {type(self).__name__} must be at least 1, got {interval}")
        if weight < 0:
            raise UserError(f"weight of {type(self).__name__} must not be negative, got {weight}")
        self.weight, self.interval = weight, interval

    def forward(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the weighted penalty, a scalar, on samples `real` and `fake` `(N, ...)` as the critic is shown them."""
        return self.weight * self.interval * self.penalty(critic, real, fake, labels, noise)

    @abstractmethod
    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the penalty before its weight, a scalar."""

    def attach(self, gan: HeldCritic) -> None:
        """Make the buffers that depend on the game's networks, once, when the game is built."""

    def after_update(self, gan: HeldCritic) -> None:
        """Take note of a critic update; called without gradients after each one, on every rank."""

    def check(self, gan: HeldCritic) -> None:
        """Raise a UserError that names both sides and the mend if the penalty does not hold in this game."""
        coupled = couples_batch(gan.critic) if self.per_sample else []
        if coupled:
            raise UserError(
                f"{type(self).__name__} needs per-sample gradients, but {type(gan.critic).__name__} couples the "
                f"samples of a batch ({coupled[0]}); build the critic with norm none or layer, without minibatch "
                "discrimination"
            )


@final
class GradientPenalty(CriticPenalty):
    """E (|grad f(xh)| - 1)^2 on the lines between real and fake (Gulrajani 2017, arXiv:1704.00028, eq. 3).

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

    Args:
        weight: gamma of the paper; the 1/2 is in the formula.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates (lazy regularisation).
    """

    name = "r1"

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__(weight, interval)

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return half the mean squared gradient norm at real samples."""
        return 0.5 * squared_gradient_norms(critic, real, labels).mean()


@final
class R2(CriticPenalty):
    """1/2 E |grad f(G(z))|^2 on generated samples (Mescheder 2018, arXiv:1801.04406, eq. 9).

    Args:
        weight: gamma of the paper; the 1/2 is in the formula.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates (lazy regularisation).
    """

    name = "r2"

    def __init__(self, weight: float = 10.0, interval: int = 1) -> None:
        super().__init__(weight, interval)

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return half the mean squared gradient norm at generated samples."""
        return 0.5 * squared_gradient_norms(critic, fake, labels).mean()


@final
class DivergencePenalty(CriticPenalty):
    """1/2 (E |grad f(x)|^p + E |grad f(G(z))|^p) at real and generated samples (WGAN-div; Wu 2018, arXiv:1712.01026).

    The norm is Euclidean. The paper's expectation is over any distribution of points; here it is half real, half
    generated, the form of the common implementations.

    Args:
        weight: k of the paper; the 1/2 is in the formula.
        power: p of the paper, at least 1.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates.
    """

    name = "divergence_penalty"

    def __init__(self, weight: float = 2.0, power: float = 6.0, interval: int = 1) -> None:
        super().__init__(weight, interval)
        if not power >= 1:
            raise UserError(f"power of DivergencePenalty must be at least 1, got {power}; the paper's is 6")
        self.power = power

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return half the sum of the mean powers of the gradient's norm at real and at generated samples."""
        norms = torch.stack([gradient_norms(critic, points, labels) for points in (real, fake)])
        return 0.5 * norms.pow(self.power).mean(1).sum()


@final
class PerturbationPenalty(CriticPenalty):
    """E (|grad f(xh)| - 1)^2 around real samples only: xh = x + a c s u (DRAGAN; Kodali 2017, arXiv:1705.07215).

    s is the standard deviation of all values of the real batch, over all ranks; u is uniform in [0, 1), drawn for each
    coordinate, and a is uniform, drawn for each sample: a point on the way from a sample to its perturbed copy. The
    norm is Euclidean, over all axes of a sample.

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

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the mean over the batch of the squared difference of the gradient's norm from 1."""
        return (gradient_norms(critic, self.points(real, noise), labels) - 1).square().mean()

    def points(self, real: Tensor, noise: Noise) -> Tensor:
        """Return the points, shaped as `real` `(N, ...)`, at which the gradient is taken."""
        direction = noise.uniform(len(real), *real.shape[1:]).to(real.dtype)
        share = per_row(noise.uniform(len(real)), real).to(real.dtype)
        return real + share * self.spread * global_std(real) * direction


@torch.no_grad()
def global_std(values: Tensor) -> Tensor:
    """Return the standard deviation, a scalar, of all the values of all ranks' tensors."""
    wide = values.double() if values.device.type != "mps" else values.float()
    moments = torch.stack([torch.full_like(wide.sum(), wide.numel()), wide.sum(), wide.square().sum()])
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(moments)
    n, total, squares = moments
    return (squares / n - (total / n).square()).clamp(min=0).sqrt().to(values.dtype)


PenaltyFunction = Callable[[Critic, Tensor, Tensor, "Tensor | None", Noise], Tensor]
