"""The f-divergences of Nowozin, Cseke, Tomioka, "f-GAN", NeurIPS 2016, https://arxiv.org/abs/1606.00709 (tables 1, 2).

D_f(p, q) = E_q f(p / q) with f convex and f(1) = 0 (the GAN's is -log 4) is at least E_p T - E_q f*(T) for any T with
values in the domain of f*, with equality at T = f'(p / q). The critic's raw output v becomes T by an activation g_f
whose range is that domain.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


class Divergence(ABC):
    """A convex f on (0, inf) with what its variational bound needs. All methods are elementwise.

    Attributes:
        name: Under which the critic's and the generator's term are logged.
        threshold: f'(1), the T of a critic to which a sample is as likely real as generated.
    """

    name: ClassVar[str]
    threshold: ClassVar[float] = 0.0

    @abstractmethod
    def f(self, ratios: Tensor) -> Tensor:
        """Return f of density ratios p / q, above 0."""

    @abstractmethod
    def activation(self, logits: Tensor) -> Tensor:
        """Return T = g_f(v), monotone in v, in the domain of f*."""

    @abstractmethod
    def conjugate(self, values: Tensor) -> Tensor:
        """Return f*(T) = sup over u of u T - f(u), for T in its domain."""

    def conjugate_of(self, logits: Tensor) -> Tensor:
        """Return f*(g_f(v)) without leaving the floating range on the way."""
        return self.conjugate(self.activation(logits))


@dataclass(frozen=True)
class KL(Divergence):
    """Kullback-Leibler, E_p log(p / q): f(u) = u log u.

    Example:
        >>> KL().f(torch.tensor([1.0, 2.0]))
        tensor([0.0000, 1.3863])
    """

    name = "kl"
    threshold = 1.0

    def f(self, ratios: Tensor) -> Tensor:
        """Return u log u."""
        return torch.xlogy(ratios, ratios)

    def activation(self, logits: Tensor) -> Tensor:
        """Return v."""
        return logits

    def conjugate(self, values: Tensor) -> Tensor:
        """Return exp(T - 1)."""
        return (values - 1).exp()


@dataclass(frozen=True)
class ReverseKL(Divergence):
    """Reverse Kullback-Leibler, E_q log(q / p): f(u) = -log u.

    Example:
        >>> ReverseKL().f(torch.tensor([2.0]))
        tensor([-0.6931])
    """

    name = "reverse_kl"
    threshold = -1.0

    def f(self, ratios: Tensor) -> Tensor:
        """Return -log u."""
        return -ratios.log()

    def activation(self, logits: Tensor) -> Tensor:
        """Return -exp(-v)."""
        return -(-logits).exp()

    def conjugate(self, values: Tensor) -> Tensor:
        """Return -1 - log(-T), for T < 0."""
        return -1 - (-values).log()

    def conjugate_of(self, logits: Tensor) -> Tensor:
        """Return v - 1."""
        return logits - 1


@dataclass(frozen=True)
class Pearson(Divergence):
    """Pearson chi^2, integral of (p - q)^2 / q: f(u) = (u - 1)^2.

    The conjugate is that of f on all numbers, as in the paper; over u > 0 it would stay at -1 below T = -2, where no
    optimal T lies.

    Example:
        >>> Pearson().f(torch.tensor([1.0, 2.0]))
        tensor([0., 1.])
    """

    name = "pearson"

    def f(self, ratios: Tensor) -> Tensor:
        """Return (u - 1)^2."""
        return (ratios - 1).square()

    def activation(self, logits: Tensor) -> Tensor:
        """Return v."""
        return logits

    def conjugate(self, values: Tensor) -> Tensor:
        """Return T^2 / 4 + T."""
        return values.square() / 4 + values


@dataclass(frozen=True)
class SquaredHellinger(Divergence):
    """Squared Hellinger, integral of (sqrt p - sqrt q)^2: f(u) = (sqrt u - 1)^2.

    Example:
        >>> SquaredHellinger().f(torch.tensor([1.0, 4.0]))
        tensor([0., 1.])
    """

    name = "squared_hellinger"

    def f(self, ratios: Tensor) -> Tensor:
        """Return (sqrt u - 1)^2."""
        return (ratios.sqrt() - 1).square()

    def activation(self, logits: Tensor) -> Tensor:
        """Return 1 - exp(-v)."""
        return -torch.expm1(-logits)

    def conjugate(self, values: Tensor) -> Tensor:
        """Return T / (1 - T), for T < 1."""
        return values / (1 - values)

    def conjugate_of(self, logits: Tensor) -> Tensor:
        """Return exp(v) - 1."""
        return torch.expm1(logits)


@dataclass(frozen=True)
class JensenShannon(Divergence):
    """Jensen-Shannon, not halved: KL(p, m) + KL(q, m), m = (p + q) / 2, f(u) = u log u - (u + 1) log((1 + u) / 2).

    Example:
        >>> JensenShannon().f(torch.tensor([1.0, 2.0]))
        tensor([0.0000, 0.1699])
    """

    name = "jensen_shannon"

    def f(self, ratios: Tensor) -> Tensor:
        """Return u log u - (u + 1) log((1 + u) / 2)."""
        return torch.xlogy(ratios, ratios) - (ratios + 1) * ((1 + ratios) / 2).log()

    def activation(self, logits: Tensor) -> Tensor:
        """Return log 2 + log sigmoid(v)."""
        return math.log(2) + logsigmoid(logits)

    def conjugate(self, values: Tensor) -> Tensor:
        """Return -log(2 - exp T), for T < log 2."""
        return -(2 - values.exp()).log()

    def conjugate_of(self, logits: Tensor) -> Tensor:
        """Return log(1 + exp v) - log 2."""
        return softplus(logits) - math.log(2)


@dataclass(frozen=True)
class GANDivergence(Divergence):
    """The original GAN's, the Jensen-Shannon above minus log 4: f(u) = u log u - (u + 1) log(u + 1).

    Example:
        >>> GANDivergence().f(torch.tensor([1.0]))
        tensor([-1.3863])
    """

    name = "gan"
    threshold = -math.log(2)

    def f(self, ratios: Tensor) -> Tensor:
        """Return u log u - (u + 1) log(u + 1)."""
        return torch.xlogy(ratios, ratios) - (ratios + 1) * ratios.log1p()

    def activation(self, logits: Tensor) -> Tensor:
        """Return log sigmoid(v)."""
        return logsigmoid(logits)

    def conjugate(self, values: Tensor) -> Tensor:
        """Return -log(1 - exp T), for T < 0."""
        return -(-torch.expm1(values)).log()

    def conjugate_of(self, logits: Tensor) -> Tensor:
        """Return log(1 + exp v)."""
        return softplus(logits)


@dataclass(frozen=True)
class TotalVariation(Divergence):
    """Total variation, half the integral of |p - q|: f(u) = |u - 1| / 2.

    Example:
        >>> TotalVariation().f(torch.tensor([1.0, 2.0]))
        tensor([0.0000, 0.5000])
    """

    name = "total_variation"

    def f(self, ratios: Tensor) -> Tensor:
        """Return |u - 1| / 2."""
        return (ratios - 1).abs() / 2

    def activation(self, logits: Tensor) -> Tensor:
        """Return tanh(v) / 2."""
        return logits.tanh() / 2

    def conjugate(self, values: Tensor) -> Tensor:
        """Return T, for T in [-1/2, 1/2]."""
        return values


@dataclass(frozen=True)
class Neyman(Divergence):
    """Neyman chi^2, integral of (p - q)^2 / p: f(u) = (1 - u)^2 / u.

    Its published activation 1 - exp(v) falls with v: a critic that trusts a sample gives it a negative output.

    Example:
        >>> Neyman().f(torch.tensor([1.0, 2.0]))
        tensor([0.0000, 0.5000])
    """

    name = "neyman"

    def f(self, ratios: Tensor) -> Tensor:
        """Return (1 - u)^2 / u."""
        return (1 - ratios).square() / ratios

    def activation(self, logits: Tensor) -> Tensor:
        """Return 1 - exp(v)."""
        return -torch.expm1(logits)

    def conjugate(self, values: Tensor) -> Tensor:
        """Return 2 - 2 sqrt(1 - T), for T < 1."""
        return 2 - 2 * (1 - values).sqrt()

    def conjugate_of(self, logits: Tensor) -> Tensor:
        """Return 2 - 2 exp(v / 2)."""
        return -2 * torch.expm1(logits / 2)


@dataclass(frozen=True)
class Jeffrey(Divergence):
    """Jeffrey, KL(p, q) + KL(q, p): f(u) = (u - 1) log u.

    Example:
        >>> Jeffrey().f(torch.tensor([1.0, 2.0]))
        tensor([0.0000, 0.6931])
    """

    name = "jeffrey"

    def f(self, ratios: Tensor) -> Tensor:
        """Return (u - 1) log u."""
        return (ratios - 1) * ratios.log()

    def activation(self, logits: Tensor) -> Tensor:
        """Return v."""
        return logits

    def conjugate(self, values: Tensor) -> Tensor:
        """Return W + 1 / W + T - 2, W Lambert's function of exp(1 - T), as exp(-s) - 1 - s with s = log W."""
        s = log_lambert_w_of_exp(1 - values)
        return torch.expm1(-s) - s


def log_lambert_w_of_exp(values: Tensor) -> Tensor:
    """Return s = log W(exp y), the solution of s + exp(s) = y, differentiable any number of times in y.

    W is the principal branch of Lambert's function; exp(y) itself, which overflows, is never formed.

    Example:
        >>> log_lambert_w_of_exp(torch.tensor([1.0]))
        tensor([0.])
    """
    return _LogLambertWOfExp.apply(values)


class _LogLambertWOfExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        # s + exp(s) is convex and increasing, so that Newton's steps from above the root come down to it without
        # overshooting; y itself is above, and so is log y where y is at least 1.
        s = torch.where(y < 1, y, y.clamp(min=1).log())
        for _ in range(6):  # to rounding in float64, over all of its range
            e = s.exp()
            s = s - (s + e - y) / (1 + e)
        ctx.save_for_backward(s)
        return s

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (s,) = ctx.saved_tensors
        return gradients[0] * torch.sigmoid(-s)  # ds / dy = 1 / (1 + exp s)
