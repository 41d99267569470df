"""The parser of the command line, whose errors are one line that names the mistake and the nearest valid name."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from gan_lightning.cli.config_files import BASE, read_config
from gan_lightning.cli.names import named_classes
from gan_lightning.description import refusal
from gan_lightning.errors import fail, nearest
from gan_lightning.moved import with_new_names

_NOISE = re.compile(
    r"usage:|Given value|Does not validate|Subtypes:|Errors:|Expected a <class 'NoneType'>|Expected a path"
)
_KEYS_OF_A_PART = ("class_path", "init_args", "dict_kwargs")


class Parser(LightningArgumentParser):
    """A parser that ends with exit code 2 and one line, and whose config files may name a `base`."""

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        """Return nothing: an option that was cut short is more often mistyped than meant."""
        return []

    def parse_string(self, content: str, path: Any = "", *args: Any, **kwargs: Any) -> Namespace:
        """Parse a config with its bases and its old names; jsonargparse has made the folder of a file the current one."""
        try:
            said = meant = yaml.safe_load(content)
        except yaml.YAMLError:  # jsonargparse says so
            said = meant = None
        if isinstance(said, dict):
            meant = with_new_names(read_config(Path(path)) if path and BASE in said else said)
        if meant != said:
            content = yaml.safe_dump(meant, sort_keys=False)
        return super().parse_string(content, path, *args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with code 2."""
        fail(one_line(message, options_of(self)))


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the long options of a parser and of its verbs, without the dashes."""
    found = {name[2:] for name in parser._option_string_actions if name.startswith("--")}
    for action in parser._actions:
        for inner in action.choices.values() if isinstance(action.choices, dict) else ():
            found |= options_of(inner)
    return found


def one_line(message: str, options: set[str]) -> str:
    """Return jsonargparse's message as one line, with the nearest of the names that are valid.

    Args:
        message: What jsonargparse says, over several lines.
        options: The options of the command line, such as `trainer.max_steps`.
    """
    refused = refusal(message)
    if refused:
        return refused
    option = re.search(
        r"unrecognized arguments: -*([\w.+-]+)|Option '([\w.+-]+)' is not acc|does not accept option '([\w.+-]+)'",
        message,
    )
    if option:
        return _unknown_option(next(filter(None, option.groups())), options)
    lines = list(dict.fromkeys(line.strip(" -") for line in message.splitlines()))
    key = re.match(r'Parser key "([^"]+)":', lines[0])
    where = f"{key.group(1)}: " if key else ""
    cls = re.search(r"dot import path string: ([\w.]+)|class_path '([\w.]+)'", message)
    if cls:
        name = next(filter(None, cls.groups()))
        return (
            f"{where}there is no class {name}{nearest(name.rpartition('.')[2], {c.__name__ for c in named_classes()})}"
        )
    given = re.search(r"Given value: (\{.*)", message, re.DOTALL)
    if given and "Not a valid subclass" in message:
        try:
            extra = [name for name in ast.literal_eval(given.group(1)) if name not in _KEYS_OF_A_PART]
        except (ValueError, SyntaxError):
            extra = []
        if extra:
            return f"{where}unknown key {extra[0]}{nearest(extra[0], _KEYS_OF_A_PART)}"
    kept = [line for line in lines if line and not _NOISE.match(line) and not (key and line.startswith("Parser key"))]
    return where + ", ".join(kept or lines)[:600]


def _unknown_option(word: str, options: set[str]) -> str:
    """Return the line about an option that does not exist: who takes it, or which is nearest."""
    first = word.partition(".")[0]
    prefix, _, last = word.rpartition(".")
    owners = [c.__name__ for c in named_classes() if "__init__" in vars(c) and last in inspect.signature(c).parameters]
    known = any(name.partition(".")[0] == first for name in options)
    if owners and word not in options and (known or not prefix):
        return f"option {word} is not accepted here; {', '.join(owners[:5])} take it"
    if not known:  # such as trainr.max_steps or modle.init_args.n_critic
        tops = {name.partition(".")[0] for name in options}
        return f"unknown option {word}{nearest(word, options) or nearest(first, tops)}"
    names = {name for c in named_classes() for name in _arguments(c)}
    return f"unknown option {word}{nearest(word, options | ({f'{prefix}.{n}' for n in names} if prefix else names))}"


def _arguments(cls: type) -> Iterator[str]:
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            yield from set(inspect.signature(vars(base)["__init__"]).parameters) - {"self", "args", "kwargs"}
