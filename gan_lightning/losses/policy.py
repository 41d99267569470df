"""Policy gradients over a finite set of candidates: draws, importance weights, rewards and losses of retrieval games.

The values are not meant to be subclassed; they lack `@final` because jsonargparse cannot write a default instance of a
final class with its class path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus


def log_policy(scores: Tensor, valid: Tensor | None = None, temperature: float = 1.0) -> Tensor:
    """Return log p `(N, M)` of the policy softmax(scores / temperature) over the valid candidates, at least in float32.

    Example:
        >>> log_policy(torch.zeros(1, 3), torch.tensor([[True, True, False]])).exp()
        tensor([[0.5000, 0.5000, 0.0000]])

    Args:
        scores: Scores `(N, M)`.
        valid: Which of them are of a candidate, `(N, M)`; None where all are.
        temperature: Below 1 the policy is sharper, above 1 flatter.
    """
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32)) / temperature
    if valid is not None:
        scores = scores.masked_fill(~valid, torch.finfo(scores.dtype).min)
    return scores.log_softmax(1)


def with_positives(probabilities: Tensor, positive: Tensor, share: float) -> Tensor:
    """Return the distribution `(1 - share) p + share u`, u uniform over the positives; p itself where a row has none.

    IRGAN's code draws from it (Wang et al. 2017, arXiv:1705.10513; geek-ai/irgan, share 0.2 and 0.5).

    Example:
        >>> with_positives(torch.tensor([[0.5, 0.5]]), torch.tensor([[True, False]]), 0.2)
        tensor([[0.6000, 0.4000]])

    Args:
        probabilities: p, `(N, M)`.
        positive: Which candidates are known to be relevant, `(N, M)`.
        share: Weight of the positives.
    """
    n = positive.sum(1, keepdim=True)
    shares = share * (n > 0).to(probabilities.dtype)
    return (probabilities * (1 - shares)).addcmul_(positive.to(probabilities.dtype), shares / n.clamp(min=1))


def drawn(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Return places `(N, K)` drawn with replacement from each row's `probabilities` `(N, M)`, from U[0, 1) numbers `(N, K)`.

    Example:
        >>> drawn(torch.tensor([[0.25, 0.0, 0.75]]), torch.tensor([[0.2, 0.3]]))
        tensor([[0, 2]])
    """
    total = probabilities.double().cumsum(1)
    places = torch.searchsorted(total, uniforms.double() * total[:, -1:], right=True)
    return places.clamp_(max=probabilities.shape[1] - 1)


def policy_gradient_loss(log_probabilities: Tensor, advantages: Tensor) -> Tensor:
    """Return -mean(log p * advantage), whose gradient is minus the policy gradient (REINFORCE; Williams 1992).

    Example:
        >>> policy_gradient_loss(torch.tensor([[-1.0, -2.0]]), torch.tensor([[1.0, 0.0]]))
        tensor(0.5000)

    Args:
        log_probabilities: log p of what was drawn, `(N, K)`.
        advantages: Reward less baseline, times importance weight, `(N, K)`; no gradient passes.
    """
    return -(log_probabilities * advantages.detach()).mean()


def ranking_loss(positive_scores: Tensor, negative_scores: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean of softplus(s(negative) - s(positive)): BPR (Rendle et al. 2009, arXiv:1205.2618, without its prior).

    With the highest scored of several random negatives it is dynamic negative sampling (Zhang et al. 2013,
    doi:10.1145/2484028.2484126).

    Example:
        >>> ranking_loss(torch.tensor([0.0]), torch.tensor([0.0]))
        tensor(0.6931)

    Args:
        positive_scores: Scores of any shape.
        negative_scores: Scores of that shape.
        weights: Weights of that shape, such as 0 where there is no negative; None for 1.
    """
    losses = softplus(negative_scores - positive_scores)
    return (losses if weights is None else losses * weights).mean()


class Reward(ABC):
    """What the generator of a retrieval game earns for a document that the critic gives a logit."""

    @abstractmethod
    def advantages(self, logits: Tensor, weights: Tensor) -> Tensor:
        """Return reward less baseline of logits `(N, K)`, whose draws have importance weights `(N, K)`."""


@dataclass(frozen=True)
class SigmoidReward(Reward):
    """2 sigma(f) - 1: the reward of the authors' code, where the 1 is the baseline (geek-ai/irgan, item_recommendation).

    Example:
        >>> SigmoidReward().advantages(torch.zeros(1, 2), torch.ones(1, 2))
        tensor([[0., 0.]])
    """

    def advantages(self, logits: Tensor, weights: Tensor) -> Tensor:
        """Return 2 sigma(f) - 1."""
        return 2 * logits.sigmoid() - 1


@dataclass(frozen=True)
class SoftplusReward(Reward):
    """log(1 + exp f) less its mean under the policy: the reward and the baseline of the paper (section 2.2).

    The mean is estimated from the query's own draws, with their importance weights.

    Example:
        >>> SoftplusReward().advantages(torch.tensor([[1.0, 1.0]]), torch.ones(1, 2))
        tensor([[0., 0.]])
    """

    def advantages(self, logits: Tensor, weights: Tensor) -> Tensor:
        """Return log(1 + exp f) less its weighted mean over a row."""
        rewards = softplus(logits)
        mean = (weights * rewards).sum(1, keepdim=True) / weights.sum(1, keepdim=True)
        return rewards - mean


@dataclass(frozen=True)
class LogSigmoidReward(Reward):
    """log sigma(f): the reward of the authors' code for web search with pairs (geek-ai/irgan, ltr-gan-pairwise).

    Example:
        >>> LogSigmoidReward().advantages(torch.zeros(1, 1), torch.ones(1, 1))
        tensor([[-0.6931]])
    """

    def advantages(self, logits: Tensor, weights: Tensor) -> Tensor:
        """Return log sigma(f)."""
        return logsigmoid(logits)


class RetrievalObjective(ABC):
    """What the critic of a retrieval game judges: documents, or pairs of them."""

    @abstractmethod
    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the critic's loss on logits of relevant documents `(N, 1)` and of drawn ones `(N, J)`."""

    @abstractmethod
    def judged(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the logits `(N, K)` that drawn documents are rewarded for."""


@dataclass(frozen=True)
class Pointwise(RetrievalObjective):
    """D(d | q) = sigma(f(d, q)): is the document relevant (Wang et al. 2017, arXiv:1705.10513, eq. 1)?

    Example:
        >>> Pointwise().critic_loss(torch.zeros(1, 1), torch.zeros(1, 1))
        tensor(1.3863)
    """

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return -E log D(d) - E log(1 - D(d'))."""
        return softplus(-real_logits).mean() + softplus(fake_logits).mean()

    def judged(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return f(d')."""
        return fake_logits


@dataclass(frozen=True)
class Pairwise(RetrievalObjective):
    """D(d, d' | q) = sigma(f(d, q) - f(d', q)): is the first the more relevant (Wang et al. 2017, section 2.4)?

    Example:
        >>> Pairwise().critic_loss(torch.zeros(1, 1), torch.zeros(1, 1))
        tensor(0.6931)
    """

    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return -E log sigma(f(d) - f(d'))."""
        return softplus(fake_logits - real_logits).mean()

    def judged(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return f(d') - f(d)."""
        return fake_logits - real_logits
