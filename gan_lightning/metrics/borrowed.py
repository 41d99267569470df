"""Feature extractors of others: any of torch-fidelity's, and any module of one's own."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError, in_one_line, nearest
from gan_lightning.metrics.extractors import ExtractorUnavailable, FeatureExtractor, check_images
from gan_lightning.shapes import Images, Shape


@final
class TorchFidelity(FeatureExtractor):
    """One of torch-fidelity's extractors: `vgg16`, `clip-vit-b-32`, `dinov2-vit-b-14`, ... or one registered with it.

    Its resizing and its features are torch-fidelity's own; logged keys end in the name with `_` for `-`.

    Example:
        >>> TorchFidelity("vgg16").key("fid")  # its weights load at first use
        'val/fid_vgg16'

    Args:
        extractor: Its name at torch-fidelity.
        weights_path: File with its weights: of VGG16 a state dict, of CLIP the TorchScript archive, which runs code.
            None: torch-fidelity downloads them, those of DINOv2 with their code.
        layer: Which of its features; its own choice for FID if not given.

    Raises:
        UserError: There is no such extractor, or no file at `weights_path`.
    """

    has_logits = False
    resize = "torch-fidelity's own"

    def __init__(self, extractor: str, weights_path: str | None = None, layer: str | None = None) -> None:
        super().__init__()
        from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

        if extractor not in FEATURE_EXTRACTORS_REGISTRY:
            raise UserError(
                f"torch-fidelity has no extractor {extractor}{nearest(extractor, FEATURE_EXTRACTORS_REGISTRY)}; it has "
                f"{', '.join(FEATURE_EXTRACTORS_REGISTRY)}"
            )
        if weights_path is not None and not Path(weights_path).expanduser().is_file():
            raise UserError(f"weights_path must be a file of weights of {extractor}, there is none at {weights_path}")
        kind = FEATURE_EXTRACTORS_REGISTRY[extractor]
        known = kind.get_provided_features_list()
        if layer is not None and layer not in known:
            raise UserError(f"{extractor} has no layer {layer}{nearest(layer, known)}; it has {', '.join(known)}")
        self.extractor, self.weights_path, self.layer = extractor, weights_path, layer
        self._layer = layer or kind.get_default_feature_layer_for_metric("fid")
        words = [extractor.replace("-", "_")] + ([layer.replace("-", "_")] if layer else [])
        self.name = f"torch-fidelity {extractor}, {self._layer}"
        self.log_suffix = "_" + "_".join(words)

    def check(self, shape: Shape) -> None:
        """Refuse all but grey and RGB images."""
        super().check(shape)
        if isinstance(shape, Images) and shape.channels not in (1, 3):
            raise UserError(f"{self.extractor} takes grey and RGB images, got {shape.channels} channels")

    def _build(self) -> nn.Module:
        from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

        weights: Any = None
        try:
            if self.weights_path is not None:
                weights = str(Path(self.weights_path).expanduser())
                if self.extractor in (
                    "vgg16",
                    "inception-v3-compat",
                ):  # their own load runs any pickle
                    weights = io.BytesIO()
                    torch.save(torch.load(Path(self.weights_path).expanduser(), "cpu", weights_only=True), weights)
                    weights.seek(0)
            given = {} if weights is None else {"feature_extractor_weights_path": weights}
            network = FEATURE_EXTRACTORS_REGISTRY[self.extractor](self.extractor, [self._layer], **given)
        except NotImplementedError as error:
            raise UserError(f"torch-fidelity takes no weights_path for {self.extractor}; leave it out") from error
        except Exception as error:  # a URL, hash, pickle, key or shape error, depending on what the file is
            if self.weights_path is None:
                raise ExtractorUnavailable(
                    f"no weights of {self.extractor}: torch-fidelity could not load them ({in_one_line(error)}); give "
                    "their file as weights_path"
                ) from error
            raise UserError(
                f"{self.weights_path} holds no weights of torch-fidelity's {self.extractor} ({in_one_line(error)})"
            ) from error
        return _First(network)

    def _prepare(self, samples: Tensor) -> Tensor:
        check_images(samples)
        n_channels, height, width = samples.shape[1:]
        self.check(Images(height, width, n_channels))
        return samples.expand(-1, 3, -1, -1)


@final
class LPIPS(FeatureExtractor):
    """torch-fidelity's LPIPS (Zhang et al. 2018, arXiv:1801.03924, VGG16, version 0.1), for the path length alone.

    It compares pairs of images at 64x64, as torch-fidelity's `lpips-vgg16` does by default.

    Example:
        >>> LPIPS().key("ppl_mean")  # its weights load at first use
        'val/ppl_mean_lpips'
    """

    name = "torch-fidelity lpips-vgg16"
    log_suffix = "_lpips"
    has_logits = False
    of_pairs = True
    resize = "torch-fidelity's, to 64x64"

    def check(self, shape: Shape) -> None:
        """Refuse all but grey and RGB images."""
        super().check(shape)
        if isinstance(shape, Images) and shape.channels not in (1, 3):
            raise UserError(f"LPIPS takes grey and RGB images, got {shape.channels} channels")

    def _build(self) -> nn.Module:
        from torch_fidelity.sample_similarity_lpips import URL_VGG16_LPIPS, SampleSimilarityLPIPS

        try:
            return SampleSimilarityLPIPS("lpips-vgg16", sample_similarity_resize=64, sample_similarity_dtype="uint8")
        except Exception as error:  # a URL, hash, pickle, key or shape error, depending on what the files are
            folder = Path(torch.hub.get_dir()) / "checkpoints"
            raise ExtractorUnavailable(
                f"no weights of LPIPS: torch-fidelity could not load them ({in_one_line(error)}); put "
                f"{URL_VGG16_LPIPS.rpartition('/')[2]} and torchvision's vgg16-397923af.pth in {folder}"
            ) from error

    def _prepare(self, samples: Tensor) -> Tensor:
        check_images(samples)
        return samples.expand(-1, 3, -1, -1)

    @torch.no_grad()
    def distances(self, one: Tensor, other: Tensor) -> Tensor:
        """Return LPIPS of pairs of uint8 images `(N, C, H, W)`, `(N,)`."""
        module = self._loaded()
        pair = [self._prepare(images.to(self._device)) for images in (one, other)]
        with torch.autocast(self._device.type, enabled=False):
            found: Tensor = module(*pair)
        return found.flatten()


class _First(nn.Module):
    """A network whose first output counts."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)[0]


