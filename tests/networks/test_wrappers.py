"""Networks altered from the config: their spectrum, initial weights, normalisation, what they see of a batch."""

from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn

from gan_lightning.data import RandomImages
from gan_lightning.description import describe
from gan_lightning.families import NonSaturatingGAN
from gan_lightning.networks import (
    CriticFactory,
    DCGANCritic,
    DCGANGenerator,
    GeneratorFactory,
    He,
    Initialization,
    InitializedCritic,
    MinibatchDiscrimination,
    MinibatchDiscriminationCritic,
    MLPCritic,
    MLPGenerator,
    Normal,
    Orthogonal,
    SNGANResNetCritic,
    SNGANResNetGenerator,
    SpectrallyNormalizedCritic,
    SpectrallyNormalizedGenerator,
    VirtualBatchNorm,
    VirtualBatchNormGenerator,
    Xavier,
)
from gan_lightning.optimizers import SGD
from gan_lightning.shapes import shape_of
from gan_lightning.stabilizers.slopes import couples_batch
from tests.cases import Case
from tests.training import train


class Pair:
    def __init__(self, generator: GeneratorFactory, critic: CriticFactory) -> None:
        self.generator, self.critic = generator, critic


NARROW = {"class_path": "DCGANCritic", "init_args": {"width": 4}}
NARROW_GENERATOR = {"class_path": "DCGANGenerator", "init_args": {"width": 4, "latent_dim": 3}}
NORMAL = {"class_path": "Normal", "init_args": {"std": 0.1}}


@pytest.mark.parametrize(
    ("critic", "generator"),
    [
        (
            {"class_path": "SpectrallyNormalizedCritic", "init_args": {"network": NARROW, "n_power_iterations": 2}},
            {"class_path": "SpectrallyNormalizedGenerator", "init_args": {"network": NARROW_GENERATOR}},
        ),
        (
            {"class_path": "InitializedCritic", "init_args": {"network": NARROW, "initialization": NORMAL}},
            {
                "class_path": "InitializedGenerator",
                "init_args": {"network": NARROW_GENERATOR, "initialization": {"class_path": "Orthogonal"}},
            },
        ),
        (
            {"class_path": "MinibatchDiscriminationCritic", "init_args": {"network": NARROW, "n_kernels": 3}},
            {"class_path": "VirtualBatchNormGenerator", "init_args": {"network": NARROW_GENERATOR, "n_reference": 4}},
        ),
    ],
)
def test_wrappers_build_from_yaml_and_from_their_description(critic: Any, generator: Any) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Pair, "pair")
    config: dict[str, Any] = {"critic": critic, "generator": generator}
    for _ in range(2):
        pair = parser.instantiate(parser.parse_object({"pair": config}))["pair"]
        samples = pair.generator(shape_of(8, 1))(torch.randn(5, 3))
        assert samples.shape == (5, 1, 8, 8)
        assert pair.critic(shape_of(8, 1))(samples).shape == (5,)
        config = {"critic": describe(pair.critic), "generator": describe(pair.generator)}
    assert config["critic"]["init_args"]["network"]["init_args"]["width"] == 4


def singular_value(weight: Tensor) -> float:
    return torch.linalg.matrix_norm(weight.detach().flatten(1), 2).item()


def test_spectral_normalisation_of_any_critic() -> None:
    critic = SpectrallyNormalizedCritic(shape_of(16, 1), partial(DCGANCritic, width=8), n_power_iterations=3)
    for _ in range(20):
        critic(torch.randn(2, 1, 16, 16))
    weights = [m.weight for m in critic.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weights) == 3
    assert [singular_value(w) for w in weights] == pytest.approx([1.0] * 3, abs=1e-3)
    assert critic.last_layer() is critic.network.output  # what only the network has


def test_a_wrapped_network_is_the_network() -> None:
    torch.manual_seed(0)
    bare = MLPCritic(shape_of(0, 2), width=5, n_classes=3)
    torch.manual_seed(0)
    wrapped = InitializedCritic(shape_of(0, 2), partial(MLPCritic, width=5, n_classes=3), _Nothing())
    samples, labels = torch.randn(6, 2), torch.arange(6) % 3
    assert torch.equal(wrapped(samples, labels), bare(samples, labels))
    assert (wrapped.n_classes, wrapped.n_features) == (3, 5)
    assert torch.equal(copy.deepcopy(wrapped)(samples, labels), bare(samples, labels))
    generator = SpectrallyNormalizedGenerator(shape_of(0, 2), partial(MLPGenerator, latent_dim=4, n_classes=3))
    assert (generator.n_classes, generator.latent_dim) == (3, 4)


