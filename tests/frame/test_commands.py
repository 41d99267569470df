"""Every command of README and docs runs as it is written, on small data and shortened: what a reader types first must work."""

from __future__ import annotations

import json
import pickle
import re
import shlex
import shutil
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from gan_lightning.data import AudioFolder
from gan_lightning.evaluation.sound_classifier import train_sound_classifier
from gan_lightning.metrics import DigitsClassifier
from tests.data.test_torchvision_images import write_mnist
from tests.training import command

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHORT = ["--trainer.max_steps=2", "--trainer.val_check_interval=2", "--data.batch_size=8"]
NOT_HERE = {
    "inception": "needs Inception's weights",
    "efficientnet": "needs an extra",
    "EfficientNetLite0": "needs an extra",
    "gan-lightning stylize": "needs an extra",
    "style_transfer/": "needs an extra",
    "srgan": "needs an extra",
    "melodies": "reads music21's whole corpus",
    "hardware/ddp": "takes over the processes; tests/cluster plays it",
    "loggers/wandb": "needs the service; tests/cluster/test_wandb.py plays it offline",
    "pytorch_fid_statistics.npz": "needs Inception's weights",
    "--metrics fid,kid,prc": "needs Inception's weights",
    "--metrics fid,isc --n_seeds": "needs Inception's weights",
}
"""What a command must not say if it is to run here, and why."""


def commands() -> list[str]:
    """Return the commands of all pages, once each, in their order."""
    found: dict[str, None] = {}
    for page in PAGES:
        for block in re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = re.sub(r"\\\n\s*", " ", block).splitlines()
            found.update((line.split("  #")[0].strip(), None) for line in lines if line.startswith("gan-lightning"))
    return list(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with what the pages name: pictures, texts, ratings, CIFAR-10's files, and runs."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "configs").symlink_to(ROOT / "configs")
    random = np.random.default_rng(0)

    def picture(size: int = 40) -> Image.Image:
        return Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8))

    for name in ("FOLDER/cat", "FOLDER/dog", "photos"):
        (folder / name).mkdir(parents=True)
        for i in range(60):
            picture(32 if name == "photos" else 40).save(folder / name / f"{i:02}.png")
    for name in ("samples.zip", "cifar10-jpeg.zip"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            for path in sorted((folder / "photos").iterdir()):
                n = int(path.stem)
                archive.write(
                    path,
                    path.name if name == "samples.zip" else f"{'train' if n % 2 else 'test'}/{n % 20 // 2}/{n}.png",
                )
    (folder / "book.txt").write_text("To be, or not to be, that is the question. " * 200)
    for name in ("verse", "prose"):
        (folder / "texts" / name).mkdir(parents=True)
        (folder / "texts" / name / "a.txt").write_text(f"This is {name}, and there is more of it. " * 200)
    ratings = [f"{u}\t{i}\t{1 + (u * i) % 5}\t{i}\n" for u in range(1, 31) for i in range(1, 41) if (u + i) % 3]
    (folder / "u1.base").write_text("".join(ratings[::2]))
    (folder / "u1.test").write_text("".join(ratings[1::2]))
    (folder / "mine.yaml").write_text("base: sngan/cifar10_cnn.yaml\n")
    for i, path in enumerate(sorted((folder / "photos").iterdir())):
        place = folder / "FOLDER_OR_ZIP" / ("train", "test")[i % 2] / ("horse", "deer")[i // 2 % 2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    for i in range(40):
        path = folder / "notes" / ("69-A4", "64-E4")[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 2, 4000, 0, "NONE", ""))
            sound.writeframes((1000 * random.standard_normal(4000)).astype("<i2").tobytes())
    sounds = AudioFolder(
        str(folder / "notes"), length=1024, rate=4000, normalize=True, eval_fraction=0.1, cache_dir=str(folder)
    )
    train_sound_classifier(sounds, n_updates=1).save(folder / "notes.pt")
    lines = [f"{d % 3} qid:{q} 1:{random.random():.3f} 2:{random.random():.3f}\n" for q in range(9) for d in range(9)]
    (folder / "train.txt").write_text("".join(lines))
    (folder / "test.txt").write_text("".join(lines))
    cifar = folder / "data" / "cifar-10-batches-py"
    cifar.mkdir(parents=True)
    for name in ("data_batch_1", "test_batch"):
        values = random.integers(0, 256, (60, 3072), dtype=np.uint8)
        (cifar / name).write_bytes(pickle.dumps({"data": values, "labels": [i % 10 for i in range(60)]}))
    (cifar / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    write_mnist(folder / "data", n_train=60, n_test=60)
    torch.save(DigitsClassifier(28).state_dict(), folder / "mnist.pt")
    return folder


@pytest.fixture(scope="module")
def played(folder):
    """Play what the pages take for granted, then every command, and return how each ended."""
    outcomes = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(
            datasets.CIFAR10, "train_list", [["data_batch_1", None]]
        )  # the real files' checksums cannot be met
        patch.setattr(datasets.CIFAR10, "test_list", [["test_batch", None]])
        patch.setattr(datasets.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None})
        digits = ["--fidelity.n_samples=200"]
        for name, words in {
            "quickstart": ["--config", "quickstart", *digits],
            "gp10": ["--config", "wgan_gp/cifar10_cnn", "--fidelity.extractor=Raw", "--fidelity.n_samples=40"],
            "a": ["--config", "sngan/cifar10", "--fidelity.extractor=Raw", "--fidelity.n_samples=40"],
            "irgan-ml100k": ["--config", "irgan/ml100k", "--data.path=u1.base", "--data.test_path=u1.test"],
            "ali-digits": ["--config", "ali/digits", *digits],
            "sngan-digits": ["--config", "sngan/digits", *digits],
            "pix2pix-grey_cifar10": [
                "--config",
                "pix2pix/grey_cifar10",
                "--data.root=FOLDER_OR_ZIP",
                "--fidelity.enabled=false",
            ],
            "other": ["--config", "sngan/cifar10_cnn", "--fidelity.enabled=false"],
        }.items():
            outcome = command("fit", *words, "--name", name, *SHORT)
            assert outcome.code == 0, outcome.err
        for line in commands():
            if any(words in line for words in NOT_HERE):
                continue
            words = shlex.split(line)[1:]
            if words[0] == "fit" and "--print_config" not in words:
                words += [word for word in SHORT if "--resume" not in words or "max_steps" in word]
                if any(word in line for word in ("quickstart", "digits", "vanishing", "overpowering")):
                    words += digits
                elif "irgan" not in line and "--resume" not in words:
                    words += ["--fidelity.enabled=false"]
            if "stacked_mnist" in line:
                words += ["--coverage.n_samples=100"]
            if words[0] == "validate" and "quickstart" in line:
                words += digits
            if words[0] == "evaluate":
                words += ["--n", "60"] if "--n" not in words and ".ckpt" in line else []
            outcomes[line] = command(*[word for word in words if word not in ("--data.download", "true")])
    return outcomes


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_pages_runs(line, played):
    reasons = [reason for words, reason in NOT_HERE.items() if words in line]
    if reasons:
        pytest.skip(reasons[0])
    assert played[line].code == 0, json.dumps(played[line]._asdict())[-1500:]
