"""Are a generator's samples worth anything as training data? Write the table `docs/usefulness.md`.

    python scripts/usefulness.py                                        # the digits that ship, some minutes on two cores
    python scripts/usefulness.py --data cifar10.zip --image_size 32 --config sngan/cifar10 --out runs/usefulness.md
    python scripts/usefulness.py --shares 10 --seeds 2 --updates 50     a trial
    python scripts/usefulness.py --shares --minority 8 --out minority.md   the minority case alone

For each share of the real training images, the generator of a conditional config is trained on that share and on nothing else,
`gan-lightning augment` writes its samples, and a small classifier (`evaluation/classifier.py`, as many updates whatever it is
given) is trained on real, on generated, on both, with and without classical augmentation (shifts by a pixel; mirrored too with
--flip). It is tested on the held-out images, which nothing has seen. In the minority case one class alone is cut, and two more
columns are a control without a generator: real images rebalanced, those of the cut class repeated until there are as many as of
the others. What has been done is not done again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lightning.data import Digits, ImageFolder
from gan_lightning.data.base import RealData
from gan_lightning.evaluation.classifier import accuracy, train_classifier
from gan_lightning.evaluation.pictures import picture
from gan_lightning.runs.memory import keep_freed_memory

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = {
    "real": "real",
    "fake": "generated (GAN-train)",
    "both": "real + generated",
    "real classical": "real, classical augmentation",
    "both classical": "real + generated, classical augmentation",
}
OF_A_CUT_CLASS = {
    "repeated": "real, rebalanced",
    "repeated classical": "real, rebalanced, classical augmentation",
}


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", default="digits", help="digits, or a folder or zip with train and test images in classes"
    )
    parser.add_argument("--image_size", type=int, default=8)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--config", default="conditional_gan/digits", help="a conditional config")
    parser.add_argument("--fit", nargs="*", default=[], help="more options of fit, such as trainer.max_steps=2000")
    parser.add_argument("--shares", type=float, nargs="*", default=[1, 10, 50, 100], help="percent of the real images")
    parser.add_argument(
        "--minority", nargs="*", default=["8"], help="classes to be cut to 5 %%, each in a case of its own"
    )
    parser.add_argument("--seeds", type=int, default=5, help="classifiers of each kind")
    parser.add_argument("--updates", type=int, default=1000, help="of a classifier")
    parser.add_argument("--width", type=int, default=32, help="channels of a classifier's first stage")
    parser.add_argument("--n_test", type=int, help="test on so many held-out images, drawn once; all if left out")
    parser.add_argument("--per_class", type=int, default=500, help="generated images of each class")
    parser.add_argument("--keep_confident", type=float, help="as in augment")
    parser.add_argument("--flip", action="store_true", help="classical augmentation mirrors too")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "usefulness")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "usefulness.md")
    options = parser.parse_args()
    options.runs_dir = options.runs_dir.resolve()  # the trainings run in the repository
    keep_freed_memory()
    data = load(options)
    if options.n_test is not None and not 1 <= options.n_test <= (n := len(data.reference("eval").images)):
        parser.error(f"--n_test must be 1 to {n:,}, the number of held-out images, got {options.n_test}")
    cases: list[tuple[str, dict[int, float]]] = []
    n_classes = data.n_classes
    cases += [(f"{share:g} %", dict.fromkeys(range(n_classes), share / 100)) for share in options.shares]
    names = list(data.classes or map(str, range(n_classes)))
    cases += [
        (f"class {name} at 5 %", {i: 0.05 if n == name else 1.0 for i, n in enumerate(names)})
        for name in options.minority
    ]
    results = []
    for name, shares in cases:
        results.append(case(name, shares, data, names, options))
        write(results, options)


def load(options: argparse.Namespace) -> RealData:
    """Return the data module."""
    if options.data == "digits":
        return Digits(image_size=options.image_size)
    data = ImageFolder(options.data, options.image_size, options.channels)
    data.prepare_data()
    return data


def part(labels: Tensor, shares: dict[int, float]) -> Tensor:
    """Return the rows of a share of each class, at least one, the same at every call."""
    random = torch.Generator().manual_seed(0)
    rows = []
    for index, share in shares.items():
        own = (labels == index).nonzero().flatten()
        rows.append(own[torch.randperm(len(own), generator=random)][: max(1, round(share * len(own)))])
    return torch.cat(rows)


def rebalanced(labels: Tensor, cut: list[int]) -> Tensor:
    """Return the rows of all images `(N,)`, those of the cut classes repeated up to the mean number of the others."""
    counts = labels.bincount()
    others = [n for index, n in enumerate(counts.tolist()) if index not in cut]
    rows = [torch.arange(len(labels))]
    for index in cut:
        own = (labels == index).nonzero().flatten()
        n = round(sum(others) / len(others)) - len(own)
        rows.append(own.repeat(-(-n // len(own)))[: max(0, n)])
    return torch.cat(rows)


def case(
    name: str, shares: dict[int, float], data: RealData, names: list[str], options: argparse.Namespace
) -> dict[str, Any]:
    """Return the accuracies of one share of the real images."""
    folder = options.runs_dir / name.replace(" %", "").replace(" ", "-")
    settings = {
        key: str(getattr(options, key))
        for key in (
            "data",
            "config",
            "fit",
            "seeds",
            "updates",
            "width",
            "n_test",
            "per_class",
            "flip",
            "keep_confident",
        )
    }
    cut = [index for index, share in shares.items() if share < max(shares.values())]
    kinds = [*COLUMNS, *(OF_A_CUT_CLASS if cut else ())]
    settings["kinds"] = ", ".join(kinds)
    settings["samples"] = " ".join(data.reference(split).fingerprint for split in ("train", "eval"))
    done = folder / "result.json"
    if done.is_file() and (before := json.loads(done.read_text()))["settings"] == settings:
        return before
    shutil.rmtree(folder, ignore_errors=True)
    train, test = data.reference("train"), data.reference("eval")
    assert train.labels is not None and test.labels is not None
    tested = torch.randperm(len(test.labels), generator=torch.Generator().manual_seed(0))[: options.n_test]
    test_images, test_labels = test.images[tested], test.labels[tested]
    rows = part(train.labels, shares)
    real, labels = train.images[rows], train.labels[rows]
    for i, (image, label) in enumerate(zip(real, labels.tolist(), strict=True)):
        path = folder / "real" / names[label] / f"{i:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(image).save(path)
    fake, fake_labels = generated(folder, names, options)
    n = max(len(real), len(fake))
    both = torch.cat([real.repeat(-(-n // len(real)), 1, 1, 1)[:n], fake.repeat(-(-n // len(fake)), 1, 1, 1)[:n]])
    both_labels = torch.cat([labels.repeat(-(-n // len(real)))[:n], fake_labels.repeat(-(-n // len(fake)))[:n]])
    sets = {"real": (real, labels), "fake": (fake, fake_labels), "both": (both, both_labels)}
    if cut:
        often = rebalanced(labels, cut)
        sets["repeated"] = real[often], labels[often]
    result: dict[str, Any] = {"name": name, "settings": settings, "n_real": len(real), "n_fake": len(fake), "cut": cut}
    for kind in kinds:
        images, own = sets[kind.split()[0]]
        classical = {"shift": 1, "flip": options.flip} if kind.endswith("classical") else {}
        for seed in range(options.seeds):
            classifier = train_classifier(
                images, own, len(names), seed, options.updates, **classical, width=options.width
            )
            result.setdefault(kind, []).append(accuracy(classifier, test_images, test_labels))
            if kind == "real":
                result.setdefault("GAN-test", []).append(accuracy(classifier, fake, fake_labels))
            if cut:
                of_cut = test_labels == cut[0]
                result.setdefault(f"{kind} cut", []).append(
                    accuracy(classifier, test_images[of_cut], test_labels[of_cut])
                )
        print(f"{name}, {kind}: {statistics.mean(result[kind]):.4f}", file=sys.stderr, flush=True)
    done.write_text(json.dumps(result, indent=2) + "\n")
    return result


def generated(folder: Path, names: list[str], options: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Train the generator on `folder/real` and return its samples, as `augment` writes them."""
    words = ["fit", "--config", options.config, "--data", "ImageFolder", "--data.root", str(folder / "real")]
    words += ["--data.image_size", str(options.image_size), "--data.channels", str(options.channels)]
    words += [
        "--fidelity.enabled",
        "false",
        "--runs_dir",
        str(folder),
        "--name",
        "gan",
        *(f"--{word}" for word in options.fit),
    ]
    run(words)
    words = ["augment", "--ckpt_path", str(folder / "gan" / "checkpoints" / "last.ckpt"), "--out", str(folder / "fake")]
    words += ["--per_class", str(options.per_class)]
    words += ["--keep_confident", str(options.keep_confident)] if options.keep_confident else []
    run(words)
    fakes = ImageFolder(str(folder / "fake"), options.image_size, options.channels)
    fakes.prepare_data()
    found = fakes.reference("train")
    assert found.labels is not None and fakes.classes is not None
    return found.images, torch.tensor([names.index(name) for name in fakes.classes])[found.labels]


