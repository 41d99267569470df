"""Composition costs nothing when it is unused: empty sockets run the operations of the bare losses, and no others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import relu, softplus
from torch.utils._python_dispatch import TorchDispatchMode

from gan_lightning.data.stream import Batch
from gan_lightning.families import DCGAN, SNGAN, WGAN, MinimaxGAN, NonSaturatingGAN
from gan_lightning.games.game import Terms
from gan_lightning.networks import MLPCritic, MLPGenerator
from gan_lightning.observations.instance_noise import InstanceNoise
from gan_lightning.randomness import Noise
from gan_lightning.shapes import shape_of
from gan_lightning.stabilizers.generator_terms import FeatureMatching
from gan_lightning.stabilizers.gradient_penalties import R1

Loss = Callable[[Tensor, Tensor], Tensor]


class Operations(TorchDispatchMode):
    """Writes down every operation that reaches the device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(function))
        return function(*args, **(kwargs or {}))


def n_nodes(loss: Tensor) -> int:
    """Return the number of nodes of a loss's graph."""
    seen, todo = set(), [loss.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo.extend(parent for parent, _ in node.next_functions)
    return len(seen)


def game(family: Any, **arguments: Any) -> Any:
    torch.manual_seed(0)
    networks = (partial(MLPGenerator, latent_dim=3, width=6), partial(MLPCritic, width=6))
    gan = family(*networks, shape=shape_of(8, 1), **arguments)
    gan.noise = Noise(0, torch.device("cpu"), torch.float32)
    return gan


REAL = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))

LOSSES: list[tuple[Any, Loss, Callable[[Tensor], Tensor]]] = [
    (MinimaxGAN, lambda r, f: softplus(-r).mean() + softplus(f).mean(), lambda f: -softplus(f).mean()),
    (NonSaturatingGAN, lambda r, f: softplus(-r).mean() + softplus(f).mean(), lambda f: softplus(-f).mean()),
    (DCGAN, lambda r, f: softplus(-r).mean() + softplus(f).mean(), lambda f: softplus(-f).mean()),
    (SNGAN, lambda r, f: relu(1 - r).mean() + relu(1 + f).mean(), lambda f: -f.mean()),
    (WGAN, lambda r, f: f.mean() - r.mean(), lambda f: -f.mean()),
]


def critic_by_hand(gan: Any, loss: Loss) -> Tensor:
    with torch.no_grad():
        fake = gan.generator(gan.noise.normal(len(REAL), 3), None)
    return loss(*gan.critic(torch.cat([REAL, fake])).chunk(2))  # in one pass


def generator_by_hand(gan: Any, loss: Callable[[Tensor], Tensor]) -> Tensor:
    return loss(gan.critic(gan.generator(gan.noise.normal(len(REAL), 3), None)))


def only(terms: Terms) -> Tensor:
    (loss,) = terms.values()
    return loss


@pytest.mark.parametrize("player", ["critic", "generator"])
@pytest.mark.parametrize(("family", "critic_loss", "generator_loss"), LOSSES, ids=lambda x: getattr(x, "__name__", ""))
def test_empty_sockets_cost_nothing(family: Any, critic_loss: Loss, generator_loss: Any, player: str) -> None:
    ours, bare = game(family), game(family)
    with Operations() as operations:
        loss = only(getattr(ours, f"{player}_turn")(Batch(REAL, None)))
    with Operations() as operations_by_hand:
        expected = critic_by_hand(bare, critic_loss) if player == "critic" else generator_by_hand(bare, generator_loss)
    assert torch.equal(loss, expected)
    assert n_nodes(loss) == n_nodes(expected)
    assert operations.names == operations_by_hand.names


@pytest.mark.parametrize("player", ["critic", "generator"])
def test_what_is_annealed_away_costs_nothing(player: str) -> None:
    ours, bare = game(NonSaturatingGAN, observation=InstanceNoise(0.5, n_updates=3)), game(NonSaturatingGAN)
    ours.noise.update = 3
    losses = [only(getattr(gan, f"{player}_turn")(Batch(REAL, None))) for gan in (ours, bare)]
    assert torch.equal(*losses)
    assert n_nodes(losses[0]) == n_nodes(losses[1])


def test_a_lazy_penalty_costs_nothing_when_it_is_not_due() -> None:
    ours, bare = game(NonSaturatingGAN, critic_penalties=[R1(interval=4)]), game(NonSaturatingGAN)
    ours.critic_updates_done = 3
    losses = [only(gan.critic_turn(Batch(REAL, None))) for gan in (ours, bare)]
    assert torch.equal(*losses) and n_nodes(losses[0]) == n_nodes(losses[1])


def test_an_adversarial_loss_of_weight_zero_is_not_computed() -> None:
    gan = game(NonSaturatingGAN, generator_terms=[FeatureMatching()], adversarial_weight=0.0)
    gan.generator_loss = None
    assert list(gan.generator_turn(Batch(REAL, None))) == ["feature_matching"]
    half = game(NonSaturatingGAN, adversarial_weight=0.5)
    whole = game(NonSaturatingGAN)
    assert torch.equal(
        only(half.generator_turn(Batch(REAL, None))), 0.5 * only(whole.generator_turn(Batch(REAL, None)))
    )
