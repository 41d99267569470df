"""The auxiliary classifier of Odena, Olah & Shlens, ICML 2017, arXiv:1610.09585, on top of any critic."""

from __future__ import annotations

from typing import final

from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic, CriticFactory, NClasses, count_classes
from gan_lightning.networks.layers.initialization import glorot_uniform
from gan_lightning.shapes import Shape


@final
class ClassifyingCritic(Critic):
    """An unconditional critic with a second head on its last hidden layer, which tells the class.

    The logit ignores the labels: the classes reach the generator through the classifier's cross-entropy.

    Args:
        shape: Shape of a sample.
        critic: Builds the critic.
        n_classes: Number of classes that the second head tells apart.

    Raises:
        UserError: The critic is conditional itself.
    """

    classifies = True

    def __init__(self, shape: Shape, critic: CriticFactory, n_classes: NClasses = "auto") -> None:
        super().__init__()
        n_classes = count_classes(n_classes)
        self.critic = critic(shape)
        if self.critic.n_classes:
            raise UserError(
                f"{type(self.critic).__name__} has n_classes {self.critic.n_classes} of its own; set it to 0: a critic "
                "that is told the class learns nothing by telling it"
            )
        if n_classes < 2:
            raise UserError(f"n_classes of ClassifyingCritic must be at least 2, got {n_classes}")
        self.n_classes, self.n_features = n_classes, self.critic.n_features
        self.classifier = nn.Linear(self.n_features, n_classes)
        glorot_uniform(self.classifier)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `(N, F)`, of images `(N, C, H, W)` in [-1, 1] or vectors `(N, C)`."""
        return self.critic.features(samples)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of features `(N, F)`, whatever the labels."""
        return self.critic.head(features)

    def last_layer(self) -> nn.Linear:
        """Return the last linear map of the wrapped critic."""
        return self.critic.last_layer()

    def classify(self, features: Tensor) -> Tensor:
        """Return the raw scores of the classes, `(N, n_classes)`, of features `(N, F)`."""
        return self.classifier(features)
