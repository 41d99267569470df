"""Activation checkpointing (Chen et al. 2016, arXiv:1604.06174): memory for time, one network at a time.

critic:
  class_path: RecomputedCritic
  init_args:
    network: {class_path: SNGANResNetCritic, init_args: {width: 128}}
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.utils.checkpoint import checkpoint

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic, CriticFactory, Generator, GeneratorFactory
from gan_lightning.shapes import Shape

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class RecomputedGenerator(Generator):
    """Builds a generator whose blocks keep only their inputs, and are computed again in the backward pass.

    What is returned is the network itself, with the same weights under the same names.

    Args:
        shape: Shape of a sample.
        network: Builds the generator.

    Raises:
        UserError: As `recompute_blocks`.
    """

    def __new__(cls, shape: Shape, network: GeneratorFactory) -> Any:
        """Return the generator that `network` builds, recomputed."""
        return recompute_blocks(network(shape))

    def __init__(self, shape: Shape, network: GeneratorFactory) -> None:
        raise AssertionError("__new__ returns another class; this signature is for jsonargparse")


class RecomputedCritic(Critic):
    """Builds a critic whose blocks keep only their inputs, and are computed again in the backward pass.

    What is returned is the network itself, with the same weights under the same names. Gradient penalties differentiate
    through it by `torch.autograd`, because `torch.func` cannot.

    Args:
        shape: Shape of a sample.
        network: Builds the critic.

    Raises:
        UserError: As `recompute_blocks`.
    """

    def __new__(cls, shape: Shape, network: CriticFactory) -> Any:
        """Return the critic that `network` builds, recomputed."""
        return recompute_blocks(network(shape))

    def __init__(self, shape: Shape, network: CriticFactory) -> None:
        raise AssertionError("__new__ returns another class; this signature is for jsonargparse")


def recompute_blocks(network: ModuleT) -> ModuleT:
    """Let the blocks of a network, the composed modules in its lists, be computed again in the backward pass.

    The results are the same to the bit: dropout draws the same numbers again, running statistics are updated once.

    Raises:
        UserError: There are no blocks, or one has a parametrized weight: spectral normalisation moves its singular
            vectors at every forward pass, so that the second pass would be of other weights.
    """
    parents = [module for module in network.modules() if isinstance(module, nn.ModuleList | nn.Sequential)]
    blocks = list(dict.fromkeys(block for parent in parents for block in parent if any(True for _ in block.children())))
    blocks = [block for block in blocks if not isinstance(block, nn.ModuleList | nn.Sequential)]
    name = type(network).__name__
    if not blocks:
        raise UserError(f"{name} has no blocks to recompute; build it without Recomputed...")
    if any(is_parametrized(layer) for block in blocks for layer in block.modules()):
        raise UserError(
            f"the blocks of {name} are spectrally normalised, which changes their weights at every pass, so that they "
            "cannot be recomputed; build it without Recomputed..."
        )
    for block in blocks:
        # A class, not a wrapper: names in the state dict stay, and copies (the running average) are recomputed too.
        block.__class__ = type(f"Recomputed{type(block).__name__}", (_Recomputed, type(block)), {})
    return network


class _Recomputed(nn.Module):
    def forward(self, *inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return super().forward(*inputs)
        return checkpoint(
            super().forward, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), _Frozen(self))
        )


class _Frozen:
    """Keeps running statistics as they are, while batches are still normalised with their own.

    A second derivative recomputes a block more than once, so this is entered more than once.
    """

    def __init__(self, block: nn.Module) -> None:
        self.block = block
        self.before: list[list[tuple[Any, float | None, Tensor | None]]] = []

    def __enter__(self) -> None:
        norms = [m for m in self.block.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
        counts = [norm.num_batches_tracked for norm in norms]
        self.before.append(
            [(m, m.momentum, None if n is None else n.clone()) for m, n in zip(norms, counts, strict=True)]
        )
        for norm in norms:
            norm.momentum = 0.0

    def __exit__(self, *exception: object) -> None:
        for norm, momentum, count in self.before.pop():
            norm.momentum = momentum
            if count is not None:
                norm.num_batches_tracked.copy_(count)
