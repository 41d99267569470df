"""Networks around whatever network they are given."""

from gan_lightning.networks.wrappers.initial_weights import InitializedCritic, InitializedGenerator
from gan_lightning.networks.wrappers.spectral_norm import SpectrallyNormalizedCritic, SpectrallyNormalizedGenerator

__all__ = ["InitializedCritic", "InitializedGenerator", "SpectrallyNormalizedCritic", "SpectrallyNormalizedGenerator"]
