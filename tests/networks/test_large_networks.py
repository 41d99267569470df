"""The networks of SAGAN, BigGAN and R3GAN."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.networks import (
    BigGANCritic,
    BigGANGenerator,
    R3GANCritic,
    R3GANGenerator,
    SAGANCritic,
    SAGANGenerator,
    SelfAttention,
)
from gan_lightning.networks.r3gan import Downsampling, R3GANBlock, Upsampling
from gan_lightning.shapes import shape_of

PAIRS: list[Any] = [
    (partial(SAGANGenerator, width=8, attention_size=8), partial(SAGANCritic, width=8, attention_size=4), 8),
    (partial(SAGANGenerator, width=4, attention_size=14), partial(SAGANCritic, width=4, attention_size=14), 28),
    (partial(BigGANGenerator, width=4), partial(BigGANCritic, width=4), 8),
    (partial(BigGANGenerator, width=4), partial(BigGANCritic, width=4), 32),
    (partial(BigGANGenerator, width=2), partial(BigGANCritic, width=2), 64),
    (partial(R3GANGenerator, width=16), partial(R3GANCritic, width=16), 8),
    (partial(R3GANGenerator, width=16, group_size=4), partial(R3GANCritic, width=16, group_size=4), 28),
    (partial(R3GANGenerator, width=16, group_size=4), partial(R3GANCritic, width=16, group_size=4), 64),
]
IDS = [f"{pair[0].func.__name__.removesuffix('Generator')}-{pair[2]}" for pair in PAIRS]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the spectral normalisation out: it has no parameters, and is slow to set up on the meta device."""
    for module in ("biggan", "sagan"):
        monkeypatch.setattr(f"gan_lightning.networks.{module}.spectrally_normalize", lambda layer, **_: layer)


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def conv(n_in: int, n_out: int, kernel: int = 3, bias: int = 1) -> int:
    return n_in * n_out * kernel**2 + n_out * bias


def attention(n: int) -> int:
    return n * (n // 8) * 2 + n * (n // 2) * 2 + 1


@pytest.mark.parametrize("n_classes", [0, 3])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("generator", "critic", "image_size"), PAIRS, ids=IDS)
def test_shapes(generator: Any, critic: Any, image_size: int, channels: int, n_classes: int) -> None:
    g, c = (factory(shape_of(image_size, channels), n_classes=n_classes) for factory in (generator, critic))
    labels = torch.tensor([0, 2]) if n_classes else None
    images = g(torch.randn(2, g.latent_dim), labels)
    assert images.shape == (2, channels, image_size, image_size)
    assert c.features(images).shape == (2, c.n_features)
    logits = c(images, labels)
    assert logits.shape == (2,)
    assert logits.isfinite().all()
    if n_classes:
        assert not torch.allclose(c.eval()(images, torch.tensor([1, 1])), c(images, labels))
        with pytest.raises(ValueError, match="got none"):
            g(torch.randn(2, g.latent_dim))


