"""Observations against their definitions, and their randomness."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.observations.adaptive import AdaptiveAugment
from gan_lightning.observations.augmentations import ColorJitter, Cutout, HorizontalFlip, Translation
from gan_lightning.observations.base import Compose, Observation
from gan_lightning.observations.geometric import Geometric, _warped
from gan_lightning.observations.instance_noise import InstanceNoise
from gan_lightning.observations.packing import Packing
from gan_lightning.randomness import Noise, Shard
from gan_lightning.shapes import Images

AUGMENTATIONS = [ColorJitter(), HorizontalFlip(), Translation(), Cutout(), Geometric(0.7)]


class Fixed(Noise):
    """Noise whose uniform draws are all the same number."""

    def __init__(self, value: float, update: int = 0) -> None:
        super().__init__(0, torch.device("cpu"), torch.float64, update=update)
        self.value = value

    def uniform(self, n: int, *shape: int) -> Tensor:
        return torch.full((n, *shape), self.value, dtype=torch.float64)


def images(n: int = 4, channels: int = 3, size: int = 8) -> Tensor:
    return torch.randn(n, channels, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def noise(update: int = 0, shard: Shard = Shard()) -> Noise:
    return Noise(3, torch.device("cpu"), torch.float64, shard, update)


@pytest.mark.parametrize(("update", "sigma"), [(0, 0.5), (25, 0.375), (100, 0.0), (400, 0.0)])
def test_instance_noise_falls_linearly_to_zero(update: int, sigma: float) -> None:
    observation, samples = InstanceNoise(0.5, n_updates=100), torch.zeros(4000, 3)
    seen, _ = observation(samples, None, noise(update))
    assert observation.sigma_at(update) == pytest.approx(sigma)
    assert seen.std().item() == pytest.approx(sigma, abs=0.01)
    if sigma == 0:
        assert seen is samples


def test_instance_noise_can_be_constant() -> None:
    assert InstanceNoise(0.2).sigma_at(10**6) == 0.2


def test_packing_joins_neighbours_along_the_channels() -> None:
    samples = images(6)
    packs, labels = Packing(3)(samples, None, noise())
    assert labels is None
    torch.testing.assert_close(packs, torch.stack([torch.cat(list(samples[:3])), torch.cat(list(samples[3:]))]))
    vectors = torch.arange(8.0).reshape(4, 2)
    assert Packing(2)(vectors, None, noise())[0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_colour_jitter_at_its_ends() -> None:
    samples = images()
    # draws of 0: brightness -1/2, saturation 0 (grey), contrast 1/2
    seen, _ = ColorJitter()(samples, None, Fixed(0.0))
    grey = (samples - 0.5).mean(1, keepdim=True).expand_as(samples)
    mean = grey.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(seen, mean + 0.5 * (grey - mean))
    # draws of 1/2 change nothing: brightness 0, saturation 1, contrast 1
    torch.testing.assert_close(ColorJitter()(samples, None, Fixed(0.5))[0], samples)


@pytest.mark.parametrize(("draw", "shift"), [(0.0, -1), (0.5, 0), (0.999, 1)])
def test_translation_shifts_in_zeros(draw: float, shift: int) -> None:
    samples = images()
    seen, _ = Translation(0.125)(samples, None, Fixed(draw))  # one pixel of eight
    expected = nn.functional.pad(samples, (1, 1, 1, 1))[:, :, 1 + shift : 9 + shift, 1 + shift : 9 + shift]
    torch.testing.assert_close(seen, expected)


@pytest.mark.parametrize(("draw", "rows"), [(0.0, (0, 2)), (0.5, (2, 6)), (0.999, (6, 8))])
def test_cutout_cuts_a_square_that_may_hang_over_the_edge(draw: float, rows: tuple[int, int]) -> None:
    samples = images()
    seen, _ = Cutout(0.5)(samples, None, Fixed(draw))
    expected = samples.clone()
    expected[:, :, rows[0] : rows[1], rows[0] : rows[1]] = 0
    torch.testing.assert_close(seen, expected)


def test_draws_cover_their_ranges() -> None:
    constant = torch.zeros(2000, 1, 8, 8, dtype=torch.float64)
    brightness = ColorJitter()(constant, None, noise())[0][:, 0, 0, 0]
    assert brightness.min() < -0.49 and brightness.max() > 0.49 and abs(brightness.mean()) < 0.03
    place = torch.zeros(2000, 1, 8, 8, dtype=torch.float64)
    place[:, :, 4, 4] = 1
    positions = Translation()(place, None, noise())[0].flatten(1).argmax(1)
    counts = positions.bincount()
    assert sorted(counts.nonzero().flatten().tolist()) == [8 * i + j for i in (3, 4, 5) for j in (3, 4, 5)]
    assert counts[counts > 0].min() > 150  # of 222
    size = 1 - Cutout()(constant + 1, None, noise())[0].mean((1, 2, 3))
    assert size.max() == 0.25 and size.min() == 1 / 16  # from a whole square of half the side to a quarter of it


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=lambda a: type(a).__name__)
def test_augmentations_are_differentiable_and_per_sample(augmentation: Observation) -> None:
    channels = 1 if isinstance(augmentation, Geometric) else 3  # a warp is of each channel alone
    samples = images(2, channels, size=4).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: augmentation(x, None, noise())[0], samples)
    assert torch.autograd.gradgradcheck(lambda x: augmentation(x, None, noise())[0], samples)
    same = images(1).expand(64, -1, -1, -1)
    seen = augmentation(same, None, noise())[0]
    assert len(seen.flatten(1).unique(dim=0)) > 1


@pytest.mark.parametrize(
    "observation",
    [*AUGMENTATIONS, InstanceNoise(0.3), Compose([ColorJitter(), Packing(2)])],
    ids=lambda o: type(o).__name__,
)
def test_two_ranks_see_what_one_sees(observation: Observation) -> None:
    samples = images(8)
    whole = observation(samples, None, noise())[0]
    halves = [observation(samples[4 * r : 4 * r + 4], None, noise(shard=Shard(r, 2)))[0] for r in range(2)]
    torch.testing.assert_close(torch.cat(halves), whole)


class Drawn(Noise):
    """Noise whose draws are the given ones, the same for each sample."""

    def __init__(self, uniform: list[list[float]], normal: list[float]) -> None:
        super().__init__(0, torch.device("cpu"), torch.float64)
        self.draws, self.normals = list(uniform), normal

    def uniform(self, n: int, *shape: int) -> Tensor:
        return torch.tensor(self.draws.pop(0), dtype=torch.float64).expand(n, *shape)

    def normal(self, n: int, *shape: int) -> Tensor:
        return torch.tensor(self.normals, dtype=torch.float64).expand(n, *shape)


def seen_by(gates: str, even: tuple[float, ...] = (), normal: tuple[float, ...] = (), size: int = 8) -> Tensor:
    """Return an image of a wave as Geometric shows it; `gates` has a 1 for each transformation that is made."""
    draws = [[0.0 if gate == "1" else 0.9 for gate in gates], [*even, *[0.5] * (6 - len(even))]]
    return Geometric(0.5)(wave(size), None, Drawn(draws, [*normal, *[0.0] * (4 - len(normal))]))[0]


def wave(
    size: int, down: float = 0.0, right: float = 0.0, back: tuple[tuple[float, float], ...] = ((1, 0), (0, 1))
) -> Tensor:
    """Return a slow wave `(1, 1, H, W)` about the center of the image, as seen at `back` (x - (down, right))."""
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    place = torch.stack(torch.meshgrid(axis - down, axis - right, indexing="ij"))
    y, x = torch.einsum("ij,jhw->ihw", torch.tensor(back, dtype=torch.float64), place)
    return (torch.cos(0.3 * x + 0.2 * y + 0.4) + 0.3 * torch.sin(0.25 * y))[None, None]


def test_geometric_moves_pixels_as_they_are() -> None:
    plain = wave(8)
    torch.testing.assert_close(seen_by("00000000"), plain, rtol=0, atol=0)
    torch.testing.assert_close(seen_by("10000000", (0.2,)), plain.flip(3), rtol=0, atol=0)
    torch.testing.assert_close(seen_by("10000000", (0.7,)), plain, rtol=0, atol=0)
    for quarters in range(4):
        seen = seen_by("01000000", (0.5, quarters / 4 + 0.1))
        torch.testing.assert_close(seen, plain.rot90(quarters, (2, 3)), rtol=0, atol=0)
    mirrored = plain.flip(3).rot90(1, (2, 3))
    torch.testing.assert_close(seen_by("11000000", (0.2, 0.3)), mirrored, rtol=0, atol=0)
    down = nn.functional.pad(plain, (0, 0, 1, 0), mode="reflect")[:, :, :8]  # by 1/8 of 8 pixels, upwards reflected
    torch.testing.assert_close(seen_by("00100000", (0.5, 0.5, 0.999, 0.5)), down, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("gates", "even", "normal", "expected"),
    [
        ("00010000", (), (1.0,), {"back": ((2**-0.2, 0), (0, 2**-0.2))}),
        ("00001000", (0.5,) * 4 + (0.6,), (), {"turn": 0.2 * math.pi}),
        ("00000010", (0.5,) * 5 + (0.4,), (), {"turn": -0.2 * math.pi}),
        ("00000100", (), (0.0, 1.0), {"back": ((2**0.2, 0), (0, 2**-0.2))}),
        ("00000001", (), (0.0, 0.0, 0.1, -0.3), {"down": 0.1 * 4, "right": -0.3 * 4}),
    ],
)
def test_geometric_warps_a_slow_wave_as_the_formula_says(gates: str, even: Any, normal: Any, expected: Any) -> None:
    size, edge = 32, 8
    if "turn" in expected:  # counterclockwise in the picture, whose first axis points down
        angle = expected["turn"]
        expected = {"back": ((math.cos(angle), math.sin(angle)), (-math.sin(angle), math.cos(angle)))}
    seen, right = seen_by(gates, even, normal, size), wave(size, **expected)
    inner = (slice(None), slice(None), slice(edge, -edge), slice(edge, -edge))
    torch.testing.assert_close(seen[inner], right[inner], rtol=0, atol=0.01)  # bilinear between half pixels
    assert (wave(size)[inner] - right[inner]).abs().max() > 0.1


def test_a_warp_that_changes_nothing_gives_the_image() -> None:
    samples = images(2, size=16)
    same = _warped(samples, torch.eye(2).expand(2, 2, 2), torch.zeros(2, 2))
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    torch.testing.assert_close(same[inner], samples[inner], rtol=0, atol=1e-4)  # noise: the filters lose nothing
    torch.testing.assert_close(
        _warped(torch.ones(1, 1, 5, 9), torch.eye(2)[None], torch.zeros(1, 2)), torch.ones(1, 1, 5, 9)
    )


def test_geometric_has_the_probabilities_and_refuses_what_cannot_be_turned() -> None:
    constant = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).expand(2000, -1, -1, -1)
    seen = Geometric(0.5, quarter_turns=False, shift=0, scale_std=0, turn=0, stretch_std=0)(constant, None, noise())[0]
    # a warp that turns by 0 still interpolates, so only those that nothing was made of are as they were, or mirrored
    untouched = ((seen - constant).flatten(1).abs().amax(1) == 0).double().mean()
    mirrored = ((seen - constant.flip(3)).flatten(1).abs().amax(1) == 0).double().mean()
    unwarped = 0.5**3 * 0.5  # size, stretch, part of a pixel, and neither turn: (1 - p)^(1/2) twice
    assert untouched.item() == pytest.approx(0.75 * unwarped, abs=0.016)
    assert mirrored.item() == pytest.approx(0.25 * unwarped, abs=0.01)
    game = SimpleNamespace(shape=Images(8, 16, 3), generator=None)
    with pytest.raises(ValueError, match="turns images by 90 degrees, and these are 8 x 16; set its quarter_turns"):
        Geometric().check(game)
    Geometric(quarter_turns=False).check(game)
    observation = AdaptiveAugment([Geometric()])
    assert torch.equal(observation(constant, None, noise())[0], constant)  # p is 0 at first, whatever Geometric's own
    observation.p.fill_(1.0)
    assert not torch.equal(observation(constant, None, noise())[0], constant)


class Sign(nn.Module):
    """A critic whose batch norm must not notice that it is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        self.norm(samples)
        return samples.mean((1, 2, 3))


