"""SRGAN: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a GAN", CVPR 2017, https://arxiv.org/abs/1609.04802."""

from __future__ import annotations

import warnings
from collections.abc import Hashable
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from gan_lightning.errors import UserError
from gan_lightning.games.game import Game, Terms
from gan_lightning.losses.objectives import NonSaturating, Objective, RelativisticPairing
from gan_lightning.losses.perceptual import activation_distance
from gan_lightning.networks.base import Critic, CriticFactory
from gan_lightning.networks.perceptual import PerceptualNetwork
from gan_lightning.networks.super_resolution import Upscaler, UpscalerFactory
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.protocols import Paired, PlayerName
from gan_lightning.shapes import Pair, Shape
from gan_lightning.stabilizers.slopes import judged_both


@final
class SRGAN(Game):
    r"""Small pictures x in, large ones G(x) out: first by pixels, then by what a trained network and a critic see of them.

    In the first `n_pretraining` rounds the critic rests, and L_G = E |G(x) - y|^2. Then, with phi the perceptual network,

    L_D = -E log D(y) - E log(1 - D(G(x))), L_G = w_phi E |phi(G(x)) - phi(y)|^2 - w_adv E log D(G(x)) + w E |G(x) - y|^2

    where squares are means over values. ESRGAN (Wang et al. 2018, arXiv:1809.00219) is `RRDBNet` with the objective
    `RelativisticPairing`. The paper's phi is VGG19's conv5_4, whose weights are a download; whichever is taken, its weights
    are in no checkpoint.

    Args:
        generator: Builds the upscaler, `SRResNet` or `RRDBNet`.
        critic: Builds the critic of large images.
        shape: The pair of a small and a large image, the data's.
        perceptual: phi, of which `content_layers` are compared; None (null) leaves the term out.
        n_pretraining: Rounds of the first phase; the clock goes on into the second one.
        perceptual_weight: w_phi.
        adversarial_weight: w_adv, the paper's 1e-3.
        pixel_weight: w, in the second phase.
        objective: The adversarial losses.
        critic_optimizer: Optimizer of the critic (the authors').
        generator_optimizer: Optimizer of the generator (the authors').
        **kwargs: Those of `Game`.

    Raises:
        UserError: A weight is negative, or the second phase has no term.
    """

    generator: Upscaler
    critic: Critic
    generator_average: Upscaler

    def __init__(
        self,
        generator: UpscalerFactory,
        critic: CriticFactory,
        shape: Shape,
        perceptual: PerceptualNetwork | None = None,
        n_pretraining: int = 0,
        perceptual_weight: float = 1.0,
        adversarial_weight: float = 1e-3,
        pixel_weight: float = 0.0,
        objective: Objective | RelativisticPairing = NonSaturating(),
        critic_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.9, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.9, 0.999)),
        **kwargs: Any,
    ) -> None:
        if not isinstance(shape, Pair):
            raise UserError(
                f"SRGAN makes large images from small ones, and the data are {shape.words} without small ones; take "
                "DegradedFolder with LowResolution"
            )
        super().__init__(
            generator(shape),
            critic(shape.target),
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            **kwargs,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of .nn.Module.")
            self.save_hyperparameters(logger=False)
        weights = {
            "perceptual_weight": perceptual_weight if perceptual is not None else 0.0,
            "adversarial_weight": adversarial_weight,
            "pixel_weight": pixel_weight,
        }
        for name, weight in weights.items():
            if weight < 0:
                raise UserError(f"{name} must not be negative, got {weight}")
        if not any(weights.values()):
            raise UserError(
                "the second phase of SRGAN has no term: give adversarial_weight, pixel_weight, or a perceptual network with "
                "perceptual_weight"
            )
        if n_pretraining < 0:
            raise UserError(f"n_pretraining must not be negative, got {n_pretraining}")
        self.shape, self.perceptual, self.objective = shape, perceptual, objective
        self.n_pretraining, self.weights = n_pretraining, weights
        self.watch.vanishing_term = objective.name

    @property
    def factor(self) -> int:
        """By how much each side grows."""
        return self.generator.factor

    @property
    def pretrains(self) -> bool:
        """Whether the next update is one of the first phase."""
        return self._pretrains if self.tracing else self.updates_done < self.n_pretraining

    def variant(self, player: PlayerName) -> Hashable:
        """Add the phase."""
        return super().variant(player), self.pretrains

    def prepare_tracing(self) -> None:
        """Keep the phase."""
        super().prepare_tracing()
        self._pretrains = self.pretrains

    def critic_updates_in_round(self, update: int) -> int:
        """Return 0 in the first phase, and where no adversarial term asks for a critic."""
        return self.n_critic if update >= self.n_pretraining and self.weights["adversarial_weight"] else 0

    def check(self) -> None:
        """Refuse data that are no pairs, and load the perceptual network."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, Paired) or not data.is_paired:
            raise UserError(
                f"SRGAN needs pairs of a small and a large image, and {type(data).__name__} has none; take DegradedFolder with "
                "LowResolution"
            )
        if self.perceptual is not None and self.trainer.state.fn == "fit":
            if self._compiled is not None:
                raise UserError(
                    "model.compile does not go with a perceptual network, whose weights are not the model's; leave "
                    "model.compile out, or model.perceptual"
                )
            self.perceptual.load()

    def critic_turn(self, batch: Any) -> Terms:
        """Return the objective's loss on large images and what is made of the small ones."""
        with torch.no_grad():
            fake = self.generator(batch.source)
        return {self.objective.name: self.objective.critic_loss(*judged_both(self.critic, (batch.real,), (fake,)))}

    def generator_turn(self, batch: Any) -> Terms:
        """Return the terms of the phase."""
        real, fake = batch.real, self.generator(batch.source)
        if self.pretrains:
            return {"pixels": mse_loss(fake, real)}
        weights, terms = self.weights, {}
        if self.perceptual is not None and weights["perceptual_weight"]:
            layers = self.perceptual.content_layers
            with torch.no_grad():
                targets = self.perceptual(real, layers)
            distance = activation_distance(self.perceptual(fake, layers), targets)
            terms["perceptual"] = weights["perceptual_weight"] * distance
        if weights["adversarial_weight"]:
            terms[self.objective.name] = weights["adversarial_weight"] * self._adversarial(real, fake)
        if weights["pixel_weight"]:
            terms["pixels"] = weights["pixel_weight"] * mse_loss(fake, real)
        return terms

    def _adversarial(self, real: Tensor, fake: Tensor) -> Tensor:
        if isinstance(self.objective, RelativisticPairing):
            return self.objective.generator_loss(self.critic(real), self.critic(fake))
        return self.objective.generator_loss(self.critic(fake))

    @torch.no_grad()
    def upscale(self, images: Tensor) -> Tensor:
        """Return what the averaged generator makes of images `(N, C, h, w)` in [-1, 1], of any size, clamped to [-1, 1]."""
        return self.generator_average(images.to(self.device, self.dtype_of_samples)).clamp(-1, 1)
