"""What the verbs' own options have in common: their parser, and the kinds of values that they take."""

from __future__ import annotations

import argparse
import os
from math import inf, nan
from typing import NoReturn

from gan_lightning.cli.help import TRUST, VERBS
from gan_lightning.errors import fail, nearest


class VerbParser(argparse.ArgumentParser):
    """The parser of a verb, whose errors are one line with the nearest valid option.

    Args:
        verb: Its name.
    """

    def __init__(self, verb: str) -> None:
        super().__init__(prog=f"gan-lightning {verb}", description=VERBS[verb], allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        if message.startswith("unrecognized arguments: "):
            word = message.removeprefix("unrecognized arguments: ").split()[0]
            message = f"unknown option {word}{nearest(word, self._option_string_actions)}"
        fail(f"{self.prog.split()[-1]}: {message}")

    def takes_checkpoint(self, what: str = "the checkpoint; nothing else is needed") -> None:
        """Add `--ckpt_path`, without which the verb does nothing."""
        self.add_argument("--ckpt_path", type=os.path.expanduser, required=True, help=what)

    def takes_device(self) -> None:
        """Add `--device`."""
        self.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ...; a GPU if there is one")

    def read(self, args: list[str], takes_trust: bool = True) -> argparse.Namespace:
        """Return the options; an unknown one is an error.

        Args:
            args: The words behind the verb.
            takes_trust: Whether the verb reads a checkpoint.
        """
        if takes_trust:
            self.add_argument("--trust", action="store_true", help=TRUST)
        options, unknown = self.parse_known_args(args)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options


def labels(text: str) -> str:
    """Return the text of `--labels`, if no name in it is empty."""
    if not all(part.strip() for part in text.split(",")):
        raise argparse.ArgumentTypeError(
            f"must be names or numbers of classes with commas between, such as cat,dog or 0,1,2, got {text!r}"
        )
    return text


def words(text: str) -> str:
    """Return names with commas between, without blanks."""
    if not all(part.strip() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"must be names with commas between, got {text!r}")
    return ",".join(part.strip() for part in text.split(","))


def value_range(text: str) -> list[float]:
    """Return black and white of `--value_range`."""
    try:
        black, white = map(float, text.strip("[]").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be two numbers such as 0,4095, got {text!r}") from None
    if not -inf < black < white < inf:
        raise argparse.ArgumentTypeError(f"must be black and white, two increasing numbers, got {text!r}")
    return [black, white]


def steps(text: str) -> int:
    """Return a number of pictures from one latent to the next."""
    if not text.isdigit() or not 2 <= int(text) <= 200:
        raise argparse.ArgumentTypeError(f"must be a whole number from 2 to 200, got {text!r}")
    return int(text)


def _number(text: str) -> float:
    """Return the number that a text says, NaN if it says none: it lies in no range."""
    try:
        return float(text)
    except ValueError:
        return nan


def bounds(text: str) -> list[float]:
    """Return bounds with commas between."""
    found = [_number(part) for part in text.split(",")]
    if not all(0 < bound < inf for bound in found) or len(found) > 50:
        raise argparse.ArgumentTypeError(f"must be numbers above 0 with commas between, got {text!r}")
    return found


def share_of_1(text: str) -> float:
    """Return a share, between 0 and 1."""
    if not 0 < _number(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number between 0 and 1, got {text!r}")
    return _number(text)


def above_0(text: str) -> float:
    """Return a number above 0."""
    if not 0 < _number(text) < inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return _number(text)


def count_or_0(text: str) -> int:
    """Return a whole number of at least 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text!r}")
    return int(text)


def count(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)
