"""What must not be combined: each pair is refused before the first batch, in one line with both sides and the fix."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.families import (
    ALI,
    DCGAN,
    SNGAN,
    WGAN,
    WGANGP,
    ConditionalGAN,
    McGAN,
    NonSaturatingGAN,
    UnrolledGAN,
)
from gan_lightning.losses.matching import MeanMatching
from gan_lightning.losses.objectives import NonSaturating, Wasserstein
from gan_lightning.networks import (
    ClassifyingCritic,
    DCGANCritic,
    DCGANGenerator,
    MinibatchDiscriminationCritic,
    MLPCritic,
    MLPEncoder,
    MLPGenerator,
    MLPJointCritic,
    R3GANCritic,
    SNGANCNNCritic,
    SpectrallyNormalizedCritic,
    VirtualBatchNormGenerator,
)
from gan_lightning.observations.adaptive import AdaptiveAugment
from gan_lightning.observations.augmentations import ColorJitter, Cutout, Translation
from gan_lightning.observations.base import Compose
from gan_lightning.observations.packing import Packing
from gan_lightning.optimizers.specs import Adam, RMSprop
from gan_lightning.shapes import Shape, shape_of
from gan_lightning.stabilizers.consistency import ConsistencyRegularization
from gan_lightning.stabilizers.generator_terms import EntropyRegularization, FeatureMatching
from gan_lightning.stabilizers.gradient_penalties import R1, R2, DivergencePenalty, GradientPenalty, PerturbationPenalty
from gan_lightning.stabilizers.lecam import LeCam
from gan_lightning.stabilizers.weight_clipping import WeightClipping
from tests.cases import GREY, LABELLED, N_CLASSES, VECTORS
from tests.training import trainer

MLP = partial(MLPGenerator, latent_dim=3, width=6, n_layers=1)
MLP_CRITIC = partial(MLPCritic, width=6, n_layers=1)
BATCH_NORM = partial(DCGANCritic, width=4)
LARGER = partial(GREY, image_size=16)  # DCGAN's critic of 8x8 images has no batch norm yet
CONDITIONAL = {"generator": partial(MLP, n_classes=N_CLASSES), "critic": partial(MLP_CRITIC, n_classes=N_CLASSES)}


class Featureless(nn.Module):
    """A critic of patches, say, that has no features."""

    n_classes = 0

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.weight * samples.flatten(1).sum(1)


class Pair(NamedTuple):
    """Two parts that do not go together.

    Attributes:
        sides: What the message must name of both.
        fix: What it must offer.
        arguments: The game's; images, an unconditional GAN and small networks unless they are given.
    """

    sides: tuple[str, str]
    fix: str
    arguments: dict[str, Any] | Callable[[], dict[str, Any]]
    family: Any = NonSaturatingGAN
    data: Any = GREY
    precision: str | None = None


def penalised(penalty: Any, critic: Any = BATCH_NORM) -> dict[str, Any]:
    return {"critic_penalties": [penalty], "critic": critic}


DISCRIMINATION = partial(MinibatchDiscriminationCritic, network=MLP_CRITIC)
SPECTRAL = partial(SpectrallyNormalizedCritic, network=MLP_CRITIC)

PAIRS = {
    **{
        f"{type(penalty).__name__} and batch norm": Pair(
            (type(penalty).__name__, "DCGANCritic couples the samples of a batch"),
            "norm none or layer",
            penalised(penalty),
            data=LARGER,
        )
        for penalty in (GradientPenalty(), R1(), R2(), DivergencePenalty(), PerturbationPenalty())
    },
    "a family's own gradient penalty and batch norm": Pair(
        ("GradientPenalty", "DCGANCritic"), "norm none or layer", {"critic": BATCH_NORM}, WGANGP, LARGER
    ),
    "gradient penalty and minibatch discrimination": Pair(
        ("R1", "MinibatchDiscriminationCritic couples"),
        "without minibatch discrimination",
        penalised(R1(), DISCRIMINATION),
    ),
    "two penalties of one kind": Pair(
        ("critic_penalties", "two of one kind"), "keep one", {"critic_penalties": [R1(), R1(2.0)]}
    ),
    "two terms of one kind": Pair(
        ("generator_terms", "two of one kind"), "keep one", {"generator_terms": [FeatureMatching(), FeatureMatching()]}
    ),
    "packing and labels": Pair(
        ("Packing", "MLPCritic judges a sample by its label"),
        "set n_classes to 0",
        {**CONDITIONAL, "observation": Packing(2)},
        data=LABELLED,
    ),
    "packing and a batch that does not divide": Pair(
        ("packs of 3", "batch of 4"), "set data.batch_size to a multiple of 3", {"observation": Packing(3)}
    ),
    "packing and micro-batches that do not divide": Pair(
        ("packs of 2", "batch of 4"),
        "set data.batch_size to a multiple of 8",
        {"observation": Packing(2), "critic_accumulation": 4},
    ),
    "packing before an augmentation": Pair(
        ("Packing", "Cutout"), "must be the last", lambda: {"observation": Compose([Packing(2), Cutout()])}
    ),
    "consistency and packing": Pair(
        ("ConsistencyRegularization", "Packing"),
        "take one of the two",
        {"critic_penalties": [ConsistencyRegularization(Translation())], "observation": Packing(2)},
    ),
    "consistency without a transformation": Pair(
        ("ConsistencyRegularization", "None"),
        "give one such as",
        lambda: {"critic_penalties": [ConsistencyRegularization(None)]},  # type: ignore[arg-type]
    ),
    "consistency of vectors under an image's transformation": Pair(
        ("Translation", "makes vectors"),
        "InstanceNoise",
        {"critic_penalties": [ConsistencyRegularization(Translation())]},
        data=VECTORS,
    ),
    "augmentation and vectors": Pair(
        ("ColorJitter", "MLPGenerator makes vectors"),
        "InstanceNoise",
        {"observation": Compose([ColorJitter()])},
        data=VECTORS,
    ),
    "adaptive augmentation and vectors": Pair(
        ("Cutout", "makes vectors"), "InstanceNoise", {"observation": AdaptiveAugment([Cutout()])}, data=VECTORS
    ),
    **{
        f"adaptive augmentation and {family.__name__}": Pair(
            ("AdaptiveAugment", family.__name__),
            "Compose",
            {"observation": AdaptiveAugment([Cutout()]), **more},
            family,
        )
        for family, more in ((WGAN, {}), (WGANGP, {}), (SNGAN, {"objective": Wasserstein()}))
    },
    **{
        f"label smoothing and {family.__name__}": Pair(
            (family.__name__, "real_target 0.9"), "take a logistic family", {"real_target": 0.9}, family
        )
        for family in (WGAN, WGANGP, SNGAN)
    },
    "labels smoothed on the wrong side": Pair(("real_target", "0.1"), "0.9", {"real_target": 0.1}),
    "labels of an objective smoothed on the wrong side": Pair(
        ("real_target", "0.1"), "0.9", lambda: {"objective": NonSaturating(0.1)}, SNGAN
    ),
    "feature matching and a critic without features": Pair(
        ("FeatureMatching", "Featureless has none"),
        "take a critic with a head on features",
        {"generator_terms": [FeatureMatching()], "critic": Featureless},
    ),
    "no adversarial loss and no other": Pair(
        ("adversarial_weight 0", "0 generator_terms"), "FeatureMatching", {"adversarial_weight": 0.0}
    ),
    "an adversarial loss turned round": Pair(
        ("adversarial_weight -1", "generator_terms"),
        "must be above 0",
        {"adversarial_weight": -1.0, "generator_terms": [FeatureMatching()]},
    ),
    "entropy and a batch without neighbours": Pair(
        ("EntropyRegularization", "batch of 4"), "lower k", {"generator_terms": [EntropyRegularization(k=4)]}
    ),
    "weight clipping and spectral normalisation": Pair(
        ("WeightClipping", "SpectrallyNormalizedCritic then rescales"),
        "take one of the two",
        {"critic_constraint": WeightClipping(), "critic": SPECTRAL},
    ),
    "WGAN and a spectrally normalised critic": Pair(
        ("WeightClipping", "SNGANCNNCritic then rescales"),
        "take one of the two",
        {"critic": partial(SNGANCNNCritic, width=4)},
        WGAN,
    ),
    "WGAN and another constraint": Pair(
        ("WGAN", "clip_value"), "leave critic_constraint out", {"critic_constraint": WeightClipping()}, WGAN
    ),
    "virtual batch norm and no batch norm": Pair(
        ("VirtualBatchNormGenerator", "MLPGenerator"),
        "take a generator that has it",
        {"generator": partial(VirtualBatchNormGenerator, network=MLP)},
    ),
    "spectral normalisation and weights of zero": Pair(
        ("R3GANCritic", "spectral norm"),
        "take another network",
        {"critic": partial(SpectrallyNormalizedCritic, network=partial(R3GANCritic, width=8))},
    ),
    "unrolling and a penalty": Pair(("UnrolledGAN", "R1"), "another family", {"critic_penalties": [R1()]}, UnrolledGAN),
    "unrolling and weight clipping": Pair(
        ("UnrolledGAN", "WeightClipping"), "another family", {"critic_constraint": WeightClipping()}, UnrolledGAN
    ),
    "unrolling and clipped gradients": Pair(
        ("UnrolledGAN", "critic_clip_norm"), "another family", {"critic_clip_norm": 1.0}, UnrolledGAN
    ),
    "a critic that tells the class and a family that does not ask it to": Pair(
        ("ClassifyingCritic tells the class", "ConditionalGAN has no loss that trains it"),
        "take ACGAN",
        {
            "generator": partial(MLP, n_classes=N_CLASSES),
            "critic": partial(ClassifyingCritic, critic=MLP_CRITIC, n_classes=N_CLASSES),
        },
        ConditionalGAN,
        LABELLED,
    ),
    "consistency and a critic of pairs": Pair(
        ("ConsistencyRegularization", "the critic of ALI judges pairs"),
        "such as R1",
        {
            "encoder": MLPEncoder,
            "critic": MLPJointCritic,
            "critic_penalties": [ConsistencyRegularization(Translation())],
        },
        ALI,
    ),
    "a penalty of logits and a family without": Pair(
        ("McGAN has no critic logits", "LeCam"),
        "leave it out",
        {"critic_penalties": [LeCam()], "matchings": [MeanMatching()]},
        McGAN,
    ),
    "unrolling and an optimizer without a functional step": Pair(
        ("UnrolledGAN", "RMSprop"), "take Adam or SGD", {"critic_optimizer": RMSprop(lr=1e-3)}, UnrolledGAN
    ),
    "a conditional generator and a critic without labels": Pair(
        ("MLPGenerator has n_classes 3", "MLPCritic has 0"),
        "set n_classes alike on both",
        {"generator": CONDITIONAL["generator"]},
        data=LABELLED,
    ),
    "classes and data without labels": Pair(
        ("MLPGenerator has n_classes 3", "RandomImages has 0"), "0 for", CONDITIONAL
    ),
    "half precision and two players": Pair(
        ("16-mixed", "both players"), "bf16-mixed or 32-true", {}, precision="16-mixed"
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_does_not_go_together_is_refused_before_the_first_batch(name: str, tmp_path: Any) -> None:
    pair = PAIRS[name]
    data = pair.data()
    defaults = {"generator": MLP, "critic": MLP_CRITIC, "shape": data.shape}
    played: list[Any] = []
    with pytest.raises(ValueError) as caught:
        arguments = pair.arguments() if callable(pair.arguments) else pair.arguments
        game = pair.family(**{**defaults, **arguments})
        game.critic_turn = played.append
        fitter = trainer(tmp_path, 1)
        if pair.precision:  # as on a GPU; on the CPU Lightning takes bfloat16 instead
            fitter.strategy.precision_plugin.precision = pair.precision  # type: ignore[assignment]  # also what is refused
        fitter.fit(game, datamodule=data)
    message = str(caught.value)
    assert not played
    assert "\n" not in message
    for words in (*pair.sides, pair.fix):
        assert words in message


def test_what_goes_together_is_not_refused(tmp_path: Any) -> None:
    data = GREY(batch_size=8)
    game = DCGAN(
        partial(DCGANGenerator, width=4, latent_dim=3),
        partial(SpectrallyNormalizedCritic, network=partial(DCGANCritic, width=4, norm=nn.Identity)),
        shape=shape_of(8, 1),
        real_target=0.9,
        critic_penalties=[R1(interval=2), GradientPenalty(one_sided=True)],
        generator_terms=[FeatureMatching(), EntropyRegularization()],
        observation=Compose([AdaptiveAugment([Cutout()]), Packing(2)]),
        critic_optimizer=Adam(lr=1e-3),
    )
    fitter = trainer(tmp_path, 2)
    fitter.fit(game, datamodule=data)
    assert game.updates_done == 2
