"""Each regulariser of the critic against its formula, written out in plain numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.observations.augmentations import Translation
from gan_lightning.observations.base import Observation
from gan_lightning.observations.packing import Packing
from gan_lightning.randomness import Noise
from gan_lightning.stabilizers.consistency import ConsistencyRegularization
from gan_lightning.stabilizers.historical_averaging import HistoricalAveraging, ParameterMean
from gan_lightning.stabilizers.lecam import LeCam
from gan_lightning.stabilizers.weight_clipping import WeightClipping


class Shift(Observation):
    def forward(self, samples: Tensor, labels: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor | None]:
        return samples + 2, labels


class Linear(nn.Module):
    n_classes = 0

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return samples @ self.weights


def noise(update: int = 0) -> Noise:
    return Noise(0, torch.device("cpu"), torch.float32, update=update)


def gan(critic: nn.Module, **attributes: Any) -> Any:
    return SimpleNamespace(critic=critic, critic_updates_done=0, **attributes)


def test_consistency_of_a_linear_critic_is_the_square_of_the_shift() -> None:
    critic = Linear(3.0, -1.0)  # f(x + 2) - f(x) = 2 * 3 - 2 = 4
    real, fake = torch.randn(5, 2), torch.randn(5, 2)
    penalty = ConsistencyRegularization(Shift(), weight=10.0)
    torch.testing.assert_close(penalty(critic, real, fake, None, noise()), torch.tensor(160.0))
    both = ConsistencyRegularization(Shift(), weight=10.0, on_fakes=True, interval=2)
    torch.testing.assert_close(both(critic, real, fake, None, noise()), torch.tensor(640.0))


@pytest.mark.parametrize("transformation", [None, Packing(2)])
def test_consistency_needs_a_transformation_of_single_samples(transformation: Any) -> None:
    with pytest.raises(ValueError, match="needs a transformation of single samples, got .*; give one"):
        ConsistencyRegularization(transformation)


def test_lecam_follows_the_recursion_of_its_anchors() -> None:
    critic, penalty = Linear(1.0), LeCam(weight=0.5, decay=0.9)
    game = gan(critic)
    real_anchor = fake_anchor = 0.0
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        real, fake = torch.randn(4, 1, generator=generator) + 1, torch.randn(4, 1, generator=generator)
        expected = 0.0
        for x, y in zip(real.flatten().tolist(), fake.flatten().tolist(), strict=True):
            expected += ((x - fake_anchor) ** 2 + (y - real_anchor) ** 2) / 4
        loss = penalty(critic, real, fake, None, noise())
        torch.testing.assert_close(loss.item(), 0.5 * expected)
        with torch.no_grad():
            penalty.after_update(game)
        real_anchor = 0.9 * real_anchor + 0.1 * real.mean().item()
        fake_anchor = 0.9 * fake_anchor + 0.1 * fake.mean().item()
        torch.testing.assert_close(penalty.anchors, torch.tensor([real_anchor, fake_anchor]))


def test_lecam_anchors_do_not_depend_on_micro_batches() -> None:
    critic, real, fake = Linear(1.0), torch.randn(8, 1), torch.randn(8, 1)
    whole, halves = LeCam(), LeCam()
    whole(critic, real, fake, None, noise())
    for rows in (slice(0, 4), slice(4, 8)):
        halves(critic, real[rows], fake[rows], None, noise())
    for penalty in (whole, halves):
        with torch.no_grad():
            penalty.after_update(gan(critic))
    torch.testing.assert_close(whole.anchors, halves.anchors)


def test_historical_averaging_is_the_distance_from_the_mean_of_all_values() -> None:
    critic, penalty = Linear(1.0, 0.0), HistoricalAveraging(weight=2.0)
    game = gan(critic)
    penalty.attach(game)
    values = [[1.0, 0.0], [3.0, 0.0], [5.0, 6.0]]
    for value in values[1:]:
        with torch.no_grad():
            critic.weights.copy_(torch.tensor(value))
            penalty.after_update(game)
    # the mean is (3, 2); 2 |(5, 6) - (3, 2)|^2 = 2 (4 + 16)
    loss = penalty(critic, torch.zeros(1, 2), torch.zeros(1, 2), None, noise())
    torch.testing.assert_close(loss.item(), 40.0)
    loss.backward()
    torch.testing.assert_close(critic.weights.grad, torch.tensor([8.0, 16.0]))


def test_the_mean_is_in_the_state() -> None:
    mean = ParameterMean([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(()))])
    assert sorted(mean.state_dict()) == ["count", "mean_0", "mean_1"]


def test_weight_clipping_clips_every_parameter() -> None:
    critic: Any = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    frozen = nn.Parameter(torch.ones(1), requires_grad=False)
    critic.frozen = frozen
    with torch.no_grad():
        WeightClipping(0.01)(critic)
    assert frozen.item() == 1  # FrozenCritic's layers stay as they are
    del critic.frozen
    assert all(p.abs().max() <= 0.01 for p in critic.parameters())
    assert critic[1].weight.unique().tolist() == pytest.approx([0.01])
    with pytest.raises(ValueError, match="clip_value must be above 0, got 0"):
        WeightClipping(0.0)


def test_consistency_draws_one_transformation_for_each_sample() -> None:
    images = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    moved, _ = Translation()(images, None, noise())
    assert (moved != images).flatten(1).any(1).float().mean() > 0.5
