"""Encoders: from samples to what a family of joint inference reads as latents.

The family says how many numbers it wants per sample (a point, or mean and log-variance), so an encoder fits its
generator whatever the generator's latent dimension is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from math import prod
from typing import final

from torch import Tensor, nn

from gan_lightning.networks.base import Network, pyramid, require_images
from gan_lightning.networks.layers.activations import Activation, LeakyReLU, n_outputs
from gan_lightning.networks.layers.conditional import Normalisation
from gan_lightning.networks.layers.fourier import append_waves, n_with_waves, random_frequencies
from gan_lightning.networks.layers.initialization import glorot_uniform, initialize_normal
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize
from gan_lightning.shapes import Images, Shape


class Encoder(Network):
    """A network from samples to codes."""

    @abstractmethod
    def forward(self, samples: Tensor) -> Tensor:
        """Map images `(N, C, H, W)` in [-1, 1] or vectors `(N, C)` to unbounded codes `(N, n_codes)`."""


EncoderFactory = Callable[[Shape, int], Encoder]
"""Builds an encoder of samples of a shape into so many numbers."""


@final
class MLPEncoder(Encoder):
    """Fully connected encoder of vectors or of flattened images, leaky ReLU between.

    With two layers of 1024 it is that of BiGAN's permutation-invariant MNIST (Donahue et al. 2017, arXiv:1605.09782).

    Args:
        shape: Shape of a sample.
        n_codes: Numbers to give for each sample.
        width: Units of each hidden layer.
        n_layers: Number of hidden layers.
        batch_norm: Whether to normalise each hidden layer over the batch.
        activation: Builds the hidden activations.
        fourier_std: Standard deviation of width // 2 random frequencies, in radians per unit of the samples, whose cosines and
            sines are appended to them, so that small distances are seen (Tancik et al. 2020, arXiv:2006.10739); 0 for none.

    Raises:
        UserError: There is no hidden layer, or fourier_std is negative.
    """

    def __init__(
        self,
        shape: Shape,
        n_codes: int,
        width: int = 1024,
        n_layers: int = 2,
        batch_norm: bool = False,
        activation: Activation = LeakyReLU,
        fourier_std: float = 0.0,
    ) -> None:
        super().__init__()
        self.frequencies: Tensor | None
        self.register_buffer("frequencies", random_frequencies(shape.n_values, width // 2, fourier_std))
        n_in = n_with_waves(shape.n_values, self.frequencies)
        norm: Normalisation = nn.BatchNorm1d if batch_norm else nn.Identity
        self.hidden = hidden_layers(n_in, width, n_layers, activation, norm)
        self.output = nn.Linear(width, n_codes)
        glorot_uniform(self.output)

    def forward(self, samples: Tensor) -> Tensor:
        """Map images `(N, C, H, W)` in [-1, 1] or vectors `(N, C)` to unbounded codes `(N, n_codes)`."""
        return self.output(self.hidden(append_waves(samples.flatten(1), self.frequencies)))


@final
class ConvEncoder(Encoder):
    """A 3x3 convolution, strided 4x4 convolutions down to the base resolution, and two linear maps.

    The plan is that of ALI's encoders (Dumoulin et al. 2017, arXiv:1606.00704, appendix A: convolutions with batch
    normalisation and leaky ReLU, 1x1 convolutions at the end), on DCGAN's resolutions.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two.
        n_codes: Numbers to give for each sample.
        width: Channels of the first convolution, doubled by each strided one.
        hidden_width: Units of the layer before the codes.
        activation: Builds the hidden activations.
        norm: Builds the normalisation of a number of channels; `torch.nn.Identity` for none.
    """

    def __init__(
        self,
        shape: Shape,
        n_codes: int,
        width: int = 32,
        hidden_width: int = 512,
        activation: Activation = LeakyReLU,
        norm: Normalisation = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.layers, n_features = convolutions(require_images(shape), width, activation, norm)
        self.codes = nn.Sequential(nn.Linear(n_features, hidden_width), activation(), nn.Linear(hidden_width, n_codes))
        initialize_normal(self.layers)
        for layer in self.codes:
            if isinstance(layer, nn.Linear):
                glorot_uniform(layer)

    def forward(self, samples: Tensor) -> Tensor:
        """Map images `(N, C, H, W)` in [-1, 1] to unbounded codes `(N, n_codes)`."""
        return self.codes(self.layers(samples))


@final
class SpectrallyNormalizedEncoder(Encoder):
    """Any encoder with every weight divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).

    Args:
        shape: Shape of a sample.
        n_codes: Numbers to give for each sample.
        network: Builds the encoder.
        n_power_iterations: Power iterations per forward pass in train mode.
        eps: Least norm that a vector is divided by.
    """

    def __init__(
        self,
        shape: Shape,
        n_codes: int,
        network: EncoderFactory,
        n_power_iterations: int = 1,
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.network = spectrally_normalize(network(shape, n_codes), n_power_iterations, eps)

    def forward(self, samples: Tensor) -> Tensor:
        """Map images `(N, C, H, W)` in [-1, 1] or vectors `(N, C)` to the network's codes `(N, n_codes)`."""
        return self.network(samples)


def hidden_layers(
    n_in: int,
    width: int,
    n_layers: int,
    activation: Activation,
    norm: Normalisation = nn.Identity,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return `n_layers` of linear map (initialised after He), normalisation, activation and dropout."""
    layers: list[nn.Module] = []
    for index in range(n_layers):
        active = activation()
        layer = nn.Linear(width if index else n_in, n_outputs(width, active))
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        layers += [layer, norm(layer.out_features), active]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def convolutions(images: Images, width: int, activation: Activation, norm: Normalisation) -> tuple[nn.Sequential, int]:
    """Return layers from images to flat features, and their number: 3x3, then 4x4 stride 2 down to 4x4 (7x7 at 28).

    The first convolution has no normalisation, as in DCGAN and ALI.
    """
    base, n = pyramid(images)
    layers: list[nn.Module] = [nn.Conv2d(images.channels, width, 3, padding=1), activation()]
    n_out = width
    for _ in range(n):
        n_in, n_out = n_out, n_out * 2
        layers += [nn.Conv2d(n_in, n_out, 4, 2, 1), norm(n_out), activation()]
    return nn.Sequential(*layers, nn.Flatten()), n_out * prod(base)
