"""From images to the features and class logits that the fidelity metrics compare."""

from __future__ import annotations

import hashlib
import io
import threading
from abc import ABC, abstractmethod
from importlib.resources import files
from pathlib import Path
from typing import final
from urllib.error import URLError
from urllib.request import urlopen

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, max_pool2d, silu

from gan_lightning.errors import UserError
from gan_lightning.shapes import Images, Shape

# torch.hub downloads without a timeout: behind a firewall that drops packets it hangs for minutes.
SECONDS_TO_REACH = 15.0
RAW_VALUES = 8192  # the covariance of 8192 values takes .5 GB, its eigenvalues minutes


class ExtractorUnavailable(RuntimeError):
    """The weights of an extractor are neither on this machine nor within reach; the message says what to provide.

    Example:
        >>> try:
        ...     raise ExtractorUnavailable("no weights")
        ... except RuntimeError as error:
        ...     print(error)
        no weights
    """


class FeatureExtractor(ABC):
    """A frozen network seen as a function from samples to features; cheap to build, its weights load at first use.

    It is no `nn.Module`, so that a callback or a game can hold it without its weights entering checkpoints or DDP. Each
    rank holds its own copy. Nothing here draws from the global random stream.

    Attributes:
        name: What cards, caches and tables call it.
        log_suffix: What follows the metric in logged keys: `val/fid` + suffix.
        has_logits: Whether it classifies, which the Inception score needs.
        resize: How it brings images to its own size, for the card.
        of_pairs: Whether it compares two images only, and has no features of one.
    """

    name: str
    log_suffix: str
    has_logits: bool = True
    resize: str = "none"
    of_pairs: bool = False

    def key(self, name: str) -> str:
        """Return what a number, such as fid or recall, is logged as when it comes from this extractor."""
        return f"val/{name}{self.log_suffix}"

    def __init__(self) -> None:
        self._module: nn.Module | None = None
        self._device = torch.device("cpu")

    @abstractmethod
    def _build(self) -> nn.Module:
        """Return the network with its weights, on the CPU; its forward gives features, or features and logits."""

    @abstractmethod
    def _prepare(self, samples: Tensor) -> Tensor:
        """Return samples, already on the right device, as the network takes them."""

    def check(self, shape: Shape) -> None:
        """Refuse samples of a shape that the network does not take.

        Raises:
            UserError: It does not.
        """
        if not isinstance(shape, Images):
            raise UserError(f"{type(self).__name__} takes images, got {shape.words}; take the extractor Raw")

    def to(self, device: torch.device | str) -> FeatureExtractor:
        """Move the weights, or choose where they will be loaded, and return this extractor."""
        self._device = torch.device(device)
        if self._module is not None:
            self._module.to(self._device)
        return self

    def load(self, device: torch.device | str | None = None) -> FeatureExtractor:
        """Load the weights now, on `device` if one is given, and return this extractor.

        Raises:
            ExtractorUnavailable: The weights are not here and cannot be downloaded.
            UserError: The weights file is not one of this network.
        """
        if device is not None:
            self.to(device)
        if self._module is None:
            with torch.random.fork_rng(devices=[]):  # building a network draws its initial weights
                module = self._build()
            self._module = module.requires_grad_(False).eval().to(self._device)
        return self

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are there, on a device."""
        return self._module is not None

    def fingerprint(self) -> str:
        """Return the SHA-256, in hexadecimal, of the names, types, shapes and values of the weights."""
        digest = hashlib.sha256()
        for key, value in self._loaded().state_dict().items():
            digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @torch.no_grad()
    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return float32 features `(N, F)` and logits `(N, K)`, None if it has no classes, on the extractor's device.

        Args:
            samples: uint8 images `(N, C, H, W)` in 0..255, on any device, most often grey or RGB. `Raw` takes all.

        Raises:
            UserError: The samples are not such images.
        """
        module = self._loaded()
        # A mixed-precision trainer would otherwise hand its half precision on to the metric.
        with torch.autocast(self._device.type, enabled=False):
            output = module(self._prepare(samples.to(self._device)))
        return output if isinstance(output, tuple) else (output, None)

    def distances(self, one: Tensor, other: Tensor) -> Tensor:
        """Return how different images are, `(N,)`: the squared Euclidean distance of their features, unless overridden.

        Args:
            one: uint8 images `(N, C, H, W)`.
            other: As many of the same size.
        """
        features = self(torch.cat([one, other]))[0]
        return (features[: len(one)] - features[len(one) :]).square().sum(1)

    def _loaded(self) -> nn.Module:
        module = self.load()._module
        assert module is not None
        return module


