"""The command line: this file answers help and typing errors at once; what needs torch is imported after that."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from math import inf
from typing import NoReturn

from gan_lightning import __version__
from gan_lightning.cli.own_modules import searched
from gan_lightning.cli.streams import lasting_streams
from gan_lightning.errors import UserError, fail, nearest
from gan_lightning.runs.memory import keep_freed_memory
from gan_lightning.runs.signals import handlers_kept, listen

VERBS = {
    "fit": "train a GAN",
    "validate": "measure a checkpoint on the held-out data",
    "test": "measure a checkpoint on the test data",
    "evaluate": "compare two sets of samples: folders, zips, checkpoints, data, statistics",
    "compare": "compare runs and cards: a table, and a page with curves and pictures",
    "report": "write the page of one run, report.html, which fit writes at its end",
    "sample": "write samples of a checkpoint as pictures",
    "augment": "write a labelled folder of a conditional checkpoint's samples, as training data",
    "reconstruct": "write held-out samples and what a checkpoint with an encoder makes of them",
    "translate": "write what a checkpoint of Pix2Pix or CycleGAN makes of pictures",
    "stylize": "write pictures in the style of another one",
    "upscale": "write pictures 2 or 4 times as large, by a checkpoint of SRGAN",
    "recommend": "write the items that a checkpoint of IRGAN scores highest for users",
    "lab": "play small worlds with known answers: tables and pictures of what theory says",
    "configs": "list the configs that ship; show NAME prints one, copy NAME FILE writes it to a file",
    "doctor": "tell versions, devices, precisions, caches and what is missing for FID, to paste into an issue",
    "cache": "tell what prepared data are kept on this machine, and clear them",
    "export": "write the generator of a checkpoint to a file: .pt2, .onnx, .safetensors or .torchscript",
    "share": "write a folder of a checkpoint that others can load: weights, card, picture, config",
}

_TRUST = "import whatever classes the checkpoint names, not only this package's, torch's and torchvision's"
_FIT_HELP = """usage: gan-lightning fit --config FILE_OR_NAME [--config ...] [options]

examples:
  gan-lightning fit --config quickstart                                digits, on two CPU cores, in minutes
  gan-lightning fit --data ImageFolder --data.root FOLDER              your own pictures; it says which config it takes
  gan-lightning fit --config sngan/cifar10 --data.download true        a config that ships; gan-lightning configs lists them
  gan-lightning fit --config wgan_gp/ring --trainer.max_steps 2000 --model.gp_weight 5 --name gp5
  gan-lightning fit --resume runs/gp5                                  resume a run folder

train a GAN; later files and options override earlier ones:
  --config FILE_OR_NAME      a YAML file, or the name of a config that ships, such as sngan/digits
  --data CLASS               the data; --data.<option> VALUE sets its arguments (data.root, data.image_size, data.batch_size, ...)
  --model CLASS              the family; --model.<option> VALUE sets its arguments (model.n_critic, model.gp_weight, ...)
  --trainer.max_steps N      generator updates in all; --trainer.<option> VALUE: Lightning's Trainer (devices, precision, ...)
  --trainer.accelerator X    cpu or gpu; the best there is if left out
  --name NAME                the run folder is runs/NAME (NAME-2, ... if it exists)
  --resume auto|PATH         resume from the furthest checkpoint of runs/NAME, of a run folder, or from a checkpoint;
                             a run folder needs no --config: its own config.yaml is taken
  --seed_everything N        the seed of everything random
  --fidelity.<option> VALUE  FID and IS: extractor, n_samples, metrics, required, enabled
  --samples.<option> VALUE   sample grids: every_n_updates, n_rows, n_columns

  --checkpoints.<option> V   checkpoints: every_n_updates, every_n_minutes, monitor
  --runs_dir DIR             where run folders go
  --ckpt_path FILE           the checkpoint to start from (its whole state); last and best are those of runs/NAME
  --init_from PATH           start from the weights of another run, checkpoint or shared folder: what fits is taken
  --print_config             print the whole configuration and stop
  --help_all                 every option of every part (takes some seconds)