def run(words: list[str]) -> None:
    """Run gan-lightning, and stop with its message if it does."""
    done = subprocess.run([sys.executable, "-m", "gan_lightning", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"gan-lightning {' '.join(words)}\n{done.stderr[-2000:]}")


def cell(values: list[float]) -> str:
    """Return a mean and standard deviation in percent."""
    spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{spread}"


def table(results: list[dict[str, Any]], columns: dict[str, str], ending: str = "") -> list[str]:
    """Return the lines of a table of what was measured under these names."""
    lines = [f"| real images | {' | '.join(columns.values())} |", "|" + "---|" * (len(columns) + 1)]
    for result in results:
        cells = [cell(result[f"{kind}{ending}"]) for kind in columns]
        lines.append(f"| {result['name']} ({result['n_real']:,}) | {' | '.join(cells)} |")
    return lines


def write(results: list[dict[str, Any]], options: argparse.Namespace) -> None:
    """Write the table."""
    command = " ".join(["python scripts/usefulness.py", *sys.argv[1:]])
    lines = [
        "# What generated pictures are worth as training data",
        "",
        f"Written by `{command}`: config `{options.config}`, {options.per_class} generated images of each class, "
        f"{options.seeds} classifiers of width {options.width} and {options.updates:,} updates each; accuracy on "
        f"{f'{options.n_test:,} of ' if options.n_test else ''}the held-out images in percent, mean ± "
        "standard deviation over the classifiers. The generator has seen the same real images as the classifier, and no others. "
        "GAN-test is the accuracy on generated images of the classifier trained on real ones (Shmelkov et al. 2018, "
        "arXiv:1807.09499). `gan-lightning augment` writes such images for your own checkpoint.",
    ]
    gan_test = {"GAN-test": "GAN-test"}
    whole, cut = ([result for result in results if bool(result["cut"]) is is_cut] for is_cut in (False, True))
    if whole:
        lines += ["", *table(whole, COLUMNS | gan_test)]
    if cut:
        lines += ["", "Where one class was cut:", "", *table(cut, COLUMNS | OF_A_CUT_CLASS | gan_test)]
        lines += ["", "Of these, the accuracy on that class (its recall):", ""]
        lines += table(cut, COLUMNS | OF_A_CUT_CLASS, " cut")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
