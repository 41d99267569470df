"""Wrappers for any network: spectral normalisation of its weights, or other initial weights.

In YAML the wrapped network is the argument `network`:

    critic:
      class_path: SpectrallyNormalisedCritic
      init_args:
        network: {class_path: DCGANCritic, init_args: {width: 32}}
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gan_lightning.networks.base import Critic, CriticFactory, Generator, GeneratorFactory
from gan_lightning.networks.layers.initialisation import Initialisation
from gan_lightning.networks.layers.spectral_norm import spectrally_normalise
from gan_lightning.shapes import Shape


class Wrapped(nn.Module):
    """A network that is another one, `network`, whose attributes it shares unless it has its own."""

    def __getattr__(self, name: str) -> Any:
        """Return an attribute that only the network has, such as its last layer `output`."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "network":  # not there yet
                raise
            return getattr(self.network, name)  # any name: the user's networks have attributes of their own


class WrappedCritic(Wrapped, Critic):
    """A critic that is another one, `network`, whose attributes it shares unless it has its own."""

    def __init__(self, network: Critic) -> None:
        super().__init__()
        self.network = network
        self.n_classes, self.n_features = network.n_classes, network.n_features
        self.classifies = network.classifies

    def last_layer(self) -> nn.Linear:
        """Return the network's last linear map."""
        return self.network.last_layer()

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the network's last hidden layer, `(N, F)`."""
        return self.network.features(samples, labels)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the network's logits `(N,)` of features `(N, F)`."""
        return self.network.head(features, labels)


class WrappedGenerator(Wrapped, Generator):
    """A generator that is another one, `network`, whose attributes it shares unless it has its own."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network
        self.n_classes, self.latent_dim = network.n_classes, network.latent_dim

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the network's samples `(N, ...)` of latents `(N, D)`."""
        return self.network(latents, labels)


class SpectrallyNormalisedCritic(WrappedCritic):
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
        super().__init__(spectrally_normalise(network(shape), n_power_iterations, eps))


class SpectrallyNormalisedGenerator(WrappedGenerator):
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
        super().__init__(spectrally_normalise(network(shape), n_power_iterations, eps))


class InitialisedCritic(WrappedCritic):
    """Any critic with other initial weights.

    Args:
        shape: Shape of a sample.
        network: Builds the critic.
        initialisation: Draws the weights, by the name of the paper: `Orthogonal`, `Xavier`, `He`, `Normal`.
    """

    def __init__(self, shape: Shape, network: CriticFactory, initialisation: Initialisation) -> None:
        super().__init__(network(shape))
        initialisation(self.network)


class InitialisedGenerator(WrappedGenerator):
    """Any generator with other initial weights.

    Args:
        shape: Shape of a sample.
        network: Builds the generator.
        initialisation: Draws the weights, by the name of the paper: `Orthogonal`, `Xavier`, `He`, `Normal`.
    """

    def __init__(self, shape: Shape, network: GeneratorFactory, initialisation: Initialisation) -> None:
        super().__init__(network(shape))
        initialisation(self.network)
