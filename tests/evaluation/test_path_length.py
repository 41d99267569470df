from __future__ import annotations

import json
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_fidelity.generative_model_modulewrapper import GenerativeModelModuleWrapper
from torch_fidelity.metric_ppl import KEY_METRIC_PPL_MEAN, KEY_METRIC_PPL_RAW, KEY_METRIC_PPL_STD, calculate_ppl
from torch_fidelity.registry import SAMPLE_SIMILARITY_REGISTRY
from torch_fidelity.sample_similarity_base import SampleSimilarityBase

from gan_lightning.errors import UserError
from gan_lightning.evaluation.path_length import path_distances, path_length, trimmed
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.families import WGANGP
from gan_lightning.metrics import LPIPS, Digits, Inception, ModuleExtractor
from gan_lightning.networks import MLPCritic, MLPGenerator
from gan_lightning.shapes import Images
from tests.training import command


class Squares(SampleSimilarityBase):
    """A similarity of our own making: the sum of the squared differences of pixels, and of those of the sums of rows."""

    def __init__(self, name: str, **_: Any) -> None:
        super().__init__(name)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        difference = one.float() - other.float()
        return difference.square().flatten(1).sum(1) + difference.sum((1, 2)).square().sum(1)


class Rows(nn.Module):
    """Features whose squared distance is that similarity."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([images.float().flatten(1), images.float().sum((1, 2))], dim=1)


def game(n_classes: int = 0) -> WGANGP:
    torch.manual_seed(0)
    networks: dict[str, Any] = {"width": 16, "n_layers": 1, "n_classes": n_classes}
    found = WGANGP(
        partial(MLPGenerator, latent_dim=5, **networks), partial(MLPCritic, **networks), shape=Images(8, 8, 1)
    )
    with torch.no_grad():
        for parameter in found.generator_average.parameters():
            parameter.mul_(6)  # steep enough for steps of 1e-4 to move 8-bit pixels
    return found


class AsBytes(nn.Module):
    """What torch-fidelity is given: the same generator, with 8-bit images."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return to_uint8(self.generator(latents, labels))


@pytest.mark.parametrize("mode", ["slerp_any", "lerp"])
@pytest.mark.parametrize("n_classes", [0, 3])
@pytest.mark.parametrize("discarded", [(1, 99), (10, 60)])
def test_it_is_torch_fidelitys(mode: str, n_classes: int, discarded: tuple[int, int], monkeypatch) -> None:
    monkeypatch.setitem(SAMPLE_SIMILARITY_REGISTRY, "squares", Squares)
    ours, n, percentile = game(n_classes), 300, np.percentile

    def renamed(values: Any, q: float, interpolation: str) -> Any:  # numpy has taken this name away since
        return percentile(values, q, method=interpolation)  # type: ignore[call-overload]

    monkeypatch.setattr(np, "percentile", renamed)
    model = GenerativeModelModuleWrapper(AsBytes(ours.generator_average), 5, "normal", n_classes)
    options = {"input1_model_num_samples": n, "ppl_z_interp_mode": mode, "ppl_reduction": "none"}
    options |= {"ppl_discard_percentile_lower": discarded[0], "ppl_discard_percentile_higher": discarded[1]}
    options |= {"ppl_sample_similarity": "squares", "cuda": False, "verbose": False, "batch_size": 64, "rng_seed": 7}
    theirs = calculate_ppl(1, input1=model, input1_model_z_size=5, input1_model_num_classes=n_classes, **options)
    monkeypatch.undo()
    random = np.random.RandomState(7)
    one, other = (torch.from_numpy(random.randn(n, 5)).float() for _ in range(2))
    labels = torch.from_numpy(random.randint(0, n_classes, (n,))) if n_classes else None
    extractor = ModuleExtractor(Rows(), "rows", scale="bytes")
    found = path_distances(ours, extractor, one, other, labels, mode=mode)
    mean, std = trimmed(found, discarded)
    assert mean == pytest.approx(theirs[KEY_METRIC_PPL_MEAN], rel=1e-6)
    assert mean > 0 or discarded == (10, 60)  # 8-bit pixels: most of the short paths change none
    assert std == pytest.approx(theirs[KEY_METRIC_PPL_STD], rel=1e-6)
    assert len(theirs[KEY_METRIC_PPL_RAW]) < n


