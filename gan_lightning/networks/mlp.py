"""Fully connected networks, for vectors and small images.

The defaults are the toy networks of Gulrajani et al., Improved Training of Wasserstein GANs, NeurIPS 2017,
arXiv:1704.00028 (`gan_toy.py`): three hidden layers of 512 ReLU units, initialised after He, the output after Glorot.
"""

from __future__ import annotations

from torch import Tensor, cat, nn, tanh
from torch.nn.functional import one_hot

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic, Generator, NClasses, count_classes, require_labels
from gan_lightning.networks.layers.activations import Activation, n_outputs
from gan_lightning.networks.layers.fourier import append_waves, n_with_waves, random_frequencies
from gan_lightning.networks.layers.initialization import glorot_uniform
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize
from gan_lightning.shapes import Images, Shape


def _append_labels(inputs: Tensor, labels: Tensor | None, n_classes: int) -> Tensor:
    """Return inputs `(N, D)` followed by the one-hot labels, `(N, D + n_classes)`."""
    if n_classes == 0:
        return inputs
    return cat([inputs, one_hot(require_labels(labels), n_classes).to(inputs.dtype)], dim=1)


def _hidden_layers(n_in: int, width: int, n_layers: int, activation: Activation, batch_norm: bool) -> nn.Sequential:
    """Return `n_layers` of linear map, batch normalisation if asked, activation."""
    layers: list[nn.Module] = []
    for i in range(n_layers):
        active = activation()
        layer = nn.Linear(n_in if i == 0 else width, n_outputs(width, active))
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        layers.append(layer)
        if batch_norm:
            layers.append(nn.BatchNorm1d(layer.out_features))
        layers.append(active)
    return nn.Sequential(*layers)


class MLPGenerator(Generator):
    """Fully connected generator: linear output for vectors, tanh for images.

    Args:
        shape: Shape of a sample.
        latent_dim: Number of latent coordinates.
        width: Units of each hidden layer.
        n_layers: Number of hidden layers.
        batch_norm: Whether to normalise each hidden layer over the batch.
        n_classes: Number of classes, whose one-hot code is appended to the latents; 0 for none.
        activation: Builds the hidden activations.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int = 2,
        width: int = 512,
        n_layers: int = 3,
        batch_norm: bool = False,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.latent_dim = latent_dim
        self.n_classes = n_classes
        self.size, self.is_bounded = shape.size, isinstance(shape, Images)
        self.hidden = _hidden_layers(latent_dim + n_classes, width, n_layers, activation, batch_norm)
        self.output = nn.Linear(width, shape.n_values)
        glorot_uniform(self.output)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` to vectors `(N, C)`, unbounded, or images `(N, C, H, W)` in [-1, 1].

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        samples = self.output(self.hidden(_append_labels(latents, labels, self.n_classes)))
        return (tanh(samples) if self.is_bounded else samples).unflatten(1, self.size)


class MLPCritic(Critic):
    """Fully connected critic of vectors or of flattened images.

    Args:
        shape: Shape of a sample.
        width: Units of each hidden layer.
        n_layers: Number of hidden layers.
        n_classes: Number of classes, whose one-hot code is appended to the input; 0 for none.
        activation: Builds the hidden activations.
        n_power_iterations: Power iterations per forward pass of its spectral normalisation (Miyato et al. 2018,
            arXiv:1802.05957); 0 leaves the weights as they are.
        fourier_std: Standard deviation of width // 2 random frequencies, in radians per unit of the samples, whose cosines and
            sines are appended to the input, so that small distances are seen (Tancik et al. 2020, arXiv:2006.10739); 0 for none.

    Raises:
        UserError: fourier_std is negative, or not 0 where spectral normalisation should bound the slopes.
    """

    def __init__(
        self,
        shape: Shape,
        width: int = 512,
        n_layers: int = 3,
        n_classes: NClasses = 0,
        activation: Activation = nn.ReLU,
        n_power_iterations: int = 0,
        fourier_std: float = 0.0,
    ) -> None:
        super().__init__()
        if fourier_std and n_power_iterations:
            raise UserError(
                f"fourier_std {fourier_std:g} lets slopes exceed the bound of spectral normalisation; set n_power_iterations "
                f"to 0, got {n_power_iterations}"
            )
        n_classes = count_classes(n_classes)
        self.n_classes = n_classes
        self.n_features = width
        self.frequencies: Tensor | None
        self.register_buffer("frequencies", random_frequencies(shape.n_values, width // 2, fourier_std))
        n_in = n_with_waves(shape.n_values, self.frequencies) + n_classes
        self.hidden = _hidden_layers(n_in, width, n_layers, activation, batch_norm=False)
        self.output = nn.Linear(width, 1)
        glorot_uniform(self.output)
        if n_power_iterations > 0:
            spectrally_normalize(self, n_power_iterations)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `(N, F)`, of vectors `(N, C)` or images `(N, C, H, W)`.

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        inputs = append_waves(samples.flatten(1), self.frequencies)
        return self.hidden(_append_labels(inputs, labels, self.n_classes))

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)`; the labels have entered before."""
        return self.output(features).squeeze(1)
