"""Convolutions with fewer products: the same outputs and derivatives, and which are left to torch."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.func import jacrev, vmap
from torch.nn.functional import conv2d, conv_transpose2d

from gan_lightning.networks.layers import winograd
from gan_lightning.networks.layers.winograd import convolution

DIRECT = {
    "same": partial(conv2d, padding=1),
    "halved": partial(conv2d, stride=2, padding=1),
    "doubled": partial(conv_transpose2d, stride=2, padding=1),
}
fewer = pytest.mark.usefixtures("few_channels_do")


@pytest.fixture
def few_channels_do(monkeypatch):
    monkeypatch.setattr(winograd, "LEAST_CHANNELS", dict.fromkeys(DIRECT, 1))
    monkeypatch.setattr(winograd, "LEAST_TILES", 1)


@pytest.fixture
def calls(monkeypatch):
    made = []
    monkeypatch.setattr(winograd, "convolve", lambda *inputs, own=winograd.convolve: made.append(1) or own(*inputs))
    return made


def inputs_of(way, c_in=6, c_out=5, sides=(8, 16), dtype=torch.float64):
    shape = (c_in, c_out) if way == "doubled" else (c_out, c_in)
    images = torch.randn(3, c_in, *sides, dtype=dtype, requires_grad=True)
    kernel = torch.randn(*shape, *[3 if way == "same" else 4] * 2, dtype=dtype, requires_grad=True)
    return images, kernel, torch.randn(c_out, dtype=dtype, requires_grad=True)


@fewer
@pytest.mark.parametrize("memory", ["contiguous_format", "channels_last"])
@pytest.mark.parametrize("most", [winograd.MOST, 1], ids=["at once", "in parts"])
@pytest.mark.parametrize("way", DIRECT)
def test_outputs_and_second_derivatives_are_those_of_the_direct_way(way, most, memory, calls, monkeypatch):
    monkeypatch.setattr(winograd, "MOST", most)
    inputs = inputs_of(way)
    found = []
    for call in (DIRECT[way], partial(convolution, way=way)):
        outputs = call(inputs[0].contiguous(memory_format=getattr(torch, memory)), *inputs[1:])
        (slopes,) = torch.autograd.grad(outputs.tanh().sum(), inputs[0], create_graph=True)  # as in a gradient penalty
        first = torch.autograd.grad(outputs.sin().sum(), inputs, create_graph=True)
        found.append([outputs, *first, *torch.autograd.grad(slopes.square().sum() + first[1].sin().sum(), inputs)])
    assert calls
    for direct, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, direct, rtol=1e-9, atol=1e-9)


@fewer
@pytest.mark.parametrize("way", DIRECT)
def test_so_are_numerical_derivatives(way, calls):
    images, kernel, bias = inputs_of(way, 2, 2, (8, 8) if way == "halved" else (4, 4))
    torch.autograd.gradcheck(partial(convolution, way=way), (images[:1], kernel, bias))
    assert calls


@fewer
@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("way", DIRECT)
def test_so_is_what_torch_func_maps_over_any_of_its_inputs(way, calls):
    images, kernel, bias = (tensor.detach() for tensor in inputs_of(way, 2, 2, (8, 8)))
    found = []
    for call in (DIRECT[way], partial(convolution, way=way)):
        mapped = [vmap(lambda i: call(i, kernel, bias))(torch.stack([images, 2 * images]))]  # noqa: B023  called here
        mapped += [vmap(lambda k: call(images, k, bias))(torch.stack([kernel, 2 * kernel]))]  # noqa: B023
        mapped += [vmap(lambda b: call(images, kernel, b))(torch.stack([bias, 2 * bias]))]  # noqa: B023
        found.append([*mapped, *jacrev(call, (0, 1, 2))(images[:1], kernel, bias)])
    assert calls
    for direct, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, direct, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("way", DIRECT)
def test_in_float32_it_rounds_to_2e_5_at_the_channels_for_which_it_is_taken(way, calls):
    inputs = inputs_of(way, 256, 256, (48, 48))
    wanted = DIRECT[way](*inputs)
    found = convolution(*(tensor.float() for tensor in inputs), way)
    assert calls
    assert (found - wanted).abs().max() < 2e-5 * wanted.std()


@pytest.mark.parametrize(
    ("way", "options"),
    [
        ("same", {"c_in": 127, "c_out": 128, "sides": (48, 48)}),
        ("same", {"c_in": 128, "c_out": 128, "sides": (48, 50)}),
        ("halved", {"c_in": 256, "c_out": 256, "sides": (48, 44)}),
        ("doubled", {"c_in": 256, "c_out": 255, "sides": (24, 24)}),
        ("same", {"c_in": 128, "c_out": 128, "sides": (20, 24)}),
        ("same", {"c_in": 128, "c_out": 128, "sides": (24, 24), "dtype": torch.bfloat16}),
    ],
    ids=["few channels", "other sides", "halved to other sides", "few channels out", "few tiles", "bfloat16"],
)
def test_others_are_left_to_torch(way, options, calls):
    inputs = inputs_of(way, **options)
    assert torch.equal(convolution(*inputs, way), DIRECT[way](*inputs))
    assert not calls


def test_so_are_those_in_mixed_precision_and_of_an_export(calls):
    inputs = inputs_of("same", 128, 128, (24, 24), torch.float32)
    with torch.autocast("cpu"):
        assert convolution(*inputs, "same").dtype == torch.bfloat16

    class Layer(torch.nn.Module):
        def forward(self, *inputs):
            return convolution(*inputs, "same")

    batch = torch.export.Dim("batch", min=1, max=64)
    graph = torch.export.export(Layer(), inputs, dynamic_shapes=(({0: batch}, None, None),)).graph
    assert any("conv2d" in str(node.target) for node in graph.nodes)
    assert not calls


@pytest.mark.parametrize("way", DIRECT)
def test_what_stays_in_float32_has_its_backward_pass_there_too(way, calls, few_channels_do):
    """As a gradient penalty in bf16-mixed: forward with autocast off, backward inside of it."""
    inputs = inputs_of(way)
    (slopes,) = torch.autograd.grad(DIRECT[way](*inputs).tanh().sum(), inputs[0], create_graph=True)
    wanted = torch.autograd.grad(slopes.square().sum(), inputs)
    singles = [tensor.detach().float().requires_grad_() for tensor in inputs]
    with torch.autocast("cpu"):
        with torch.autocast("cpu", enabled=False):
            outputs = convolution(*singles, way)
            (slopes,) = torch.autograd.grad(outputs.tanh().sum(), singles[0], create_graph=True)
        found = torch.autograd.grad(slopes.square().sum(), singles)
    assert calls
    for exact, ours in zip(wanted, found, strict=True):
        assert (ours - exact).abs().max() < 1e-4 * exact.std()