class _Nothing(Initialization):
    def draw(self, weight: Tensor) -> None:
        pass


@pytest.mark.parametrize(
    ("initialization", "std"), [(Normal(0.05), 0.05), (Xavier(), (2 / 500) ** 0.5), (He(), (2 / 200) ** 0.5)]
)
def test_initialisations_have_their_spread(initialization: Initialization, std: float) -> None:
    layer = nn.Linear(200, 300)
    initialization(layer)
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    assert layer.bias is not None and not layer.bias.any()


def test_orthogonal_weights() -> None:
    critic: Any = InitializedCritic(shape_of(16, 1), partial(DCGANCritic, width=8), Orthogonal(gain=2.0))
    weight = critic.network.layers[2].weight.detach().flatten(1)  # (16, 128)
    torch.testing.assert_close(weight @ weight.T, 4 * torch.eye(16), atol=1e-4, rtol=0)


def test_weights_behind_a_spectral_normalisation_are_initialised() -> None:
    critic = InitializedCritic(shape_of(8, 1), partial(SNGANResNetCritic, width=16), Normal(3.0))
    originals = [p for name, p in critic.named_parameters() if name.endswith("original")]
    spread = torch.cat([p.flatten() for p in originals]).std().item()
    assert spread == pytest.approx(3.0, rel=0.05)
    weights = [m.weight for m in critic.eval().modules() if isinstance(m, nn.Conv2d)]
    assert max(map(singular_value, weights)) < 1.2  # the singular vectors fit the new weights


def test_minibatch_discrimination_is_the_papers_sum() -> None:
    torch.manual_seed(0)
    layer = MinibatchDiscrimination(n_features=4, n_kernels=3, kernel_dim=2).double()
    features = torch.randn(5, 4, dtype=torch.float64)
    found = layer(features)
    tensor = layer.tensor.weight.detach().numpy().reshape(3, 2, 4)
    for i in range(5):
        for b in range(3):
            total = 0.0
            for k in range(5):
                if k != i:
                    gap = tensor[b] @ features[i].numpy() - tensor[b] @ features[k].numpy()
                    total += float(torch.tensor(-abs(gap).sum()).exp())
            assert found[i, b].item() == pytest.approx(total)


def test_minibatch_discrimination_starts_from_the_first_batch(tmp_path: Path) -> None:
    """As openai/improved-gan: half the mean distance to the nearest neighbour is 1, the mean statistic is 0."""
    critic = partial(MinibatchDiscriminationCritic, network=partial(MLPCritic, width=6), n_kernels=4, kernel_dim=3)
    case = Case(
        NonSaturatingGAN, data=partial(RandomImages, image_size=8, channels=1, n=48, batch_size=16), critic=critic
    )
    game = case.game(critic_optimizer=SGD(lr=1e-12))  # the weights stay where they start
    before = game.critic.discrimination.tensor.weight.detach().clone()
    first: list[Tensor] = []
    turn = game.critic_turn

    def watched(batch: Any) -> Any:
        first.append(batch.real)
        return turn(batch)

    game.critic_turn = watched
    train(game, case.data(), tmp_path, 2)
    layer = game.critic.discrimination
    features = game.critic.network.features(first[0]).detach()
    rows = (features @ before.T).reshape(16, 4, 3)
    for kernel in range(4):
        points = rows[:, kernel]
        gaps = [[float((points[i] - points[j]).abs().sum()) for j in range(16) if j != i] for i in range(16)]
        scale = 0.5 * sum(min(row) for row in gaps) / 16
        mean = sum(sum(math.exp(-gap / scale) for gap in row) for row in gaps) / 16
        assert layer.offset[kernel].item() == pytest.approx(-mean, rel=1e-4)
        found = layer.tensor.weight.detach()[3 * kernel : 3 * kernel + 3]
        torch.testing.assert_close(found, before[3 * kernel : 3 * kernel + 3] / scale, rtol=1e-4, atol=1e-6)
    assert layer(features).mean().item() == pytest.approx(0, abs=1e-4)
    assert not layer.starting


