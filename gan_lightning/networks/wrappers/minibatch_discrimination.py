"""Minibatch discrimination (Salimans et al., Improved Techniques for Training GANs, NeurIPS 2016, arXiv:1606.03498)."""

from __future__ import annotations

from math import inf
from typing import Any

import torch
from torch import Tensor, cat, nn
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.networks.base import Critic, CriticFactory, StartsFromData
from gan_lightning.networks.wrappers.base import WrappedCritic
from gan_lightning.shapes import Shape


class MinibatchDiscrimination(StartsFromData):
    """c_j(x_i) = b_j + sum over k != i of exp(-|M_ij - M_kj|_1), M_i = T f(x_i) a matrix of B rows (section 3.2).

    The sum is over the other samples of the batch that a process passes through it: the real samples or the generated
    ones, never both.

    As in the authors' code (openai/improved-gan) the scale depends on the first real batch: T is divided so that half the
    mean distance to a sample's nearest neighbour is 1, for each of the statistics, and b is minus their mean. b stays as
    it is, because the bias of the logit learns as much; the authors' weight normalisation of T is left out. A layer from
    a checkpoint of 0.1.0 has b = 0.

    Args:
        n_features: Width F of the features f.
        n_kernels: B, the number of statistics.
        kernel_dim: Width of the rows of M.
    """

    couples_batch = True
    offset: Tensor

    def __init__(self, n_features: int, n_kernels: int = 100, kernel_dim: int = 5) -> None:
        super().__init__()
        self.n_kernels = n_kernels
        self.tensor = nn.Linear(n_features, n_kernels * kernel_dim, bias=False)
        nn.init.normal_(self.tensor.weight, 0.0, n_features**-0.5)  # rows of norm 1, as the authors' weight norm starts
        self.register_buffer("offset", torch.zeros(n_kernels))
        self.register_load_state_dict_pre_hook(_without_offset)

    def forward(self, features: Tensor) -> Tensor:
        """Return the statistics `(N, B)` of features `(N, F)`."""
        rows = self.tensor(features).unflatten(1, (self.n_kernels, -1))
        distances = (rows[:, None] - rows[None]).abs().sum(3)  # (N, N, B); cdist would have no second derivative
        if self.starting:
            distances = distances / self._start(distances)
        statistics = (-distances).exp().sum(1) - 1  # a sample's distance from itself is exactly 0
        if self.starting:
            self.offset.copy_(-statistics.mean(0))
        return statistics + self.offset

    def _start(self, distances: Tensor) -> Tensor:
        """Divide T so that half the mean distance to the nearest neighbour is 1, and return the divisors of the statistics.

        A spectrally normalised T keeps its norm.
        """
        others = distances.masked_fill(
            torch.eye(len(distances), dtype=torch.bool, device=distances.device)[..., None], inf
        )
        divisors = 0.5 * others.min(1).values.mean(0)
        if is_parametrized(self.tensor, "weight"):
            return torch.ones_like(divisors)
        # one sample has no neighbour, and copies are no scale
        divisors = torch.where(divisors.isfinite() & (divisors > 0), divisors, 1)
        self.tensor.weight.div_(divisors.repeat_interleave(len(self.tensor.weight) // self.n_kernels)[:, None])
        return divisors


def _without_offset(layer: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Complete the state of a layer that release 0.1.0 saved."""
    if f"{prefix}tensor.weight" in state:
        state.setdefault(f"{prefix}offset", torch.zeros_like(layer.get_buffer("offset")))


class MinibatchDiscriminationCritic(WrappedCritic):
    """Any critic that also sees how close the samples of its batch are to each other.

    Its features are the network's followed by `MinibatchDiscrimination` of them; its logit is the network's plus a
    linear map of the latter, which for a linear head is a linear head on both. It couples the samples of a batch, so it
    goes with no gradient penalty, and on k ranks each rank sees its own share of the batch.

    Args:
        shape: Shape of a sample.
        network: Builds the critic.
        n_kernels: Number of statistics, 100 in the authors' CIFAR-10 code.
        kernel_dim: Dimensions in which each is taken, 5 there.
    """

    def __init__(self, shape: Shape, network: CriticFactory, n_kernels: int = 100, kernel_dim: int = 5) -> None:
        super().__init__(network(shape))
        self.discrimination = MinibatchDiscrimination(self.network.n_features, n_kernels, kernel_dim)
        self.output = nn.Linear(n_kernels, 1, bias=False)
        self.n_features = self.network.n_features + n_kernels

    def last_layer(self) -> nn.Linear:
        """Refuse: the logit is the sum of two maps.

        Raises:
            UserError: Always.
        """
        return Critic.last_layer(self)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the network's features and the statistics of the batch, `(N, F + B)`."""
        features = self.network.features(samples, labels)
        return cat([features, self.discrimination(features)], 1)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F + B)`."""
        own, statistics = features.split([self.network.n_features, self.discrimination.n_kernels], 1)
        return self.network.head(own, labels) + self.output(statistics).squeeze(1)
