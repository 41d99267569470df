"""The loss pairs: pure functions of raw logits of any shape, mean-reduced, to be minimised; real before fake."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import relu, softplus

from gan_lightning.errors import UserError


def logistic_critic_loss(real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0) -> Tensor:
    """Return -E log D(x) - E log(1 - D(G(z))) with D = sigmoid(logits) (Goodfellow 2014, arXiv:1406.2661, eq. 1).

    With a `real_target` a < 1 the first term is -E [a log D(x) + (1 - a) log(1 - D(x))]: one-sided label smoothing
    (Salimans 2016, arXiv:1606.03498, section 3.4). The fakes' target stays 0.

    Example:
        >>> logistic_critic_loss(torch.zeros(4), torch.zeros(4))
        tensor(1.3863)
    """
    loss = softplus(-real_logits).mean() + softplus(fake_logits).mean()
    if real_target == 1:
        return loss
    return loss + (1 - real_target) * real_logits.mean()  # because softplus(o) = softplus(-o) + o


def check_real_target(real_target: float) -> float:
    """Return the target of one-sided label smoothing, D's optimum where there is nothing but data.

    Example:
        >>> check_real_target(0.9)
        0.9

    Raises:
        UserError: It is not in (0.5, 1].
    """
    if not 0.5 < real_target <= 1:
        raise UserError(f"real_target must be in (0.5, 1], got {real_target}; 0.9 smooths the labels, 1 does not")
    return real_target


def saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """Return E log(1 - D(G(z))), the minimax generator's loss (Goodfellow 2014, arXiv:1406.2661, eq. 1).

    Example:
        >>> saturating_generator_loss(torch.zeros(4))
        tensor(-0.6931)
    """
    return -softplus(fake_logits).mean()


def non_saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    """Return -E log D(G(z)) (Goodfellow 2014, arXiv:1406.2661, section 3).

    Example:
        >>> non_saturating_generator_loss(torch.zeros(4))
        tensor(0.6931)
    """
    return softplus(-fake_logits).mean()


def wasserstein_critic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E f(G(z)) - E f(x), minus the estimate of the distance (Arjovsky 2017, arXiv:1701.07875, eq. 2).

    Example:
        >>> wasserstein_critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0]))
        tensor(-2.5000)
    """
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator_loss(fake_logits: Tensor) -> Tensor:
    """Return -E f(G(z)) (Arjovsky 2017, arXiv:1701.07875, algorithm 1).

    Example:
        >>> wasserstein_generator_loss(torch.tensor([-1.0, 0.0]))
        tensor(0.5000)
    """
    return -fake_logits.mean()


def hinge_critic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E max(0, 1 - f(x)) + E max(0, 1 + f(G(z))) (Lim & Ye 2017, arXiv:1705.02894, eq. 12).

    Example:
        >>> hinge_critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0]))
        tensor(0.5000)
    """
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits: Tensor) -> Tensor:
    """Return -E f(G(z)) (Lim & Ye 2017, arXiv:1705.02894, eq. 13).

    Example:
        >>> hinge_generator_loss(torch.tensor([-1.0, 0.0]))
        tensor(0.5000)
    """
    return -fake_logits.mean()


def least_squares_critic_loss(
    real_logits: Tensor, fake_logits: Tensor, real_target: float = 1.0, fake_target: float = 0.0
) -> Tensor:
    """Return 1/2 E (f(x) - b)^2 + 1/2 E (f(G(z)) - a)^2, b the target of reals (Mao 2017, arXiv:1611.04076, eq. 2).

    Example:
        >>> least_squares_critic_loss(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0]))
        tensor(1.2500)
    """
    return 0.5 * (real_logits - real_target).square().mean() + 0.5 * (fake_logits - fake_target).square().mean()


def least_squares_generator_loss(fake_logits: Tensor, target: float = 1.0) -> Tensor:
    """Return 1/2 E (f(G(z)) - c)^2, c what the critic is to believe (Mao 2017, arXiv:1611.04076, eq. 2).

    Example:
        >>> least_squares_generator_loss(torch.tensor([-1.0, 0.0]))
        tensor(1.2500)
    """
    return 0.5 * (fake_logits - target).square().mean()


def relativistic_pairing_critic_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E softplus(f(G(z)) - f(x)), x and G(z) paired by index (Huang 2024, arXiv:2501.05441, eq. 2).

    Example:
        >>> relativistic_pairing_critic_loss(torch.zeros(4), torch.zeros(4))
        tensor(0.6931)
    """
    return softplus(fake_logits - real_logits).mean()


def relativistic_pairing_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return E softplus(f(x) - f(G(z))), x and G(z) paired by index (Huang 2024, arXiv:2501.05441, eq. 2).

    Example:
        >>> relativistic_pairing_generator_loss(torch.zeros(4), torch.zeros(4))
        tensor(0.6931)
    """
    return softplus(real_logits - fake_logits).mean()