def adaptive_game(observation: AdaptiveAugment) -> Any:
    logged: dict[str, Tensor] = {}
    return SimpleNamespace(
        critic=Sign(),
        pack=observation.pack,
        critic_updates_done=0,
        shift_invariant=False,
        verdicts=torch.sign,
        record=logged.update,
        logged=logged,
    )


@pytest.mark.parametrize(("share_positive", "direction"), [(1.0, 1), (0.0, -1), (0.75, -1), (0.9, 1)])
def test_adaptive_strength_follows_the_sign_statistic(share_positive: float, direction: int) -> None:
    observation = AdaptiveAugment([HorizontalFlip()], target=0.6, interval=2, kimg=1.0)
    observation.p.fill_(0.5)
    game = adaptive_game(observation)
    real = torch.ones(20, 1, 4, 4)
    real[int(20 * share_positive + 0.5) :] = -1
    for _ in range(4):  # two steps of 20 * 2 / 1000
        observation.watch(game, real, None)
        with torch.no_grad():
            observation.after_critic_update(game)
        game.critic_updates_done += 1
    torch.testing.assert_close(observation.p.item(), 0.5 + direction * 0.08)
    assert game.logged == {"augmentation/probability": observation.p}
    assert game.critic.norm.num_batches_tracked == 0
    assert list(observation.state_dict()) == ["p"]


