"""Dumoulin et al., "Adversarially Learned Inference", ICLR 2017, https://arxiv.org/abs/1606.00704."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor
from torch.nn.functional import softplus

from gan_lightning.games.game import Terms
from gan_lightning.games.joint import JointGAN
from gan_lightning.losses.logits import check_real_target, logistic_critic_loss, non_saturating_generator_loss
from gan_lightning.optimizers.specs import Adam, OptimizerSpec


@final
class ALI(JointGAN):
    """A game over pairs: L_D = E sp(-o(x, e)) + E sp(o(G(z), z)), L_GE = E sp(o(x, e)) + E sp(-o(G(z), z)), minimised.

    o is the critic's logit, sp the softplus, e ~ q(z|x) = N(mu(x), sigma(x)^2) reparameterised: the encoder gives mu
    and log sigma^2. Both terms of L_GE have gradients, one in the encoder and one in the generator. The paper updates
    critic, generator and encoder at once; here critic and (generator, encoder) alternate. The two kinds of pairs pass
    the critic at once, as in the authors' code, or one after the other if it has batch statistics, which that would mix.

    Args:
        real_target: What the critic is to say of the encoder's pairs: below 1, such as 0.9, is one-sided label smoothing.
        critic_optimizer: Optimizer of the critic, the authors' code's (the paper's 1e-3 is a misprint).
        generator_optimizer: Optimizer of generator and encoder.
    """

    codes_per_latent = 2

    def __init__(
        self,
        *args: Any,
        real_target: float = 1.0,
        critic_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.5, 0.999)),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.real_target = check_real_target(real_target)

    def infer(self, codes: Tensor, noise: Tensor) -> Tensor:
        """Return mu + sigma * noise, `(N, D)`, from codes `(N, 2 D)`: mu, then log sigma^2."""
        mean, log_variance = codes.chunk(2, dim=1)
        return mean + (0.5 * log_variance).exp() * noise

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Terms:
        """Return the binary cross-entropy, encoder's pairs labelled 1 and generator's 0."""
        return {"logistic": logistic_critic_loss(real_logits, fake_logits, self.real_target)}

    def generator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Terms:
        """Return the cross-entropy with the labels exchanged: the generator's term and the encoder's."""
        return {"generation": non_saturating_generator_loss(fake_logits), "inference": softplus(real_logits).mean()}
