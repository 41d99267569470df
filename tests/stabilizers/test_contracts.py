"""Every stabiliser with every family that it fits, two rounds each; where it does not fit, a reason comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch

from gan_lightning.errors import UserError
from gan_lightning.families import (
    DRAGAN,
    FGAN,
    LSGAN,
    R3GAN,
    WGANGP,
    NonSaturatingGAN,
    WGANDiv,
)
from gan_lightning.games.gan import GAN
from gan_lightning.losses.divergences import KL, Neyman
from gan_lightning.networks import (
    ClassifyingCritic,
    InitializedCritic,
    MinibatchDiscriminationCritic,
    MLPCritic,
    MLPEncoder,
    MLPJointCritic,
    Orthogonal,
    SpectrallyNormalizedCritic,
    SpectrallyNormalizedEncoder,
    SpectrallyNormalizedGenerator,
    SpectrallyNormalizedJointCritic,
)
from gan_lightning.observations.adaptive import AdaptiveAugment
from gan_lightning.observations.augmentations import ColorJitter, Cutout, HorizontalFlip, Translation
from gan_lightning.observations.base import Compose
from gan_lightning.observations.instance_noise import InstanceNoise
from gan_lightning.observations.packing import Packing
from gan_lightning.stabilizers.consistency import ConsistencyRegularization
from gan_lightning.stabilizers.generator_terms import (
    EntropyRegularization,
    FeatureMatching,
    LatentReconstruction,
    ModeSeeking,
)
from gan_lightning.stabilizers.generator_terms import HistoricalAveraging as GeneratorHistory
from gan_lightning.stabilizers.gradient_penalties import R1, R2, DivergencePenalty, GradientPenalty, PerturbationPenalty
from gan_lightning.stabilizers.historical_averaging import HistoricalAveraging
from gan_lightning.stabilizers.lecam import LeCam
from gan_lightning.stabilizers.weight_clipping import WeightClipping
from tests.cases import CASES, Case, mlp
from tests.training import train

GANS = [case for case in CASES if issubclass(case.family, GAN)]
FAMILIES = list({case.family: case for case in reversed(GANS)}.values())  # the first row of each


def penalty(make: Callable[[], Any]) -> Callable[[Case], dict[str, Any]]:
    return lambda case: {"critic_penalties": [make()]}


def term(make: Callable[[], Any], **more: Any) -> Callable[[Case], dict[str, Any]]:
    return lambda case: {"generator_terms": [make()], **more}


def observation(make: Callable[[], Any]) -> Callable[[Case], dict[str, Any]]:
    return lambda case: {"observation": make()}


def wrapped(player: str, wrapper: Any, **arguments: Any) -> Callable[[Case], dict[str, Any]]:
    def overrides(case: Case) -> dict[str, Any]:
        network = {**mlp(), **case.arguments}[player]
        if network.func is ClassifyingCritic:  # which must be the outermost
            return {player: partial(network, critic=partial(wrapper, network=network.keywords["critic"], **arguments))}
        return {player: partial(wrapper, network=network, **arguments)}

    return overrides


def smoothing(case: Case) -> dict[str, Any]:
    return {"real_target": 0.9}


AUGMENTATIONS = (ColorJitter, HorizontalFlip, Translation, Cutout)

STABILIZERS: dict[str, Callable[[Case], dict[str, Any]]] = {
    "gradient penalty": penalty(GradientPenalty),
    "one-sided gradient penalty": penalty(partial(GradientPenalty, one_sided=True)),
    "R1": penalty(partial(R1, interval=2)),
    "R2": penalty(R2),
    "divergence": penalty(DivergencePenalty),
    "dragan": penalty(PerturbationPenalty),
    "consistency": penalty(lambda: ConsistencyRegularization(InstanceNoise(0.1), on_fakes=True)),
    "lecam": penalty(LeCam),
    "historical averaging": lambda case: {
        "critic_penalties": [HistoricalAveraging()],
        "generator_terms": [GeneratorHistory()],
    },
    "weight clipping": lambda case: {"critic_constraint": WeightClipping(0.1)},
    "spectral normalisation": wrapped("critic", SpectrallyNormalizedCritic),
    "spectral normalisation of the generator": wrapped("generator", SpectrallyNormalizedGenerator),
    "orthogonal weights": wrapped("critic", InitializedCritic, initialization=Orthogonal()),
    "minibatch discrimination": wrapped("critic", MinibatchDiscriminationCritic, n_kernels=3, kernel_dim=2),
    "label smoothing": smoothing,
    "feature matching": term(FeatureMatching),
    "feature matching alone": term(FeatureMatching, adversarial_weight=0.0),
    "mode seeking": term(ModeSeeking),
    "entropy": term(EntropyRegularization),
    "reconstruction": lambda case: {"generator_terms": [LatentReconstruction(partial(MLPCritic, width=4, n_layers=1))]},
    "instance noise": observation(lambda: InstanceNoise(0.1, n_updates=2)),
    "diffaugment": observation(lambda: Compose([ColorJitter(), Translation(), Cutout()])),
    "adaptive augmentation": observation(
        lambda: AdaptiveAugment([make() for make in AUGMENTATIONS], interval=1, kimg=0.01)
    ),
    "packing": observation(lambda: Packing(2)),
}

_PENALTIES = "MMDGAN McGAN UnrolledGAN"
REFUSED: dict[str, str] = {
    "gradient penalty": _PENALTIES,
    "one-sided gradient penalty": _PENALTIES,
    "R1": _PENALTIES,
    "R2": _PENALTIES,
    "divergence": _PENALTIES,
    "dragan": _PENALTIES,
    "consistency": _PENALTIES,
    "lecam": _PENALTIES,
    "historical averaging": "UnrolledGAN",
    "weight clipping": "BigGAN SAGAN ProjectionGAN SNGAN WGAN UnrolledGAN",
    "spectral normalisation": "R3GAN GeometricGAN WGAN",
    "spectral normalisation of the generator": "R3GAN",
    "minibatch discrimination": "R3GAN MMDGAN McGAN GeometricGAN DRAGAN-conditional WGANDiv WGANGP",
    "label smoothing": "R3GAN BigGAN SAGAN ProjectionGAN ACGAN MMDGAN McGAN GeometricGAN WGANDiv FGAN SNGAN WGANGP WGAN",
    "adaptive augmentation": "R3GAN MMDGAN McGAN WGANDiv WGANGP WGAN",
    "packing": "NonSaturatingGAN-conditional BigGAN SAGAN ProjectionGAN ACGAN ConditionalGAN DRAGAN-conditional",
}
"""What does not go together: the rows that refuse each part. All other pairs train."""


def pairs(refused: bool) -> Iterator[Any]:
    """Yield a row and a part that it refuses, or takes: one family with images and labels, all families as slow tests."""
    sockets = {"critic_penalties", "generator_terms", "observation"}
    quick = [case for case in GANS if case.family is NonSaturatingGAN and not sockets & set(case.arguments)]
    for case in {case.name: case for case in [*quick, *FAMILIES]}.values():
        marks = [] if case in quick[:2] else [pytest.mark.slow]
        for name in STABILIZERS:
            if (case.name in REFUSED.get(name, "").split()) == refused:
                yield pytest.param(case, name, id=f"{case.name}-{name}", marks=marks)


@pytest.mark.parametrize(("case", "name"), list(pairs(refused=False)))
def test_two_rounds_with_every_family_that_it_fits(case: Case, name: str, tmp_path: Any) -> None:
    arguments = STABILIZERS[name](case)
    game = case.game(**arguments)
    before = {key: value.clone() for key, value in game.generator.state_dict().items()}
    recorder = train(game, case.data(), tmp_path, 2)
    assert all(value.isfinite().all() for value in game.state_dict().values())
    assert any(not torch.equal(before[key], value) for key, value in game.generator.state_dict().items())
    for part in (*arguments.get("critic_penalties", []), *arguments.get("generator_terms", [])):
        # a term that is alone is the loss, and logged as that
        alone = name == "feature matching alone"
        assert any(key.endswith(f"/{part.name}") != alone for _, row in recorder.rows for key in row)


@pytest.mark.parametrize(("case", "name"), list(pairs(refused=True)))
def test_a_family_that_it_does_not_fit_is_named_in_one_line(case: Case, name: str, tmp_path: Any) -> None:
    arguments = STABILIZERS[name](case)
    with pytest.raises(UserError) as caught:
        train(case.game(**arguments), case.data(), tmp_path, 1)
    message, plain = str(caught.value), case.game()
    assert "\n" not in message
    wrappers = [value.func for value in arguments.values() if isinstance(value, partial)]
    sides = [type(part) for part in (plain, plain.critic, plain.generator)] + wrappers
    assert any(side.__name__ in message for side in sides), message


ON_PAIRS: dict[str, Callable[[], dict[str, Any]]] = {
    "gradient penalty": lambda: {"critic_penalties": [GradientPenalty()]},
    "lazy R1, R2": lambda: {"critic_penalties": [R1(interval=2), R2()]},
    "divergence, dragan, lecam": lambda: {"critic_penalties": [DivergencePenalty(), PerturbationPenalty(), LeCam()]},
    "historical averaging": lambda: {"critic_penalties": [HistoricalAveraging()]},
    "weight clipping": lambda: {"critic_constraint": WeightClipping(0.1)},
    "label smoothing": lambda: {"real_target": 0.9},
    "spectral normalisation": lambda: {
        "critic": partial(SpectrallyNormalizedJointCritic, network=partial(MLPJointCritic, width=6)),
        "encoder": partial(SpectrallyNormalizedEncoder, network=partial(MLPEncoder, width=6)),
    },
}


@pytest.mark.parametrize("name", ON_PAIRS)
@pytest.mark.parametrize("case", [case for case in CASES if case.name in ("ALI", "BiGAN", "ALI-vectors")], ids=repr)
def test_two_rounds_with_a_critic_of_pairs(case: Case, name: str, tmp_path: Any) -> None:
    arguments = ON_PAIRS[name]()
    game = case.game(**arguments)
    before = [parameter.detach().clone() for parameter in game.critic.parameters()]
    recorder = train(game, case.data(), tmp_path, 2)
    assert all(value.isfinite().all() for value in game.state_dict().values())
    assert any(not torch.equal(old, new) for old, new in zip(before, game.critic.parameters(), strict=True))
    for part in arguments.get("critic_penalties", []):
        assert any(key == f"critic/{part.name}" for _, row in recorder.rows for key in row)
    if name == "weight clipping":
        assert max(parameter.abs().max() for parameter in game.critic.parameters()) <= 0.1


@pytest.mark.parametrize(
    ("family", "given"),
    [
        (WGANGP, GradientPenalty(3.0, one_sided=True, interval=2)),
        (WGANDiv, DivergencePenalty(1.0, interval=2)),
        (DRAGAN, PerturbationPenalty(1.0, interval=2)),
        (R3GAN, R1(1.0, interval=2)),
    ],
    ids=["WGANGP", "WGANDiv", "DRAGAN", "R3GAN"],
)
def test_a_penalty_of_the_same_kind_replaces_the_familys_own(family: Any, given: Any) -> None:
    case = next(case for case in FAMILIES if case.family is family)
    own = [penalty.name for penalty in case.game().critic_penalties]
    penalties = list(case.game(critic_penalties=[given]).critic_penalties)
    assert sorted(penalty.name for penalty in penalties) == sorted(own)
    (found,) = (penalty for penalty in penalties if penalty.name == given.name)
    assert (found.weight, found.interval) == (given.weight, 2)


def test_adaptive_augmentation_asks_the_family_for_its_threshold() -> None:
    """Of LSGAN's targets 0 and 1 the middle is 1/2; KL's is T = 1; Neyman's activation falls with the logit."""
    logits = torch.tensor([-0.7, 0.4, 0.6, 1.2])
    least_squares = next(case for case in FAMILIES if case.family is LSGAN)
    assert least_squares.game().verdicts(logits).tolist() == [-1, -1, 1, 1]
    assert least_squares.game(real_target=-1.0, fake_target=1.0).verdicts(logits).tolist() == [1, -1, -1, -1]
    f_gan = next(case for case in FAMILIES if case.family is FGAN)
    assert f_gan.game(divergence=KL()).verdicts(logits).tolist() == [-1, -1, -1, 1]
    assert f_gan.game(divergence=Neyman()).verdicts(logits).tolist() == [1, -1, -1, -1]


BUNDLE = (
    "gradient penalty",
    "R1",
    "consistency",
    "lecam",
    "historical averaging",
    "feature matching",
    "mode seeking",
    "entropy",
)


@pytest.mark.parametrize("case", FAMILIES, ids=repr)
def test_all_that_fit_at_once(case: Case, tmp_path: Any) -> None:
    arguments: dict[str, Any] = {"critic_penalties": [], "generator_terms": []}
    for name in (*BUNDLE, "instance noise"):
        if case.name not in REFUSED.get(name, "").split():
            for key, value in STABILIZERS[name](case).items():
                arguments[key] = [*arguments[key], *value] if isinstance(value, list) else value
    own = [*case.arguments.get("critic_penalties", []), *case.arguments.get("generator_terms", [])]
    assert not own, "a family's first row has its own stabilizers; they would be replaced here"
    game = case.game(**arguments)
    train(game, case.data(), tmp_path, 2)
    assert all(value.isfinite().all() for value in game.state_dict().values())
