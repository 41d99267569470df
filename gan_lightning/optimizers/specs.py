"""Optimizers as values: written in YAML by class name, compared and stored as plain fields.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import isclass, signature
from typing import Any

import torch
from torch.nn import Parameter

from gan_lightning.errors import UserError, in_one_line, nearest, require


class OptimizerSpec(ABC):
    """Makes a torch optimizer for the parameters of one player."""

    lr: float

    @abstractmethod
    def __call__(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """Return a new optimizer over `parameters`."""

    @property
    def kind(self) -> str:
        """Whose state a checkpoint holds: an optimizer resumes from the state of its own kind only."""
        return type(self).__name__

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        require(type(self).__name__, **vars(self))


@dataclass(frozen=True)
class Adam(OptimizerSpec):
    """Adam (Kingma & Ba 2015).

    Example:
        >>> adam = Adam(lr=2e-4, betas=(0.0, 0.9))
        >>> adam([torch.nn.Parameter(torch.zeros(1))]).defaults["lr"]
        0.0002

    Args:
        lr: Learning rate.
        betas: Decay rates of the first and second moment. GANs commonly use (0.5, 0.999) or (0.0, 0.9).
        eps: Added to the denominator.
        weight_decay: L2 penalty added to the gradient.
    """

    lr: float
    betas: tuple[float, float] = (0.5, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __call__(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """Return torch's fused Adam (3.7 times as fast as the default one on CPU, same update)."""
        betas = (float(self.betas[0]), float(self.betas[1]))  # torch refuses a pair of int and float
        return torch.optim.Adam(
            parameters, lr=self.lr, betas=betas, eps=self.eps, weight_decay=self.weight_decay, fused=True
        )


@dataclass(frozen=True)
class RMSprop(OptimizerSpec):
    """RMSprop (Hinton 2012), the optimizer of WGAN with weight clipping.

    Example:
        >>> RMSprop(lr=5e-5)([torch.nn.Parameter(torch.zeros(1))]).defaults["lr"]
        5e-05

    Args:
        lr: Learning rate.
        alpha: Decay rate of the squared gradient's average.
        eps: Added to the denominator.
        weight_decay: L2 penalty added to the gradient.
    """

    lr: float
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __call__(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """Return torch's RMSprop."""
        return torch.optim.RMSprop(
            parameters, lr=self.lr, alpha=self.alpha, eps=self.eps, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
class SGD(OptimizerSpec):
    """Stochastic gradient descent.

    Example:
        >>> SGD(lr=0.1)([torch.nn.Parameter(torch.zeros(1))]).defaults["lr"]
        0.1

    Args:
        lr: Learning rate.
        momentum: Momentum factor.
        weight_decay: L2 penalty added to the gradient.
    """

    lr: float
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __call__(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """Return torch's SGD."""
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)


_CLOSURES = {
    "LBFGS": "evaluates the loss several times in a step",
    "SparseAdam": "takes sparse gradients, and no network here has any",
}


class TorchOptimizer(OptimizerSpec):
    """Any optimizer of `torch.optim` by its name, with its own arguments; what is left out is torch's default.

    In YAML the arguments beside the learning rate are `options`:
    `{class_path: TorchOptimizer, init_args: {name: AdamW, lr: 2.0e-4, options: {betas: [0.0, 0.99], weight_decay: 0.01}}}`.

    Example:
        >>> adamw = TorchOptimizer("AdamW", lr=2e-4, betas=(0.0, 0.99))
        >>> type(adamw([torch.nn.Parameter(torch.zeros(1))])).__name__
        'AdamW'

    Args:
        name: Name of a class of torch.optim, such as AdamW, NAdam, RAdam, Adagrad or Adafactor.
        lr: Learning rate.
        options: Its other arguments.
        **kwargs: The same, by keyword.

    Raises:
        UserError: There is no such optimizer, it cannot train a player, or it does not take such arguments.
    """

    def __init__(self, name: str, lr: float, options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self.name, self.lr = name, lr
        given = {**(options or {}), **kwargs}
        self.options = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        known = {
            key for key, value in vars(torch.optim).items() if isclass(value) and value is not torch.optim.Optimizer
        }
        known = {key for key in known if issubclass(vars(torch.optim)[key], torch.optim.Optimizer)} - set(_CLOSURES)
        if name in _CLOSURES:
            raise UserError(f"TorchOptimizer {name} cannot train a player: it {_CLOSURES[name]}; take AdamW or another")
        if name not in known:
            raise UserError(
                f"torch.optim has no {name}{nearest(name, known)}; TorchOptimizer takes {', '.join(sorted(known))}"
            )
        taken = set(signature(vars(torch.optim)[name]).parameters) - {"params", "lr"}
        for option in self.options:
            if option not in taken:
                raise UserError(
                    f"{name} of torch.optim takes no {option}{nearest(option, taken)}; it takes {', '.join(sorted(taken))}"
                )
        if self.options.get("maximize"):
            raise UserError(f"maximize of {name} is refused: it would turn the game round, since losses are minimised")
        require(name, lr=lr, **self.options)
        self([Parameter(torch.zeros(1, 1))])

    @property
    def kind(self) -> str:
        """The name of torch's class."""
        return self.name

    def __call__(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """Return torch's optimizer.

        Raises:
            UserError: It refuses the arguments or the parameters.
        """
        try:
            optimizer: torch.optim.Optimizer = vars(torch.optim)[self.name](parameters, lr=self.lr, **self.options)
        except (ValueError, TypeError, RuntimeError) as error:
            raise UserError(f"{self.name} of torch.optim cannot be made: {in_one_line(error)}") from error
        return optimizer

    def __repr__(self) -> str:
        """Write it as Python does."""
        more = "".join(f", {key}={value!r}" for key, value in self.options.items())
        return f"TorchOptimizer({self.name!r}, lr={self.lr}{more})"

    def __eq__(self, other: object) -> bool:
        """Tell whether both make the same optimizer."""
        return isinstance(other, TorchOptimizer) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Agree with `==`."""
        return hash((self.name, self.lr))
