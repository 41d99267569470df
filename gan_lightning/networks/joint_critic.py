"""Critics of pairs: a sample and the latents that it is said to belong to."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import final

from torch import Tensor, cat, nn

from gan_lightning.networks.base import Network, require_images
from gan_lightning.networks.encoders import convolutions, hidden_layers
from gan_lightning.networks.layers.activations import Activation, LeakyReLU
from gan_lightning.networks.layers.conditional import Normalisation
from gan_lightning.networks.layers.fourier import append_waves, n_with_waves, random_frequencies
from gan_lightning.networks.layers.initialization import glorot_uniform, initialize_normal
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize
from gan_lightning.shapes import Shape


class JointCritic(Network):
    """A network from pairs (sample, latents) to one logit each."""

    @abstractmethod
    def forward(self, samples: Tensor, latents: Tensor) -> Tensor:
        """Return raw logits `(N,)` of samples `(N, C, H, W)` in [-1, 1] or `(N, C)`, with latents `(N, D)`."""


JointCriticFactory = Callable[[Shape, int], JointCritic]
"""Builds a critic of samples of a shape and so many latent coordinates."""


@final
class MLPJointCritic(JointCritic):
    """Fully connected critic of the concatenated pair, leaky ReLU between.

    With two layers of 1024 it is that of BiGAN's permutation-invariant MNIST (Donahue et al. 2017, arXiv:1605.09782),
    without its batch normalisation, which would couple the pairs of a batch.

    Args:
        shape: Shape of a sample.
        latent_dim: Number of latent coordinates.
        width: Units of each hidden layer.
        n_layers: Number of hidden layers.
        activation: Builds the hidden activations.
        dropout: Share of the hidden units that are left out in training; 0.2 in ALI's critics.
        fourier_std: Standard deviation of width // 2 random frequencies, in radians per unit of the samples, whose cosines and
            sines are appended to them, so that small distances are seen (Tancik et al. 2020, arXiv:2006.10739); 0 for none.

    Raises:
        UserError: There is no hidden layer, or fourier_std is negative.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int,
        width: int = 1024,
        n_layers: int = 2,
        activation: Activation = LeakyReLU,
        dropout: float = 0.0,
        fourier_std: float = 0.0,
    ) -> None:
        super().__init__()
        self.frequencies: Tensor | None
        self.register_buffer("frequencies", random_frequencies(shape.n_values, width // 2, fourier_std))
        n_in = n_with_waves(shape.n_values, self.frequencies) + latent_dim
        self.hidden = hidden_layers(n_in, width, n_layers, activation, dropout=dropout)
        self.output = nn.Linear(width, 1)
        glorot_uniform(self.output)

    def forward(self, samples: Tensor, latents: Tensor) -> Tensor:
        """Return raw logits `(N,)` of samples `(N, C, H, W)` in [-1, 1] or `(N, C)`, with latents `(N, D)`."""
        inputs = append_waves(samples.flatten(1), self.frequencies)
        return self.output(self.hidden(cat([inputs, latents], dim=1))).squeeze(1)


@final
class ConvJointCritic(JointCritic):
    """Features of the image, D(x), features of the latents, D(z), and a fully connected head on both, D(x, z).

    The plan of ALI (Dumoulin et al. 2017, arXiv:1606.00704, appendix A): convolutions on the image, two layers on the
    latents, two on the concatenation, leaky ReLU throughout; on DCGAN's resolutions.

    Args:
        shape: Shape of the images, height and width 4, 5, 6 or 7 times a power of two.
        latent_dim: Number of latent coordinates.
        width: Channels of the first convolution, doubled by each strided one.
        latent_width: Units of the two layers on the latents; 512 in the paper at 32x32.
        joint_width: Units of the two layers on the pair; 1024 in the paper at 32x32.
        activation: Builds the hidden activations.
        norm: Builds the normalisation of a number of channels. None by default; with `torch.nn.BatchNorm2d`, as in
            the paper, the two kinds of pairs pass one after the other, so that the statistics of each are its own.
        dropout: Share of the fully connected units that are left out in training; 0.2 in the paper's critics.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int,
        width: int = 32,
        latent_width: int = 512,
        joint_width: int = 1024,
        activation: Activation = LeakyReLU,
        norm: Normalisation = nn.Identity,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.sample_layers, n_features = convolutions(require_images(shape), width, activation, norm)
        initialize_normal(self.sample_layers)
        self.latent_layers = hidden_layers(latent_dim, latent_width, 2, activation, dropout=dropout)
        self.joint_layers = hidden_layers(n_features + latent_width, joint_width, 2, activation, dropout=dropout)
        self.output = nn.Linear(joint_width, 1)
        glorot_uniform(self.output)

    def forward(self, samples: Tensor, latents: Tensor) -> Tensor:
        """Return raw logits `(N,)` of images `(N, C, H, W)` in [-1, 1] with latents `(N, D)`."""
        features = cat([self.sample_layers(samples), self.latent_layers(latents)], dim=1)
        return self.output(self.joint_layers(features)).squeeze(1)


@final
class SpectrallyNormalizedJointCritic(JointCritic):
    """Any critic of pairs with every weight divided by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).

    Args:
        shape: Shape of a sample.
        latent_dim: Number of latent coordinates.
        network: Builds the critic.
        n_power_iterations: Power iterations per forward pass in train mode.
        eps: Least norm that a vector is divided by.
    """

    def __init__(
        self,
        shape: Shape,
        latent_dim: int,
        network: JointCriticFactory,
        n_power_iterations: int = 1,
        eps: float = 1e-12,
    ) -> None:
        super().__init__()
        self.network = spectrally_normalize(network(shape, latent_dim), n_power_iterations, eps)

    def forward(self, samples: Tensor, latents: Tensor) -> Tensor:
        """Return the network's logits `(N,)` of samples `(N, C, H, W)` in [-1, 1] or `(N, C)`, with latents `(N, D)`."""
        return self.network(samples, latents)
