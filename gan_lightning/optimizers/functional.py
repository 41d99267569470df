"""Optimizer steps as functions, so that a gradient can pass through them: for unrolling a player's updates.

A step starts from the state of a real optimizer (its moments and counts), which it reads and never changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from gan_lightning.errors import UserError

_OTHER_UPDATES = ("amsgrad", "maximize", "nesterov", "dampening", "decoupled_weight_decay")
"""Options of torch's Adam and SGD that are no part of the functions here."""


class FunctionalOptimizer(ABC):
    """An optimizer whose step returns new parameters, differentiable in the old ones and in the gradients.

    Args:
        optimizer: Where hyper-parameters, present learning rate and state are read from.
        parameters: Its parameters that will be stepped, in the order in which they will be given.
    """

    def __init__(self, optimizer: Optimizer, parameters: Sequence[Parameter]) -> None:
        groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        self.groups = [groups[id(p)] for p in parameters]
        self.states = [optimizer.state.get(p, {}) for p in parameters]

    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
        """Return the parameters after one more step."""
        decayed = [
            g if group["weight_decay"] == 0 else g + group["weight_decay"] * p
            for p, g, group in zip(parameters, gradients, self.groups, strict=True)
        ]
        return [self._step_one(index, p, g) for index, (p, g) in enumerate(zip(parameters, decayed, strict=True))]

    @abstractmethod
    def _step_one(self, index: int, parameter: Tensor, gradient: Tensor) -> Tensor:
        """Return parameter `index` after a step and keep its new state."""


@final
class FunctionalSGD(FunctionalOptimizer):
    """The step of `torch.optim.SGD`.

    Example:
        >>> weights = [torch.nn.Parameter(torch.ones(1))]
        >>> step = FunctionalSGD(torch.optim.SGD(weights, lr=0.1), weights).step
        >>> step(weights, [torch.ones(1)])[0].detach()
        tensor([0.9000])
    """

    def __init__(self, optimizer: Optimizer, parameters: Sequence[Parameter]) -> None:
        super().__init__(optimizer, parameters)
        self.momenta: list[Tensor | None] = [state.get("momentum_buffer") for state in self.states]

    def _step_one(self, index: int, parameter: Tensor, gradient: Tensor) -> Tensor:
        group = self.groups[index]
        if group["momentum"]:
            momentum = self.momenta[index]
            gradient = gradient if momentum is None else group["momentum"] * momentum + gradient
            self.momenta[index] = gradient
        return parameter - group["lr"] * gradient


@final
class FunctionalAdam(FunctionalOptimizer):
    """The step of `torch.optim.Adam`, moments carried on.

    Example:
        >>> weights = [torch.nn.Parameter(torch.ones(1))]
        >>> step = FunctionalAdam(torch.optim.Adam(weights, lr=0.1), weights).step
        >>> step(weights, [torch.ones(1)])[0].detach()
        tensor([0.9000])
    """

    def __init__(self, optimizer: Optimizer, parameters: Sequence[Parameter]) -> None:
        super().__init__(optimizer, parameters)
        zeros = [torch.zeros_like(p) for p in parameters]
        self.first = [state.get("exp_avg", zero) for state, zero in zip(self.states, zeros, strict=True)]
        self.second = [state.get("exp_avg_sq", zero) for state, zero in zip(self.states, zeros, strict=True)]
        self.counts = [float(state.get("step", 0.0)) for state in self.states]

    def _step_one(self, index: int, parameter: Tensor, gradient: Tensor) -> Tensor:
        group = self.groups[index]
        beta1, beta2 = group["betas"]
        self.counts[index] += 1
        first = beta1 * self.first[index] + (1 - beta1) * gradient
        second = beta2 * self.second[index] + (1 - beta2) * gradient.square()
        self.first[index], self.second[index] = first, second
        count = self.counts[index]
        # 1e-30, because the root of a second moment of exactly 0 has no derivative
        scale = ((second + 1e-30) / (1 - beta2**count)).sqrt() + group["eps"]
        return parameter - group["lr"] / (1 - beta1**count) * first / scale


def functional(optimizer: Optimizer, parameters: Sequence[Parameter]) -> FunctionalOptimizer:
    """Return the function of an optimizer.

    Example:
        >>> weights = [torch.nn.Parameter(torch.ones(1))]
        >>> type(functional(torch.optim.SGD(weights, lr=0.1), weights)).__name__
        'FunctionalSGD'

    Raises:
        UserError: It is not Adam or SGD, or has an option that changes the update beyond theirs.
    """
    own = [key for key in _OTHER_UPDATES if optimizer.param_groups[0].get(key)]
    if own and type(optimizer) in (torch.optim.Adam, torch.optim.SGD):
        raise UserError(f"{type(optimizer).__name__} with {own[0]} cannot be unrolled; leave {own[0]} out")
    if type(optimizer) is torch.optim.Adam:  # AdamW is one too, and decays otherwise
        return FunctionalAdam(optimizer, parameters)
    if type(optimizer) is torch.optim.SGD:
        return FunctionalSGD(optimizer, parameters)
    raise UserError(f"{type(optimizer).__name__} cannot be unrolled; take Adam or SGD for the critic")
