"""Spectral normalisation of any network."""

from __future__ import annotations

from gan_lightning.networks.base import CriticFactory, GeneratorFactory
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize
from gan_lightning.networks.wrappers.base import WrappedCritic, WrappedGenerator
from gan_lightning.shapes import Shape


class SpectrallyNormalizedCritic(WrappedCritic):
    """Any critic with every weight divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).

    Layers that the critic normalises itself are left alone; batch normalisation is kept, whose gain is not normalised.

    Args:
        shape: Shape of a sample.
        network: Builds the critic.
        n_power_iterations: Power iterations per forward pass in train mode.
        eps: Least norm that a vector is divided by.
    """

    def __init__(
        self,
        shape: Shape,
        network: CriticFactory,
        n_power_iterations: int = 1,
        eps: float = 1e-12,
    ) -> None:
        super().__init__(spectrally_normalize(network(shape), n_power_iterations, eps))


class SpectrallyNormalizedGenerator(WrappedGenerator):
    """Any generator with every weight divided by its largest singular value, as in SAGAN (arXiv:1805.08318, section 4).

    Args:
        shape: Shape of a sample.
        network: Builds the generator.
        n_power_iterations: Power iterations per forward pass in train mode.
        eps: Least norm that a vector is divided by.
    """

    def __init__(
        self,
        shape: Shape,
        network: GeneratorFactory,
        n_power_iterations: int = 1,
        eps: float = 1e-12,
    ) -> None:
        super().__init__(spectrally_normalize(network(shape), n_power_iterations, eps))
