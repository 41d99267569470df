from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from gan_lightning.networks import Maxout, MLPCritic, MLPEncoder, MLPGenerator, MLPJointCritic
from gan_lightning.shapes import shape_of


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_defaults_are_three_hidden_layers_of_512() -> None:
    assert n_parameters(MLPGenerator(shape_of(0, 2))) == (2 * 512 + 512) + 2 * (512 * 512 + 512) + (512 * 2 + 2)
    assert n_parameters(MLPCritic(shape_of(0, 2))) == (2 * 512 + 512) + 2 * (512 * 512 + 512) + (512 + 1)


def test_vectors_are_not_squashed() -> None:
    generator: Any = MLPGenerator(shape_of(0, 5), latent_dim=3, width=8)
    vectors = generator(100 * torch.randn(16, 3))
    assert vectors.shape == (16, 5)
    assert vectors.abs().max() > 1
    assert MLPCritic(shape_of(0, 5), width=8)(vectors).shape == (16,)


def test_it_is_the_composition_of_its_linear_maps() -> None:
    critic: Any = MLPCritic(shape_of(4, 2), width=6, n_layers=2).double()
    images = torch.randn(5, 2, 4, 4, dtype=torch.double)
    (w1, b1), (w2, b2), (w3, b3) = [(m.weight, m.bias) for m in critic.modules() if isinstance(m, nn.Linear)]
    hidden = ((images.reshape(5, 32) @ w1.T + b1).clamp(min=0) @ w2.T + b2).clamp(min=0)
    torch.testing.assert_close(critic.features(images), hidden)
    torch.testing.assert_close(critic(images), (hidden @ w3.T + b3)[:, 0])


def test_hidden_weights_start_after_he_and_the_output_after_glorot() -> None:
    torch.manual_seed(0)
    first, second, third, output = [m for m in MLPCritic(shape_of(0, 2)).modules() if isinstance(m, nn.Linear)]
    for layer, bound in [(first, 3.0), (second, 6 / 512), (third, 6 / 512), (output, 6 / 513)]:
        torch.testing.assert_close(layer.weight.abs().max().item(), bound**0.5, rtol=0.01, atol=0)
        assert not layer.bias.any()


def test_labels_are_appended_as_a_one_hot_code() -> None:
    generator: Any = MLPGenerator(shape_of(0, 2), latent_dim=3, width=8, n_layers=1, n_classes=4).double()
    latents = torch.randn(2, 3, dtype=torch.double)
    code = torch.tensor([[0, 0, 1, 0], [1, 0, 0, 0]], dtype=torch.double)
    first, output = [m for m in generator.modules() if isinstance(m, nn.Linear)]
    expected = output(first(torch.cat([latents, code], dim=1)).clamp(min=0))
    torch.testing.assert_close(generator(latents, torch.tensor([2, 0])), expected)

    critic: Any = MLPCritic(shape_of(0, 2), width=8, n_classes=4).double()
    logits = critic(latents[:1, :2].repeat(4, 1), torch.arange(4))
    assert logits.unique().numel() == 4


def test_missing_labels_and_layers_are_refused() -> None:
    with pytest.raises(ValueError, match="n_classes"):
        MLPGenerator(shape_of(0, 2), n_classes=3)(torch.randn(2, 2))
    with pytest.raises(ValueError, match="n_classes"):
        MLPCritic(shape_of(0, 2), n_classes=3)(torch.randn(2, 2))
    with pytest.raises(ValueError, match="n_layers of MLPCritic must be at least 1, got 0"):
        MLPCritic(shape_of(0, 2), n_layers=0)


def test_batch_norm_sits_in_every_hidden_layer_of_the_generator() -> None:
    generator: Any = MLPGenerator(shape_of(0, 2), width=8, n_layers=2, batch_norm=True)
    assert [type(m).__name__ for m in generator.hidden] == ["Linear", "BatchNorm1d", "ReLU"] * 2


def test_maxout_takes_the_largest_of_consecutive_outputs() -> None:
    assert Maxout(2)(torch.tensor([[1.0, 3.0, -2.0, -5.0]])).tolist() == [[3.0, -2.0]]
    critic: Any = MLPCritic(shape_of(0, 2), width=200, activation=partial(Maxout, 5))
    sizes = [tuple(m.weight.shape) for m in critic.modules() if isinstance(m, nn.Linear)]
    assert sizes == [(1000, 2), (1000, 200), (1000, 200), (1, 200)]  # PacGAN's
    joint = MLPJointCritic(shape_of(0, 2), 3, width=8, activation=partial(Maxout, 5))
    assert joint(torch.randn(4, 2), torch.randn(4, 3)).shape == (4,)
    with pytest.raises(ValueError, match="pieces of Maxout must be at least 2, got 1"):
        Maxout(1)
    with pytest.raises(ValueError, match="fully connected networks, got maps of shape"):
        Maxout(2)(torch.zeros(1, 4, 8, 8))


@pytest.mark.parametrize(
    ("build", "inputs"),
    [
        (lambda **kwargs: MLPCritic(shape_of(0, 2), **kwargs), ()),
        (lambda **kwargs: MLPJointCritic(shape_of(0, 2), 3, **kwargs), (torch.tensor([[4.0, 5.0, 6.0]]),)),
        (lambda **kwargs: MLPEncoder(shape_of(0, 2), 3, **kwargs), ()),
    ],
)
def test_fourier_features_stand_beside_the_samples_and_are_kept(build: Any, inputs: Any) -> None:
    torch.manual_seed(0)
    network: Any = build(width=512, fourier_std=3.0)
    frequencies = network.state_dict()["frequencies"]
    assert frequencies.shape == (2, 256)
    assert abs(frequencies.std().item() / 3.0 - 1) < 0.1
    assert not frequencies.requires_grad
    seen: list[Any] = []
    network.hidden[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    sample = torch.tensor([[0.5, -1.0]])
    network(sample, *inputs)
    angle = 0.5 * frequencies[0] - frequencies[1]
    torch.testing.assert_close(seen[0], torch.cat([sample[0], angle.cos(), angle.sin(), *(x[0] for x in inputs)])[None])
    assert "frequencies" not in build().state_dict()
    with pytest.raises(ValueError, match="fourier_std must not be negative, got -1"):
        build(fourier_std=-1.0)


def test_fourier_features_do_not_go_with_spectral_normalisation() -> None:
    with pytest.raises(ValueError, match="fourier_std 2 lets slopes exceed .* got 1"):
        MLPCritic(shape_of(0, 2), fourier_std=2.0, n_power_iterations=1)
