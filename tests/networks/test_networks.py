"""What all networks have in common: shapes, ranges, sizes, activations, how YAML builds them."""

from __future__ import annotations

import copy
import io
import typing
from functools import partial
from inspect import isabstract, isclass, signature
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from gan_lightning import networks
from gan_lightning.errors import UserError
from gan_lightning.networks import Critic, CriticFactory, Generator, GeneratorFactory
from gan_lightning.networks.base import Network, pyramid
from gan_lightning.shapes import Images, shape_of

LARGE = ("BigGAN", "R3GAN", "SAGAN")  # in test_large_networks.py

NETWORKS: list[Any] = [
    *[(partial(networks.MLPGenerator, width=8), partial(networks.MLPCritic, width=8), size) for size in (8, 9)],
    *[(partial(networks.DCGANGenerator, width=4), partial(networks.DCGANCritic, width=4), s) for s in (8, 28, 64, 128)],
    *[(partial(networks.WGANGPCNNGenerator, width=4), partial(networks.WGANGPCNNCritic, width=4), s) for s in (28, 32)],
    *[
        (partial(networks.WGANGPResNetGenerator, width=4), partial(networks.WGANGPResNetCritic, width=4), size)
        for size in (8, 28, 32)
    ],
    *[
        (partial(networks.WGANGPGoodGenerator, width=4), partial(networks.WGANGPGoodCritic, width=4), size)
        for size in (16, 64)
    ],
    *[
        (partial(networks.SNGANCNNGenerator, width=4), partial(networks.SNGANCNNCritic, width=4), size)
        for size in (8, 32, 48)
    ],
    *[
        (partial(networks.SNGANResNetGenerator, width=4), partial(networks.SNGANResNetCritic, width=4), size)
        for size in (8, 16, 28, 32, 48, 64, 128, 256)
    ],
]
IDS = [f"{generator.func.__name__.removesuffix('Generator')}-{size}" for generator, _, size in NETWORKS]
IMAGE_PAIRS = [case for i, case in enumerate(NETWORKS) if case[0].func not in [c[0].func for c in NETWORKS[:i]]]
PAIR_IDS = [case[0].func.__name__.removesuffix("Generator") for case in IMAGE_PAIRS]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("generator", "critic", "image_size"), NETWORKS, ids=IDS)
def test_shapes_and_ranges(generator: GeneratorFactory, critic: CriticFactory, image_size: int, channels: int) -> None:
    g, c = generator(shape_of(image_size, channels)), critic(shape_of(image_size, channels))
    images = g(100 * torch.randn(3, g.latent_dim))
    assert images.shape == (3, channels, image_size, image_size)
    assert images.abs().max() <= 1
    features = c.features(images)
    assert features.shape == (3, c.n_features)
    logits = c(images)
    assert logits.shape == (3,)
    assert logits.isfinite().all()