@final
class Inception(FeatureExtractor):
    """The Inception-v3 of published FID and IS: 2048 features, 1008 logits without bias, TensorFlow 1 resizing.

    The network is torch-fidelity's conversion of the weights of 2015-12-05 (Heusel et al. 2017, arXiv:1706.08500).

    Example:
        >>> Inception().check(Images(32, 32, 3))  # its weights load at first use

    Args:
        weights_path: The file `weights-inception-2015-12-05-6726825d.pth` of torch-fidelity's release v0.2.0 (91 MB).
            None: torch.hub's folder, or a download into it.

    Raises:
        UserError: There is no file at `weights_path`.
    """

    name = "inception"
    log_suffix = ""
    resize = "bilinear of TensorFlow 1 to 299x299"

    def key(self, name: str) -> str:
        """Return the name alone, but for what is published with a VGG16: precision, recall and the path length."""
        is_of_another = name.removeprefix("spread_") in ("precision", "recall", "ppl_mean", "ppl_std")
        return super().key(f"{name}_inception" if is_of_another else name)

    def __init__(self, weights_path: str | None = None) -> None:
        super().__init__()
        if weights_path is not None and not Path(weights_path).expanduser().is_file():
            raise UserError(f"weights_path must be a file of Inception weights, there is none at {weights_path}")
        self.weights_path = weights_path

    def _build(self) -> nn.Module:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = Path(self.weights_path).expanduser() if self.weights_path is not None else _hub_weights()
        try:
            weights = io.BytesIO()  # torch-fidelity's own load would run any pickle: it gets one of our making
            torch.save(torch.load(path, map_location="cpu", weights_only=True), weights)
            weights.seek(0)
            return FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=weights
            )
        except Exception as error:  # a pickle, zip, key or shape error, depending on what the file is
            raise UserError(
                f"{path} is not a state dict of torch-fidelity's Inception-v3 ({_first_line(error)}); "
                "provide weights-inception-2015-12-05-6726825d.pth"
            ) from error

    def check(self, shape: Shape) -> None:
        """Refuse all but grey and RGB images."""
        super().check(shape)
        if isinstance(shape, Images) and shape.channels not in (1, 3):
            raise UserError(
                f"Inception takes grey and RGB images, got {shape.channels} channels; "
                "measure with another extractor, or set fidelity.enabled: false"
            )

    def _prepare(self, samples: Tensor) -> Tensor:
        check_images(samples)
        n_channels, height, width = samples.shape[1:]
        self.check(Images(height, width, n_channels))
        return samples.expand(-1, 3, -1, -1)


@final
class Digits(FeatureExtractor):
    """The package's own classifier of handwritten digits: 64 features, 10 logits, no download, fast on one core.

    For images of digits of any size: colours are averaged and the area resized to 8x8. Its figures are comparable with
    each other only, never with an Inception FID. How it was trained, and its held-out accuracy: `weights/digits.json`.

    Example:
        >>> features, logits = Digits()(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
        >>> features.shape, logits.shape
        (torch.Size([2, 64]), torch.Size([2, 10]))
    """

    name = "digits"
    log_suffix = "_digits"
    resize = "area to 8x8"

    def _build(self) -> nn.Module:
        module = DigitsClassifier()
        with files("gan_lightning.metrics").joinpath("weights/digits.pt").open("rb") as file:
            module.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        return module

    def _prepare(self, samples: Tensor) -> Tensor:
        check_images(samples)
        return samples


