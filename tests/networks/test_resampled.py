from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate
from torch.nn.utils.parametrizations import spectral_norm

from gan_lightning.networks.layers.products import products
from gan_lightning.networks.layers.resampled import PooledConv2d, UpsampledConv2d


def upsampled(inputs: Tensor, layer: nn.Conv2d) -> Tensor:
    return conv2d(interpolate(inputs, scale_factor=2.0, mode="nearest"), layer.weight, layer.bias, padding=1)


def pooled(inputs: Tensor, layer: nn.Conv2d) -> Tensor:
    return avg_pool2d(conv2d(inputs, layer.weight, layer.bias, padding=1), 2)


PAIRS = [(UpsampledConv2d, upsampled), (PooledConv2d, pooled)]


def layer_and_inputs(kind, size, bias=True):
    torch.manual_seed(0)
    layer = kind(3, 5, bias=bias).double()
    return layer, torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("size", [(4, 4), (2, 6), (5, 7)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "plain"), PAIRS)
def test_values_and_gradients_are_those_of_both_steps(kind, plain, bias, size) -> None:
    layer, inputs = layer_and_inputs(kind, size, bias)
    found, expected = layer(inputs), plain(inputs, layer)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    leaves = [inputs, *layer.parameters()]
    ours, theirs = (torch.autograd.grad((x**3).sum(), leaves) for x in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("kind", "plain"), PAIRS)
def test_gradients_of_a_penalty_on_the_slope_are_those_of_both_steps(kind, plain) -> None:
    layer, inputs = layer_and_inputs(kind, (4, 4))

    def penalty(outputs: Tensor) -> Tensor:
        (slope,) = torch.autograd.grad((outputs**3).sum(), inputs, create_graph=True)
        return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()

    ours, theirs = (
        torch.autograd.grad(penalty(x), list(layer.parameters())) for x in (layer(inputs), plain(inputs, layer))
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("kind", "plain"), PAIRS)
def test_the_weight_that_is_normalized_is_the_3x3_one(kind, plain) -> None:
    layer, inputs = layer_and_inputs(kind, (4, 4))
    spectral_norm(layer, n_power_iterations=50)
    layer.eval()
    assert layer.weight.shape == (5, 3, 3, 3)
    assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(layer(inputs), plain(inputs, layer), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("kind", "plain"), PAIRS)
def test_half_precision_rounds_no_more_than_both_steps(kind, plain) -> None:
    layer, inputs = layer_and_inputs(kind, (8, 8))
    exact = plain(inputs, layer)
    layer, inputs = layer.float(), inputs.float()
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = ((x.double() - exact).norm() / exact.norm() for x in (layer(inputs), plain(inputs, layer)))
    assert ours < 1.5 * theirs < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_of_many_matrices_are_torchs(dtype):
    one, other = torch.randn(5, 70, 48, dtype=dtype), torch.randn(5, 48, 64, dtype=dtype)
    turned = torch.randn(5, 48, 70, dtype=dtype).transpose(1, 2)  # as the kernel's gradient has them
    for left in (one, turned):
        exact = left.double() @ other.double()
        assert (products(left, other) - exact).abs().max() < (1e-13 if dtype == torch.float64 else 2e-5)
    many = torch.vmap(products, in_dims=(0, None))(torch.stack([one, 2 * one]), other)
    torch.testing.assert_close(many[1], 2 * products(one, other))
    torch.library.opcheck(products, (one, other))
