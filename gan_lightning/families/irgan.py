"""IRGAN: Wang, Yu, Zhang, Gong, Xu, Wang, Zhang & Zhang, SIGIR 2017, https://arxiv.org/abs/1705.10513."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.retrieval import RetrievalGame, at
from gan_lightning.losses.policy import (
    Pointwise,
    RetrievalObjective,
    Reward,
    SigmoidReward,
    drawn,
    log_policy,
    policy_gradient_loss,
    ranking_loss,
    with_positives,
)
from gan_lightning.networks.base import Ranker, RankerFactory
from gan_lightning.optimizers.specs import SGD, OptimizerSpec
from gan_lightning.shapes import Shape
from gan_lightning.stabilizers.slopes import judged_both


@final
class IRGAN(RetrievalGame):
    r"""A policy that picks documents for a query, against a critic that tells relevant documents from picked ones.

    With the policy p(d|q) = softmax over d of g(d, q) / temperature, and the critic's logit f, pointwise:

    L_D = -E log sigma(f(d, q)) - E log(1 - sigma(f(d', q))), d relevant, d' drawn from p at `critic_temperature`

    L_G = -E w(d') r(f(d', q)) log p(d'|q), d' drawn from p' = (1 - share) p + share / n over the n relevant ones, w = p / p'

    Neither r nor w has a gradient. In the first `n_pretraining` rounds both players learn to rank, each on its own, by dynamic
    negative sampling (`losses.ranking_loss`): of `n_pretraining_negatives` random documents that are not relevant, the one
    scored highest counts; with 1 it is BPR. The authors' code does so for both players in web search, and for the
    generator alone in item recommendation.

    The authors alternate 100 passes of the critic with 50 of the generator; here `n_critic` updates alternate with one.

    Args:
        generator: Builds the ranker whose scores make the policy.
        critic: Builds the ranker whose scores are logits.
        shape: How many queries and documents there are, the data's.
        n_candidates: Documents that an update's policy is a softmax over; null takes all.
        n_pretraining: Rounds at the start in which both players learn to rank.
        n_pretraining_negatives: Random documents of which the one scored highest is the negative.
        objective: What the critic judges.
        reward: What the generator earns for a logit.
        n_draws: Documents drawn for each query of the generator's turn.
        n_negatives: Documents drawn for each query of the critic's turn.
        temperature: Of the policy.
        critic_temperature: Of the policy that the critic's negatives are drawn from; 0.2 in the authors' code.
        positive_share: Share of relevant documents among the generator's draws; 0.2 in the authors' code.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator.
        n_critic: Critic updates in a round.
        **kwargs: Those of `Game`.
    """

    fresh_real = True

    def __init__(
        self,
        generator: RankerFactory,
        critic: RankerFactory,
        shape: Shape,
        n_candidates: int | None = None,
        n_pretraining: int = 0,
        n_pretraining_negatives: int = 5,
        objective: RetrievalObjective = Pointwise(),
        reward: Reward = SigmoidReward(),
        n_draws: int = 16,
        n_negatives: int = 1,
        temperature: float = 1.0,
        critic_temperature: float = 0.2,
        positive_share: float = 0.2,
        critic_optimizer: OptimizerSpec = SGD(lr=1e-3),
        generator_optimizer: OptimizerSpec = SGD(lr=1e-3),
        n_critic: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            generator,
            critic,
            shape,
            n_candidates,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            n_critic=n_critic,
            **kwargs,
        )
        for name, number in (("temperature", temperature), ("critic_temperature", critic_temperature)):
            if not number > 0:
                raise UserError(f"{name} must be above 0, got {number}; 1 leaves the scores as they are")
        if not 0 <= positive_share < 1:
            raise UserError(f"positive_share must be in [0, 1), got {positive_share}; the authors' is 0.2")
        self.n_pretraining, self.n_pretraining_negatives = n_pretraining, n_pretraining_negatives
        self.objective, self.reward = objective, reward
        self.n_draws, self.n_negatives = n_draws, n_negatives
        self.temperature, self.critic_temperature = temperature, critic_temperature
        self.positive_share = positive_share

    def critic_turn(self, batch: Any) -> Terms:
        """Return the objective's loss on relevant documents and the policy's, or the ranking loss at the start."""
        queries, positives = batch.real.unbind(1)
        if self.updates_done < self.n_pretraining:
            return {"retrieval": self._ranking(self.critic, queries, positives)}
        candidates = self.candidates(queries, positives)
        with torch.no_grad():
            scores = self.generator(queries, candidates.documents)
            policy = log_policy(scores, candidates.valid, self.critic_temperature).exp()
            picked = at(candidates, drawn(policy, self.noise.uniform(len(queries), self.n_negatives)))
        logits = judged_both(self.critic, (queries, positives[:, None]), (queries, picked))
        return {"retrieval": self.objective.critic_loss(*logits)}

    def generator_turn(self, batch: Any) -> Terms:
        """Return the policy's loss, or the ranking loss at the start."""
        queries, positives = batch.real.unbind(1)
        if self.updates_done < self.n_pretraining:
            return {"retrieval": self._ranking(self.generator, queries, positives)}
        candidates = self.candidates(queries, positives)
        scores = self.generator(queries, candidates.documents)
        log_p = log_policy(scores, candidates.valid, self.temperature)
        with torch.no_grad():
            p = log_p.exp()
            mixed = with_positives(p, candidates.positive, self.positive_share)
            places = drawn(mixed, self.noise.uniform(len(queries), self.n_draws))
            weights = (p / mixed.clamp(min=torch.finfo(p.dtype).tiny)).gather(1, places)
            logits = self.critic(queries, at(candidates, places))
            logits = self.objective.judged(self.critic(queries, positives[:, None]), logits)
            advantages = weights * self.reward.advantages(logits.to(p.dtype), weights)
        return {"retrieval": policy_gradient_loss(log_p.gather(1, places), advantages)}

    def _ranking(self, player: Ranker, queries: Tensor, positives: Tensor) -> Tensor:
        documents, is_negative = self.negatives(queries, self.n_pretraining_negatives)
        with torch.no_grad():
            scores = player(queries, documents)
            best = scores.masked_fill(~is_negative, -torch.inf).argmax(1, keepdim=True)
        scores = player(queries, torch.cat([positives[:, None], documents.gather(1, best)], dim=1))
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return ranking_loss(scores[:, 0], scores[:, 1], is_negative.any(1))
