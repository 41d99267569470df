"""What joins a player's loss, or holds a network, whatever the family."""

from gan_lightning.stabilisers.base import CriticConstraint, CriticPenalty, GeneratorTerm, GeneratorTurn
from gan_lightning.stabilisers.consistency import ConsistencyRegularisation
from gan_lightning.stabilisers.generator_terms import (
    EntropyRegularisation,
    FeatureMatching,
    LatentReconstruction,
    ModeSeeking,
    OrthogonalRegularisation,
)
from gan_lightning.stabilisers.gradient_penalties import R1, R2, DivergencePenalty, GradientPenalty, PerturbationPenalty
from gan_lightning.stabilisers.historical_averaging import HistoricalAveraging
from gan_lightning.stabilisers.lecam import LeCam
from gan_lightning.stabilisers.weight_clipping import WeightClipping

__all__ = [
    "ConsistencyRegularisation",
    "CriticConstraint",
    "CriticPenalty",
    "DivergencePenalty",
    "EntropyRegularisation",
    "FeatureMatching",
    "GeneratorTerm",
    "GeneratorTurn",
    "GradientPenalty",
    "HistoricalAveraging",
    "LatentReconstruction",
    "LeCam",
    "ModeSeeking",
    "OrthogonalRegularisation",
    "PerturbationPenalty",
    "R1",
    "R2",
    "WeightClipping",
]