def test_minibatch_discrimination_of_0_1_0_loads() -> None:
    critic = MinibatchDiscriminationCritic(shape_of(0, 2), partial(MLPCritic, width=5), n_kernels=3)
    state = {name: value for name, value in critic.state_dict().items() if "offset" not in name}
    critic.discrimination.offset.fill_(7.0)
    copy.deepcopy(critic).load_state_dict(state)
    critic.load_state_dict(state)
    assert not critic.discrimination.offset.any()
    with pytest.raises(RuntimeError, match="tensor.weight"):
        critic.load_state_dict({k: v for k, v in state.items() if "tensor" not in k})


def test_minibatch_discrimination_starts_without_a_scale_of_its_own_where_there_is_none() -> None:
    layer = MinibatchDiscrimination(4, n_kernels=2)
    weight = layer.tensor.weight.detach().clone()
    layer.starting = True
    with torch.no_grad():
        for features in (torch.randn(1, 4), torch.ones(3, 4)):  # no neighbour; copies of one sample
            assert layer(features).isfinite().all()
    torch.testing.assert_close(layer.tensor.weight, weight, rtol=0, atol=0)


def test_minibatch_discrimination_critic() -> None:
    critic: Any = MinibatchDiscriminationCritic(
        shape_of(8, 1), partial(DCGANCritic, width=4, norm=nn.Identity), n_kernels=3
    )
    samples = torch.randn(5, 1, 8, 8)
    features = critic.features(samples)
    assert features.shape == (5, critic.n_features) == (5, critic.network.n_features + 3)
    joint = torch.cat([critic.network.output.weight, critic.output.weight], 1)[0]
    torch.testing.assert_close(critic(samples), features @ joint)
    assert couples_batch(critic) == ["discrimination"]
    assert not torch.allclose(critic(samples)[:2], critic(samples[:2]))
    with pytest.raises(ValueError, match="has no last linear layer"):
        critic.last_layer()


@pytest.mark.parametrize("shape", [(), (3, 2)])
def test_virtual_batch_norm_includes_the_sample_itself(shape: tuple[int, ...]) -> None:
    layer: Any = VirtualBatchNorm(4, n_reference=3, eps=1e-5).double()
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    inputs = torch.randn(8, 4, *shape, dtype=torch.float64)
    found = layer(inputs)
    reference = inputs[:3]
    for i in range(8):
        # by definition: the batch of the reference and the sample, of which each has equal weight
        batch = reference if i < 3 else torch.cat([reference, inputs[i : i + 1]])
        expected = nn.functional.batch_norm(
            torch.cat([batch, inputs[i : i + 1]]),
            batch.transpose(0, 1).flatten(1).mean(1),
            batch.transpose(0, 1).flatten(1).var(1, unbiased=False),
            layer.weight,
            layer.bias,
            eps=1e-5,
        )[-1]
        torch.testing.assert_close(found[i], expected)


@pytest.mark.parametrize(
    ("network", "n_classes"),
    [
        (partial(DCGANGenerator, width=4, latent_dim=3), 0),
        (partial(SNGANResNetGenerator, width=4, latent_dim=3, n_classes=3), 3),
        (partial(MLPGenerator, latent_dim=3, width=8, batch_norm=True), 0),
    ],
)
def test_virtual_batch_norm_generator(network: Any, n_classes: int) -> None:
    torch.manual_seed(0)
    generator = VirtualBatchNormGenerator(shape_of(8, 1), network, n_reference=6)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in generator.modules())
    latents = torch.randn(5, 3)
    labels = torch.arange(5) % 3 if n_classes else None
    samples = generator(latents, labels)
    assert samples.shape == (5, 1, 8, 8)
    alone = torch.cat([generator(latents[i : i + 1], None if labels is None else labels[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(samples, alone)
    torch.testing.assert_close(samples, generator.eval()(latents, labels))
    assert {"reference", "reference_labels"} <= set(generator.state_dict())
    other = VirtualBatchNormGenerator(shape_of(8, 1), network, n_reference=6)
    other.load_state_dict(generator.state_dict())
    torch.testing.assert_close(samples, other(latents, labels))


def test_virtual_batch_norm_needs_batch_norm() -> None:
    with pytest.raises(ValueError, match="found no batch normalisation in MLPGenerator to replace"):
        VirtualBatchNormGenerator(shape_of(8, 1), MLPGenerator)
    with pytest.raises(ValueError, match="n_reference must be at least 2, got 1"):
        VirtualBatchNormGenerator(shape_of(8, 1), DCGANGenerator, n_reference=1)