"""
_MEASURE_HELP = f"""usage: gan-lightning {{verb}} --ckpt_path FILE [--config FILE ...] [options]

examples:
  gan-lightning {{verb}} --ckpt_path runs/quickstart/checkpoints/best.ckpt
  gan-lightning {{verb}} --name quickstart --ckpt_path last --fidelity.n_samples 10000

{{what}}; later files and options override earlier ones:
  --ckpt_path FILE           the checkpoint; its own config is used if no --config is given; last and best are those of runs/NAME
  --config FILE_OR_NAME      a YAML file, or the name of a config that ships, such as sngan/digits
  --fidelity.<option> VALUE  FID and IS: extractor, n_samples, metrics, required, enabled
  --data CLASS               other data; --data.<option> VALUE sets its arguments (data.root, data.batch_size, ...)
  --trainer.<option> VALUE   Lightning's Trainer: devices, precision, ...
  --seed_everything N        the seed of everything random
  --trust                    {_TRUST}
  --print_config             print the whole configuration and stop
  --help_all                 every option of every part (takes some seconds)
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments, `sys.argv`'s if none are given."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    if not args or args[0] in ("-h", "--help"):
        print("usage: gan-lightning <verb> [options]\n")
        print("\n".join(f"  {verb:11} {what}" for verb, what in VERBS.items()))
        print("\ngan-lightning <verb> --help tells a verb's options.")
        return
    if args[0] == "--version":
        print(f"gan-lightning {__version__}")
        return
    verb, rest = args[0], args[1:]
    if verb == "predict":  # a verb of Lightning's
        fail(
            "there is no predict: a GAN has no inputs to predict from; sample writes samples, reconstruct reconstructions"
        )
    if verb not in VERBS:
        fail(f"unknown verb {verb!r}{nearest(verb, VERBS)}; the verbs are {', '.join(VERBS)}")
    with searched(""):
        _run(verb, rest)


def _run(verb: str, rest: list[str]) -> None:
    keep_freed_memory()
    own = {
        "sample": sample,
        "evaluate": evaluate,
        "compare": compare,
        "report": report,
        "augment": augment,
        "reconstruct": reconstruct,
        "translate": translate,
        "stylize": stylize,
        "upscale": upscale,
        "recommend": recommend,
        "export": export,
        "share": share,
        "cache": cache,
        "lab": lab,
        "configs": configs,
        "doctor": doctor,
    }
    if verb in own:
        own[verb](rest)
    elif {"-h", "--help"} & set(rest):
        print(_FIT_HELP if verb == "fit" else _MEASURE_HELP.format(verb=verb, what=VERBS[verb]), end="")
    else:
        with handlers_kept(), lasting_streams():
            if verb == "fit":
                listen()  # before the slow imports: a signal in the meantime would kill the run without a word
            from gan_lightning.cli.training import run

            run([verb, *("--help" if arg == "--help_all" else arg for arg in rest)])


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line with the nearest valid option."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        if message.startswith("unrecognized arguments: "):
            word = message.removeprefix("unrecognized arguments: ").split()[0]
            message = f"unknown option {word}{nearest(word, self._option_string_actions)}"
        fail(f"{self.prog.split()[-1]}: {message}")


def _parse(parser: argparse.ArgumentParser, args: list[str], takes_trust: bool = True) -> argparse.Namespace:
    if takes_trust:  # it reads a checkpoint
        parser.add_argument("--trust", action="store_true", help=_TRUST)
    options, unknown = parser.parse_known_args(args)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return options


def _labels(text: str) -> str:
    if not all(part.strip() for part in text.split(",")):
        raise argparse.ArgumentTypeError(
            f"must be names or numbers of classes with commas between, such as cat,dog or 0,1,2, got {text!r}"
        )
    return text


def _words(text: str) -> str:
    if not all(part.strip() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"must be names with commas between, got {text!r}")
    return ",".join(part.strip() for part in text.split(","))


