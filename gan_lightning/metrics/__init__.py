"""Pure functions on samples, features and logits, and the networks that make the features."""

from __future__ import annotations

from gan_lightning.metrics.borrowed import LPIPS, ModuleExtractor, TorchFidelity
from gan_lightning.metrics.efficientnet import EfficientNetLite0
from gan_lightning.metrics.extractors import (
    Digits,
    DigitsClassifier,
    ExtractorUnavailable,
    FeatureExtractor,
    Inception,
    Raw,
)

__all__ = [
    "LPIPS",
    "Digits",
    "DigitsClassifier",
    "EfficientNetLite0",
    "ExtractorUnavailable",
    "FeatureExtractor",
    "Inception",
    "ModuleExtractor",
    "Raw",
    "TorchFidelity",
]