@final
class Raw(FeatureExtractor):
    """The samples themselves, flattened: for vectors `(N, D)` of the lab, or as a baseline for small images.

    Example:
        >>> features, logits = Raw()(torch.zeros(5, 2))
        >>> features.shape, logits
        (torch.Size([5, 2]), None)
    """

    name = "raw"
    log_suffix = "_raw"
    has_logits = False

    def _build(self) -> nn.Module:
        return nn.Flatten()

    def check(self, shape: Shape) -> None:
        """Refuse samples of more values than a covariance can be computed of."""
        if shape.n_values > RAW_VALUES:
            raise UserError(
                f"Raw compares samples of at most {RAW_VALUES} values, got {shape.n_values} ({shape}); "
                "take an extractor with fewer features"
            )

    def _prepare(self, samples: Tensor) -> Tensor:
        return samples.float()


@final
class DigitsClassifier(nn.Module):
    """A small convolutional network on digits; `scripts/train_digits_classifier.py` trains it.

    Example:
        >>> features, logits = DigitsClassifier()(torch.zeros(2, 3, 16, 16))
        >>> logits.shape
        torch.Size([2, 10])

    Args:
        size: Height and width, even, that the area of images is resized to: 8 for scikit-learn's digits, whose weights
            ship, 28 for MNIST's.
    """

    def __init__(self, size: int = 8) -> None:
        super().__init__()
        self.size = size
        self.body = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.SiLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.SiLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.SiLU(),
        )
        self.hidden = nn.Linear(64 * (size // 4) ** 2, 64)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features `(N, 64)` and logits `(N, 10)` of images `(N, C, H, W)` in 0..255, any type, C and size."""
        grey = images.float().mean(1, keepdim=True)
        small = adaptive_avg_pool2d(grey, self.size) / 127.5 - 1
        maps = max_pool2d(self.body(small), 2)
        features = silu(self.hidden(maps.flatten(1)))
        return features, self.head(self.dropout(features))


def check_images(samples: Tensor) -> None:
    """Refuse what is no batch of uint8 images `(N, C, H, W)`.

    Example:
        >>> check_images(torch.zeros(2, 3, 8, 8, dtype=torch.uint8))

    Raises:
        UserError: It is not.
    """
    if samples.dtype != torch.uint8 or samples.dim() != 4:
        raise UserError(
            "samples must be uint8 images (N, C, H, W) in 0..255, "
            f"got {samples.dtype} of shape {tuple(samples.shape)}; for vectors use the extractor Raw"
        )


def _hub_weights() -> Path:
    """Return the path of the Inception weights in torch.hub's folder, downloading them if they are not there."""
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    folder = Path(torch.hub.get_dir()) / "checkpoints"  # where torch-fidelity itself would look
    path = folder / URL_INCEPTION_V3.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    try:
        download(URL_INCEPTION_V3, path, path.stem.rsplit("-", 1)[-1])
    except (OSError, RuntimeError) as error:  # URLError and timeouts are OSErrors; RuntimeError: a wrong hash
        raise ExtractorUnavailable(
            f"no Inception weights: {URL_INCEPTION_V3} could not be downloaded ({_first_line(error)}); "
            f"fetch {path.name} on a machine with network access, "
            f"then give its path as Inception's weights_path, or put it in {folder}"
        ) from error
    return path


def download(url: str, path: Path, sha256: str | None = None) -> None:
    """Fetch a file, whose folder is made; it is whole, or not there.

    Example:
        >>> file = Path("folder/hello.txt")
        >>> download("data:,hello", file)
        >>> file.read_text()
        'hello'

    Args:
        url: Where it is.
        path: Where it shall be.
        sha256: The first digits of its hash.

    Raises:
        OSError: It is not within reach.
        RuntimeError: Its hash is another.
    """
    reach(url, SECONDS_TO_REACH)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(url, str(path), sha256, progress=False)


def reach(url: str, seconds: float) -> None:
    """Raise an OSError unless `url` answers within `seconds`, proxies and redirections included.

    In a thread, because a name server that does not answer is not bound by any socket timeout.

    Example:
        >>> reach("data:,hello", seconds=5.0)
    """
    outcome: list[OSError | None] = []

    def attempt() -> None:
        try:
            with urlopen(url, timeout=seconds):
                outcome.append(None)
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise URLError(f"no answer within {seconds:g} s")
    if outcome[0] is not None:
        raise outcome[0]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
