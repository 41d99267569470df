"""pix2pix and CycleGAN: their losses against the papers' formulas, the buffer, and pictures of any size."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan_lightning.data import RandomImages, RandomPairs
from gan_lightning.errors import UserError
from gan_lightning.families import CycleGAN, Pix2Pix
from gan_lightning.games.buffer import FakeBuffer
from gan_lightning.games.translation import reflected
from gan_lightning.networks import InstanceNorm, PatchCritic, ResNetTranslator, Translator, UNetTranslator
from gan_lightning.protocols import Batch
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Images, Pair, Shape
from tests.training import train

NETWORKS: dict[str, Any] = {
    "generator": partial(UNetTranslator, width=2, n_halvings=2),
    "critic": partial(PatchCritic, width=2, n_layers=1, norm=InstanceNorm),
}


class Scaled(Translator):
    """Multiplies by a number; of sides that are multiples of 4."""

    multiple = 4

    def __init__(self, shape: Shape, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, sources: Tensor, noise: Noise | None = None) -> Tensor:
        return self.factor * sources


def noisy(game: Any) -> Any:
    game.noise = Noise(3, torch.device("cpu"), torch.float32)
    return game


def batch(n: int = 4, channels: int = 1) -> Batch:
    torch.manual_seed(1)
    return Batch(2 * torch.rand(n, 3, 8, 8) - 1, None, 2 * torch.rand(n, channels, 8, 8) - 1)


def test_pix2pix_plays_for_half_of_cross_entropy_and_for_cross_entropy_with_100_times_the_distance():
    game = noisy(Pix2Pix(**NETWORKS, shape=Pair(Images(8, 8, 1), Images(8, 8, 3))))
    real, _, source = batch()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    made = game.generator(source, game.noise.repeated())
    yes, no = (game.critic(torch.cat([source, images], dim=1)) for images in (real, made))
    (critic,) = game.critic_turn(batch()).values()
    expected = (entropy(yes, torch.ones_like(yes)) + entropy(no, torch.zeros_like(no))) / 2
    torch.testing.assert_close(critic, expected)
    game = noisy(game)
    terms = game.generator_turn(batch())
    torch.testing.assert_close(terms["logistic"], entropy(no, torch.ones_like(no)))
    torch.testing.assert_close(terms["l1"], 100 * (made - real).abs().mean())


def test_cycle_gan_plays_for_the_squares_of_the_paper():
    shape = Pair(Images(8, 8, 3), Images(8, 8, 3))
    game = noisy(CycleGAN(Scaled, NETWORKS["critic"], shape, n_buffered=0))
    with torch.no_grad():
        game.generator.b_to_a.factor.fill_(3.0)
    b, _, a = batch(channels=3)
    game.before_critic_update(Batch(b, None, a))
    terms = game.critic_turn(Batch(b, None, a))
    for key, critic, real, fake in (
        ("a", game.critic.of_a, a, 3.0 * b),
        ("b", game.critic.of_b, b, 0.5 * a),
    ):
        expected = ((critic(real) - 1).square().mean() + critic(fake).square().mean()) / 2
        torch.testing.assert_close(terms[f"least_squares_{key}"], expected)
    terms = game.generator_turn(Batch(b, None, a))
    torch.testing.assert_close(terms["least_squares_b"], (game.critic.of_b(0.5 * a) - 1).square().mean())
    torch.testing.assert_close(terms["least_squares_a"], (game.critic.of_a(3.0 * b) - 1).square().mean())
    torch.testing.assert_close(terms["cycle_a"], 10 * (0.5 * a).abs().mean())  # 3 * 0.5 - 1
    torch.testing.assert_close(terms["cycle_b"], 10 * (0.5 * b).abs().mean())
    torch.testing.assert_close(terms["identity_a"], 5 * (2 * a).abs().mean())
    torch.testing.assert_close(terms["identity_b"], 5 * (0.5 * b).abs().mean())


def test_a_buffer_gives_old_fakes_for_half_of_the_new_ones():
    buffer = FakeBuffer(50, Images(1, 1, 1))
    number = torch.arange(2050.0).reshape(-1, 1, 1, 1)
    draws = torch.rand(2050, 2, generator=torch.Generator().manual_seed(0))
    given = torch.cat([buffer.exchanged(number[i : i + 10], draws[i : i + 10]) for i in range(0, 2050, 10)])
    assert torch.equal(given[:50], number[:50])
    old = given[50:].flatten() != number[50:].flatten()
    assert 0.45 < old.float().mean() < 0.55
    kept: list[float] = number[:50].flatten().tolist()  # the same by the paper's words
    for fake, (coin, place), found in zip(number[50:].flatten().tolist(), draws[50:].tolist(), given[50:], strict=True):
        if coin < 0.5:
            expected, kept[int(50 * place)] = kept[int(50 * place)], fake
        else:
            expected = fake
        assert found.item() == expected
    assert buffer.kept.flatten().tolist() == kept


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (1, 1), (5, 64), (2, 3)])
def test_pictures_of_any_size_are_reflected_and_cut_back(size):
    game = Pix2Pix(Scaled, NETWORKS["critic"], Pair(Images(8, 8, 3), Images(8, 8, 3)))
    images = torch.rand(2, 3, *size)
    torch.testing.assert_close(game.translate(images), 0.5 * images)
    whole = reflected(images, 4)
    assert all(side % 4 == 0 and side >= 8 for side in whole.shape[2:])
    top, left = ((large - small) // 2 for large, small in zip(whole.shape[2:], size, strict=True))
    pads = [(0, 0), (0, 0), (top, whole.shape[2] - size[0] - top), (left, whole.shape[3] - size[1] - left)]
    np.testing.assert_array_equal(whole.numpy(), np.pad(images.numpy(), pads, mode="reflect"))


def test_a_seed_decides_what_is_dropped():
    game = Pix2Pix(**NETWORKS, shape=Pair(Images(8, 8, 1), Images(8, 8, 3)))
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(game.translate(images, seed=1), game.translate(images, seed=1))
    assert not torch.equal(game.translate(images, seed=1), game.translate(images, seed=2))


@pytest.mark.parametrize(("n_channels", "norm"), [(3, nn.BatchNorm2d)])
def test_the_networks_are_as_large_as_the_papers(n_channels, norm):
    """54.41 million in pix2pix's U-Net of 256 pixels, 11.38 in CycleGAN's nine blocks, as the authors' code counts them."""
    shape = Pair(Images(256, 256, n_channels), Images(256, 256, n_channels))
    with torch.device("meta"):
        sizes = [
            sum(parameter.numel() for parameter in network.parameters())
            for network in (UNetTranslator(shape, norm=norm), ResNetTranslator(shape, norm=norm))
        ]
    assert [round(size / 1e6, 2) for size in sizes] == [54.41, 11.38]


