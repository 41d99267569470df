"""What joins a player's loss, or holds a network, whatever the family."""

from gan_lightning.stabilizers.base import CriticConstraint, CriticPenalty, GeneratorTerm, GeneratorTurn
from gan_lightning.stabilizers.consistency import ConsistencyRegularization
from gan_lightning.stabilizers.generator_terms import (
    EntropyRegularization,
    FeatureMatching,
    LatentReconstruction,
    ModeSeeking,
    OrthogonalRegularization,
)
from gan_lightning.stabilizers.gradient_penalties import (
    R1,
    R2,
    ApproximateR1,
    DivergencePenalty,
    GradientPenalty,
    PerturbationPenalty,
)
from gan_lightning.stabilizers.historical_averaging import HistoricalAveraging
from gan_lightning.stabilizers.lecam import LeCam
from gan_lightning.stabilizers.weight_clipping import WeightClipping

# their names in 0.1.0
ConsistencyRegularisation = ConsistencyRegularization
EntropyRegularisation = EntropyRegularization
OrthogonalRegularisation = OrthogonalRegularization

__all__ = [
    "ApproximateR1",
    "ConsistencyRegularization",
    "CriticConstraint",
    "CriticPenalty",
    "DivergencePenalty",
    "EntropyRegularization",
    "FeatureMatching",
    "GeneratorTerm",
    "GeneratorTurn",
    "GradientPenalty",
    "HistoricalAveraging",
    "LatentReconstruction",
    "LeCam",
    "ModeSeeking",
    "OrthogonalRegularization",
    "PerturbationPenalty",
    "R1",
    "R2",
    "WeightClipping",
]
