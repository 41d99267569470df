"""A generator as training data: the labelled folder that `augment` writes, and the classifier that judges it."""

from __future__ import annotations

import json

import pytest
import torch

from gan_lightning.cli import augment
from gan_lightning.data import ImageFolder
from gan_lightning.evaluation.classifier import accuracy, augmented, probabilities, train_classifier
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.games.restore import load
from gan_lightning.randomness import mix
from tests.training import command, fit, networks


def bars(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return n noisy pictures of a vertical (0) or horizontal (1) bar anywhere, and their labels."""
    random = torch.Generator().manual_seed(n)
    images = torch.randint(0, 60, (n, 1, 8, 8), generator=random, dtype=torch.uint8)
    labels = torch.arange(n) % 2
    for i, place in enumerate(torch.randint(0, 8, (n,), generator=random).tolist()):
        line = images[i, 0, :, place] if labels[i] == 0 else images[i, 0, place]
        line += 190
    return images, labels


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("augment")
    model = {"class_path": "ConditionalGAN", "init_args": networks(10)}
    outcome = fit(folder, {"data": {"class_path": "Digits"}, "model": model, "name": "a"}, "--trainer.max_steps", 2)
    assert outcome.code == 0, outcome.err
    return folder / "a" / "checkpoints" / "last.ckpt"


def test_the_folder_is_read_as_a_labelled_data_set(checkpoint, tmp_path):
    out = tmp_path / "more"
    outcome = command(
        "augment", "--ckpt_path", checkpoint, "--per_class", 70, "--out", out, "--labels", "3,8", "--seed", 5
    )
    assert outcome.code == 0, outcome.err
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["classes"] == {"3": {"kept": 70, "drawn": 128}, "8": {"kept": 70, "drawn": 128}}
    assert manifest["seed"] == 5 and len(manifest["checkpoint_sha256"]) == 64 and manifest["truncation"] is None
    data = ImageFolder(str(out), image_size=8, channels=1)
    assert data.classes == ["3", "8"]
    real = data.reference("train")
    assert real.labels is not None and len(real.images) == 140
    wanted = to_uint8(load(checkpoint).sample(70, labels=[8], seed=mix(5, 8)))  # a class has a stream of its own
    written = {image.numpy().tobytes() for image in real.images[real.labels == 1]}
    assert written <= {image.numpy().tobytes() for image in wanted}


def test_only_pictures_of_which_the_classifier_is_sure(checkpoint, tmp_path, monkeypatch):
    class Judge(torch.nn.Module):
        """Is sure of class 3 where the first pixel is even, and never of class 8."""

        def forward(self, images):
            logits = torch.zeros(len(images), 10)
            logits[:, 3] = torch.where(images[:, 0, 0, 0] % 2 == 0, 9.0, -9.0)
            return logits

    monkeypatch.setattr(augment, "train_classifier", lambda *_, **__: Judge())
    words = ["augment", "--ckpt_path", checkpoint, "--per_class", 5, "--labels", "3,8", "--keep_confident", "0.9"]
    outcome = command(*words, "--out", tmp_path / "sure")
    assert outcome.code == 0, outcome.err
    assert "class 8: the classifier is 0.9 sure of only 0 of 128 samples" in outcome.err
    assert "held-out pictures" in outcome.err
    manifest = json.loads((tmp_path / "sure" / "manifest.json").read_text())
    assert manifest["classes"]["8"]["kept"] == 0 and manifest["classes"]["3"]["kept"] == 5
    assert 0 <= manifest["classifier_accuracy"] <= 1 and manifest["keep_confident"] == 0.9


def test_mistakes_are_one_line_before_the_first_picture(checkpoint, tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "note.txt").write_text("mine")
    words = ["augment", "--ckpt_path", checkpoint, "--per_class", 3]
    for more, said in (
        (["--out", tmp_path / "used"], "holds note.txt already"),
        (["--out", tmp_path / "new", "--labels", "cat"], "there is no class 'cat'"),
        (["--out", tmp_path / "new", "--labels", "12"], "labels must be among 0 ... 9, got [12]"),
        (["--out", tmp_path / "new", "--labels=-1"], "labels must be among 0 ... 9, got [-1]"),
        (["--out", tmp_path / "new", "--keep_confident", "1.5"], "between 0 and 1, got '1.5'"),
        (["--out", tmp_path / "new", "--truncation", "0"], "truncation"),
    ):
        outcome = command(*words, *more)
        assert outcome.code == 2 and said in outcome.err and len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert not (tmp_path / "new").exists() and [path.name for path in (tmp_path / "used").iterdir()] == ["note.txt"]


def test_a_generator_without_classes_is_refused(tmp_path):
    model = {"class_path": "NonSaturatingGAN", "init_args": networks()}
    assert fit(tmp_path, {"data": {"class_path": "Digits"}, "model": model, "name": "b"}).code == 0
    checkpoint = tmp_path / "b" / "checkpoints" / "last.ckpt"
    outcome = command("augment", "--ckpt_path", checkpoint, "--per_class", 3, "--out", tmp_path / "out")
    assert outcome.code == 2 and "without classes" in outcome.err and not (tmp_path / "out").exists()


def test_the_classifier_learns_what_can_be_told_apart_and_leaves_the_global_stream_alone():
    before = torch.get_rng_state()
    images, labels = bars(200)
    one = train_classifier(images, labels, 2, seed=3, n_updates=25, batch_size=32)
    other = train_classifier(images, labels, 2, seed=3, n_updates=25, batch_size=32)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert accuracy(one, *bars(100)) == 1
    assert torch.allclose(probabilities(one, images).sum(1), torch.ones(200))
    shuffled = labels[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    assert (
        accuracy(train_classifier(images, shuffled, 2, n_updates=25, batch_size=32), *bars(100)) < 0.75
    )  # nothing to learn


def test_classical_augmentation_moves_by_whole_pixels_and_mirrors():
    image = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    image[0, 0, 2, 2] = 9
    random = torch.Generator().manual_seed(0)
    places = set()
    for moved in augmented(image.expand(200, -1, -1, -1), 1, False, random):
        assert moved.sum() == 9
        places.add(divmod(moved.flatten().argmax().item(), 5))
    assert places == {(row, column) for row in (1, 2, 3) for column in (1, 2, 3)}
    left = torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8).expand(100, -1, -1, -1)
    kinds = {tuple(one.flatten().tolist()) for one in augmented(left, 0, True, random)}
    assert kinds == {(1, 2, 3, 4), (2, 1, 4, 3)}
