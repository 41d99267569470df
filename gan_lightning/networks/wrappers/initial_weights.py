"""Other initial weights for any network."""

from __future__ import annotations

from gan_lightning.networks.base import CriticFactory, GeneratorFactory
from gan_lightning.networks.layers.initialization import Initialization
from gan_lightning.networks.wrappers.base import WrappedCritic, WrappedGenerator
from gan_lightning.shapes import Shape


class InitializedCritic(WrappedCritic):
    """Any critic with other initial weights.

    Args:
        shape: Shape of a sample.
        network: Builds the critic.
        initialization: Draws the weights, by the name of the paper: `Orthogonal`, `Xavier`, `He`, `Normal`.
    """

    def __init__(self, shape: Shape, network: CriticFactory, initialization: Initialization) -> None:
        super().__init__(network(shape))
        initialization(self.network)


class InitializedGenerator(WrappedGenerator):
    """Any generator with other initial weights.

    Args:
        shape: Shape of a sample.
        network: Builds the generator.
        initialization: Draws the weights, by the name of the paper: `Orthogonal`, `Xavier`, `He`, `Normal`.
    """

    def __init__(self, shape: Shape, network: GeneratorFactory, initialization: Initialization) -> None:
        super().__init__(network(shape))
        initialization(self.network)
