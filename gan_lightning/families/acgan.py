"""Odena, Olah, Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017.

https://arxiv.org/abs/1610.09585
"""

from __future__ import annotations

from typing import Any, final

from torch import Tensor
from torch.nn.functional import cross_entropy

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import NonSaturating, Objective
from gan_lightning.networks.base import require_labels
from gan_lightning.networks.wrappers.classifying import ClassifyingCritic
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class ACGAN(ObjectiveGAN):
    """The critic also tells the class: L_D = A_D + CE(C(x), y) + CE(C(G(z, y)), y), L_G = A_G + CE(C(G(z, y)), y).

    A_D = -E log D(x) - E log(1 - D(G(z, y))) and A_G = -E log D(G(z, y)), or another objective; the cross-entropies CE
    are weighted by 1 in the paper. WGAN-GP's conditional code has objective `Wasserstein`, a `GradientPenalty`,
    `fake_class_weight` 0 and `generator_class_weight` 0.1. The critic is a `ClassifyingCritic`, whose logit does not
    see the labels. The share of samples whose class it tells is logged as `class_accuracy/real` and
    `class_accuracy/fake`.

    Args:
        objective: The loss pair on the logits.
        real_class_weight: Weight of the real samples' cross-entropy in the critic's loss.
        fake_class_weight: Weight of the generated samples' cross-entropy in the critic's loss.
        generator_class_weight: Weight of the cross-entropy in the generator's loss.
        critic_optimizer: Optimizer of the critic (the paper's table 1).
        generator_optimizer: Optimizer of the generator (the paper's table 1).
    """

    conditional = True
    classifies = True
    critic: ClassifyingCritic

    def __init__(
        self,
        *args: Any,
        objective: Objective = NonSaturating(),
        real_class_weight: float = 1.0,
        fake_class_weight: float = 1.0,
        generator_class_weight: float = 1.0,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        if not isinstance(self.critic, ClassifyingCritic):
            raise UserError(
                f"ACGAN needs a critic that tells the class, got {type(self.critic).__name__}; wrap it: critic: "
                "{class_path: ClassifyingCritic, init_args: {n_classes: ..., critic: ...}}"
            )
        weights = {"real": real_class_weight, "fake": fake_class_weight, "generator": generator_class_weight}
        for name, weight in weights.items():
            if weight < 0:
                raise UserError(f"{name}_class_weight must not be negative, got {weight}; 0 leaves the term out")
        self.class_weights = weights
        self.play_for(objective)

    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the objective's critic loss and the cross-entropies of the classes."""
        real_features, fake_features = self.judge_both(self.critic.features, real, fake)
        real_logits, fake_logits = self.critic.head(real_features), self.critic.head(fake_features)
        self.note_logits(real, real_logits)
        self.note_logits(fake, fake_logits)
        loss = self.objective.critic_loss(real_logits, fake_logits)
        return {
            self.objective.name: loss,
            **self._class_term("real", "real", real_features, labels),
            **self._class_term("fake", "fake", fake_features, labels),
        }

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the objective's generator loss and the cross-entropy of the classes asked for."""
        features = self.critic.features(fake)
        loss = self.objective.generator_loss(self.critic.head(features))
        return {self.objective.name: loss, **self._class_term("generator", "fake", features, labels)}

    def _class_term(self, weight: str, side: str, features: Tensor, labels: Tensor | None) -> Terms:
        if not self.class_weights[weight]:
            return {}
        scores, classes = self.critic.classify(features), require_labels(labels)
        self.record({f"class_accuracy/{side}": (scores.argmax(1) == classes).float().mean()})
        return {f"{side}_class": self.class_weights[weight] * cross_entropy(scores, classes)}