def _range(text: str) -> list[float]:
    try:
        black, white = map(float, text.strip("[]").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be two numbers such as 0,4095, got {text!r}") from None
    if not -inf < black < white < inf:
        raise argparse.ArgumentTypeError(f"must be black and white, two increasing numbers, got {text!r}")
    return [black, white]


def _steps(text: str) -> int:
    if not text.isdigit() or not 2 <= int(text) <= 200:
        raise argparse.ArgumentTypeError(f"must be a whole number from 2 to 200, got {text!r}")
    return int(text)


def _bounds(text: str) -> list[float]:
    try:
        bounds = [float(part) for part in text.split(",")]
    except ValueError:
        bounds = []
    if not bounds or not all(0 < bound < float("inf") for bound in bounds) or len(bounds) > 50:
        raise argparse.ArgumentTypeError(f"must be numbers above 0 with commas between, got {text!r}")
    return bounds


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError(f"must be a number between 0 and 1, got {text!r}")
    return share


def _above_0(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return number


def _count_or_0(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def sample(args: list[str]) -> None:
    """Write samples of a checkpoint: `000000.png`, `000001.png`, ..., vectors as `samples.csv`."""
    parser = _Parser(prog="gan-lightning sample", description=VERBS["sample"], allow_abbrev=False)
    parser.add_argument(
        "--ckpt_path", type=os.path.expanduser, required=True, help="the checkpoint; nothing else is needed"
    )
    parser.add_argument(
        "--n", type=_count, help="number of samples; 64, or none where one of the pictures is asked for"
    )
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples")
    parser.add_argument(
        "--labels", type=_labels, help="classes, such as cat,dog or 0,1,2, repeated in turn; all if left out"
    )
    parser.add_argument("--truncation", type=float, help="draw latents outside [-T, T] anew; needs T > 0")
    parser.add_argument("--grid", action="store_true", help="write grid.png too")
    parser.add_argument(
        "--interpolate", type=_steps, metavar="STEPS", help="interpolation.png: from latents to latents"
    )
    parser.add_argument("--truncations", type=_bounds, help="truncation.png: one row for each, such as 0.3,0.6,1")
    parser.add_argument(
        "--neighbours", "--neighbors", action="store_true", help="neighbours.png: beside the nearest training images"
    )
    parser.add_argument("--film", action="store_true", help="film.gif: the sample grids of the run")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ...; a GPU if there is one")
    options = _parse(parser, args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.sample import sampling_game, write_samples
    from gan_lightning.cli.sample_pictures import write_pictures

    has_pictures = bool(options.interpolate or options.truncations or options.neighbours or options.film)
    has_samples = bool(options.n or options.grid or not has_pictures)
    draws_some = has_samples or options.interpolate or options.neighbours
    if options.truncation is not None and not draws_some:
        parser.error("argument --truncation: nothing is drawn with it; give --n, --interpolate or --neighbours too")
    if options.labels is not None and not (draws_some or options.truncations):
        parser.error("argument --labels: nothing is drawn of them; a film shows the run's own grids")
    with verb_errors():
        if has_pictures:
            game, classes = sampling_game(options.ckpt_path, options.labels, options.device, options.trust)
            write_pictures(
                game,
                options.ckpt_path,
                options.out,
                options.seed,
                classes,
                options.interpolate,
                options.truncations or (),
                options.neighbours,
                options.film,
                options.truncation,
                options.trust,
            )
        if has_samples:
            write_samples(
                options.ckpt_path,
                options.n or 64,
                options.out,
                options.seed,
                options.labels,
                options.grid,
                options.device,
                options.truncation,
                options.trust,
            )


def augment(args: list[str]) -> None:
    """Write a labelled folder of samples."""
    parser = _Parser(prog="gan-lightning augment", description=VERBS["augment"], allow_abbrev=False)
    parser.add_argument(
        "--ckpt_path", type=os.path.expanduser, required=True, help="the checkpoint of a conditional generator"
    )
    parser.add_argument("--per_class", type=_count, required=True, help="samples of each class")
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to, which must be empty")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples")
    parser.add_argument("--labels", type=_labels, help="classes, such as cat,dog or 0,1,2; all if left out")
    parser.add_argument("--truncation", type=float, help="draw latents outside [-T, T] anew; needs T > 0")
    parser.add_argument(
        "--keep_confident",
        type=_share,
        help="keep only images of whose class a classifier is so sure, such as 0.9; it is trained on the training data",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ...; a GPU if there is one")
    options = _parse(parser, args)

    from gan_lightning.cli.augment import write_labelled
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write_labelled(
            options.ckpt_path,
            options.per_class,
            options.out,
            options.seed,
            options.labels,
            options.truncation,
            options.keep_confident,
            options.device,
            options.trust,
        )


def evaluate(args: list[str]) -> None:
    """Compare generated with real samples and print the numbers."""
    side = "a folder or zip of images, a checkpoint (.ckpt), a config of data (.yaml, or one that ships), statistics (.npz)"
    parser = _Parser(prog="gan-lightning evaluate", description=VERBS["evaluate"], allow_abbrev=False)
    parser.add_argument("real", metavar="REAL", help=side)
    parser.add_argument("fake", metavar="FAKE", help="the same kinds")
    parser.add_argument("--metrics", type=_words, default="fid", help="such as fid,isc,kid,prc,dc (docs/metrics.md)")
    parser.add_argument(
        "--extractor",
        action="append",
        help="inception (if none is given), efficientnet_lite0, digits, raw, a name of torch-fidelity's, or a class path; "
        "may be given several times",
    )
    parser.add_argument("--weights", type=os.path.expanduser, help="file with the extractor's weights")
    parser.add_argument("--n", type=_count, default=10_000, help="samples of a checkpoint")
    parser.add_argument("--seed", type=int, default=0, help="of a checkpoint's samples")
    parser.add_argument("--n_seeds", type=_count, default=1, help="sets of samples: means and standard deviations")
    parser.add_argument("--split", choices=["eval", "train"], default="eval", help="of a config's data")
    parser.add_argument(
        "--labels", choices=["data", "uniform"], default="data", help="classes of a checkpoint's samples"
    )
    parser.add_argument("--truncation", type=float, help="draw latents outside [-T, T] anew; needs T > 0")
    parser.add_argument("--isc_splits", type=_count, default=10, help="parts of the Inception score")
    parser.add_argument("--training", help="training samples, for memorization; REAL is held out then")
    parser.add_argument("--size", type=_count, help="bring image files to this height and width")
    parser.add_argument(
        "--filter",
        choices=["bicubic", "bilinear", "lanczos", "box", "hamming", "nearest"],
        help="how, by Pillow; bicubic if left out",
    )
    parser.add_argument("--crop", choices=["center", "none"], help="keep the middle, or squeeze the whole image")
    parser.add_argument(
        "--on_error", choices=["raise", "skip"], default="raise", help="about files that cannot be read"
    )
    parser.add_argument("--value_range", type=_range, help="values that are black and white in deep pixels: 0,4095")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ...; a GPU if there is one")
    parser.add_argument("--out", type=os.path.expanduser, help="folder for the card; evaluation/ if left out")
    parser.add_argument("--save_real", help="write REAL's statistics to this .npz, for the next time")
    parser.add_argument("--json", action="store_true", help="print the card instead of a table")
    options = _parse(parser, args)
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
    parser = _Parser(prog="gan-lightning compare", description=VERBS["compare"], allow_abbrev=False)
    parser.add_argument("runs", metavar="RUN_OR_CARD", nargs="+", help="run folders, and cards of evaluation/")
    parser.add_argument("--out", default="compare.html", help="the page, one file that needs no network")
    options = _parse(parser, args, takes_trust=False)

    from gan_lightning.cli.compare import compare as write
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write(options.runs, options.out)


def report(args: list[str]) -> None:
    """Write the page of one run."""
    parser = _Parser(prog="gan-lightning report", description=VERBS["report"], allow_abbrev=False)
    parser.add_argument("run", metavar="RUN", help="the run folder; report.html is written into it")
    options = _parse(parser, args, takes_trust=False)

    from gan_lightning.cli.compare import report as write
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write(options.run)


def reconstruct(args: list[str]) -> None:
    """Write held-out samples beside their reconstructions, and print the errors."""
    parser = _Parser(prog="gan-lightning reconstruct", description=VERBS["reconstruct"], allow_abbrev=False)
    parser.add_argument(
        "--ckpt_path",
        type=os.path.expanduser,
        required=True,
        help="the checkpoint, of ALI or BiGAN; its own data are used",
    )
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to")
    parser.add_argument(
        "--n", type=_count, default=32, help="number of samples in the picture; the errors are over all"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what ALI's encoder draws")
    options = _parse(parser, args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.evaluation.reconstruction import write_reconstructions

    with verb_errors():
        write_reconstructions(options.ckpt_path, options.out, options.n, options.seed, options.trust)


def _picture_parser(verb: str) -> _Parser:
    """Return the parser of a verb that makes pictures of pictures."""
    parser = _Parser(prog=f"gan-lightning {verb}", description=VERBS[verb], allow_abbrev=False)
    parser.add_argument(
        "source", metavar="IN", type=os.path.expanduser, help="a picture, or a folder or zip of pictures"
    )
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to, new or empty")
    parser.add_argument("--value_range", type=_range, help="values that are black and white in deep pixels: 0,4095")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ...; a GPU if there is one")
    return parser


def translate(args: list[str]) -> None:
    """Write what a checkpoint makes of pictures."""
    parser = _picture_parser("translate")
    parser.add_argument("--ckpt_path", type=os.path.expanduser, required=True, help="the checkpoint")
    parser.add_argument(
        "--direction", choices=["AtoB", "BtoA"], default="AtoB", help="from sources to targets, or back"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is random about a translation")
    parser.add_argument(
        "--degrade",
        action="store_true",
        help="the pictures are whole: take away first what the training data took away",
    )
    options = _parse(parser, args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.translate import write_translations

    with verb_errors():
        write_translations(
            options.source,
            options.ckpt_path,
            options.out,
            options.direction,
            options.seed,
            options.value_range,
            options.device,
            options.degrade,
            options.trust,
        )


def stylize(args: list[str]) -> None:
    """Write pictures in another one's style."""
    parser = _picture_parser("stylize")
    parser.add_argument(
        "--style", type=os.path.expanduser, help="the style's picture; with --ckpt_path the name of one of its styles"
    )
    parser.add_argument(
        "--ckpt_path", type=os.path.expanduser, help="a checkpoint of StyleTransfer: one pass, any size"
    )
    parser.add_argument(
        "--strength", type=_above_0, default=1.0, help="of the style: any number above 0; with --ckpt_path at most 1"
    )
    parser.add_argument("--steps", type=_count, help="how often a picture is changed; 300 if left out")
    parser.add_argument(
        "--size",
        type=_count,
        help="pixels of the longer side at which it is changed; 512 if left out; the result is whole",
    )
    parser.add_argument(
        "--network",
        choices=["efficientnet_lite0", "vgg16", "vgg19", "random_filters"],
        help="whose activations are compared; efficientnet_lite0 if left out",
    )
    parser.add_argument("--weights", type=os.path.expanduser, help="file of the network's weights")
    parser.add_argument(
        "--critic_weight", type=_above_0, help="add a critic that learns to tell the style's patches, with this weight"
    )
    parser.add_argument("--seed", type=int, help="of the critic and of random_filters; 0 if left out")
    options = _parse(parser, args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.stylize import Options
    from gan_lightning.cli.stylize import stylize as write

    with verb_errors():
        write(Options(**vars(options)))


def upscale(args: list[str]) -> None:
    """Write pictures 2 or 4 times as large."""
    parser = _picture_parser("upscale")
    parser.add_argument("--ckpt_path", type=os.path.expanduser, required=True, help="the checkpoint, of SRGAN")
    parser.add_argument(
        "--tile", type=_count, default=256, help="side of the pieces, in small pixels, that are computed at once"
    )
    parser.add_argument(
        "--overlap", type=_count_or_0, help="small pixels around a piece that are computed with it; enough if left out"
    )
    options = _parse(parser, args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.upscale import write_upscaled

    with verb_errors():
        write_upscaled(
            options.source,
            options.ckpt_path,
            options.out,
            options.tile,
            options.overlap,
            options.value_range,
            options.device,
            options.trust,
        )


def recommend(args: list[str]) -> None:
    """Write the best items of users, without those that they have."""
    parser = _Parser(prog="gan-lightning recommend", description=VERBS["recommend"], allow_abbrev=False)
    parser.add_argument(
        "--ckpt_path", type=os.path.expanduser, required=True, help="the checkpoint; nothing else is needed"
    )
    parser.add_argument("--users", required=True, help="users as the data name them, such as 1,2,3, or all")
    parser.add_argument("--k", type=_count, default=10, help="items of each user")
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="file to write: user,rank,item,score")
    options = _parse(parser, args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.recommend import write_recommendations

    with verb_errors():
        write_recommendations(options.ckpt_path, options.users, options.k, options.out, options.trust)


def lab(args: list[str]) -> None:
    """Play experiments of the lab."""
    parser = _Parser(prog="gan-lightning lab", description=VERBS["lab"], allow_abbrev=False)
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments to play, or all")
    parser.add_argument("--list", action="store_true", help="tell the experiments; so without a name")
    parser.add_argument("--out", type=os.path.expanduser, default="lab", help="folder for pages and pictures")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    options = _parse(parser, args, takes_trust=False)
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
    parser = _Parser(prog="gan-lightning cache", description=VERBS["cache"], allow_abbrev=False)
    parser.add_argument("--list", action="store_true", help="tell what is kept; so without it")
    parser.add_argument("--clear", action="store_true", help="remove it")
    options = _parse(parser, args, takes_trust=False)

    from gan_lightning.cli.cache import tell
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        tell(options.clear)


def doctor(args: list[str]) -> None:
    """Tell what this machine has."""
    parser = _Parser(prog="gan-lightning doctor", description=VERBS["doctor"], allow_abbrev=False)
    _parse(parser, args, takes_trust=False)

    from gan_lightning.cli.doctor import tell

    tell()


def configs(args: list[str]) -> None:
    """List the configs that ship, print one, or copy one."""
    parser = _Parser(prog="gan-lightning configs", description=VERBS["configs"], allow_abbrev=False)
    parser.add_argument("what", nargs="*", metavar="show NAME | copy NAME FILE", help="all are listed without")
    options = _parse(parser, args, takes_trust=False)

    from gan_lightning.cli import shipped

    try:
        match options.what:
            case []:
                shipped.tell()
            case ["show", name]:
                shipped.show(name)
            case ["copy", name, file]:
                shipped.copy(name, file)
            case words:
                parser.error(f"takes nothing, show NAME, or copy NAME FILE, got {' '.join(words)}")
    except UserError as error:
        fail(str(error))


def export(args: list[str]) -> None:
    """Write the averaged generator of a checkpoint to a file."""
    parser = _Parser(prog="gan-lightning export", description=VERBS["export"], allow_abbrev=False)
    parser.add_argument(
        "--ckpt_path", type=os.path.expanduser, required=True, help="the checkpoint; nothing else is needed"
    )
    parser.add_argument(
        "--out",
        type=os.path.expanduser,
        required=True,
        help="file to write; its suffix says the form, such as generator.pt2",
    )
    options = _parse(parser, args)

    from gan_lightning.cli.export import write_program
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write_program(options.ckpt_path, options.out, options.trust)


def share(args: list[str]) -> None:
    """Write a folder of a checkpoint that others can load."""
    parser = _Parser(prog="gan-lightning share", description=VERBS["share"], allow_abbrev=False)
    parser.add_argument("ckpt_path", type=os.path.expanduser, metavar="CKPT", help="the checkpoint")
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to")
    options = _parse(parser, args)

    from gan_lightning.cli.export import share as write
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write(options.ckpt_path, options.out, options.trust)
