"""The loss pairs: pure functions of raw logits of any shape, mean-reduced, to be minimised; real before fake."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu, softplus


def logistic_critic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return -E log D(x) - E log(1 - D(G(z))) with D = sigmoid(logits) (Goodfellow 2014, arXiv:1406.2661, eq. 1)."""
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """Return E log(1 - D(G(z))), the minimax generator's loss (Goodfellow 2014, arXiv:1406.2661, eq. 1)."""
    return -softplus(fake_logits).mean()


def non_saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """Return -E log D(G(z)) (Goodfellow 2014, arXiv:1406.2661, section 3)."""
    return softplus(-fake_logits).mean()


def wasserstein_critic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E f(G(z)) - E f(x), minus the estimate of the distance (Arjovsky 2017, arXiv:1701.07875, eq. 2)."""
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator_loss(fake_logits: Tensor) -> Tensor:
    """Return -E f(G(z)) (Arjovsky 2017, arXiv:1701.07875, algorithm 1)."""
    return -fake_logits.mean()


def hinge_critic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E max(0, 1 - f(x)) + E max(0, 1 + f(G(z))) (Lim & Ye 2017, arXiv:1705.02894, eq. 12)."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits: Tensor) -> Tensor:
    """Return -E f(G(z)) (Lim & Ye 2017, arXiv:1705.02894, eq. 13)."""
    return -fake_logits.mean()
