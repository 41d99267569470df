"""An extractor of ours, or of a test, under a name that torch-fidelity knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor


@contextmanager
def registered(name: str, extract: Callable[[Tensor], tuple[Tensor, Tensor | None]]) -> Iterator[str]:
    """Let torch-fidelity call `extract`, which returns features and logits, as the extractor `name`."""
    from torch_fidelity import register_feature_extractor
    from torch_fidelity.feature_extractor_base import FeatureExtractorBase
    from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

    class Registered(FeatureExtractorBase):
        def __init__(self, name: str, features_list: list[str], **kwargs: Any) -> None:
            super().__init__(name, features_list)

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return "features", "logits"

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "features"

        @staticmethod
        def can_be_compiled() -> bool:
            return False

        def forward(self, images: Tensor) -> tuple[Any, ...]:
            outputs = dict(zip(("features", "logits"), extract(images), strict=True))
            return tuple(outputs[name] for name in self.features_list)

    register_feature_extractor(name, Registered)
    try:
        yield name
    finally:
        del FEATURE_EXTRACTORS_REGISTRY[name]