@pytest.mark.parametrize(("generator", "critic", "image_size"), IMAGE_PAIRS, ids=PAIR_IDS)
def test_the_critic_is_its_head_on_its_features(
    generator: GeneratorFactory, critic: CriticFactory, image_size: int
) -> None:
    c: Any = critic(shape_of(image_size, 3)).eval()
    images = torch.randn(2, 3, image_size, image_size)
    weight, bias = c.output.weight, c.output.bias
    expected = (c.features(images) * weight).sum(dim=1) + (0 if bias is None else bias)
    torch.testing.assert_close(c(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("generator", "critic", "image_size"), IMAGE_PAIRS, ids=PAIR_IDS)
def test_every_parameter_is_used_and_second_derivatives_exist(
    generator: GeneratorFactory, critic: CriticFactory, image_size: int
) -> None:
    g, c = generator(shape_of(image_size, 3)), critic(shape_of(image_size, 3))
    c(g(torch.randn(4, g.latent_dim))).sum().backward()
    assert all(parameter.grad is not None for parameter in [*g.parameters(), *c.parameters()])
    images = torch.randn(4, 3, image_size, image_size, requires_grad=True)
    (slope,) = torch.autograd.grad(c(images).sum(), images, create_graph=True)
    weights = [parameter for parameter in c.parameters() if parameter.dim() > 1]
    second = torch.autograd.grad(slope.square().sum(), weights)
    assert all(gradient.isfinite().all() and gradient.abs().sum() > 0 for gradient in second)


@pytest.mark.parametrize(("generator", "critic", "image_size"), IMAGE_PAIRS, ids=PAIR_IDS)
def test_the_activation_argument_replaces_every_nonlinearity_of_the_critic(
    generator: GeneratorFactory, critic: CriticFactory, image_size: int
) -> None:
    arguments: dict[str, Any] = {"activation": nn.Identity}
    if critic.func is not networks.MLPCritic and "SNGAN" not in critic.func.__name__:  # type: ignore[attr-defined]
        arguments["norm"] = nn.Identity
    c: Any = critic(shape_of(image_size, 3), **arguments).double().eval()
    a, b = torch.randn(2, 1, 3, image_size, image_size, dtype=torch.double)
    # Without nonlinearities the critic is affine; with its own ones it is not.
    torch.testing.assert_close(c(a) + c(b), c(a + b) + c(torch.zeros_like(a)))
    own: Any = critic(shape_of(image_size, 3)).double().eval()
    assert (own(a) + own(b) - own(a + b) - own(torch.zeros_like(a))).abs() > 1e-9


@pytest.mark.parametrize(("generator", "critic", "image_size"), IMAGE_PAIRS, ids=PAIR_IDS)
def test_the_activation_argument_reaches_the_generator_and_nothing_works_in_place(
    generator: GeneratorFactory, critic: CriticFactory, image_size: int
) -> None:
    g: Any = generator(shape_of(image_size, 3), activation=nn.SiLU)  # type: ignore[call-arg]
    kinds = [type(module) for module in g.modules()]
    assert nn.SiLU in kinds
    assert nn.ReLU not in kinds
    for module in [*generator(shape_of(image_size, 3)).modules(), *critic(shape_of(image_size, 3)).modules()]:
        assert not getattr(module, "inplace", False)


@pytest.mark.parametrize(("generator", "critic", "image_size"), IMAGE_PAIRS, ids=PAIR_IDS)
def test_state_dicts_round_trip_as_weights_only(
    generator: GeneratorFactory, critic: CriticFactory, image_size: int
) -> None:
    for factory in (generator, critic):
        module = factory(shape_of(image_size, 3))
        inputs = (
            torch.randn(3, module.latent_dim) if isinstance(module, Generator) else torch.randn(3, 3, *2 * [image_size])
        )
        module(inputs)  # moves the running statistics and the power iteration away from their start
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        file.seek(0)
        other = factory(shape_of(image_size, 3))
        assert not torch.equal(other.eval()(inputs), module.eval()(inputs))
        other.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(other(inputs), module(inputs))
        assert torch.equal(copy.deepcopy(module)(inputs), module(inputs))


IMAGE_CLASSES = [
    kind
    for name in networks.__all__
    if isinstance(kind := getattr(networks, name), type)
    and typing.get_origin(kind) is None  # Python 3.10 calls Callable[[...], Critic] a type
    and issubclass(kind, Generator | Critic)
    and kind not in (Generator, Critic, networks.MLPGenerator, networks.MLPCritic, networks.PatchCritic)
    and kind not in (networks.TextGenerator, networks.TextCritic, networks.WaveGANGenerator, networks.WaveGANCritic)
    and kind
    not in (networks.ProjectedCritic, networks.LSTMGenerator, networks.SequenceGenerator, networks.TextCNNCritic)
    # Those that need more are wrappers around networks.
    and not {n for n, p in signature(kind).parameters.items() if p.default is p.empty} - {"shape"}
]
ELSEWHERE = {getattr(networks, f"{name}{player}") for name in LARGE for player in ("Generator", "Critic")}


def test_the_lists_of_image_networks_are_complete() -> None:
    listed = {factory.func for case in NETWORKS for factory in case[:2]} - {networks.MLPGenerator, networks.MLPCritic}
    assert listed | ELSEWHERE == set(IMAGE_CLASSES)


@pytest.mark.parametrize("kind", IMAGE_CLASSES)
@pytest.mark.parametrize(
    ("image_size", "fix"), [(0, "MLPGenerator"), (4, "resize to 8"), (30, "resize to 32"), (33, "resize to (40|64)")]
)
def test_sizes_that_do_not_fit_are_refused(kind: type, image_size: int, fix: str) -> None:
    given = r"Vectors\(dim=3\)" if image_size == 0 else image_size
    with pytest.raises(ValueError, match=f"got {given}[ ;].*{fix}"):
        kind(shape_of(image_size, 3))


def test_base_sizes() -> None:
    sizes = {8: 4, 12: 6, 16: 4, 20: 5, 28: 7, 32: 4, 48: 6, 56: 7, 64: 4, 96: 6, 128: 4, 224: 7, 256: 4}
    assert {size: pyramid(Images(size, size, 3))[0] for size in sizes} == {size: (b, b) for size, b in sizes.items()}
    assert [pyramid(Images(size, size, 3))[1] for size in (8, 28, 32, 48, 256)] == [1, 2, 3, 3, 6]


def test_sides_of_other_lengths_double_as_often() -> None:
    assert pyramid(Images(64, 96, 3)) == ((4, 6), 4)
    assert pyramid(Images(96, 64, 3)) == ((6, 4), 4)
    assert pyramid(Images(32, 128, 1)) == ((4, 16), 3)
    with pytest.raises(ValueError, match=r"multiple of 16 .*halved 4 times, got 100; let the data resize to 112"):
        pyramid(Images(64, 100, 3))


@pytest.mark.parametrize(("image_size", "near"), [(1, 8), (7, 8), (9, 10), (18, 20), (31, 32), (100, 112), (225, 256)])
def test_base_size_names_the_next_size_that_fits(image_size: int, near: int) -> None:
    with pytest.raises(ValueError, match=f"got {image_size}; let the data resize to {near}$"):
        pyramid(Images(image_size, image_size, 3))


class Pair:
    def __init__(self, generator: GeneratorFactory, critic: CriticFactory) -> None:
        self.generator = generator(shape_of(32, 3))
        self.critic = critic(shape_of(32, 3))


def build(*arguments: str) -> Pair:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Pair, "pair")
    config = parser.parse_string(parser.dump(parser.parse_args(list(arguments))))
    return parser.instantiate(config).pair


