"""What the critic is shown of samples."""

from gan_lightning.observations.adaptive import AdaptiveAugment
from gan_lightning.observations.augmentations import Augmentation, ColorJitter, Cutout, HorizontalFlip, Translation
from gan_lightning.observations.base import Compose, Observation
from gan_lightning.observations.geometric import Geometric
from gan_lightning.observations.instance_noise import InstanceNoise
from gan_lightning.observations.packing import Packing

ColourJitter = ColorJitter  # its name in 0.1.0

__all__ = [
    "AdaptiveAugment",
    "Augmentation",
    "ColorJitter",
    "Compose",
    "Cutout",
    "Geometric",
    "HorizontalFlip",
    "InstanceNoise",
    "Observation",
    "Packing",
    "Translation",
]
