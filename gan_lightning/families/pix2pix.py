"""Isola, Zhu, Zhou & Efros, "Image-to-Image Translation with Conditional Adversarial Networks", CVPR 2017, arXiv:1611.07004."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from gan_lightning.games.game import Terms
from gan_lightning.games.translation import TranslationGame
from gan_lightning.losses.objectives import NonSaturating, Objective
from gan_lightning.networks.base import CriticFactory, TranslatorFactory, require_pair
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.shapes import Shape
from gan_lightning.stabilizers.slopes import judged_both


@final
class Pix2Pix(TranslationGame):
    r"""Sources x and targets y in pairs; the critic sees the source beside what is made of it, f(x, y).

    L_D = -1/2 E log D(x, y) - 1/2 E log(1 - D(x, G(x))), L_G = -E log D(x, G(x)) + lambda E |y - G(x)|, D = sigma(f)

    minimised; the distance is a mean over values, and with a critic of patches so is E log D. What is random about G(x) is
    what its network drops. The paper plays on batches of one for 200 passes, the last 100 with a learning rate that falls
    to 0: `LinearDecay`.

    Args:
        generator: Builds the translator of the pair.
        critic: Builds the critic of images that have the channels of both, the source's first.
        shape: The pair, the data's.
        l1_weight: lambda.
        objective: The adversarial losses; the critic's is halved, as in the paper.
        critic_optimizer: Optimizer of the critic (the paper's).
        generator_optimizer: Optimizer of the generator (the paper's).
        ema_decay: Decay of the generator's running average; the paper has none.
        **kwargs: Those of `Game`.
    """

    def __init__(
        self,
        generator: TranslatorFactory,
        critic: CriticFactory,
        shape: Shape,
        l1_weight: float = 100.0,
        objective: Objective = NonSaturating(),
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        ema_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        source, target = require_pair(shape)
        super().__init__(
            generator(shape),
            critic(target.widened(source.channels)),
            shape,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            ema_decay=ema_decay,
            **kwargs,
        )
        self.l1_weight, self.objective = l1_weight, objective

    def critic_turn(self, batch: Any) -> Terms:
        """Return half the objective's critic loss, on translations made without a graph."""
        with torch.no_grad():
            fake = self.generator(batch.source, self.noise)
        real, fake = (self._beside(batch.source, images) for images in (batch.real, fake))
        logits = judged_both(self.critic, (real,), (fake,))
        return {self.objective.name: self.objective.critic_loss(*logits) / 2}

    def generator_turn(self, batch: Any) -> Terms:
        """Return the objective's generator loss and the weighted distance from the targets."""
        made = self.generator(batch.source, self.noise)
        return {
            self.objective.name: self.objective.generator_loss(self.critic(self._beside(batch.source, made))),
            "l1": self.l1_weight * l1_loss(made, batch.real),
        }

    def _beside(self, sources: Tensor, images: Tensor) -> Tensor:
        return torch.cat([sources, images], dim=1)
