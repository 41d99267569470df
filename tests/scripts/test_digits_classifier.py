"""scripts/train_digits_classifier.py on MNIST's files, and the thousand-mode test with what it trains."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gan_lightning.data import Digits, StackedMNIST
from gan_lightning.metrics import DigitsClassifier, ModuleExtractor
from tests.data.test_torchvision_images import write_mnist
from tests.training import fit, networks

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_digits_classifier.py"


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("train_digits_classifier", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """MNIST's files with scikit-learn's digits at 28x28."""
    folder = tmp_path_factory.mktemp("mnist")
    data = Digits(image_size=28)
    splits = {"train": data.reference("train"), "t10k": data.reference("eval")}
    real = {
        name: (np.asarray(split.images[:, 0]), np.asarray(split.labels).astype(np.uint8))
        for name, split in splits.items()
    }
    write_mnist(folder, real=real)
    return folder


@pytest.mark.slow  # a minute of a busy core
def test_the_classifier_tells_held_out_digits(script, mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [*"train --epochs 3".split(), "--mnist", str(mnist), "--out", str(tmp_path)])
    script.main()
    card = json.loads((tmp_path / "mnist.json").read_text())
    assert (card["n_train"], card["n_held_out"], card["epochs"]) == (1437, 360, 3)
    assert card["held_out"]["accuracy"] > 0.95
    classifier = _classifier(str(tmp_path / "mnist.pt"))
    held_out = Digits(image_size=28).reference("eval")
    _, logits = classifier(torch.as_tensor(held_out.images))
    right = (logits.argmax(1) == held_out.labels).double().mean().item()
    assert right == pytest.approx(card["held_out"]["accuracy"])


def _classifier(weights):
    module = DigitsClassifier(28)
    return ModuleExtractor(module, "mnist", scale="bytes", has_logits=True, weights_path=weights)


def test_nothing_is_written_over_and_missing_data_are_told(script, mnist, tmp_path, monkeypatch, capsys):
    (tmp_path / "mnist.pt").write_text("mine")
    for root, message in ((mnist, "mnist.pt is there already"), (tmp_path, "MNIST cannot be read from")):
        out = tmp_path if root == mnist else tmp_path / "new"
        monkeypatch.setattr(sys, "argv", ["train", "--mnist", str(root), "--out", str(out)])
        with pytest.raises(SystemExit) as ended:
            script.main()
        assert ended.value.code == 2 and message in capsys.readouterr().err
    assert (tmp_path / "mnist.pt").read_text() == "mine" and not (tmp_path / "new").exists()


def test_triples_are_of_the_splits_own_images_and_labels(mnist):
    data = StackedMNIST(str(mnist), n=50)
    assert data.shape.size == (3, 28, 28) and (data.n_classes, data.channel_classes) == (1000, 10)
    for split in ("train", "eval"):
        digits, triples = Digits(image_size=28).reference(split), data.reference(split)
        for channel, place in enumerate((100, 10, 1)):
            same = (triples.images[:, None, channel] == digits.images[None, :, 0]).flatten(2).all(2)
            assert same.any(1).all()
            assert torch.equal(triples.labels // place % 10, digits.labels[same.int().argmax(1)])
    with pytest.raises(ValueError, match="dataset of StackedMNIST must be one of MNIST.*got 'CIFAR10'"):
        StackedMNIST(dataset="CIFAR10")


def test_a_run_counts_the_modes_by_a_classifier_of_its_own(mnist, tmp_path):
    torch.save(DigitsClassifier(28).state_dict(), tmp_path / "mnist.pt")
    classifier = {
        "class_path": "ModuleExtractor",
        "init_args": {
            "module": {"class_path": "gan_lightning.metrics.DigitsClassifier", "init_args": {"size": 28}},
            "name": "mnist",
            "scale": "bytes",
            "has_logits": True,
            "weights_path": str(tmp_path / "mnist.pt"),
        },
    }
    config = {
        "name": "stacked",
        "data": {"class_path": "StackedMNIST", "init_args": {"root": str(mnist), "n": 64, "batch_size": 4}},
        "model": {"class_path": "NonSaturatingGAN", "init_args": networks()},
        "fidelity": {"enabled": False},
        "coverage": {"n_samples": 128, "classifier": classifier},
    }
    outcome = fit(tmp_path / "runs", config, "--trainer.max_steps", 2)
    assert outcome.code == 0, outcome.err
    card = json.loads((tmp_path / "runs/stacked/evaluation/coverage-000002.json").read_text())
    assert card["n_modes"] == 1000 and card["classifier"] == "mnist" and 1 <= card["modes"] <= 128
    outcome = fit(tmp_path / "runs", {**config, "coverage": {"n_samples": 64}}, "--name", "shipped")
    assert outcome.code == 2 and "coverage.classifier must be given for StackedMNIST" in outcome.err
