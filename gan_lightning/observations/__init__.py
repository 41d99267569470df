"""What the critic is shown of samples."""

from gan_lightning.observations.adaptive import AdaptiveAugment
from gan_lightning.observations.augmentations import Augmentation, ColourJitter, Cutout, HorizontalFlip, Translation
from gan_lightning.observations.base import Compose, Observation
from gan_lightning.observations.instance_noise import InstanceNoise
from gan_lightning.observations.packing import Packing

__all__ = [
    "AdaptiveAugment",
    "Augmentation",
    "ColourJitter",
    "Compose",
    "Cutout",
    "HorizontalFlip",
    "InstanceNoise",
    "Observation",
    "Packing",
    "Translation",
]