def test_adaptive_augmentation_has_its_probability() -> None:
    observation = AdaptiveAugment([HorizontalFlip()])
    samples = images(1).expand(4000, -1, -1, -1)
    assert torch.equal(observation(samples, None, noise())[0], samples)
    observation.p.fill_(0.6)
    changed = (observation(samples, None, noise())[0] != samples).flatten(1).any(1).double().mean()
    assert changed.item() == pytest.approx(0.3, abs=0.03)  # chosen and then mirrored


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InstanceNoise(0.0), "sigma of InstanceNoise must be above 0, got 0"),
        (lambda: InstanceNoise(0.1, 0), "n_updates of InstanceNoise must be at least 1, got 0"),
        (lambda: Packing(1), "pack must be at least 2, got 1"),
        (lambda: Translation(1.0), "share of Translation must be between 0 and 1, got 1"),
        (lambda: Cutout(0.0), "share of Cutout must be between 0 and 1, got 0"),
        (lambda: Geometric(1.5), r"p of Geometric must be in \[0, 1\], got 1.5"),
        (lambda: Geometric(scale_std=-1), "scale_std of Geometric must be in"),
        (lambda: AdaptiveAugment([]), "AdaptiveAugment needs augmentations, got none"),
        (lambda: AdaptiveAugment([Cutout()], target=1.0), "needs target in"),
        (lambda: Compose([Packing(2), Cutout()]), "Packing must be the last"),
    ],
)
def test_what_cannot_be_observed_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
