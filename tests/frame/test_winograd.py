"""Convolutions with fewer products: the same outputs and derivatives, where they are taken and where not."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.functional import conv2d, conv_transpose2d

from gan_lightning.execution import winograd
from gan_lightning.execution.winograd import DECOMPOSITIONS

HALVED, DOUBLED = partial(conv2d, stride=2, padding=1), partial(conv_transpose2d, stride=2, padding=1)
TAKEN = {  # call, channels in and out, kernel, height and width
    "3x3": (partial(conv2d, padding=1), 6, 5, 3, (6, 8)),
    "halved": (HALVED, 6, 5, 4, (8, 12)),
    "doubled": (DOUBLED, 5, 6, 4, (4, 6)),
}
LEFT = {
    "few channels": (partial(conv2d, padding=1), 8, 80, 3, (6, 8)),
    "odd sides": (partial(conv2d, padding=1), 64, 80, 3, (6, 7)),
    "no padding": (conv2d, 64, 80, 3, (6, 8)),
    "dilated": (partial(conv2d, padding=1, dilation=2), 64, 80, 3, (6, 8)),
    "1x1": (conv2d, 64, 80, 1, (6, 8)),
    "halved, small": (HALVED, 64, 64, 4, (8, 8)),
    "doubled, small": (DOUBLED, 64, 64, 4, (4, 4)),
    "halved to odd sides": (HALVED, 256, 256, 4, (18, 18)),
}


@pytest.fixture
def few_channels_do(monkeypatch):
    monkeypatch.setattr(winograd, "LEAST_CHANNELS", 1)
    monkeypatch.setattr(winograd, "LEAST_SIDE", 1)


def case(call, c_in, c_out, size, sides, dtype=torch.float64):
    shape = (c_in, c_out) if call is DOUBLED else (c_out, c_in)
    images = torch.randn(2, c_in, *sides, dtype=dtype, requires_grad=True)
    kernel = (torch.randn(*shape, size, size, dtype=dtype) / 30).requires_grad_()
    bias = torch.randn(c_out, dtype=dtype, requires_grad=True)

    def losses(images, kernel, bias):
        outputs = call(images, kernel, bias)
        slopes = torch.autograd.grad(outputs.tanh().sum(), images, create_graph=True)[0]  # as in a gradient penalty
        return outputs, *torch.autograd.grad(slopes.square().sum() + outputs.sum(), (images, kernel, bias))

    return losses, (images, kernel, bias)


def convolutions(graph):
    return [node for node in graph.graph.nodes if "convolution" in str(node.target)]


@pytest.mark.parametrize("name", TAKEN)
def test_outputs_and_second_derivatives_are_those_of_the_direct_way(name, few_channels_do):
    losses, inputs = case(*TAKEN[name])
    graph = make_fx(losses, decomposition_table=DECOMPOSITIONS, tracing_mode="fake")(*inputs)
    assert not convolutions(graph)
    for found, wanted in zip(graph(*inputs), losses(*inputs), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_in_float32_it_rounds_to_1e_4(few_channels_do):
    losses, inputs = case(*TAKEN["3x3"])
    lower = [tensor.detach().float().requires_grad_() for tensor in inputs]
    graph = make_fx(losses, decomposition_table=DECOMPOSITIONS, tracing_mode="fake")(*lower)
    assert not convolutions(graph)
    for found, wanted in zip(graph(*lower), losses(*inputs), strict=True):
        assert (found - wanted).abs().max() < 1e-4 * wanted.std()


@pytest.mark.parametrize("name", LEFT)
def test_others_are_left_to_torch(name):
    losses, inputs = case(*LEFT[name])
    plain, graph = (
        make_fx(losses, decomposition_table=table, tracing_mode="fake")(*inputs) for table in ({}, DECOMPOSITIONS)
    )
    assert len(convolutions(graph)) == len(convolutions(plain)) > 0


def test_so_are_other_precisions(few_channels_do):
    losses, inputs = case(*TAKEN["3x3"], dtype=torch.bfloat16)
    assert convolutions(make_fx(losses, decomposition_table=DECOMPOSITIONS, tracing_mode="fake")(*inputs))