def test_ranks_share_the_paths(monkeypatch) -> None:
    from gan_lightning.evaluation import path_length as module

    ours, extractor, parts = game(3), ModuleExtractor(Rows(), "rows", scale="bytes"), []
    whole = path_length(ours, extractor, 200, seed=5)
    assert whole == path_length(ours, extractor, 200, seed=5) != path_length(ours, extractor, 200, seed=6)

    def gather(local: Any) -> Tensor:
        parts.extend(local)
        return torch.cat([rows for _, rows in sorted(parts)])

    monkeypatch.setattr(module, "gather_rows", gather)
    for rank in range(3):
        last = path_length(ours, extractor, 200, 5, None, None, rank, 3)
    assert (last.mean, last.std) == (whole.mean, whole.std)
    facts = {
        "ppl_epsilon": 1e-4,
        "ppl_interpolation": "slerp_any",
        "ppl_discarded": [1.0, 99.0],
        "ppl_similarity": "rows",
    }
    assert whole.facts == facts


def test_a_generator_that_ignores_its_latents_has_length_0_and_a_broken_one_nan() -> None:
    ours, extractor = game(), ModuleExtractor(Rows(), "rows", scale="bytes")
    with torch.no_grad():
        for parameter in ours.generator_average.parameters():
            parameter.zero_()
        assert path_length(ours, extractor, 70)[:2] == (0, 0)
        next(iter(ours.generator_average.parameters())).fill_(math.nan)
    assert all(map(math.isnan, path_length(ours, extractor, 70)[:2]))


def test_keys_say_whose_distance_it_is() -> None:
    assert Inception().key("ppl_mean") == "val/ppl_mean_inception"  # not val/ppl_mean: it is published with LPIPS
    assert Inception().key("spread_recall") == "val/spread_recall_inception"
    assert Digits().key("ppl_mean") == "val/ppl_mean_digits" and LPIPS().key("ppl_mean") == "val/ppl_mean_lpips"
    assert Inception().key("spread_fid") == "val/spread_fid"


def test_lpips_is_torch_fidelitys(monkeypatch) -> None:
    """On made-up weights: it is their module on the pair, grey images as RGB."""
    torchvision = pytest.importorskip("torchvision")
    from torch_fidelity import sample_similarity_lpips as theirs

    def weights(*_: Any, **__: Any) -> dict[str, Tensor]:
        widths = [64, 128, 256, 512, 512]
        return {f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1) for i, n in enumerate(widths)}

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])

    torch.manual_seed(0)
    monkeypatch.setattr(theirs, "load_state_dict_from_url", weights)
    monkeypatch.setattr(theirs, "torchvision_load_pretrained_vgg16", Features)
    lpips = LPIPS()
    lpips.check(Images(8, 8, 1))
    one, other = (torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8) for _ in range(2))
    expected = lpips.load()._module(one, other)  # type: ignore[misc]
    assert torch.equal(lpips.distances(one, other), expected.flatten()) and (expected > 0).all()
    assert torch.equal(lpips.distances(one, one), torch.zeros(2))
    grey = lpips.distances(one[:, :1], other[:, :1])
    assert torch.equal(grey, lpips.distances(one[:, :1].expand(-1, 3, -1, -1), other[:, :1].expand(-1, 3, -1, -1)))
    with pytest.raises(UserError, match="LPIPS takes grey and RGB images, got 4 channels"):
        lpips.check(Images(8, 8, 4))


def test_it_is_measured_of_a_checkpoint(image_run, tmp_path) -> None:
    checkpoint = image_run / "checkpoints" / "last.ckpt"
    words = [
        "evaluate",
        image_run / "config.yaml",
        checkpoint,
        "--extractor",
        "digits",
        "--n",
        70,
        "--out",
        tmp_path,
        "--json",
    ]
    alone = command(*words, "--metrics", "ppl")
    assert alone.code == 0, alone.err
    card = json.loads(alone.out)
    assert card["ppl_mean"] >= 0 and card["ppl_similarity"] == "digits" and card["metrics"] == ["ppl_mean", "ppl_std"]
    both = json.loads(command(*words, "--metrics", "ppl,classes").out)
    assert both["ppl_mean"] == card["ppl_mean"] and 1 <= both["classes_effective"] <= both["classes_found"] <= 10


def test_what_has_no_paths_is_refused(image_run, vector_run, tmp_path) -> None:
    pictures, checkpoint = image_run / "samples", image_run / "checkpoints" / "last.ckpt"
    for words, message in (
        (
            [pictures, pictures, "--extractor", "digits", "--metrics", "ppl"],
            "ppl is of a generator of images from latents",
        ),
        (
            [checkpoint, vector_run / "checkpoints" / "last.ckpt", "--extractor", "raw", "--metrics", "ppl"],
            "REAL has samples",
        ),
        (
            [checkpoint, checkpoint, "--extractor", "lpips", "--metrics", "fid,ppl"],
            "LPIPS compares pairs of images and has no",
        ),
    ):
        outcome = command("evaluate", *words, "--out", tmp_path)
        assert outcome.code == 2 and message in outcome.err and "\n" not in outcome.err.strip(), outcome.err
