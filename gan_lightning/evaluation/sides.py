"""What `evaluate` compares: a folder or a zip of images, a checkpoint, a data config, or kept statistics."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from gan_lightning.data.base import RealData
from gan_lightning.data.decoding import Crop, Filter, check_range, decode, upright_size
from gan_lightning.data.image_files import ImageFiles, image_files
from gan_lightning.data.packing import Recipe, cache_home, pack_home, packed
from gan_lightning.data.stream import RealSamples
from gan_lightning.description import rebuild
from gan_lightning.errors import UserError, in_one_line, say
from gan_lightning.evaluation.cards import short_hash
from gan_lightning.evaluation.measures import Draw
from gan_lightning.metrics.extractors import download
from gan_lightning.metrics.fidelity import Moments, chunks
from gan_lightning.runs.checkpoint_files import is_whole
from gan_lightning.shapes import Images, Shape

CLEAN_FID = "https://www.cs.cmu.edu/~clean-fid/stats"
"""Where clean-fid (GaParmar/clean-fid) keeps its statistics."""

_OF_CHECKPOINTS = ("n", "seed", "n_seeds", "labels", "truncation")
_OF_DATA = ("split",)
_OF_IMAGES = ("size", "filter", "crop", "on_error", "value_range")
OBEYED = {
    **dict.fromkeys(_OF_CHECKPOINTS, "a checkpoint"),
    "labels": "a checkpoint with classes",
    **dict.fromkeys(_OF_DATA, "a config of data"),
    **dict.fromkeys(_OF_IMAGES, "a folder or zip of images"),
}
"""Of what each option of `gan-lightning evaluate` is that not every side obeys."""


@dataclass
class Side:
    """One of the two sets that are compared.

    Attributes:
        words: What it is, for people.
        facts: What the card says of it.
        n: Number of samples, None if statistics do not say.
        shape: Shape of a sample, None for statistics.
        draw: Returns what its samples are drawn with, given labels or None and a seed; None for statistics.
        fingerprint: Hash of the content of fixed samples.
        labels: Classes of fixed samples.
        classes: Names of the classes.
        n_classes: Classes of a generator, 0 for none.
        moments: What statistics hold.
        extractor: Name and fingerprint of the extractor that statistics were made with, where they say so.
        is_8_bit: Whether fixed samples are uint8; a generator's are floating point.
        game: Whose averaged generator draws the samples, None for fixed ones.
        obeys: Names of `OBEYED` that it depends on.
    """

    words: str
    facts: dict[str, Any]
    n: int | None = None
    shape: Shape | None = None
    draw: Callable[[Tensor | None, int], Draw] | None = None
    fingerprint: str | None = None
    labels: Tensor | None = None
    classes: list[str] = field(default_factory=list)
    n_classes: int = 0
    moments: Moments | None = None
    extractor: list[str] | None = None
    is_8_bit: bool = True
    game: Any = None
    obeys: tuple[str, ...] = ()


@dataclass
class Reading:
    """How image files are read.

    Attributes:
        size: Height and width to bring images to; None refuses images of different sizes.
        resample: The filter, by its name in Pillow.
        crop: As in `ImageFolder`.
        on_error: "raise" names the files that cannot be read, "skip" leaves them out and lists them on the card.
        value_range: As in `ImageFolder`.
    """

    size: int | None = None
    resample: Filter = "bicubic"
    crop: Crop = "center"
    on_error: Literal["raise", "skip"] = "raise"
    value_range: list[float] | None = None


def image_side(root: str, reading: Reading) -> Side:
    """Return the images of a folder or a zip, of all formats that Pillow reads, as RGB.

    Raises:
        UserError: There are none, some cannot be read, or they have several sizes and none to be brought to.
    """
    check_range(reading.value_range)
    files = image_files(root)
    names = files.names()
    if files.unlisted and reading.on_error == "raise":
        raise UserError(f"{root}: {_listed(files.unlisted)} cannot be listed; --on_error skip leaves them out")
    shape = Images(reading.size, reading.size, 3) if reading.size else _common_shape(files, names, root)
    options: dict[str, Any] = {"size": [shape.height, shape.width], "resample": reading.resample, "crop": reading.crop}
    options |= {} if reading.value_range is None else {"value_range": reading.value_range}

    def pixels(index: int) -> Any:
        content = files.read(names[index])
        if reading.size is None and upright_size(content) != (shape.height, shape.width):
            raise UserError("its size is not that of the others")  # it has changed since
        return decode(content, shape, reading.crop, reading.value_range, reading.resample)

    recipe = Recipe(
        name=f"{files.root.name} (evaluate)",
        owner=json.dumps({"root": str(files.root.resolve()), "split": "evaluate", **options}),
        key={**options, "files": [[name, *files.stamp(name)] for name in names]},
        n=len(names),
        shape=shape.size,
        decode=pixels,
        describe=lambda index: names[index],
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd files; what is left out is said below
            pack = packed(recipe, [pack_home()], "skip")
    except UserError as error:
        text = str(error).replace("--data.value_range", "--value_range").replace("--data.on_error", "--on_error")
        raise UserError(text) from error
    skipped = json.loads(pack.path.with_suffix(".json").read_text(encoding="utf-8"))["skipped"]
    bad = {str(entry["file"]): str(entry["reason"]) for entry in skipped}
    if bad and reading.on_error == "raise":
        raise UserError(
            f"{len(bad)} of {len(names)} images in {root} cannot be read: {_listed(bad)}; fix or remove them, or leave "
            "them out with --on_error skip"
        )
    if bad:
        say(f"{len(bad)} of {len(names)} images in {root} are left out: {_listed(bad)}")
    if others := sum(files.others().values()):
        say(f"{others} files in {root} are no images by their names, and are not seen")
    facts = {
        "resize": f"{reading.resample} to {reading.size}x{reading.size}, crop {reading.crop}" if reading.size else None,
        "skipped": bad or None,
    }
    samples = RealSamples(pack.images, None, f"{root}, {len(pack.images)} images of {shape}", pack.digest)
    side = _fixed(samples, shape, facts)
    side.obeys = _OF_IMAGES
    return side


def _common_shape(files: ImageFiles, names: list[str], root: str) -> Images:
    """Return the shape that all images of a folder have."""
    sizes: dict[str, tuple[int, int]] = {}
    for name in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sizes[name] = upright_size(files.read(name))
        except Exception:  # Pillow's plugins raise anything at all; packing names it
            continue
    if not sizes:
        raise UserError(f"none of {len(names)} images in {root} can be read")
    counts = Counter(sizes.values())
    (height, width), _ = counts.most_common(1)[0]
    odd = {name: f"{size[1]}x{size[0]}" for name, size in sizes.items() if size != (height, width)}
    if odd:
        raise UserError(
            f"images in {root} have {len(counts)} sizes: most are {width}x{height}, but {_listed(odd)}; bring all to one "
            f"with --size {max(height, width)} --filter bicubic"
        )
    return Images(height, width, 3)


def _listed(reasons: dict[str, str], at_most: int = 8) -> str:
    shown = [f"{name} ({reason})" for name, reason in list(reasons.items())[:at_most]]
    return ", ".join(shown) + (f" and {len(reasons) - at_most} more" if len(reasons) > at_most else "")


def data_side(config: dict[str, Any], split: Literal["train", "eval"], name: str, trust: bool = True) -> Side:
    """Return a split of the data that a config names.

    Raises:
        UserError: It names none.
    """
    data = config.get("data")
    if not isinstance(data, dict) or "class_path" not in data:
        raise UserError(f"{name} names no data: it needs data: with a class_path")
    module = rebuild(RealData, {"_class_path": data["class_path"], **(data.get("init_args") or {})}, trust)
    module.prepare_data()
    samples = module.reference(split, whole=True)
    side = _fixed(samples, module.shape, {"split": split})
    side.labels, side.classes, side.obeys = samples.labels, list(module.classes), _OF_DATA
    return side


def _fixed(samples: RealSamples, shape: Shape, facts: dict[str, Any]) -> Side:
    def draw(labels: Tensor | None, seed: int) -> Draw:
        ranges = chunks(len(samples))
        return lambda indices: (samples.images[ranges[i].start : ranges[i].stop] for i in indices)

    return Side(
        samples.description,
        facts,
        len(samples),
        shape,
        draw,
        samples.fingerprint,
        is_8_bit=samples.images.dtype == torch.uint8,
    )


def checkpoint_side(game: Any, path: str, n: int, truncation: float | None = None) -> Side:
    """Return n samples of the averaged generator of a checkpoint, whose game has been loaded."""
    options = {} if truncation is None else {"truncation": truncation}

    def draw(labels: Tensor | None, seed: int) -> Draw:
        given = {} if labels is None else {"labels": labels}
        return lambda indices: game.sample_chunks(indices, seed=seed, **given, **options)

    facts = {
        "checkpoint": Path(path).name,
        "checkpoint_sha256": short_hash(Path(path)),
        "update": game.updates_done,
        "kimg": game.samples_seen / 1000,
        "family": type(game).__name__,
        "weights": "average" if game.ema_decay else "latest",
        "ema_decay": game.ema_decay,
        "truncation": truncation,
    }
    words = f"{n} samples of {path} (update {game.updates_done})"
    classes = list(game.classes or [])
    side = Side(words, facts, n, game.shape, draw, None, None, classes, game.n_classes, is_8_bit=False, game=game)
    side.obeys = tuple(name for name in _OF_CHECKPOINTS if name != "labels" or game.n_classes)
    return side


def statistics_side(path: Path) -> Side:
    """Return the mean and covariance in a file: pytorch-fid's or clean-fid's `.npz` (mu, sigma), or ours (`.npz`, `.pt`).

    Raises:
        UserError: It holds no such statistics, or damaged ones.
    """
    try:
        if path.suffix == ".pt":
            if not is_whole(path):
                raise ValueError("its checksum is wrong")
            state = torch.load(path, map_location="cpu", weights_only=True)
            moments, n = Moments(state["n"], state["total"], state["outer"]), int(state["n"])
            extractor = state.get("extractor")
        else:
            with np.load(path, allow_pickle=False) as arrays:
                mean, covariance = (torch.from_numpy(np.asarray(arrays[name])).double() for name in ("mu", "sigma"))
                n = int(arrays["n"]) if "n" in arrays else 0
                extractor = [str(word) for word in arrays["extractor"]] if "extractor" in arrays else None
            if not (mean.isfinite().all() and covariance.isfinite().all()):
                raise ValueError("some numbers are not finite")
            if not torch.allclose(covariance, covariance.T, rtol=1e-4, atol=1e-8):
                raise ValueError("its sigma is not symmetric")
            moments = Moments.of(mean, covariance, n or 100_000)
    except Exception as error:  # bytes that are no archive raise anything
        raise UserError(
            f"{path} holds no statistics ({in_one_line(error)}); a .npz of pytorch-fid has mu (F,) and sigma (F, F)"
        ) from error
    words = f"statistics of {n or 'an unknown number of'} samples in {path}"
    return Side(words, {"sha256": short_hash(path)}, n or None, moments=moments, extractor=extractor)


def clean_fid_side(given: str) -> Side:
    """Return the statistics that clean-fid publishes under a name, such as `cleanfid:cifar10_train_32`.

    They are those of its mode `legacy_tensorflow`, which resizes as torch-fidelity's Inception does; numbers of its mode
    `clean` are another quantity. The file is kept in the cache folder, and may be put there by hand.

    Raises:
        UserError: The name is not of that form, or the file is neither there nor within reach.
    """
    found = re.fullmatch(r"cleanfid:(\w+)_(train|test|trainfull|train70k|val)_(\d+)", given, re.IGNORECASE)
    if found is None:
        raise UserError(
            f"{given} is no name of clean-fid's; give cleanfid:NAME_SPLIT_SIZE, such as cleanfid:cifar10_train_32"
        )
    name = "{}_legacy_tensorflow_{}_{}.npz".format(*found.groups()).lower()
    path = cache_home() / "clean-fid" / name
    if not path.is_file():
        url = f"{CLEAN_FID}/{name}"
        try:
            download(url, path)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"{url} could not be downloaded ({in_one_line(error)}); put the file in {path.parent}"
            ) from error
    return statistics_side(path)


def save_statistics(path: Path, moments: Moments, extractor: list[str]) -> None:
    """Write statistics as pytorch-fid does, with the number of samples and the extractor beside."""
    with path.open("wb") as file:
        np.savez(
            file,
            mu=moments.mean.numpy(),
            sigma=moments.covariance.numpy(),
            n=np.int64(moments.n),
            extractor=np.array(extractor),
        )
