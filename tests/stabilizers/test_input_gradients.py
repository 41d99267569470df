from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.networks import MLPCritic, WGANGPResNetCritic
from gan_lightning.networks.base import Critic
from gan_lightning.shapes import Images, Shape, Vectors
from gan_lightning.stabilizers.slopes import input_gradients


@pytest.mark.parametrize(
    ("critic", "shape"),
    [(partial(MLPCritic, width=5), Vectors(3)), (partial(WGANGPResNetCritic, width=4), Images(16, 16, 3))],
)
def test_first_and_second_derivatives_are_those_of_torch_func(critic, shape: Shape) -> None:
    torch.manual_seed(0)
    network = critic(shape).double()
    points = torch.randn(2, *shape.size, dtype=torch.float64)
    ours, theirs = input_gradients(network, points), torch.func.grad(lambda x: network(x).sum())(points)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    weights = [p for p in network.parameters() if p.dim() > 1]
    second = [torch.autograd.grad(x.square().sum(), weights) for x in (ours, theirs)]
    torch.testing.assert_close(second[0], second[1], rtol=1e-9, atol=1e-12)


class Constant(Critic):
    """Looks at none of its input, or multiplies it by 0."""

    def __init__(self, blind: bool) -> None:
        super().__init__()
        self.blind, self.output = blind, nn.Linear(1, 1)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.ones(len(samples), 1) if self.blind else 0 * samples[:, :1]

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.output(features).squeeze(1)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("blind", [False, True])
def test_the_slope_of_a_constant_is_0(blind: bool, frozen: bool) -> None:
    critic = Constant(blind).requires_grad_(not frozen)
    assert torch.equal(input_gradients(critic, torch.randn(4, 2)), torch.zeros(4, 2))


def test_it_is_computed_without_a_graph_where_none_is_wanted() -> None:
    with torch.no_grad():
        found = input_gradients(MLPCritic(Vectors(2), width=4), torch.randn(4, 2))
    assert found.abs().sum() > 0
    assert not found.requires_grad
