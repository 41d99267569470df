"""Slopes are those with respect to the sample, through what the critic is shown of it; logits of the loss are reused."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from gan_lightning.data.stream import Batch
from gan_lightning.families import ACGAN, NonSaturatingGAN
from gan_lightning.networks import MLPCritic, SNGANResNetCritic, SpectrallyNormalisedCritic
from gan_lightning.networks.base import Critic
from gan_lightning.observations import AdaptiveAugment, ColorJitter, Compose, InstanceNoise, Packing, Translation
from gan_lightning.randomness import Noise
from gan_lightning.stabilizers import (
    R1,
    R2,
    ConsistencyRegularization,
    DivergencePenalty,
    GradientPenalty,
    LeCam,
    PerturbationPenalty,
)
from tests.cases import LABELLED, Case, classifying, mlp
from tests.training import train

N, SIZE = 6, 8


class LinearCritic(Critic):
    """f(x) = a . x: its slope with respect to what it is shown is a."""

    def __init__(self, shape: Any) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(3)
        self.a = nn.Parameter(torch.randn(*shape.size, generator=random, dtype=torch.float64))

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return (self.a * samples).flatten(1)

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return features.sum(1)


def terms_of(observation: Any, *penalties: Any, channels: int = 3) -> tuple[dict[str, Tensor], Tensor, Noise]:
    """Return the terms of one critic turn, the critic's a, and the draws of that turn after its latents."""
    from gan_lightning.data import RandomImages

    data = partial(RandomImages, image_size=SIZE, channels=channels, n=48, batch_size=N)
    case = Case(NonSaturatingGAN, data=data, critic=LinearCritic, observation=observation)
    game = case.game(critic_penalties=list(penalties)).double()
    noise = partial(Noise, 11, torch.device("cpu"), torch.float64)
    game.noise = noise()
    real = torch.rand(N, channels, SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    terms = game.critic_turn(Batch(real, None))
    draws = noise()
    draws.normal(N, game.generator.latent_dim)
    return terms, game.critic.a.detach(), draws


def through_jitter(a: Tensor, draws: Noise) -> Tensor:
    """Return the adjoint of ColorJitter's linear part at `a`, for each of N images, from its definition."""
    n = len(a)
    factors = draws.uniform(n, 3, 1, 1, 1).flatten(1).tolist()
    rows = []
    for image, (_, saturation, contrast) in zip(a, factors, strict=True):
        image = (image - image.mean()) * (contrast + 0.5) + image.mean()
        grey = image.mean(0, keepdim=True)
        rows.append((image - grey) * 2 * saturation + grey)
    return torch.stack(rows)


def squares(slopes: Tensor) -> Tensor:
    return slopes.flatten(1).square().sum(1)


def test_slopes_pass_through_color_jitter() -> None:
    """The shown image's slope is |a|^2 whatever the jitter; the sample's is not."""
    penalties = (R1(2.0), R2(2.0), GradientPenalty(1.0), DivergencePenalty(2.0, 6.0, on_lines=False))
    terms, a, draws = terms_of(ColorJitter(), *penalties)
    slopes = a.expand(N, *a.shape)
    of_real, of_fake = squares(through_jitter(slopes, draws)), squares(through_jitter(slopes, draws))
    assert_close(terms["r1"], of_real.mean())
    assert_close(terms["r2"], of_fake.mean())
    assert_close(terms["gradient_penalty"], (of_real.sqrt() - 1).square().mean())
    assert_close(terms["divergence_penalty"], (of_real**3).mean() + (of_fake**3).mean())
    assert not torch.isclose(of_real.mean(), a.square().sum(), rtol=0.01)


def test_slopes_around_the_data_pass_through_it() -> None:
    terms, a, draws = terms_of(ColorJitter(), PerturbationPenalty(1.0))
    expected = (squares(through_jitter(a.expand(N, *a.shape), draws)).sqrt() - 1).square().mean()
    assert_close(terms["perturbation_penalty"], expected)


def test_what_is_moved_out_of_the_image_has_no_slope() -> None:
    """Translation by (dy, dx): the adjoint moves a back; AdaptiveAugment with p = 1 always does."""
    for observation in (Translation(0.25), AdaptiveAugment([Translation(0.25)])):
        if isinstance(observation, AdaptiveAugment):
            observation.p.fill_(1.0)
        terms, a, draws = terms_of(observation, R1(2.0), channels=1)
        if isinstance(observation, AdaptiveAugment):
            draws.uniform(N, 1, 1, 1)
        down, right = (draws.integers(5, N, 1).flatten() - 2 for _ in range(2))  # shown[i] = image[i + shift]
        expected = []
        for dy, dx in zip(down.tolist(), right.tolist(), strict=True):
            rows = [i for i in range(SIZE) if 0 <= i + dy < SIZE]
            columns = [j for j in range(SIZE) if 0 <= j + dx < SIZE]
            expected.append(sum(float(a[0, i, j]) ** 2 for i in rows for j in columns))
        assert_close(terms["r1"].item(), sum(expected) / N)


def test_packs_have_one_slope_each() -> None:
    """The norm runs over a pack; instance noise changes no slope, and the pack's members have their own jitter."""
    observation = Compose([InstanceNoise(0.1), ColorJitter(), Packing(2)])
    terms, a, draws = terms_of(observation, R1(2.0), GradientPenalty(1.0))
    draws.normal(N, 3, SIZE, SIZE)
    slopes = a.unflatten(0, (2, 3)).repeat(N // 2, 1, 1, 1)  # sample 2 k + i is member i of pack k
    packed = squares(through_jitter(slopes, draws).reshape(N // 2, -1))
    assert_close(terms["r1"], packed.mean())
    assert_close(terms["gradient_penalty"], (packed.sqrt() - 1).square().mean())


def test_terms_train_the_critic_through_the_observation() -> None:
    terms, _, _ = terms_of(ColorJitter(), R1(2.0))
    assert terms["r1"].requires_grad and terms["r1"] > 0


def count_passes(game: Any) -> list[str]:
    """Return a list with an entry for each pass of the critic."""
    passes: list[str] = []
    turns: list[str] = []
    features, turn = game.critic.features, game.critic_turn

    def counted(*inputs: Any) -> Any:
        passes.append(turns[-1] if turns else "")
        return features(*inputs)

    def told(batch: Any) -> Any:
        turns.append("critic")
        found = turn(batch)
        turns.append("generator")
        return found

    game.critic.features, game.critic_turn = counted, told
    return passes


@pytest.mark.parametrize(
    "case",
    [
        Case(NonSaturatingGAN),
        Case(ACGAN, data=LABELLED, **classifying(3)),
        Case(NonSaturatingGAN, data=LABELLED, **mlp(3)),
    ],
    ids=repr,
)
def test_lecam_needs_no_pass_of_its_own(case: Case, tmp_path) -> None:
    game = case.game(critic_penalties=[LeCam()])
    passes = count_passes(game)
    train(game, case.data(), tmp_path, 1)
    assert passes.count("critic") == 1  # real and generated samples at once


def test_consistency_needs_the_pass_of_the_transformed_samples_alone(tmp_path) -> None:
    case = Case(NonSaturatingGAN)
    game = case.game(critic_penalties=[ConsistencyRegularization(Translation())])
    passes = count_passes(game)
    train(game, case.data(), tmp_path, 1)
    assert passes.count("critic") == 2


def test_lecam_leaves_the_power_iterations_to_the_loss(tmp_path) -> None:
    """A spectrally normalised critic ends a turn in the same state with LeCam as without it."""
    case = Case(NonSaturatingGAN, critic=partial(SpectrallyNormalisedCritic, network=partial(MLPCritic, width=6)))
    vectors = []
    for penalties in ([], [LeCam(weight=0.0)]):
        game = case.game(critic_penalties=penalties)
        train(game, case.data(), tmp_path, 2)
        vectors.append({name: value for name, value in game.critic.state_dict().items() if "_u" in name})
    assert vectors[0] and vectors[0].keys() == vectors[1].keys()
    for name, value in vectors[0].items():
        assert torch.equal(value, vectors[1][name]), name


def test_lecam_of_joint_inference_needs_no_pass_of_its_own(tmp_path) -> None:
    from gan_lightning.families import ALI

    case = Case(ALI)
    game = case.game(critic_penalties=[LeCam()])
    passes: list[int] = []
    game.critic.register_forward_hook(lambda *_: passes.append(1))
    train(game, case.data(), tmp_path, 1)
    assert len(passes) == 2  # one for each player


def test_a_graph_does_not_outlive_its_turn(tmp_path) -> None:
    case = Case(NonSaturatingGAN, critic=partial(SNGANResNetCritic, width=4))
    game = case.game(critic_penalties=[LeCam()])
    train(game, case.data(), tmp_path, 1)
    assert game._known == [] and not game.critic._forward_hooks
    assert SimpleNamespace(critic=game.critic)
