"""The command line: this file answers help and typing errors at once; what needs torch is imported after that."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from gan_lightning import __version__
from gan_lightning.cli.streams import lasting_streams
from gan_lightning.errors import UserError, fail, nearest
from gan_lightning.runs.signals import handlers_kept, listen

VERBS = {
    "fit": "train a GAN",
    "validate": "measure a checkpoint on the held-out data",
    "test": "measure a checkpoint on the test data",
    "sample": "write samples of a checkpoint as pictures",
    "reconstruct": "write held-out samples and what a checkpoint with an encoder makes of them",
    "recommend": "write the items that a checkpoint of IRGAN scores highest for users",
    "configs": "list the configs that ship; show NAME prints one, copy NAME FILE writes it to a file",
    "cache": "tell what prepared data are kept on this machine, and clear them",
    "export": "write the generator of a checkpoint as a program that needs torch only",
}

_LIGHTNING_HELP = """usage: gan-lightning {verb} --config FILE [--config FILE ...] [options]

{what}; later files and options override earlier ones.

  --config FILE              a YAML file, or the name of a config that ships, such as sngan/digits
  --ckpt_path FILE           the checkpoint{ckpt}; last and best are those of runs/NAME
{fit}  --seed_everything N        the seed of everything random
  --trainer.<option> VALUE   Lightning's Trainer: max_steps, devices, precision, val_check_interval, ...
  --model CLASS              the family; --model.<option> VALUE sets its arguments (model.gp_weight, model.n_critic, ...)
  --data CLASS               the data; --data.<option> VALUE sets its arguments (data.batch_size, data.root, ...)
  --fidelity.<option> VALUE  FID and IS: extractor, n_samples, metrics, required, enabled
  --print_config             print the whole configuration and stop
  --help_all                 every option of every part (takes some seconds)
"""
_TRUST = "import whatever classes the checkpoint names, not only this package's, torch's and torchvision's"
_MEASURE_HELP = f"""  --trust                    {_TRUST}
"""
_FIT_HELP = """  --name NAME                the run folder is runs/NAME (NAME-2, ... if it exists)
  --runs_dir DIR             where run folders go
  --resume auto|PATH         resume from the furthest checkpoint of runs/NAME, or of a run folder, or from a checkpoint;
                             a run folder needs no --config: its own config.yaml is taken
  --samples.<option> VALUE   sample grids: every_n_updates, n_rows, n_columns
  --checkpoints.<option> V   checkpoints: every_n_updates, every_n_minutes, monitor
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
    with _current_folder_searched():
        _run(verb, rest)


@contextmanager
def _current_folder_searched() -> Iterator[None]:
    """Let own classes be found in modules of the current folder, last of all, as `python -m` does first of all."""
    try:
        folder = os.getcwd()
    except OSError:  # it has been removed
        folder = ""
    if not folder or {"", folder} & set(sys.path):
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _run(verb: str, rest: list[str]) -> None:
    if verb == "sample":
        sample(rest)
    elif verb == "reconstruct":
        reconstruct(rest)
    elif verb == "recommend":
        recommend(rest)
    elif verb == "export":
        export(rest)
    elif verb == "cache":
        cache(rest)
    elif verb == "configs":
        configs(rest)
    elif {"-h", "--help"} & set(rest):
        is_fit = verb == "fit"
        print(
            _LIGHTNING_HELP.format(
                verb=verb,
                what=VERBS[verb],
                fit=_FIT_HELP if is_fit else _MEASURE_HELP,
                ckpt=" to start from (its whole state)"
                if is_fit
                else "; its own config is used if no --config is given",
            ),
            end="",
        )
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


def _parse(parser: argparse.ArgumentParser, args: list[str]) -> argparse.Namespace:
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
    parser.add_argument("--n", type=_count, default=64, help="number of samples")
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples")
    parser.add_argument(
        "--labels", type=_labels, help="classes, such as cat,dog or 0,1,2, repeated in turn; all if left out"
    )
    parser.add_argument("--truncation", type=float, help="draw latents outside [-T, T] anew; needs T > 0")
    parser.add_argument("--grid", action="store_true", help="write grid.png too")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ...; a GPU if there is one")
    options = _parse(parser, args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.sample import write_samples

    with verb_errors():
        write_samples(
            options.ckpt_path,
            options.n,
            options.out,
            options.seed,
            options.labels,
            options.grid,
            options.device,
            options.truncation,
            options.trust,
        )


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


def cache(args: list[str]) -> None:
    """Tell what is kept for the next run: packed images, and the moments of real data."""
    parser = _Parser(prog="gan-lightning cache", description=VERBS["cache"], allow_abbrev=False)
    parser.add_argument("--clear", action="store_true", help="remove it")
    options, unknown = parser.parse_known_args(args)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")

    from gan_lightning.cli.cache import tell
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        tell(options.clear)


def configs(args: list[str]) -> None:
    """List the configs that ship, print one, or copy one."""
    parser = _Parser(prog="gan-lightning configs", description=VERBS["configs"], allow_abbrev=False)
    parser.add_argument("what", nargs="*", metavar="show NAME | copy NAME FILE", help="all are listed without")
    options, unknown = parser.parse_known_args(args)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")

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
    """Write the averaged generator of a checkpoint as a torch.export program."""
    parser = _Parser(prog="gan-lightning export", description=VERBS["export"], allow_abbrev=False)
    parser.add_argument(
        "--ckpt_path", type=os.path.expanduser, required=True, help="the checkpoint; nothing else is needed"
    )
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="file to write, such as generator.pt2")
    options = _parse(parser, args)

    from gan_lightning.cli.export import write_program
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write_program(options.ckpt_path, options.out, options.trust)
