"""Donahue, Krähenbühl, Darrell, "Adversarial Feature Learning", ICLR 2017, https://arxiv.org/abs/1605.09782."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor
from torch.nn.functional import softplus

from gan_lightning.games.game import Terms
from gan_lightning.games.joint import JointGAN
from gan_lightning.games.latents import UniformLatents
from gan_lightning.losses.logits import check_real_target, logistic_critic_loss, non_saturating_generator_loss
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class BiGAN(JointGAN):
    """L_D = (E sp(-o(x, E(x))) + E sp(o(G(z), z))) / 2, L_GE = (E sp(o(x, E(x))) + E sp(-o(G(z), z))) / 2, minimised.

    o is the critic's logit, sp the softplus; the halves are those of the authors' code. Latents are uniform in [-1, 1),
    its MNIST and ImageNet setting. At the optimum the encoder inverts the generator. The paper updates critic,
    generator and encoder at once; here critic and (generator, encoder) alternate.

    Args:
        real_target: What the critic is to say of the encoder's pairs: below 1, such as 0.9, is one-sided label smoothing.
        critic_optimizer: Optimizer of the critic (the authors' MNIST setting).
        generator_optimizer: Optimizer of generator and encoder.
    """

    codes_per_latent = 1
    latent_distribution = UniformLatents()

    def __init__(
        self,
        *args: Any,
        real_target: float = 1.0,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999), weight_decay=2.5e-5),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999), weight_decay=2.5e-5),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.real_target = check_real_target(real_target)

    def infer(self, codes: Tensor, noise: Tensor) -> Tensor:
        """Return the codes `(N, D)` themselves: the encoder is a function."""
        return codes

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Terms:
        """Return half the binary cross-entropy, encoder's pairs labelled 1 and generator's 0."""
        return {"logistic": logistic_critic_loss(real_logits, fake_logits, self.real_target) / 2}

    def generator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Terms:
        """Return half the cross-entropy with the labels exchanged: the generator's term and the encoder's."""
        return {
            "generation": non_saturating_generator_loss(fake_logits) / 2,
            "inference": softplus(real_logits).mean() / 2,
        }
