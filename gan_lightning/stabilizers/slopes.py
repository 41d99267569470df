"""The critic's slope: gradients of each sample's logit at that sample, and where they are taken."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gan_lightning.networks.base import Critic
from gan_lightning.randomness import Noise
from gan_lightning.stabilizers.critic_of_turn import CriticOfTurn


def couples_batch(network: nn.Module, of_pixels: bool = True) -> list[str]:
    """Return the names of the layers through which samples of a batch influence each other (batch statistics).

    Example:
        >>> couples_batch(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
        ['1']

    Args:
        network: Any.
        of_pixels: Also those whose statistics are over pixels too, so that one image has some.
    """
    normalizes = nn.modules.batchnorm._BatchNorm if of_pixels else nn.BatchNorm1d
    return [
        name or type(module).__name__
        for name, module in network.named_modules()
        if isinstance(module, normalizes) or getattr(module, "couples_batch", False)
    ]


def judges_alone(critic: nn.Module) -> bool:
    """Tell whether a critic surely judges each sample by itself, so that several sets may share one pass.

    Known are the layers of torch and of this package; one of somebody else's says so with the attribute `couples_batch`
    False, on each of its classes.

    Example:
        >>> judges_alone(nn.Linear(2, 1)), judges_alone(nn.BatchNorm1d(2))
        (True, False)
    """
    return not couples_batch(critic) and all(
        type(module).__module__.startswith(("torch.", "gan_lightning."))
        or vars(type(module)).get("couples_batch") is False
        for module in critic.modules()
    )


def judged_both(
    critic: nn.Module,
    real: tuple[Tensor | None, ...],
    fake: tuple[Tensor | None, ...],
    judge: Callable[..., Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Return what a critic makes of real and of generated samples, `(N, ...)` each.

    A critic that judges each sample by itself does so in one pass, with one power iteration of spectral normalization, as
    in ajbrock/BigGAN-PyTorch; another one, such as one with batch statistics, in two. So are sets of unequal shapes.

    Example:
        >>> judged_both(critic, (real,), (real,))[0].equal(critic(real))
        True

    Args:
        critic: The critic.
        real: Its arguments for the real samples, each `(N, ...)` or None.
        fake: Its arguments for the generated ones.
        judge: What is called with them, such as a part of the critic; the critic itself if None.
    """
    judge = critic if judge is None else judge
    pairs = list(zip(real, fake, strict=True))
    if not judges_alone(critic) or any(a is not None and b is not None and a.shape != b.shape for a, b in pairs):
        return judge(*real), judge(*fake)
    both = [None if a is None or b is None else torch.cat([a, b]) for a, b in pairs]
    of_real, of_fake = judge(*both).chunk(2)
    return of_real, of_fake


def per_row(values: Tensor, like: Tensor) -> Tensor:
    """Return `values` `(N,)` as `(N, 1, ..., 1)` with as many axes as `like`.

    Example:
        >>> per_row(torch.ones(4), torch.ones(4, 3, 8, 8)).shape
        torch.Size([4, 1, 1, 1])
    """
    return values.reshape(-1, *[1] * (like.dim() - 1))


def input_gradients(critic: Critic, points: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return the gradient of each sample's own logit at that sample, shaped as `points`, differentiable in the critic.

    Of a critic of patches it is the gradient of their mean logit.
    In a game with an observation that is the gradient with respect to the sample itself, through the observation.
    Computed in full precision whatever the autocast.

    Example:
        >>> input_gradients(critic, real)[0].detach()
        tensor([2., 0.])
    """

    if isinstance(critic, CriticOfTurn):
        critic = critic.of(points)

    def total(samples: Tensor) -> Tensor:
        logits = critic(samples, labels)
        return (logits if logits.dim() == 1 else logits.flatten(1).mean(1)).sum()

    # under bf16-mixed a generator gives bfloat16, which a critic outside autocast cannot take
    points = points.detach().to(next((p.dtype for p in critic.parameters()), points.dtype)).requires_grad_(True)
    # torch.func.grad gives the same numbers; it takes twice the time for small networks, and fails on batch statistics
    differentiable = torch.is_grad_enabled()
    with torch.autocast(points.device.type, enabled=False), torch.enable_grad():
        value = total(points)
        if not value.requires_grad:  # the critic does not look at its input
            return torch.zeros_like(points)
        (gradients,) = torch.autograd.grad(value, points, create_graph=differentiable, materialize_grads=True)
        return gradients


def squared_gradient_norms(critic: Critic, points: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return the squared Euclidean norm over all non-batch axes of each sample's gradient, `(N,)`.

    Example:
        >>> squared_gradient_norms(critic, real).detach()
        tensor([4., 4., 4., 4.])
    """
    return input_gradients(critic, points, labels).flatten(1).square().sum(1)


def gradient_norms(critic: Critic, points: Tensor, labels: Tensor | None = None) -> Tensor:
    """Return the Euclidean norm of each sample's gradient, `(N,)`, with a finite derivative where it is 0.

    Example:
        >>> gradient_norms(critic, real).detach()
        tensor([2., 2., 2., 2.])
    """
    return (squared_gradient_norms(critic, points, labels) + 1e-12).sqrt()


def interpolate(real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
    """Return points on the lines from real to fake, one uniform coefficient per sample (arXiv:1704.00028, section 4).

    Example:
        >>> interpolate(real, fake, noise).shape
        torch.Size([4, 2])
    """
    share = per_row(noise.uniform(len(real)), real).to(real.dtype)
    return share * real + (1 - share) * fake
