"""FreezeD: a critic whose first layers stay as they are while the others are fine-tuned.

Mo, Cho, Shin, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs", 2020, https://arxiv.org/abs/2002.10964.

critic:
  class_path: FrozenCritic
  init_args:
    n_layers: 3
    network: {class_path: SNGANResNetCritic}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic, CriticFactory
from gan_lightning.networks.wrappers.base import Wrapped
from gan_lightning.shapes import Shape


class FrozenCritic(Critic):
    """Builds a critic whose first layers are not trained: FreezeD, for `--init_from` on few samples.

    What is returned is the network itself, with the same weights under the same names, so that `--init_from` takes them from
    a checkpoint that was trained without. A layer is a convolution, a linear map or a normalisation with what belongs to it,
    or a whole residual block. It is as in evaluation: running statistics and the singular vectors of spectral normalisation
    stay as well. The last layer, `output`, is always trained.

    Args:
        shape: Shape of a sample.
        network: Builds the critic.
        n_layers: How many layers are frozen, from the sample on; the paper freezes about the first half.

    Raises:
        UserError: The critic has no more layers than that before its last one.
    """

    def __new__(cls, shape: Shape, network: CriticFactory, n_layers: int = 3) -> Any:
        """Return the critic that `network` builds, with its first layers frozen."""
        critic = network(shape)
        layers = [layer for name, layer in _layers(critic) if name != "output"]
        if not 1 <= n_layers <= len(layers):
            raise UserError(
                f"n_layers of FrozenCritic must be between 1 and {len(layers)}, the layers of {type(critic).__name__} before "
                f"its last, got {n_layers}"
            )
        for layer in layers[:n_layers]:
            layer.requires_grad_(False)
            # A class, not a wrapper: names in the state dict stay.
            layer.__class__ = type(f"Frozen{type(layer).__name__}", (_Frozen, type(layer)), {})
            layer.eval()
        return critic

    def __init__(self, shape: Shape, network: CriticFactory, n_layers: int = 3) -> None:
        raise AssertionError("__new__ returns another class; this signature is for jsonargparse")


class _Frozen(nn.Module):
    def train(self, mode: bool = True) -> Any:
        """Stay as in evaluation."""
        return super().train(False)


def _layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the names and layers of a network that have weights, from the sample on; lists are looked into."""
    for name, child in network.named_children():
        if isinstance(child, nn.Sequential | nn.ModuleList) or (isinstance(network, Wrapped) and name == "network"):
            yield from _layers(child)
        elif any(True for _ in child.parameters()):
            yield name, child