NAMES = [
    kind.__name__.removesuffix("Generator")
    for kind in [*IMAGE_CLASSES, networks.MLPGenerator]
    if issubclass(kind, Generator) and kind not in ELSEWHERE
]


@pytest.mark.parametrize("name", NAMES)
def test_yaml_builds_networks_by_short_name_with_any_activation(name: str) -> None:
    arguments = [
        f"--pair.generator={name}Generator",
        f"--pair.critic={name}Critic",
        "--pair.critic.width=4",
        "--pair.generator.width=4",
    ]
    leaky = "{class_path: gan_lightning.networks.LeakyReLU, init_args: {slope: 0.3}}"
    pair = build(*arguments, "--pair.generator.activation=torch.nn.SiLU", f"--pair.critic.activation={leaky}")
    assert type(pair.generator) is getattr(networks, f"{name}Generator")
    assert any(isinstance(module, nn.SiLU) for module in pair.generator.modules())
    slopes = {module.negative_slope for module in pair.critic.modules() if isinstance(module, nn.LeakyReLU)}
    assert slopes == {0.3}


def test_yaml_keeps_the_defaults_and_builds_norms() -> None:
    pair = build("--pair.generator=DCGANGenerator", "--pair.critic=DCGANCritic", "--pair.critic.norm=ChannelLayerNorm")
    assert {m.negative_slope for m in pair.critic.modules() if isinstance(m, nn.LeakyReLU)} == {0.2}
    assert [m.num_channels for m in pair.critic.modules() if isinstance(m, nn.GroupNorm)] == [128, 256]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in pair.critic.modules())
    pair = build("--pair.generator=SNGANCNNGenerator", "--pair.critic=SNGANCNNCritic", "--pair.critic.width=4")
    assert {m.negative_slope for m in pair.critic.modules() if isinstance(m, nn.LeakyReLU)} == {0.1}
    pair = build("--pair.generator=DCGANGenerator", "--pair.critic=DCGANCritic", "--pair.critic.norm=torch.nn.Identity")
    assert not any(isinstance(m, nn.GroupNorm | nn.BatchNorm2d) for m in pair.critic.modules())


SIZED = [
    (cls, name)
    for cls in vars(networks).values()
    if isclass(cls) and issubclass(cls, Network) and not isabstract(cls)
    for name in ("width", "latent_dim", "n_layers")
    if name in signature(cls).parameters
]


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize(("network", "name"), SIZED, ids=lambda part: getattr(part, "__name__", part))
def test_sizes_are_checked_where_a_network_is_made(network, name, value):
    required = [word for word, one in signature(network).parameters.items() if one.default is one.empty]
    given = {word: 4 for word in required} | {"shape": Images(32, 32, 3), name: value}
    with pytest.raises(UserError, match=f"^{name} of {network.__name__} must be at least 1, got {value}$"):
        network(**given)
