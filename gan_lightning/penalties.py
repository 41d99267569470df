"""Penalties on the critic: what is added to its loss, whatever the family.

A penalty is a module (so that its state, if any, is in the checkpoint) which returns one weighted term.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from gan_lightning.networks.base import Critic
from gan_lightning.noise import Noise


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
    batch statistics changes buffers in its forward pass, which only `torch.autograd` allows.
    """

    def total(samples: Tensor) -> Tensor:
        return critic(samples, labels).sum()

    points = points.detach()
    with torch.autocast(points.device.type, enabled=False):
        if couples_batch(critic):
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
    """

    name: ClassVar[str]
    per_sample: ClassVar[bool] = True

    def __init__(self, weight: float, interval: int = 1) -> None:
        super().__init__()
        if interval < 1:
            raise ValueError(f"interval of {type(self).__name__} must be at least 1, got {interval}")
        if weight < 0:
            raise ValueError(f"weight of {type(self).__name__} must not be negative, got {weight}")
        self.weight, self.interval = weight, interval

    def forward(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the weighted penalty, a scalar, on samples `real` and `fake` `(N, ...)` as the critic is shown them."""
        return self.weight * self.interval * self.penalty(critic, real, fake, labels, noise)

    @abstractmethod
    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the penalty before its weight, a scalar."""


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


PenaltyFunction = Callable[[Critic, Tensor, Tensor, "Tensor | None", Noise], Tensor]
