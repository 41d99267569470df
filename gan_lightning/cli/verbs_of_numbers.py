"""The verbs that measure, compare and tell: their options, and what plays them."""

from __future__ import annotations

import os

from gan_lightning.cli.arguments import VerbParser, count, value_range, words
from gan_lightning.errors import UserError, fail


def evaluate(args: list[str]) -> None:
    """Compare generated with real samples and print the numbers."""
    side = "a folder or zip of images, a checkpoint (.ckpt), a config of data (.yaml, or one that ships), statistics (.npz)"
    parser = VerbParser("evaluate")
    parser.add_argument("real", metavar="REAL", help=side)
    parser.add_argument("fake", metavar="FAKE", help="the same kinds")
    parser.add_argument("--metrics", type=words, default="fid", help="such as fid,isc,kid,prc,dc (docs/metrics.md)")
    parser.add_argument(
        "--extractor",
        action="append",
        help="inception (if none is given), efficientnet_lite0, digits, raw, a name of torch-fidelity's, or a class path; "
        "may be given several times",
    )
    parser.add_argument("--weights", type=os.path.expanduser, help="file with the extractor's weights")
    parser.add_argument("--n", type=count, default=10_000, help="samples of a checkpoint")
    parser.add_argument("--seed", type=int, default=0, help="of a checkpoint's samples")
    parser.add_argument("--n_seeds", type=count, default=1, help="sets of samples: means and standard deviations")
    parser.add_argument("--split", choices=["eval", "train"], default="eval", help="of a config's data")
    parser.add_argument(
        "--labels", choices=["data", "uniform"], default="data", help="classes of a checkpoint's samples"
    )
    parser.add_argument("--truncation", type=float, help="draw latents outside [-T, T] anew; needs T > 0")
    parser.add_argument("--isc_splits", type=count, default=10, help="parts of the Inception score")
    parser.add_argument("--training", help="training samples, for memorization; REAL is held out then")
    parser.add_argument("--size", type=count, help="bring image files to this height and width")
    parser.add_argument(
        "--filter",
        choices=["bicubic", "bilinear", "lanczos", "box", "hamming", "nearest"],
        help="how, by Pillow; bicubic if left out",
    )
    parser.add_argument("--crop", choices=["center", "none"], help="keep the middle, or squeeze the whole image")
    parser.add_argument(
        "--on_error", choices=["raise", "skip"], default="raise", help="about files that cannot be read"
    )
    parser.add_argument(
        "--value_range", type=value_range, help="values that are black and white in deep pixels: 0,4095"
    )
    parser.takes_device()
    parser.add_argument("--out", type=os.path.expanduser, help="folder for the card; evaluation/ if left out")
    parser.add_argument("--save_real", help="write REAL's statistics to this .npz, for the next time")
    parser.add_argument("--json", action="store_true", help="print the card instead of a table")
    options = parser.read(args)
    if options.size is None and (options.filter or options.crop):
        parser.error(
            f"--{'filter' if options.filter else 'crop'} says how images are brought to --size; give --size too"
        )
    if options.truncation is not None and not options.truncation > 0:
        parser.error(f"argument --truncation: must be above 0, got {options.truncation}")

    from gan_lightning.cli.documents import options as words_of
    from gan_lightning.cli.evaluate import Options, Reading
    from gan_lightning.cli.evaluate import evaluate as compare
    from gan_lightning.cli.mistakes import verb_errors

    reading = Reading(
        options.size, options.filter or "bicubic", options.crop or "center", options.on_error, options.value_range
    )
    with verb_errors():
        compare(
            Options(
                options.real,
                options.fake,
                options.metrics.split(","),
                options.extractor or ["inception"],
                options.weights,
                options.n,
                options.seed,
                options.n_seeds,
                options.split,
                options.labels,
                options.truncation,
                options.isc_splits,
                options.training,
                reading,
                options.device,
                options.out,
                options.json,
                options.save_real,
                options.trust,
                frozenset(option.removeprefix("--") for option, _ in words_of(args)),
            )
        )


def compare(args: list[str]) -> None:
    """Print the numbers of runs and cards, and write a page of them."""
    parser = VerbParser("compare")
    parser.add_argument("runs", metavar="RUN_OR_CARD", nargs="+", help="run folders, and cards of evaluation/")
    parser.add_argument("--out", default="compare.html", help="the page, one file that needs no network")
    options = parser.read(args, takes_trust=False)

    from gan_lightning.cli.compare import compare as write
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write(options.runs, options.out)


def report(args: list[str]) -> None:
    """Write the page of one run."""
    parser = VerbParser("report")
    parser.add_argument("run", metavar="RUN", help="the run folder; report.html is written into it")
    options = parser.read(args, takes_trust=False)

    from gan_lightning.cli.compare import report as write
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write(options.run)


def lab(args: list[str]) -> None:
    """Play experiments of the lab."""
    parser = VerbParser("lab")
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments to play, or all")
    parser.add_argument("--list", action="store_true", help="tell the experiments; so without a name")
    parser.add_argument("--out", type=os.path.expanduser, default="lab", help="folder for pages and pictures")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    options = parser.read(args, takes_trust=False)
    if options.list and options.names:
        parser.error("--list tells all experiments; leave the names out")

    from gan_lightning.cli.lab import play, tell
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        if options.names:
            play(options.names, options.out, options.seed)
        else:
            tell()


def cache(args: list[str]) -> None:
    """Tell what is kept for the next run: packed images, and the moments and features of real data."""
    parser = VerbParser("cache")
    parser.add_argument("--list", action="store_true", help="tell what is kept; so without it")
    parser.add_argument("--clear", action="store_true", help="remove it")
    options = parser.read(args, takes_trust=False)

    from gan_lightning.cli.cache import tell
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        tell(options.clear)


def doctor(args: list[str]) -> None:
    """Tell what this machine has."""
    parser = VerbParser("doctor")
    parser.read(args, takes_trust=False)

    from gan_lightning.cli.doctor import tell

    tell()


def configs(args: list[str]) -> None:
    """List the configs that ship, print one, or copy one."""
    parser = VerbParser("configs")
    parser.add_argument("what", nargs="*", metavar="show NAME | copy NAME FILE", help="all are listed without")
    options = parser.read(args, takes_trust=False)

    from gan_lightning.cli import shipped

    try:
        match options.what:
            case []:
                shipped.tell()
            case ["show", name]:
                shipped.show(name)
            case ["copy", name, file]:
                shipped.copy(name, file)
            case given:
                parser.error(f"takes nothing, show NAME, or copy NAME FILE, got {' '.join(given)}")
    except UserError as error:
        fail(str(error))
