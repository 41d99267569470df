"""Donahue, McAuley & Puckette, Adversarial Audio Synthesis, ICLR 2019, arXiv:1802.04208: WaveGAN.

From section 3.2 and appendix D: DCGAN's layers in one dimension, filters of 25 samples and steps of 4, no batch
normalisation, and a critic whose activations are shifted in time at random. Ours: initial weights after He, so that a
sound is as loud as its latents from the first update on.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn, tanh
from torch.nn.functional import embedding, leaky_relu, relu

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic, DrawsByRow, Generator, NClasses, count_classes, require_labels
from gan_lightning.shapes import Shape, Signals

_FILTER, _STEP, _PADDING, _SHORTEST = 25, 4, 11, 16


@final
class WaveGANGenerator(Generator):
    """Latents to a sound: a linear map, then transposed convolutions that make it four times as long each, ReLU between.

    There are as many as leave 16 positions or more for the first, five for the paper's 16,384 samples; what is over at the
    end of other lengths is cut.

    Args:
        shape: Length and channels of a sound.
        latent_dim: Number of latent coordinates.
        width: Channels before the last layer; they double towards the first. 64 in the paper.
        n_classes: Number of classes, each with a learned vector as long as the latents, appended to them; 0 for none, auto for
            the data's.
    """

    def __init__(self, shape: Shape, latent_dim: int = 100, width: int = 64, n_classes: NClasses = 0) -> None:
        super().__init__()
        signals = require_signals(self, shape)
        self.latent_dim, self.n_classes, self.length = latent_dim, count_classes(n_classes), signals.length
        n = n_layers(signals.length)
        widths = [width * 2 ** (n - 1 - i) for i in range(n)]
        n_in = latent_dim * (2 if self.n_classes else 1)
        self.first = nn.Linear(n_in, widths[0] * -(-signals.length // _STEP**n))
        if self.n_classes:
            self.of_class = nn.Parameter(torch.randn(self.n_classes, latent_dim))
        layers = [
            nn.ConvTranspose1d(n_in, n_out, _FILTER, _STEP, _PADDING, output_padding=1)
            for n_in, n_out in zip(widths, [*widths[1:], signals.channels], strict=True)
        ]
        _initialize(self.first, self.first.in_features, gain=1.0)
        for layer in layers:
            _initialize(layer, layer.in_channels * _FILTER / _STEP)  # so many meet in a sample
        self.layers = nn.ModuleList(layers)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` to sounds `(N, C, L)` in [-1, 1].

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        if self.n_classes:
            latents = torch.cat([latents, embedding(require_labels(labels), self.of_class)], dim=1)
        hidden = self.first(latents).unflatten(1, (self.layers[0].in_channels, -1))  # type: ignore[arg-type]
        for layer in self.layers:
            hidden = layer(relu(hidden))
        return tanh(hidden[..., : self.length])


@final
class WaveGANCritic(Critic):
    """Sounds to a logit: convolutions with steps of 4, leaky ReLU and phase shuffle behind each, and a linear map.

    A conditional one adds the inner product of its features and a vector of the class, as Miyato & Koyama's projection
    does (arXiv:1802.05637).

    Args:
        shape: Length and channels of a sound.
        width: Channels behind the first layer; they double with each further one. 64 in the paper.
        phase_shuffle: Positions by which activations are shifted at most, in training; 2 in the paper, 0 for none.
        n_classes: Number of classes; 0 for none, auto for the data's.
    """

    def __init__(self, shape: Shape, width: int = 64, phase_shuffle: int = 2, n_classes: NClasses = 0) -> None:
        super().__init__()
        signals = require_signals(self, shape)
        if phase_shuffle < 0:
            raise UserError(f"phase_shuffle of WaveGANCritic must not be negative, got {phase_shuffle}")
        self.n_classes = count_classes(n_classes)
        n, length = n_layers(signals.length), signals.length
        widths = [width * 2**i for i in range(n)]
        layers = [
            nn.Conv1d(n_in, n_out, _FILTER, _STEP, _PADDING)
            for n_in, n_out in zip([signals.channels, *widths], widths, strict=False)
        ]
        for _ in range(n):
            length = (length - 3) // _STEP + 1
        if phase_shuffle >= length:
            raise UserError(
                f"phase_shuffle of WaveGANCritic must be below {length}, the positions of its last layer for "
                f"{signals.length} samples, got {phase_shuffle}"
            )
        for layer in layers:
            _initialize(layer, layer.in_channels * _FILTER)
        self.layers = nn.ModuleList(layers)
        self.shuffle = PhaseShuffle(phase_shuffle)
        self.n_features = widths[-1] * length
        self.output = nn.Linear(self.n_features, 1)
        if self.n_classes:
            self.of_class = nn.Parameter(torch.randn(self.n_classes, self.n_features) / self.n_features**0.5)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer `(N, F)` of sounds `(N, C, L)`."""
        hidden = samples
        for place, layer in enumerate(self.layers, 1):
            hidden = leaky_relu(layer(hidden), 0.2)
            if place < len(self.layers):
                hidden = self.shuffle(hidden)
        return hidden.flatten(1)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return raw logits `(N,)`.

        Raises:
            UserError: The network is conditional and there are no labels.
        """
        logits = self.output(features).squeeze(1)
        if self.n_classes:
            logits = logits + (features * embedding(require_labels(labels), self.of_class)).sum(1)
        return logits


@final
class PhaseShuffle(DrawsByRow):
    """Shifts each sample's activations in time by up to n positions, in training; what is missing is mirrored.

    Drawn anew for each sample and layer (section 3.3 of the paper; in its code one shift serves a batch).

    Args:
        n: Largest shift.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, inputs: Tensor) -> Tensor:
        """Map activations `(N, C, L)` to `(N, C, L)`."""
        if not self.n or not self.training:
            return inputs
        shifts = self.draw_integers(2 * self.n + 1, inputs) - self.n
        return shifted(inputs, shifts)


def shifted(inputs: Tensor, shifts: Tensor) -> Tensor:
    """Return activations `(N, C, L)` moved to the right by shifts `(N, 1)`, mirrored at the ends without the last position."""
    length = inputs.shape[-1]
    places = (torch.arange(length, device=inputs.device) - shifts).abs()
    places = (length - 1) - ((length - 1) - places).abs()
    return inputs.gather(2, places[:, None].expand_as(inputs))


def _initialize(layer: Any, n_in: float, gain: float = 2.0) -> None:
    """Draw weights that keep the size of activations, of n_in inputs to each output (He et al. 2015); biases are 0."""
    nn.init.normal_(layer.weight, std=(gain / n_in) ** 0.5)
    nn.init.zeros_(layer.bias)


def n_layers(length: int) -> int:
    """Return how often a length is divided by 4 without falling below 16 positions, at least once."""
    n = 1
    while -(-length // _STEP ** (n + 1)) >= _SHORTEST:
        n += 1
    return n


def require_signals(network: Any, shape: Shape) -> Signals:
    """Return the shape if it is one of signals that are long enough.

    Raises:
        UserError: It is not.
    """
    if not isinstance(shape, Signals):
        raise UserError(
            f"{type(network).__name__} is for sound, but the data are {shape.words}; take AudioFolder, or another network"
        )
    if shape.length < _SHORTEST:
        raise UserError(
            f"{type(network).__name__} needs at least {_SHORTEST} samples, got {shape.length}; set a greater data.length"
        )
    return shape
