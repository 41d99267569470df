"""`gan-lightning evaluate REAL FAKE`: the numbers of two sets of samples, as a table, a card, or JSON."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist
import yaml
from torch import Tensor, nn

from gan_lightning.cli.config_files import read_config
from gan_lightning.cli.devices import chosen_device
from gan_lightning.cli.shipped import find_config
from gan_lightning.data.decoding import with_channels
from gan_lightning.description import find_class, rebuild
from gan_lightning.errors import RunFailed, UserError, in_one_line, say
from gan_lightning.evaluation.cards import card_of, save_card
from gan_lightning.evaluation.measures import (
    METRICS,
    OF_LOGITS,
    Draw,
    Measured,
    check_metrics,
    check_pairs,
    check_sizes,
    compared,
    measure,
    with_spread,
)
from gan_lightning.evaluation.moments import measure_kept
from gan_lightning.evaluation.path_length import check_path_length, path_length
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.evaluation.sides import (
    OBEYED,
    Reading,
    Side,
    checkpoint_side,
    clean_fid_side,
    data_side,
    image_side,
    save_statistics,
    statistics_side,
)
from gan_lightning.games.restore import load_game
from gan_lightning.games.sampling import SamplingGame
from gan_lightning.metrics import (
    LPIPS,
    Digits,
    EfficientNetLite0,
    ExtractorUnavailable,
    FeatureExtractor,
    Inception,
    ModuleExtractor,
    Raw,
    TorchFidelity,
)
from gan_lightning.metrics.fidelity import Moments, proportional_labels
from gan_lightning.runs.home import with_home
from gan_lightning.shapes import Images

EXTRACTORS = {
    "inception": Inception,
    "efficientnet_lite0": EfficientNetLite0,
    "digits": Digits,
    "raw": Raw,
    "lpips": LPIPS,
}


@dataclass
class Options:
    """What was asked for; `gan-lightning evaluate --help` says what each is."""

    real: str
    fake: str
    metrics: list[str]
    extractors: list[str]
    weights: str | None
    n: int
    seed: int
    n_seeds: int
    split: Literal["train", "eval"]
    labels: Literal["data", "uniform"]
    truncation: float | None
    isc_splits: int
    training: str | None
    reading: Reading
    device: str
    out: str | None
    as_json: bool
    save_real: str | None
    trust: bool
    typed: frozenset[str] = frozenset()  # the options of the command line, without dashes


def evaluate(options: Options) -> None:
    """Compare two sides and tell, on rank 0.

    Raises:
        UserError: A side, a metric or an extractor cannot be had, or they do not go together.
        RunFailed: The disk is full.
    """
    check_metrics(options.metrics, "--metrics")
    if options.save_real and Path(options.save_real).expanduser().exists():
        raise UserError(f"--save_real {options.save_real} is there already; give another name, or remove it")
    start = time.perf_counter()
    extractors = [named_extractor(name, options.weights, options.trust) for name in options.extractors]
    suffixes = [extractor.log_suffix for extractor in extractors]
    if len(set(suffixes)) < len(suffixes):
        raise UserError(f"--extractor names one twice: {', '.join(options.extractors)}")
    device = str(chosen_device(options.device))
    real, fake = (opened(given, options, device) for given in (options.real, options.fake))
    training = None if options.training is None else opened(options.training, options, device, "train")
    _check_options(options, real, fake, training)
    check_sides(options, real, fake, training, extractors)
    check_pairs(options.metrics, extractors, "--metrics ppl")
    if "ppl" in options.metrics:
        check_path_length(fake.game, f"{options.fake}: --metrics")
    for extractor in extractors:
        try:
            extractor.load(device)
        except ExtractorUnavailable as error:
            raise UserError(str(error)) from error
    for side, which in ((real, "REAL"), (fake, "FAKE")):
        for extractor in extractors:
            _check_owner(side, which, extractor)
    with process_group():
        found = _compare(options, real, fake, training, extractors)
    if int(os.environ.get("RANK", "0")):
        return
    seconds = round(time.perf_counter() - start, 3)
    cards = []
    folder = _card_folder(options)
    for extractor, (values, details) in zip(extractors, found, strict=True):
        facts = _facts(options, real, fake, training, extractor) | details
        name = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:12]
        card = card_of(values, {**facts, "seconds": seconds})
        try:
            save_card(folder / f"evaluate-{extractor.log_suffix.strip('_') or extractor.name}-{name}.json", card)
        except OSError as error:
            raise RunFailed(f"the card cannot be written to {folder}: {error.strerror}; give --out FOLDER") from error
        cards.append(card)
    if options.as_json:
        print(json.dumps(cards if len(cards) > 1 else cards[0], indent=2))
    else:
        print(_table(real, fake, extractors, [values for values, _ in found]))
        print(f"cards in {folder}", file=sys.stderr)


def named_extractor(name: str, weights: str | None, trust: bool = True) -> FeatureExtractor:
    """Return the extractor of a name: one of ours, torch-fidelity's, or the path of a class, or class_path and init_args.

    Raises:
        UserError: There is none.
    """
    own = {} if weights is None else {"weights_path": weights}
    if name.lower() in EXTRACTORS:
        kind = EXTRACTORS[name.lower()]
        if own and kind in (Digits, Raw, LPIPS):
            raise UserError(f"--weights {weights}: the extractor {name} takes none; leave it out")
        return kind(**own)
    if name.lstrip().startswith("{"):
        try:
            given = yaml.safe_load(name)
        except yaml.YAMLError as error:
            raise UserError(f"--extractor is not valid YAML: {in_one_line(error)}") from error
        if not isinstance(given, dict) or not isinstance(given.get("class_path"), str):
            raise UserError(f"--extractor must be a name or have a class_path, got {name}")
        found = rebuild(
            FeatureExtractor, {"_class_path": given["class_path"], **(given.get("init_args") or {}), **own}, trust=True
        )
        assert isinstance(found, FeatureExtractor)
        return found
    if "." in name:
        try:
            kind = find_class(name)
        except (ImportError, AttributeError, ValueError) as error:
            raise UserError(f"--extractor {name}: there is no such class ({in_one_line(error)})") from error
        if isinstance(kind, type) and issubclass(kind, FeatureExtractor):
            return kind(**own)
        if isinstance(kind, type) and issubclass(kind, nn.Module):
            try:
                module = kind()
            except TypeError as error:
                raise UserError(
                    f"--extractor {name} needs arguments ({in_one_line(error)}); give "
                    "'{class_path: ModuleExtractor, init_args: {module: {class_path: ..., init_args: {...}}, name: ...}}'"
                ) from error
            return ModuleExtractor(module, kind.__name__.lower(), weights_path=weights)
        raise UserError(f"--extractor {name} is neither a FeatureExtractor nor an nn.Module")
    try:
        return TorchFidelity(name, **own)
    except UserError as error:
        raise UserError(
            f"--extractor: there is no {name}; there are {', '.join(EXTRACTORS)}, a class path, and torch-fidelity's "
            f"extractors ({error})"
        ) from error


def _check_options(options: Options, real: Side, fake: Side, training: Side | None) -> None:
    """Refuse options that nothing would obey."""
    sides = [side for side in (real, fake, training) if side is not None]
    for name in sorted(options.typed & OBEYED.keys()):
        if not any(name in side.obeys for side in ([fake] if name in ("labels", "n_seeds") else sides)):
            which = "FAKE is" if name in ("labels", "n_seeds") else "REAL and FAKE are"
            raise UserError(f"--{name} is of {OBEYED[name]}, and {which} none; leave it out")
    if "isc_splits" in options.typed and "isc" not in options.metrics:
        raise UserError(f"--isc_splits is of the Inception score; add isc to --metrics {','.join(options.metrics)}")


def opened(given: str, options: Options, device: str, split: Literal["train", "eval"] | None = None) -> Side:
    """Return the side that a word names."""
    if given.lower().startswith("cleanfid:"):
        return clean_fid_side(given)
    path = Path(given).expanduser()
    suffix = path.suffix.lower()
    if suffix == ".ckpt":
        game = load_game(path, options.trust)
        if not isinstance(game, SamplingGame):
            raise UserError(f"{path}: {type(game).__name__} draws no samples from latents")
        game.to(device)
        return checkpoint_side(game, str(path), options.n, options.truncation)
    if suffix in (".npz", ".pt"):
        if not path.is_file():
            raise UserError(f"there is no file {path}")
        return statistics_side(path)
    if suffix in (".yaml", ".yml") or not path.exists():
        try:
            file = path if path.is_file() else find_config(given)
        except UserError as error:
            raise UserError(
                f"{given} is no folder, zip, checkpoint (.ckpt), statistics (.npz, .pt) or config (.yaml) that is there, "
                "and no config that ships"
            ) from error
        return data_side(with_home(read_config(file)), split or options.split, str(file))
    if path.is_dir() and (path / "checkpoints").is_dir() and (path / "config.yaml").is_file():
        files = sorted(map(str, (path / "checkpoints").glob("*.ckpt")))
        raise UserError(f"{path} is a run folder; give one of {', '.join([*files, str(path / 'config.yaml')])}")
    return image_side(str(path), options.reading)


def check_sides(
    options: Options, real: Side, fake: Side, training: Side | None, extractors: Sequence[FeatureExtractor]
) -> None:
    """Refuse sides that do not go together, and metrics that cannot be had of them.

    Raises:
        UserError: One cannot.
    """
    shapes = [side.shape for side in (real, fake, training) if side is not None and side.shape is not None]
    for shape in shapes:
        for extractor in extractors:
            extractor.check(shape)
        first = shapes[0]
        if isinstance(first, Images) and isinstance(shape, Images):
            if (first.height, first.width) != (shape.height, shape.width):
                raise UserError(
                    f"REAL has images of {first.width}x{first.height}, FAKE of {shape.width}x{shape.height}; bring image "
                    f"files to one size with --size {min(first.height, shape.height)} --filter bicubic"
                )
        elif first != shape:
            raise UserError(f"REAL has samples of shape {first.size}, FAKE of {shape.size}")
    if options.training is None and "memorization" in options.metrics:
        raise UserError("--metrics memorization compares with training samples too; give them with --training")
    if training is not None and training.moments is not None:
        raise UserError(f"--training {options.training} holds statistics, not samples")
    for name in options.metrics:
        metric = METRICS[name]
        if fake.moments is not None and name != "fid":
            raise UserError(f"{options.fake} holds statistics, not samples: {name} cannot be had of it, fid can")
        if real.moments is not None and metric.real and metric.features == "both":
            raise UserError(
                f"{options.real} holds statistics, not samples: {name} cannot be had of it, fid and fd_infinity can"
            )
        if metric.labels:
            has = [real.labels is not None or not metric.real, fake.labels is not None or fake.n_classes > 0]
            if not all(has):
                which = options.fake if has[0] else options.real
                raise UserError(f"--metrics {name} is of classes, and {which} has none; leave it out")
    for side, which in ((real, "real"), (fake, "generated")):
        if side.n is not None and side.n < 2 and "fid" in options.metrics:
            raise UserError(f"{side.words}: fid needs at least 2 {which} samples")
    if fake.n is not None:
        has_logits = any(extractor.has_logits for extractor in extractors)
        check_sizes(options.metrics, fake.n, real.n, options.isc_splits, has_logits)
    if real.n is not None and fake.n is not None and real.n != fake.n and {"fid", "class_fid"} & set(options.metrics):
        say(f"{real.n} real and {fake.n} generated samples: FID depends on both numbers, compare equal ones only")


def _check_owner(side: Side, which: str, extractor: FeatureExtractor) -> None:
    if side.extractor is not None and side.extractor != [extractor.name, extractor.fingerprint()]:
        name, digest = side.extractor
        raise UserError(
            f"{which} holds statistics of the extractor {name} (weights {digest[:12]}...), not of {extractor.name} "
            f"(weights {extractor.fingerprint()[:12]}...)"
        )


def _compare(
    options: Options, real: Side, fake: Side, training: Side | None, extractors: Sequence[FeatureExtractor]
) -> list[tuple[dict[str, float], dict[str, Any]]]:
    """Return the numbers and details of each extractor; every rank takes part."""
    keep = any(METRICS[name].features == "both" for name in options.metrics)
    keep_fake = keep or any(METRICS[name].features == "fake" for name in options.metrics)
    channels = max([side.shape.channels for side in (real, fake) if isinstance(side.shape, Images)], default=0)
    is_8_bit = all(side.is_8_bit or side.draw is None or side.fingerprint is None for side in (real, fake))
    needs_real = any(METRICS[name].real for name in options.metrics)

    ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    only_paths = set(options.metrics) == {"ppl"}

    def chosen_labels(side: Side) -> Tensor | None:
        counts = None if real.labels is None else real.labels.bincount(minlength=side.n_classes)
        if options.labels == "uniform" or counts is None or (counts == counts[0]).all():
            return None
        assert side.n is not None
        return proportional_labels(counts, side.n)

    def measured(side: Side, keep: bool, seed: int, is_fake: bool) -> list[Measured]:
        if side.moments is not None or only_paths:
            return [Measured(side.n or 0, side.moments or Moments()) for _ in extractors]
        assert side.draw is not None and side.n is not None
        labels = side.labels
        chosen = None
        if labels is None and side.n_classes:
            chosen = chosen_labels(side)
            labels = torch.arange(side.n) % side.n_classes if chosen is None else chosen

        def draw() -> Draw:
            assert side.draw is not None
            drawn = side.draw(chosen, seed)
            return lambda indices: (_wide(samples, channels) for samples in drawn(indices))

        rank, world = ranks
        logits = is_fake and any(name in options.metrics for name in OF_LOGITS)
        if side.fingerprint is not None and not logits and not is_fake:
            return measure_kept(
                extractors, side.n, side.fingerprint, side.words, draw, keep, labels, rank, world, _broadcast
            )
        prepare = to_uint8 if is_8_bit and not side.is_8_bit else None
        return measure(extractors, side.n, draw(), keep, logits, prepare, labels, rank, world)

    reals: Sequence[Measured | None] = [None] * len(extractors)
    if needs_real:
        reals = measured(real, keep, options.seed, False)
        _check_widths(reals, options.real, extractors)
    trained = None if training is None else measured(training, True, options.seed, False)
    n_seeds = options.n_seeds if fake.fingerprint is None and fake.draw is not None else 1
    rows: list[list[dict[str, float]]] = [[] for _ in extractors]
    details: list[dict[str, Any]] = [{} for _ in extractors]
    for seed in range(options.seed, options.seed + n_seeds):
        for index, one in enumerate(measured(fake, keep_fake, seed, True)):
            had = reals[index]
            if had is not None and had.moments.total is not None and one.moments.total is not None:
                widths = len(had.moments.total), len(one.moments.total)
                if widths[0] != widths[1]:
                    raise UserError(
                        f"REAL has {widths[0]} features and FAKE {widths[1]}: they are not of the extractor "
                        f"{extractors[index].name}, or not of the same layer"
                    )
            numbers = compared(
                options.metrics,
                had,
                one,
                options.isc_splits,
                None if trained is None else trained[index],
                real.classes or fake.classes,
            )
            values, more = dict(numbers.values), dict(numbers.details)
            if "ppl" in options.metrics:
                assert fake.n is not None
                classes = chosen_labels(fake) if fake.n_classes else None
                found = path_length(fake.game, extractors[index], fake.n, seed, classes, options.truncation, *ranks)
                values |= found.values
                more |= found.facts
            rows[index].append(values)
            details[index] = details[index] or more
            if options.save_real and had is not None and index == 0 and seed == options.seed:
                _save(options.save_real, had.moments, extractors[0])
    told = []
    for values_of_seeds, more in zip(rows, details, strict=True):
        means, spread = with_spread(values_of_seeds)
        told.append((means | {f"spread_{name}": value for name, value in spread.items()}, more))
    return told


def _check_widths(reals: Sequence[Measured | None], given: str, extractors: Sequence[FeatureExtractor]) -> None:
    for measured, extractor in zip(reals, extractors, strict=True):
        if measured is not None and not measured.moments.is_finite():
            raise UserError(f"{given}: some features of {extractor.name} are not finite")


def _wide(samples: Tensor, channels: int) -> Tensor:
    """Return grey images with as many channels as the other side has."""
    if samples.dim() != 4 or samples.shape[1] == channels or samples.shape[1] != 1:
        return samples
    return with_channels(samples, channels) if channels == 3 else samples


def _save(file: str, moments: Moments, extractor: FeatureExtractor) -> None:
    if int(os.environ.get("RANK", "0")) == 0:
        try:
            save_statistics(Path(file).expanduser(), moments, [extractor.name, extractor.fingerprint()])
        except OSError as error:
            raise UserError(f"--save_real {file} cannot be written: {error.strerror}; give another file") from error


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that torchrun has started, if it has."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def _broadcast(value: Any) -> Any:
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def _facts(
    options: Options, real: Side, fake: Side, training: Side | None, extractor: FeatureExtractor
) -> dict[str, Any]:
    seeds = list(range(options.seed, options.seed + options.n_seeds))
    drawn = fake.fingerprint is None and fake.draw is not None
    return {
        "n_generated": fake.n,
        "seed": options.seed if drawn else None,
        **({"seeds": seeds} if drawn and options.n_seeds > 1 else {}),
        "fake": fake.words,
        "fake_fingerprint": fake.fingerprint,
        **{name: value for name, value in fake.facts.items() if name not in ("resize", "skipped", "split", "sha256")},
        "fake_resize": fake.facts.get("resize"),
        "fake_skipped": fake.facts.get("skipped"),
        "labels": options.labels if fake.n_classes else None,
        "classes": fake.classes or None,
        "real": real.words,
        "real_split": real.facts.get("split"),
        "n_real": real.n,
        "real_fingerprint": real.fingerprint or real.facts.get("sha256") or real.facts.get("checkpoint_sha256"),
        "real_resize": real.facts.get("resize"),
        "real_skipped": real.facts.get("skipped"),
        "training": None if training is None else training.words,
        "extractor": extractor.name,
        "extractor_fingerprint": extractor.fingerprint(),
        "extractor_resize": extractor.resize,
        "isc_splits": options.isc_splits if "isc" in options.metrics else None,
        "versions": {name: version(name) for name in ("torch", "torch-fidelity", "pillow")},
    }


def _card_folder(options: Options) -> Path:
    """Return where the card goes: the folder asked for, the run folder of the checkpoint, or the current folder."""
    if options.out is not None:
        return Path(options.out).expanduser()
    fake = Path(options.fake).expanduser()
    return fake.parent.parent / "evaluation" if fake.parent.name == "checkpoints" else Path("evaluation")


def _table(real: Side, fake: Side, extractors: Sequence[FeatureExtractor], numbers: Sequence[dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for values in numbers for name in values if not name.startswith("spread_")))
    heads = ["", *(extractor.name for extractor in extractors)]
    rows = [heads]
    for name in names:
        cells = []
        for values in numbers:
            spread = values.get(f"spread_{name}")
            text = _number(values[name]) if name in values else "-"
            cells.append(text if spread is None else f"{text} ± {_number(spread)}")
        rows.append([name, *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines = [f"real  {real.words}", f"fake  {fake.words}", ""]
    for row in rows:
        lines.append(
            "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        )
    return "\n".join(line.rstrip() for line in lines)


def _number(value: float) -> str:
    return f"{value:.6g}" if isfinite(value) else "not finite"