def test_what_cannot_be_played_is_refused(tmp_path):
    pair = Pair(Images(8, 8, 1), Images(8, 8, 3))
    for refused, word in [
        (lambda: CycleGAN(**NETWORKS, shape=pair), "identity_weight 0.5"),
        (lambda: Pix2Pix(**NETWORKS, shape=Images(8, 8, 3)), "images without sources"),
        (lambda: Pix2Pix(**NETWORKS, shape=Pair(Images(4, 4, 3), Images(8, 8, 3))), "4x4 and targets of 8x8"),
        (lambda: UNetTranslator(Pair(Images(12, 12, 1), Images(12, 12, 1)), n_halvings=3), "set image_size to 16"),
        (lambda: Pix2Pix(**NETWORKS, shape=pair).translate(torch.zeros(1, 1, 8, 8), "BtoA"), "not BtoA"),
        (lambda: Pix2Pix(**NETWORKS, shape=pair).translate(torch.zeros(1, 3, 8, 8)), r"\(N, 1, H, W\)"),
        (
            lambda: train(Pix2Pix(**NETWORKS, shape=pair), RandomImages(8, batch_size=4), tmp_path, 1),
            "RandomImages has none",
        ),
        (
            lambda: train(
                Pix2Pix(**NETWORKS, shape=pair),
                RandomPairs(8, source_channels=1, paired=False, batch_size=4),
                tmp_path,
                1,
            ),
            "belong to no target",
        ),
    ]:
        with pytest.raises(UserError, match=word):
            refused()


def test_the_networks_leave_other_pictures_alone():
    """One picture's translation does not depend on the others of its batch."""
    for network in (UNetTranslator, ResNetTranslator):
        torch.manual_seed(0)
        one: Any = network(Pair(Images(16, 16, 1), Images(16, 16, 3)), width=2, n_halvings=2)
        images = torch.rand(3, 1, 16, 16)
        torch.testing.assert_close(one(images)[1:2], one(images[1:2]))


def test_what_is_added_to_the_source_is_added_before_tanh():
    for network in (UNetTranslator, ResNetTranslator):
        torch.manual_seed(0)
        one: Any = network(Pair(Images(8, 8, 1), Images(8, 8, 3)), width=2, n_halvings=2, on_source=True)
        sources = 2 * torch.rand(2, 1, 8, 8) - 1
        made = one(sources)
        one.on_source = False
        alone = one(sources)
        tanh_of_sum = (alone + 0.99 * sources) / (1 + alone * 0.99 * sources)  # the addition theorem
        torch.testing.assert_close(made, tanh_of_sum)
        with pytest.raises(UserError, match="on_source"):
            network(Pair(Images(8, 8, 4), Images(8, 8, 3)), width=2, n_halvings=2, on_source=True)


def test_a_map_at_full_size_shows_each_pixel_to_those_two_away():
    torch.manual_seed(0)
    shape = Pair(Images(16, 16, 1), Images(16, 16, 3))
    network = UNetTranslator(shape, width=2, n_halvings=2, norm=nn.Identity, at_full_size=True)
    nn.init.zeros_(network.up[-1][1].weight)  # what went through the halvings is silenced
    sources = torch.rand(1, 1, 16, 16, requires_grad=True)
    (slopes,) = torch.autograd.grad(network(sources)[0, :, 8, 8].square().sum(), sources)
    rows, columns = slopes[0, 0].nonzero().T
    assert (rows - 8).abs().max() == (columns - 8).abs().max() == 2
