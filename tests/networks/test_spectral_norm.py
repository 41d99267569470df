from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from gan_lightning.networks import SNGANCNNCritic, SNGANResNetCritic, spectrally_normalize
from gan_lightning.shapes import shape_of


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def largest_singular_value(matrix: Tensor) -> float:
    return torch.linalg.svdvals(matrix.detach())[0].item()


@pytest.mark.parametrize(
    ("layer", "inputs", "out_axis"),
    [
        (nn.Linear(6, 5), torch.randn(2, 6), 0),
        (nn.Embedding(4, 6), torch.tensor([1, 2]), 0),
        (nn.Conv2d(3, 5, 3), torch.randn(2, 3, 8, 8), 0),
        (nn.ConvTranspose2d(3, 5, 4, 2, 1), torch.randn(2, 3, 8, 8), 1),
        (nn.Conv1d(3, 5, 3), torch.randn(2, 3, 8), 0),
    ],
)
def test_the_largest_singular_value_becomes_one(layer: Any, inputs: Tensor, out_axis: int) -> None:
    nn.init.normal_(layer.weight, 0, 3)
    raw = layer.weight.detach().clone()
    assert spectrally_normalize(layer) is layer
    for _ in range(200):
        layer(inputs)
    weight = layer.eval().weight.detach()
    matrix = weight.movedim(out_axis, 0).flatten(1)
    torch.testing.assert_close(largest_singular_value(matrix), 1.0, rtol=0, atol=1e-3)
    sigma = largest_singular_value(raw.movedim(out_axis, 0).flatten(1))
    torch.testing.assert_close(weight, raw / sigma, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("kind", "arguments"), [(SNGANCNNCritic, {}), (SNGANResNetCritic, {"n_classes": 3})])
def test_every_weight_of_a_critic_ends_up_with_norm_one(kind: Any, arguments: dict[str, int]) -> None:
    critic: Any = kind(shape_of(8, 3), width=8, **arguments)
    images, labels = torch.randn(2, 3, 8, 8), torch.tensor([0, 2])
    with torch.no_grad():
        for _ in range(1000):
            critic(images, labels)
    critic.eval()
    for layer in critic.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.Embedding):
            torch.testing.assert_close(largest_singular_value(layer.weight.flatten(1)), 1.0, rtol=0, atol=1e-3)


def test_one_step_of_power_iteration_per_forward_and_none_in_eval_mode() -> None:
    layer: Any = spectrally_normalize(nn.Linear(6, 5))
    nn.init.normal_(layer.parametrizations.weight.original)  # away from what the 15 first iterations have found
    raw = layer.parametrizations.weight.original.detach()
    buffers = dict(layer.named_buffers())
    u, v = buffers["parametrizations.weight.0._u"], buffers["parametrizations.weight.0._v"]
    for n_steps in (1, 2):
        for _ in range(n_steps):
            before = v.clone()
            layer(torch.randn(2, 6))
            expected_u = raw @ before
            torch.testing.assert_close(u, expected_u / expected_u.norm())
            expected_v = raw.T @ u
            torch.testing.assert_close(v, expected_v / expected_v.norm())
    frozen = u.clone()
    layer.eval()
    for _ in range(3):
        layer(torch.randn(2, 6))
    assert torch.equal(u, frozen)


def test_the_gradient_is_that_of_the_quotient_with_the_vectors_held_fixed() -> None:
    layer: Any = spectrally_normalize(nn.Linear(6, 5, bias=False)).double().eval()
    inputs = torch.randn(3, 6, dtype=torch.double)
    raw = layer.parametrizations.weight.original
    layer(inputs).square().sum().backward()
    u = layer.get_buffer("parametrizations.weight.0._u")
    v = layer.get_buffer("parametrizations.weight.0._v")
    weight = raw.detach().clone().requires_grad_()
    (inputs @ (weight / (u @ weight @ v)).T).square().sum().backward()
    torch.testing.assert_close(raw.grad, weight.grad)


def test_the_scale_of_a_weight_does_not_matter() -> None:
    critic: Any = SNGANResNetCritic(shape_of(8, 3), width=4).eval()
    images = torch.randn(2, 3, 8, 8)
    before = critic(images)
    with torch.no_grad():
        critic.output.parametrizations.weight.original.mul_(7)
    torch.testing.assert_close(critic(images), before)


def test_applying_it_twice_is_applying_it_once_and_other_layers_are_left_alone() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    n_buffers = len(list(spectrally_normalize(module).buffers()))
    assert len(list(spectrally_normalize(module).buffers())) == n_buffers == 2 + 3
    assert [name for name, _ in module.named_parameters()] == [
        "0.bias", "0.parametrizations.weight.original", "1.weight", "1.bias",
    ]  # fmt: skip


def test_a_copy_is_independent() -> None:
    critic: Any = SNGANResNetCritic(shape_of(8, 3), width=4)
    twin: Any = copy.deepcopy(critic)
    images = torch.randn(2, 3, 8, 8)
    state = {name: value.clone() for name, value in twin.state_dict().items()}
    critic(images)
    assert any(not torch.equal(value, critic.state_dict()[name]) for name, value in state.items())
    assert all(torch.equal(value, twin.state_dict()[name]) for name, value in state.items())
    critic.load_state_dict(state)
    assert torch.equal(twin(images), critic(images))


@pytest.mark.parametrize("training", [True, False])
def test_function_transforms_work_through_it(training: bool) -> None:
    critic: Any = SNGANResNetCritic(shape_of(8, 1), width=4, n_classes=3).double().eval()
    images, labels = torch.randn(4, 1, 8, 8, dtype=torch.double, requires_grad=True), torch.tensor([0, 1, 2, 0])
    (expected,) = torch.autograd.grad(critic(images, labels).sum(), images)
    critic.train(training)
    rtol = 1e-6 if not training else 0.2  # a train mode pass moves the estimate of sigma
    result = grad(lambda x: critic(x, labels).sum())(images.detach())
    torch.testing.assert_close(result, expected, rtol=rtol, atol=rtol * expected.abs().max().item())
    critic.eval()
    per_sample = vmap(grad(lambda x, y: critic(x[None], y[None])[0]))(images.detach(), labels)
    torch.testing.assert_close(per_sample, torch.autograd.grad(critic(images, labels).sum(), images)[0])
    critic.train(training)
    parameters = dict(critic.named_parameters())
    gradients = grad(lambda p: functional_call(critic, p, (images, labels)).sum())(parameters)
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients.values())
