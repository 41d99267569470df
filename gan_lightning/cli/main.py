"""The command line: this file answers help and typing errors at once; what needs torch is imported after that."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gan_lightning import __version__
from gan_lightning.cli import verbs_of_checkpoints as writing
from gan_lightning.cli import verbs_of_numbers as telling
from gan_lightning.cli.help import FIT, MEASURE, VERBS
from gan_lightning.cli.imports import collect_again, collect_later
from gan_lightning.cli.own_modules import searched
from gan_lightning.cli.streams import lasting_streams
from gan_lightning.errors import fail, nearest
from gan_lightning.runs.memory import keep_freed_memory
from gan_lightning.runs.signals import handlers_kept, listen


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
    collect_later()
    try:
        with searched(""):
            _run(verb, rest)
    finally:
        collect_again()


def _run(verb: str, rest: list[str]) -> None:
    keep_freed_memory()
    own = {
        "sample": writing.sample,
        "evaluate": telling.evaluate,
        "compare": telling.compare,
        "report": telling.report,
        "augment": writing.augment,
        "reconstruct": writing.reconstruct,
        "translate": writing.translate,
        "stylize": writing.stylize,
        "upscale": writing.upscale,
        "recommend": writing.recommend,
        "export": writing.export,
        "share": writing.share,
        "cache": telling.cache,
        "lab": telling.lab,
        "configs": telling.configs,
        "doctor": telling.doctor,
    }
    if verb in own:
        own[verb](rest)
    elif {"-h", "--help"} & set(rest):
        print(FIT if verb == "fit" else MEASURE.format(verb=verb, what=VERBS[verb]), end="")
    else:
        with handlers_kept(), lasting_streams():
            if verb == "fit":
                listen()  # before the slow imports: a signal in the meantime would kill the run without a word
            from gan_lightning.cli.training import run

            run([verb, *("--help" if arg == "--help_all" else arg for arg in rest)])
