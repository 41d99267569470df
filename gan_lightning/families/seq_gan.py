"""SeqGAN: Yu, Zhang, Wang & Yu, "SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient", AAAI 2017.

https://arxiv.org/abs/1609.05473
"""

from __future__ import annotations

import warnings
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.latents import UniformLatents
from gan_lightning.games.penalized import HeldCritic
from gan_lightning.losses.objectives import NonSaturating
from gan_lightning.losses.policy import policy_gradient_loss
from gan_lightning.networks.base import Critic, CriticFactory, GeneratorFactory, SequenceGenerator
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.shapes import Shape
from gan_lightning.stabilizers.base import CriticConstraint, CriticPenalty
from gan_lightning.stabilizers.critic_of_turn import CriticOfTurn, Judged


@final
class SeqGAN(HeldCritic):
    r"""A generator writes symbol by symbol; each symbol earns what the critic will make of the whole sequence.

    With y drawn from the generator and the critic's D = sigma(f),

    L_D = -E log D(x) - E log(1 - D(y)), L_G = -E 1/L sum over t of A_t log p(y_t | y_1 ... y_t-1)

    A_t = Q_t - Q_t-1, where Q_t is the mean D of `n_rollouts` sequences that begin with y_1 ... y_t, ended by the running
    average of the generator, the paper's roll-out policy (section 3.2); Q_L = D(y). A_t has no gradient. The paper's
    reward is Q_t; Q_t-1 is known before y_t is drawn, so that taking it off leaves the expected gradient alone.

    In the first `n_pretraining` rounds the critic rests and the generator learns by likelihood, L_G = -E 1/L sum over t of
    log p(x_t | x_1 ... x_t-1). The round that follows has `n_critic_pretraining` critic updates, later ones `n_critic`, and the
    generator's optimizer starts anew, as the authors have one for each phase.

    Args:
        generator: Builds the generator, `LSTMGenerator`.
        critic: Builds the critic of sequences.
        shape: Length of a sequence and size of the vocabulary, the data's.
        n_pretraining: Rounds of likelihood.
        n_critic_pretraining: Critic updates in the first round of the game.
        n_rollouts: Sequences by which a beginning is judged, 16 in the paper.
        critic_penalties: Terms added to the critic's loss.
        critic_constraint: What the critic's weights are held to after each of its updates.
        critic_optimizer: Optimizer of the critic (the authors').
        generator_optimizer: Optimizer of the generator (the authors').
        n_critic: Critic updates in a round.
        ema_decay: Decay of the running average; it stays near the generator, as the authors' roll-out policy does.
        **kwargs: Those of `Game`.
    """

    generator: SequenceGenerator
    critic: Critic
    generator_average: SequenceGenerator
    latent_distribution = UniformLatents()

    def __init__(
        self,
        generator: GeneratorFactory,
        critic: CriticFactory,
        shape: Shape,
        n_pretraining: int = 0,
        n_critic_pretraining: int = 1,
        n_rollouts: int = 16,
        critic_penalties: list[CriticPenalty] | None = None,
        critic_constraint: CriticConstraint | None = None,
        critic_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.9, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=1e-2, betas=(0.9, 0.999)),
        n_critic: int = 5,
        ema_decay: float = 0.8,
        **kwargs: Any,
    ) -> None:
        writer, judge = generator(shape), critic(shape)
        if not isinstance(writer, SequenceGenerator):
            raise UserError(
                f"SeqGAN trains a generator that writes symbol by symbol, and {type(writer).__name__} makes all at once; "
                "take LSTMGenerator, or WGANGP with it"
            )
        if judge.n_classes:
            raise UserError(
                f"SeqGAN has no labels, but {type(judge).__name__} has n_classes {judge.n_classes}; set it to 0"
            )
        super().__init__(
            writer,
            judge,
            critic_penalties=critic_penalties,
            critic_constraint=critic_constraint,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            n_critic=n_critic,
            ema_decay=ema_decay,
            **kwargs,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of .nn.Module.")
            self.save_hyperparameters(logger=False)
        if n_pretraining < 0:
            raise UserError(f"n_pretraining must not be negative, got {n_pretraining}")
        for name, number in (("n_critic_pretraining", n_critic_pretraining), ("n_rollouts", n_rollouts)):
            if number < 1:
                raise UserError(f"{name} must be at least 1, got {number}")
        self.shape, self.n_classes, self.objective = shape, 0, NonSaturating()
        self.n_pretraining, self.n_critic_pretraining, self.n_rollouts = n_pretraining, n_critic_pretraining, n_rollouts

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates, one for each position."""
        return self.generator.latent_dim

    def critic_updates_in_round(self, update: int) -> int:
        """Return 0 while the generator learns by likelihood, then `n_critic_pretraining` once, then `n_critic`."""
        if update < self.n_pretraining:
            return 0
        return self.n_critic_pretraining if update == self.n_pretraining else self.n_critic

    def critic_turn(self, batch: Any) -> Terms:
        """Return the logistic loss on real and written sequences, and the penalties."""
        real = batch.real
        with torch.no_grad():
            fake = self.generator(self.latents(len(real)))
        self.note_spread(real, fake)
        with self.remembered_logits() as known:
            terms = {self.objective.name: self.objective.critic_loss(*self.judge_both(self.critic, real, fake))}
        if self.due_penalties():
            judged = Judged(CriticOfTurn(self.critic, known), real, fake)
            terms |= self.penalty_terms(judged, judged)
        return terms

    def shown(self, batch: Any) -> tuple[Tensor, Judged, Tensor | None]:
        """Return fresh sequences for a batch, and both kinds."""
        fake = self.generator(self.latents(len(batch.real)))
        return fake, Judged(self.critic, batch.real, fake), None

    def generator_turn(self, batch: Any) -> Terms:
        """Return the loss of likelihood at the start, then the policy's."""
        if self.updates_done < self.n_pretraining:
            symbols = batch.real.argmax(1)
            return {"sequence": -self._log_p(symbols).mean()}
        with torch.no_grad():
            symbols = self.generator(self.latents(len(batch.real))).argmax(1)
            values = self.values(symbols)
        return {"sequence": policy_gradient_loss(self._log_p(symbols), values.diff(dim=1))}

    def after_generator_update(self) -> None:
        """Start the optimizer anew for the game: rewards have gradients of another size than likelihood."""
        if self.updates_done + 1 == self.n_pretraining:
            optimizers: Any = self.optimizers(use_pl_optimizer=False)
            optimizers[1].state.clear()

    def values(self, symbols: Tensor) -> Tensor:
        """Return Q_0 ... Q_L `(N, L + 1)` of sequences `(N, L)`: what the critic makes of how their beginnings may end."""
        n, length = symbols.shape
        values = []
        was_training = self.critic.training
        self.critic.eval()  # a reward is not of what dropout leaves
        for t in range(length):
            latents = self.latent_distribution.of_turn(self.noise, n, self.n_rollouts * (length - t))
            ended = self.generator_average.completed(symbols[:, :t], latents.view(n, self.n_rollouts, length - t))
            values.append(self._rewards(ended.flatten(0, 1)).view(n, self.n_rollouts).mean(1))
        values.append(self._rewards(symbols))
        self.critic.train(was_training)
        return torch.stack(values, dim=1)

    def _rewards(self, symbols: Tensor) -> Tensor:
        rows = one_hot(symbols, self.shape.size[0]).transpose(1, 2).to(self.dtype_of_samples)
        logits = self.critic(rows)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).sigmoid()

    def _log_p(self, symbols: Tensor) -> Tensor:
        return self.generator.log_probabilities(symbols).gather(2, symbols[:, :, None]).squeeze(2)