@pytest.mark.parametrize(("generator", "critic", "image_size"), PAIRS, ids=IDS)
def test_every_parameter_gets_a_gradient_once_the_zeros_have_moved(
    generator: Any, critic: Any, image_size: int
) -> None:
    g, c = generator(shape_of(image_size, 3), n_classes=3), critic(shape_of(image_size, 3), n_classes=3)
    for module in (*g.modules(), *c.modules()):
        if isinstance(module, SelfAttention):
            module.gain.data.fill_(0.5)
        if isinstance(module, R3GANBlock):
            nn.init.normal_(module.conv3.weight, std=0.1)
    labels = torch.arange(3)
    c(g(torch.randn(3, g.latent_dim), labels), labels).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in [*g.parameters(), *c.parameters()])
    images = torch.randn(2, 3, image_size, image_size)

    def squared_slope(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        def total(samples: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(c, parameters, (samples, labels[:2])).sum()

        return torch.func.grad(total)(images).square().sum()

    second = torch.func.grad(squared_slope)(dict(c.named_parameters()))
    assert all(gradient.isfinite().all() for gradient in second.values())
    moved = [gradient for name, gradient in second.items() if "conv2." in name and "bias" not in name]
    assert moved and all(gradient.abs().sum() > 0 for gradient in moved)


@pytest.mark.parametrize(("generator", "critic", "image_size"), PAIRS[::2], ids=IDS[::2])
def test_copies_and_state_dicts_are_equal(generator: Any, critic: Any, image_size: int) -> None:
    g, other = generator(shape_of(image_size, 3)).eval(), generator(shape_of(image_size, 3)).eval()
    latents = torch.randn(2, g.latent_dim)
    other.load_state_dict(g.state_dict())
    assert torch.equal(other(latents), g(latents))
    assert torch.equal(copy.deepcopy(g)(latents), g(latents))


@pytest.mark.parametrize("family", ["SAGAN", "BigGAN"])
def test_both_players_are_spectrally_normalised_but_not_the_generators_embeddings(family: str) -> None:
    pair = next(pair for pair, name in zip(PAIRS, IDS, strict=True) if name.startswith(family))
    for factory in pair[:2]:
        module = factory(shape_of(pair[2], 3), n_classes=3)
        layers = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert layers and all(is_parametrized(layer, "weight") for layer in layers)
        module.train()
        for _ in range(100):
            for layer in layers:
                _ = layer.weight  # one power iteration
        for layer in layers:
            largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2)
            torch.testing.assert_close(largest, torch.ones(()), rtol=0.02, atol=0)
        embeddings = [m for m in module.modules() if isinstance(m, nn.Embedding)]
        assert embeddings and all(is_parametrized(m, "weight") == (factory is pair[1]) for m in embeddings)


@pytest.mark.usefixtures("_plain")
def test_biggan_has_the_published_number_of_parameters() -> None:
    """At 128, 96 channels, 1000 classes: what google/compare_gan's own test asserts of its BigGAN."""
    with torch.device("meta"):
        assert n_parameters(BigGANGenerator(shape_of(128, 3), n_classes=1000)) == 70_433_988
        assert n_parameters(BigGANCritic(shape_of(128, 3), n_classes=1000)) == 87_982_370


@pytest.mark.usefixtures("_plain")
def test_biggan_at_32_has_the_layers_of_its_table() -> None:
    with torch.device("meta"):
        generator = BigGANGenerator(shape_of(32, 3), width=64, chunk_dim=32, n_classes=10)
        critic = BigGANCritic(shape_of(32, 3), width=64, n_classes=10)
    norm = 2 * (128 + 32) * 256
    block = 2 * norm + 2 * conv(256, 256) + conv(256, 256, 1)
    assert n_parameters(generator) == 10 * 128 + (32 + 1) * 256 * 16 + 3 * block + 2 * 256 + conv(256, 3)
    first = conv(3, 256) + conv(256, 256) + conv(3, 256, 1)
    down = 2 * conv(256, 256) + conv(256, 256, 1)
    assert n_parameters(critic) == first + down + 2 * 2 * conv(256, 256) + 257 + 10 * 256
    assert not any(isinstance(m, SelfAttention) for m in [*generator.modules(), *critic.modules()])
    assert generator.latent_dim == 128


@pytest.mark.parametrize("image_size", [64, 128])
def test_biggan_attends_at_64(image_size: int) -> None:
    generator, critic = (
        BigGANGenerator(shape_of(image_size, 3), width=1),
        BigGANCritic(shape_of(image_size, 3), width=1),
    )
    seen: list[tuple[str, int]] = []
    for name, module in (("generator", generator), ("critic", critic)):
        for layer in module.modules():
            if isinstance(layer, SelfAttention):
                layer.register_forward_hook(lambda _, inputs, __, name=name: seen.append((name, inputs[0].shape[-1])))
    critic(generator(torch.randn(2, generator.latent_dim)))
    # The critic's first block halves 128 to 64; that of 64 leaves 32.
    assert seen == [("generator", 64), ("critic", 64)][: 1 + (image_size == 128)]


def test_each_block_of_biggan_hears_its_own_chunk_of_the_latents() -> None:
    generator = BigGANGenerator(shape_of(32, 3), chunk_dim=5, width=2, n_classes=3).eval()
    assert generator.latent_dim == 20
    conditions: list[torch.Tensor] = []
    for block in generator.blocks:
        block.register_forward_hook(lambda _, inputs, __: conditions.append(inputs[1]))
    latents, labels = torch.randn(2, 20), torch.tensor([2, 1])
    generator(latents, labels)
    for i, condition in enumerate(conditions, start=1):
        torch.testing.assert_close(condition[:, :128], generator.embedding.weight[labels])
        torch.testing.assert_close(condition[:, 128:], latents[:, 5 * i : 5 * i + 5])


def test_biggan_starts_from_orthogonal_weights() -> None:
    generator: Any = BigGANGenerator(shape_of(32, 3), chunk_dim=5, width=2)
    weight = generator.blocks[0].conv1.parametrizations.weight.original.flatten(1)
    torch.testing.assert_close(weight @ weight.T, torch.eye(len(weight)), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("_plain")
def test_sagan_at_128_has_the_layers_of_its_code() -> None:
    with torch.device("meta"):
        generator, critic = SAGANGenerator(shape_of(128, 3), n_classes=10), SAGANCritic(shape_of(128, 3), n_classes=10)
    up = [(1024, 1024), (1024, 512), (512, 256), (256, 128), (128, 64)]
    blocks = sum(2 * 10 * a + conv(a, b) + 2 * 10 * b + conv(b, b) + conv(a, b, 1) for a, b in up)
    assert n_parameters(generator) == 129 * 1024 * 16 + blocks + attention(256) + 2 * 64 + conv(64, 3)
    first = conv(3, 64) + conv(64, 64) + conv(3, 64, 1)
    down = sum(conv(a, b) + conv(b, b) + conv(a, b, 1) for a, b in [(64, 128), (128, 256), (256, 512), (512, 1024)])
    last = 2 * conv(1024, 1024)
    assert n_parameters(critic) == first + down + last + attention(128) + 1025 + 10 * 1024


def test_sagan_names_the_resolutions_at_which_it_can_attend() -> None:
    with pytest.raises(ValueError, match=r"attention_size of SAGANGenerator .*\(8, 16\), got 32"):
        SAGANGenerator(shape_of(16, 3))
    with pytest.raises(ValueError, match=r"attention_size of SAGANCritic .*\(8, 4\), got 16"):
        SAGANCritic(shape_of(16, 3), attention_size=16)


def test_r3gan_has_the_papers_layers() -> None:
    with torch.device("meta"):
        generator, critic = R3GANGenerator(shape_of(32, 3), n_classes=10), R3GANCritic(shape_of(32, 3), n_classes=10)
        deep = R3GANGenerator(shape_of(256, 3))
    # Two blocks at 4, 8, 16 and 32, of 768 channels, 1536 inside, groups of 16; two biases.
    block = 768 * 1536 + 1536 + 1536 * 16 * 9 + 1536 + 1536 * 768
    assert n_parameters(generator) == 10 * 64 + 128 * 768 + 16 * 768 + 8 * block + 768 * 3
    assert n_parameters(critic) == 3 * 768 + 8 * block + 16 * 768 + 768 * 768 + 10 * 768
    widths = [layer.conv1.in_channels for layer in deep.layers if isinstance(layer, R3GANBlock)][::2]
    assert widths == [768, 768, 768, 768, 384, 192, 96]
    assert not any("Norm" in type(m).__name__ for m in [*generator.modules(), *critic.modules()])
    with pytest.raises(ValueError, match="group_size must divide 24, .*got 16"):
        R3GANCritic(shape_of(8, 3), width=12)


def test_r3gan_starts_with_blocks_that_do_nothing_and_scaled_weights() -> None:
    """Fix-up: a block is the identity at the start; L blocks scale its other weights by L^(-1/4)."""
    block = R3GANBlock(64, 16, n_blocks=16)
    inputs = torch.randn(2, 64, 8, 8)
    assert torch.equal(block(inputs), inputs)
    he = (2 / (1 + 0.2**2)) ** 0.5
    torch.testing.assert_close(block.conv1.weight.std().item(), he / 64**0.5 / 2, rtol=0.03, atol=0)
    torch.testing.assert_close(block.conv2.weight.std().item(), he / 144**0.5 / 2, rtol=0.03, atol=0)
    assert block.conv2.groups == 8


def _filtered(values: Tensor, stride: int) -> Tensor:
    """Filter the last two axes with [1, 3, 3, 1] / 8 each, zeros beyond the edges, and keep every `stride`-th value."""
    for axis in (-1, -2):
        rows = values.movedim(axis, -1)
        n = rows.shape[-1]
        rows = torch.stack(
            [
                torch.stack(
                    [
                        w / 8 * rows[..., i + k]
                        for k, w in zip((-1, 0, 1, 2), (1, 3, 3, 1), strict=True)
                        if 0 <= i + k < n
                    ]
                ).sum(0)
                for i in range(0, n, stride)
            ],
            dim=-1,
        )
        values = rows.movedim(-1, axis)
    return values


def _doubled(images: Tensor) -> Tensor:
    """Put zeros between the pixels, filter with 4 times the kernel: what an upsampler of that kernel is."""
    n, c, h, w = images.shape
    spread = images.new_zeros(n, c, 2 * h + 1, 2 * w + 1)
    spread[:, :, 1::2, 1::2] = images
    return 4 * _filtered(spread, 1)[:, :, : 2 * h, : 2 * w]


def test_r3gan_resamples_with_1_3_3_1() -> None:
    """As brownvc/R3GAN does: kernel [1, 2, 1] convolved with [1, 1], zeros beyond the edges."""
    images = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    down, up = Downsampling().double()(images), Upsampling().double()(images)
    torch.testing.assert_close(down, _filtered(images, 2))
    torch.testing.assert_close(up, _doubled(images))
    inside = (..., slice(1, -1), slice(1, -1))
    halved = nn.functional.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True)
    torch.testing.assert_close(down[inside], halved[inside])
    torch.testing.assert_close(up[inside], nn.functional.interpolate(images, scale_factor=2, mode="bilinear")[inside])
    critic = R3GANCritic(shape_of(16, 3), width=16)
    assert not any("kernel" in name for name in critic.state_dict())  # checkpoints of 0.1.0 load


def test_r3gans_label_embeddings_start_as_the_authors() -> None:
    """Standard deviations K^-1/2 in the generator and (K width)^-1/2 in the critic."""
    torch.manual_seed(0)
    generator = R3GANGenerator(shape_of(8, 1), latent_dim=64, width=16, n_classes=100)
    critic = R3GANCritic(shape_of(8, 1), width=64, n_classes=100)
    assert generator.embedding.weight.std().item() == pytest.approx(0.1, rel=0.03)
    assert critic.embedding.weight.std().item() == pytest.approx(0.1 / 8, rel=0.03)


def test_r3gans_first_map_is_its_basis_scaled_by_channel() -> None:
    generator = R3GANGenerator(shape_of(8, 1), latent_dim=3, width=8, n_classes=2)
    latents, labels = torch.randn(2, 3), torch.tensor([1, 0])
    scales = torch.cat([latents, generator.embedding.weight[labels]], dim=1) @ generator.input.weight.T
    hidden = torch.einsum("nc,chw->nchw", scales, generator.basis)
    doubled = _doubled(hidden)  # the blocks do nothing yet
    expected = torch.einsum("oc,nchw->nohw", generator.output.weight[:, :, 0, 0], doubled)
    torch.testing.assert_close(generator(latents, labels), expected)


def test_r3gans_logit_is_the_inner_product_with_the_labels_embedding() -> None:
    critic = R3GANCritic(shape_of(8, 1), width=8, n_classes=2)
    images, labels = torch.randn(2, 1, 8, 8), torch.tensor([1, 0])
    expected = torch.stack(
        [
            critic.embedding.weight[y] @ (critic.output.weight @ h)
            for h, y in zip(critic.features(images), labels, strict=True)
        ]
    )
    torch.testing.assert_close(critic(images, labels), expected)