_TAKEN = ("digits", "raw", "efficientnet_lite0", "lpips", "inception")
"""What the numbers of this package's own extractors are called."""


@final
class ModuleExtractor(FeatureExtractor):
    """Any module of one's own: samples in, features `(N, F)` out, or features and logits `(N, K)`.

    The module is put into evaluation mode and never trained. Features of more than two dimensions are flattened.

    Example:
        >>> extractor = ModuleExtractor(torch.nn.Flatten(), "flat")
        >>> extractor(torch.zeros(2, 1, 4, 4, dtype=torch.uint8))[0].shape, extractor.key("fid")
        (torch.Size([2, 16]), 'val/fid_flat')

    Args:
        module: The module, with its weights.
        name: What its numbers are called: `val/fid_<name>`; letters, digits and `_`, none of this package's extractors.
        scale: "signed" gives images as float32 in [-1, 1], "unit" in [0, 1], "bytes" as uint8; other samples are given as
            they are.
        weights_path: State dict to load into the module.
        has_logits: Whether it gives logits too.

    Raises:
        UserError: The name has other characters, the scale is none of these, or there is no file at `weights_path`.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str,
        scale: str = "signed",
        weights_path: str | None = None,
        has_logits: bool = False,
    ) -> None:
        super().__init__()
        if not name.isidentifier():
            raise UserError(f"name of ModuleExtractor must be letters, digits and _, got {name!r}")
        if name in _TAKEN:
            raise UserError(f"name of ModuleExtractor must not be that of another extractor, got {name!r}")
        if scale not in ("signed", "unit", "bytes"):
            raise UserError(f"scale of ModuleExtractor must be signed, unit or bytes, got {scale!r}")
        if weights_path is not None and not Path(weights_path).expanduser().is_file():
            raise UserError(f"weights_path must be a file of weights, there is none at {weights_path}")
        self.module, self.scale, self.weights_path = module, scale, weights_path
        self.name, self.log_suffix, self.has_logits = name, f"_{name}", has_logits
        self.resize = "none"

    def check(self, shape: Shape) -> None:
        """Take samples of any shape; the module refuses what it does not take."""

    def _build(self) -> nn.Module:
        if self.weights_path is not None:
            try:
                state = torch.load(Path(self.weights_path).expanduser(), map_location="cpu", weights_only=True)
                self.module.load_state_dict(state)
            except Exception as error:  # bytes that are no state dict raise anything
                raise UserError(
                    f"{self.weights_path} is not a state dict of {type(self.module).__name__} ({in_one_line(error)})"
                ) from error
        return _Checked(self.module, self.has_logits)

    def _prepare(self, samples: Tensor) -> Tensor:
        if samples.dtype != torch.uint8 or self.scale == "bytes":
            return samples
        return samples.float() / 127.5 - 1 if self.scale == "signed" else samples.float() / 255


class _Checked(nn.Module):
    """A module whose output is features and perhaps logits, said in one line if it is not."""

    def __init__(self, module: nn.Module, has_logits: bool) -> None:
        super().__init__()
        self.module, self.has_logits = module, has_logits

    def forward(self, samples: Tensor) -> Any:
        output = self.module(samples)
        parts = output if isinstance(output, tuple) else (output,)
        is_right = len(parts) == 1 + self.has_logits and all(isinstance(part, Tensor) for part in parts)
        if not is_right or any(len(part) != len(samples) for part in parts):
            what = "features and logits" if self.has_logits else "features (N, F)"
            got = ", ".join(
                str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in parts
            )
            raise UserError(f"{type(self.module).__name__} must return {what} for {len(samples)} samples, got {got}")
        features = parts[0].flatten(1).float()
        return (features, parts[1].float()) if self.has_logits else features
