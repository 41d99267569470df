"""Train a classifier of digits, the one that gan_lightning ships as a feature extractor, or MNIST's; write weights and card.

    python scripts/train_digits_classifier.py --out .                  scikit-learn's digits: digits.pt, digits.json
    python scripts/train_digits_classifier.py --out . --mnist data     MNIST under data/: mnist.pt, mnist.json

The data are the 1797 scans of scikit-learn's `load_digits` (Alpaydin & Kaynak 1998, UCI), split as the data module
`Digits` splits them, or MNIST in torchvision's layout, at 28x28 (`DigitsClassifier(28)`), with its test images held out;
`StackedMNIST` needs that one. Deterministic on one machine: one thread, every draw from one seed. The held-out part is
read once, at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, cross_entropy, interpolate, one_hot, pad

from gan_lightning.data import Digits, RealData, TorchvisionImages
from gan_lightning.errors import UserError
from gan_lightning.metrics import DigitsClassifier

SPLIT_RULE = (
    "order = torch.randperm(1797, generator=torch.Generator().manual_seed(0)) over load_digits(); "
    "train = order[:1437], held out = order[1437:]; images round(scan * 255 / 16) as uint8"
)


def load(data: RealData) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return train and held-out (images, labels): uint8 `(N, 1, S, S)` in 0..255, int64 `(N,)` in 0..9."""
    splits = [data.reference(split) for split in ("train", "eval")]
    train, held_out = ((torch.as_tensor(split.images), torch.as_tensor(split.labels)) for split in splits)
    return train, held_out


def augment(images: Tensor) -> Tensor:
    """Shift each image `(N, 1, S, S)` by at most S / 8 pixels, scale its ink, blur half of them, add noise.

    The blur is a bilinear enlargement brought back by area, which is what a generator's larger images go through.
    """
    n, size = len(images), images.shape[-1]
    most = size // 8
    padded = pad(images, (most, most, most, most))
    rows, columns = torch.randint(0, 2 * most + 1, (2, n))
    grid = torch.arange(size)
    shifted = padded[
        torch.arange(n)[:, None, None], 0, rows[:, None, None] + grid[:, None], columns[:, None, None] + grid
    ].unsqueeze(1)
    moved = torch.where(torch.rand(n, 1, 1, 1) < 0.5, shifted, images)
    enlarged = interpolate(moved, scale_factor=4, mode="bilinear", antialias=True)
    blurred = adaptive_avg_pool2d(enlarged, size)
    mixed = torch.where(torch.rand(n, 1, 1, 1) < 0.5, blurred, moved)
    inked = mixed * (0.8 + 0.3 * torch.rand(n, 1, 1, 1))
    return (inked + 12 * torch.randn_like(inked)).clamp(0, 255)


def train(images: Tensor, labels: Tensor, epochs: int, batch_size: int = 64) -> DigitsClassifier:
    """Return a classifier fitted to all of `images` (uint8 0..255): AdamW, one-cycle schedule, cross-entropy."""
    model = DigitsClassifier(images.shape[-1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.02)
    n_steps = epochs * (len(images) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=n_steps)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for i in range(len(images) // batch_size):
            rows = order[i * batch_size : (i + 1) * batch_size]
            loss = cross_entropy(model(augment(images[rows].float()))[1], labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def measure(model: DigitsClassifier, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Return accuracy, mean negative log-likelihood (nats) and the 10-bin expected calibration error on `images`."""
    probabilities = model(images)[1].double().softmax(1)
    confidence, guess = probabilities.max(1)
    right = (guess == labels).double()
    bins = one_hot((confidence * 10).long().clamp(max=9), 10).double()
    gaps = (bins.T @ (confidence - right)).abs()
    return {
        "accuracy": right.mean().item(),
        "nll": -probabilities[torch.arange(len(labels)), labels].log().mean().item(),
        "expected_calibration_error": (gaps.sum() / len(labels)).item(),
    }


def main() -> None:
    """Train, measure and write `digits.pt` and `digits.json`, or `mnist.pt` and `mnist.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights and their card")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="passes over the training images: 40, of MNIST 4")
    parser.add_argument(
        "--mnist", metavar="ROOT", help="train on MNIST in this folder and not on scikit-learn's digits"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)

    name = "digits" if arguments.mnist is None else "mnist"
    weights = arguments.out / f"{name}.pt"
    if weights.exists():
        parser.error(f"{weights} is there already; take it away, or give another --out")
    epochs = arguments.epochs or {"digits": 40, "mnist": 4}[name]
    try:
        data = load(Digits() if arguments.mnist is None else TorchvisionImages("MNIST", arguments.mnist))
    except UserError as error:
        parser.error(str(error))
    (images, labels), (held_out_images, held_out_labels) = data
    model = train(images, labels, epochs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), weights)
    larger = 32 if name == "digits" else 64
    enlarged = interpolate(held_out_images.float(), larger, mode="bilinear", antialias=True).round().to(torch.uint8)
    words = f"--seed {arguments.seed} --epochs {epochs}" + ("" if name == "digits" else " --mnist ROOT")
    card = {
        "held_out": measure(model, held_out_images, held_out_labels),
        f"held_out_enlarged_to_{larger}": measure(model, enlarged, held_out_labels),
        "train": measure(model, images, labels),
        "n_train": len(images),
        "n_held_out": len(held_out_images),
        "split_rule": SPLIT_RULE if name == "digits" else "MNIST's own: 60,000 to train, 10,000 held out",
        "seed": arguments.seed,
        "epochs": epochs,
        "command": f"python scripts/train_digits_classifier.py --out . {words}",
        "torch_version": torch.__version__,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    (arguments.out / f"{name}.json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()
