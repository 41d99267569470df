"""Train the digits classifier that gan_lightning ships as a feature extractor, and write its weights and card.

    python scripts/train_digits_classifier.py [--out gan_lightning/metrics/weights]

The data are the 1797 scans of scikit-learn's `load_digits` (Alpaydin & Kaynak 1998, UCI), split as the data module
`Digits` splits them. Deterministic on one machine: one thread, every draw from one seed. The held-out part is read
once, at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate, one_hot

from gan_lightning.metrics.extractors import DigitsClassifier

N_TRAIN = 1437
SPLIT_RULE = (
    "order = torch.randperm(1797, generator=torch.Generator().manual_seed(0)) over load_digits(); "
    "train = order[:1437], held out = order[1437:]; images round(scan * 255 / 16) as uint8"
)


def load_split() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return train and held-out (images, labels): uint8 `(N, 1, 8, 8)` in 0..255, int64 `(N,)` in 0..9."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (torch.from_numpy(digits.images) * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
    labels = torch.from_numpy(digits.target).long()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, held_out = order[:N_TRAIN], order[N_TRAIN:]
    return (images[train], labels[train]), (images[held_out], labels[held_out])


def augment(images: Tensor) -> Tensor:
    """Shift each image `(N, 1, 8, 8)` by at most one pixel, scale its ink, blur half of them, add noise.

    The blur is a bilinear enlargement brought back by area, which is what a generator's larger images go through.
    """
    n = len(images)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    rows, columns = torch.randint(0, 3, (2, n))
    grid = torch.arange(8)
    shifted = padded[
        torch.arange(n)[:, None, None], 0, rows[:, None, None] + grid[:, None], columns[:, None, None] + grid
    ].unsqueeze(1)
    moved = torch.where(torch.rand(n, 1, 1, 1) < 0.5, shifted, images)
    enlarged = interpolate(moved, scale_factor=4, mode="bilinear", antialias=True)
    blurred = torch.nn.functional.adaptive_avg_pool2d(enlarged, 8)
    mixed = torch.where(torch.rand(n, 1, 1, 1) < 0.5, blurred, moved)
    inked = mixed * (0.8 + 0.3 * torch.rand(n, 1, 1, 1))
    return (inked + 12 * torch.randn_like(inked)).clamp(0, 255)


def train(images: Tensor, labels: Tensor, epochs: int, batch_size: int = 64) -> DigitsClassifier:
    """Return a classifier fitted to all of `images` (uint8 0..255): AdamW, one-cycle schedule, cross-entropy."""
    model = DigitsClassifier()
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
    """Train, measure and write `digits.pt` and `digits.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "gan_lightning" / "metrics" / "weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)

    (images, labels), (held_out_images, held_out_labels) = load_split()
    model = train(images, labels, arguments.epochs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    weights = arguments.out / "digits.pt"
    torch.save(model.state_dict(), weights)
    enlarged = interpolate(held_out_images.float(), 32, mode="bilinear", antialias=True).round().to(torch.uint8)
    card = {
        "held_out": measure(model, held_out_images, held_out_labels),
        "held_out_enlarged_to_32": measure(model, enlarged, held_out_labels),
        "train": measure(model, images, labels),
        "n_train": len(images),
        "n_held_out": len(held_out_images),
        "split_rule": SPLIT_RULE,
        "seed": arguments.seed,
        "epochs": arguments.epochs,
        "command": f"python scripts/train_digits_classifier.py --seed {arguments.seed} --epochs {arguments.epochs}",
        "torch_version": torch.__version__,
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    (arguments.out / "digits.json").write_text(json.dumps(card, indent=2) + "\n")
    print(json.dumps(card, indent=2))


if __name__ == "__main__":
    main()
