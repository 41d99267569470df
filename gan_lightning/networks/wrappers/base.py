"""What wrappers of any network have in common.

In YAML the wrapped network is the argument `network`:

    critic:
      class_path: SpectrallyNormalizedCritic
      init_args:
        network: {class_path: DCGANCritic, init_args: {width: 32}}
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gan_lightning.networks.base import Critic, Generator


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
