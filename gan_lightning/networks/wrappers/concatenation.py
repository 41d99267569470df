"""Networks conditioned by concatenating the label's one-hot code (Mirza & Osindero 2014, arXiv:1411.1784).

Wrappers, so that every architecture can be conditioned this way.
"""

from __future__ import annotations

from typing import final

from torch import Tensor, cat, nn
from torch.nn.functional import one_hot

from gan_lightning.errors import UserError
from gan_lightning.networks.base import (
    Critic,
    CriticFactory,
    Generator,
    GeneratorFactory,
    NClasses,
    count_classes,
    require_labels,
)
from gan_lightning.shapes import Shape


@final
class ConcatenatingGenerator(Generator):
    """An unconditional generator whose latents end with the label's one-hot code.

    Args:
        shape: Shape of a sample.
        generator: Builds the generator. Its `latent_dim` counts the code: with 110 and 10 classes, 100 latents are
            drawn.
        n_classes: Number of classes.

    Raises:
        UserError: The generator is conditional itself, or has no room for latents beside the code.
    """

    def __init__(self, shape: Shape, generator: GeneratorFactory, n_classes: NClasses = "auto") -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.generator = generator(shape)
        _require_plain(self.generator, n_classes)
        self.n_classes = n_classes
        self.latent_dim = self.generator.latent_dim - n_classes
        if self.latent_dim < 1:
            raise UserError(
                f"latent_dim of {type(self.generator).__name__} must be above n_classes {n_classes}, whose code it "
                f"holds beside the latents, got {self.generator.latent_dim}"
            )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)` in [-1, 1] or vectors `(N, C)`."""
        code = one_hot(require_labels(labels), self.n_classes)
        return self.generator(cat([latents, code.to(latents.dtype)], dim=1))


@final
class ConcatenatingCritic(Critic):
    """An unconditional critic that sees the label's one-hot code as further channels, each constant over the image.

    Args:
        shape: Shape of a sample.
        critic: Builds the critic; it is asked for `n_classes` more channels.
        n_classes: Number of classes.

    Raises:
        UserError: The critic is conditional itself.
    """

    def __init__(self, shape: Shape, critic: CriticFactory, n_classes: NClasses = "auto") -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.critic = critic(shape.widened(n_classes))
        _require_plain(self.critic, n_classes)
        self.n_classes, self.n_features = n_classes, self.critic.n_features

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `(N, F)`, of images `(N, C, H, W)` or vectors `(N, C)` with labels `(N,)`."""
        code = one_hot(require_labels(labels), self.n_classes).to(samples.dtype)
        code = code.reshape(*code.shape, *[1] * (samples.dim() - 2)).expand(-1, -1, *samples.shape[2:])
        return self.critic.features(cat([samples, code], dim=1))

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)`; the labels have entered before."""
        return self.critic.head(features)

    def last_layer(self) -> nn.Linear:
        """Return the last linear map of the wrapped critic."""
        return self.critic.last_layer()


def _require_plain(network: Generator | Critic, n_classes: int) -> None:
    """Check that a wrapped network has no classes and its wrapper has some."""
    name = type(network).__name__
    if network.n_classes:
        raise UserError(f"{name} has n_classes {network.n_classes} of its own; set it to 0, its wrapper conditions it")
    if n_classes < 1:
        raise UserError(f"n_classes around {name} must be at least 1, got {n_classes}; without labels take it alone")
