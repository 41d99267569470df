"""The parser of the command line, whose errors are one line that names the mistake and the nearest valid name."""

from __future__ import annotations

import argparse
import ast
import inspect
import os
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from gan_lightning.cli.config_files import BASE, read_config
from gan_lightning.cli.documents import Document, file_of
from gan_lightning.cli.names import named_classes
from gan_lightning.description import refusal
from gan_lightning.errors import KEYS_OF_A_PART, fail, imported_class, nearest
from gan_lightning.runs.old_names import with_new_names

_NOISE = re.compile(
    r"usage:|Given value|Does not validate|Subtypes:|Errors:|Expected a <class 'NoneType'>|Expected a path|Subclass types|"
    r"a class path|a dict w"
)
_WORDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "list": "a list"}
_WORDS |= {"dict": "keys and values", "tuple": "a list"}


class Parser(LightningArgumentParser):
    """A parser that ends with exit code 2 and one line, and whose config files may name a `base`.

    Attributes:
        files: The YAML files of the command line, to name the one with the mistake.
        words: The command line.
    """

    files: ClassVar[list[Document]] = []
    words: ClassVar[list[str]] = []

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
            is_named = any("name" in one.content for one in self.files if one.where == "")
            meant = with_new_names(read_config(Path(path), not is_named) if path and BASE in said else said)
        if meant != said:
            content = yaml.safe_dump(meant, sort_keys=False)
        return super().parse_string(content, path, *args, **kwargs)

    def dump(self, namespace: Namespace, *args: Any, **kwargs: Any) -> str:  # type: ignore[override]
        """Return a config as text; choices of a library that are no plain values, such as Lightning's intervals, are theirs."""
        return super().dump(_plain(namespace.clone()), *args, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with code 2; a part's own parser hands its message on to the parser of the whole."""
        if not self.exit_on_error:
            super().error(message, ex)
        fail(one_line(message, options_of(self), self.files, self.words))


def _plain(value: Any) -> Any:
    """Return a parsed config with the values of enumerations in their place."""
    if isinstance(value, Namespace):
        for key, inner in list(vars(value).items()):
            vars(value)[key] = _plain(inner)
    elif isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    elif isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.value if isinstance(value, Enum) else value


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the long options of a parser and of its verbs, without the dashes."""
    found = {name[2:] for name in parser._option_string_actions if name.startswith("--")}
    for action in parser._actions:
        for inner in action.choices.values() if isinstance(action.choices, dict) else ():
            found |= options_of(inner)
    return found


def one_line(message: str, options: set[str], files: Sequence[Document] = (), words: Sequence[str] = ()) -> str:
    """Return jsonargparse's message as one line, with the nearest of the names that are valid.

    jsonargparse tells a mistake within a part within a part from the outside in: the keys on the way make the path, and
    what follows the last one is the mistake.

    Args:
        message: What jsonargparse says, over several lines.
        options: The options of the command line, such as `trainer.max_steps`.
        files: The YAML files of the command line.
        words: The command line.
    """
    refused = refusal(message)
    if refused:
        return refused
    path, owner, core = _innermost(message)
    unknown = re.search(
        r"unrecognized arguments: -*([\w.+-]+)|Option '([\w.+-]+)' is not acc|does not accept option '([\w.+-]+)'", core
    )
    if unknown:
        word = next(filter(None, unknown.groups()))
        where = f"{path}.{word}".lstrip(".")
        return _unknown_option(where, options, owner) + _place(where, files, words)
    return (f"{path}: " if path else "") + _mistake(core, owner, path) + _place(path, files, words)


def _place(path: str, files: Sequence[Document], words: Sequence[str]) -> str:
    """Return " (in FILE)" if a mistake is in a file; options come after files."""
    options = [word[2:].partition("=")[0].replace(".init_args", "") for word in words if word.startswith("--")]
    is_typed = any(path == option or path.startswith(f"{option}.") for option in options)
    return "" if is_typed else file_of(files, path)


def _innermost(message: str) -> tuple[str, type | None, str]:
    """Return the path of keys to a mistake, the class whose argument the last key is, and what is said of it."""
    path: list[str] = []
    owner: type | None = None
    core = message
    for step in re.finditer(r"Parser key \"([^\"]+)\":|class_path '([\w.]+)':?|class_path='([\w.]+)'", message):
        key, *classes = step.groups()
        if key is None:
            if step.group(2):  # the class around the next key, if there is one
                owner = imported_class(step.group(2)) or owner
                core = message[step.end() :]
            continue
        if key in path and len(path) > 1:  # another type of a union, with the same mistake
            break
        path.append(key)
        core = message[step.end() :]
    kept = re.search(r"(?:^|\n)\s*Given value type:", core)
    inner = core[: kept.start()] if kept and len(path) > 1 else core
    around = re.search(r"Parser key \"[^\"]+\":.*?Got value: Namespace\(class_path='([\w.]+)'", message, re.DOTALL)
    if around and len(path) > 1 and _callable_spec(message):
        owner = imported_class(around.group(1)) or owner
    return ".".join(path), owner, inner


def _callable_spec(message: str) -> bool:
    return "expects a function or a callable class: Parser key" in message or "callable class: Option" in message


def _mistake(core: str, owner: type | None, path: str) -> str:
    """Return what is wrong with the value of a key."""
    given = re.search(r"Got value: (?!Namespace)(.*?)(?:\. Got value: Namespace.*)?$", core, re.MULTILINE)
    given = given or re.search(r"Given value: (.*)", core)
    value = given.group(1).strip()[:100] if given else "something else"
    cls = re.search(
        r"dot import path string: ([\w.]*\w)|class_path '([\w.]+)'|Expected '([\w.]+)' to be a|has no attribute '(\w+)'",
        core,
    )
    module = re.search(r"No module named '([\w.]+)'", core)
    if module:
        return (
            f"there is no module {module.group(1)}; looked for in the current folder {os.getcwd()}, beside "
            "the config, in PYTHONPATH and what is installed"
        )
    if cls:
        return _no_such_class(next(filter(None, cls.groups())), _kind_of(owner, path, core))
    if "Not a valid subclass of" in core or "a subclass" in core:
        kind = _kind_of(owner, path, core)
        try:
            parsed = ast.literal_eval(value) if value.startswith("{") else None
        except (ValueError, SyntaxError):
            parsed = None
        extra = [name for name in parsed or () if name not in KEYS_OF_A_PART]
        if extra:
            return f"unknown key {extra[0]}{nearest(extra[0], KEYS_OF_A_PART)}"
        return f"must be a class, got {value}{_which(kind)}"
    types = list(dict.fromkeys(re.findall(r"Expected an? (<class '\w+'>|typing\.Literal\[[^\]]*\])", core)))
    types = [name for name in types if "NoneType" not in name]
    if types:
        choices = [choice for name in types if "Literal" in name for choice in re.findall(r"[\w-]+", name[15:])]
        words = [_WORDS.get(name[8:-2], f"a {name[8:-2]}") for name in types if "Literal" not in name]
        words += [f"one of {', '.join(dict.fromkeys(choices))}"] if choices else []
        return f"must be {' or '.join(words)}, got {value}"
    lines = list(dict.fromkeys(line.strip(" -") for line in core.splitlines()))
    kept = [line for line in lines if line and not _NOISE.match(line)]
    return ", ".join(kept or lines)[:500]


def _no_such_class(name: str, kind: type | None) -> str:
    """Return the line about a class that is not there, or not of the wanted kind."""
    last = name.rpartition(".")[2]
    known = {c.__name__ for c in named_classes()}
    mine = _names_of(kind)
    if (last in known or imported_class(name) is not None) and kind is not None and last not in mine:
        return f"{last} is no {kind.__name__}{_which(kind)}"
    return f"there is no class {name}{nearest(last, mine) or nearest(last, known)}{_which(kind)}"


def _names_of(kind: type | None) -> list[str]:
    found = {
        c.__name__ for c in named_classes() if kind is not None and issubclass(c, kind) and not inspect.isabstract(c)
    }
    return sorted(found)


def _which(kind: type | None) -> str:
    if kind is None:
        return ""
    names = _names_of(kind)
    if not kind.__module__.startswith(("gan_lightning", "lightning.pytorch.core.datamodule")):
        return f"; it must be a {kind.__module__.partition('.')[0]} {kind.__name__}"
    shown = names[:12] + ["..."] * (len(names) > 12)
    return f"; {kind.__name__} classes are {', '.join(shown)}" if names else f"; it must be a {kind.__name__}"


def _kind_of(owner: type | None, path: str, core: str) -> type | None:
    """Return the class of which the value of a key must be, as the annotation of its owner's argument says."""
    named = re.search(r"<class '([\w.]+)'>, <class 'NoneType'>|subclass of (\w+)", core)
    name = path.rpartition(".")[2]
    for base in owner.__mro__ if owner is not None else ():
        function = vars(base).get("__init__")
        if base is object or function is None or name not in inspect.signature(function).parameters:
            continue
        try:
            hints = typing.get_type_hints(function)
        except NameError:  # a type that only type checkers see
            return None
        return next(_classes_in(hints.get(name)), None)
    if named and named.group(1):
        return imported_class(named.group(1))
    return None


def _classes_in(hint: Any) -> Iterator[type]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if inspect.isclass(hint) and origin is None:
        if hint is not type(None):
            yield hint
    elif inspect.isclass(origin) and issubclass(origin, Callable):  # type: ignore[arg-type]
        yield from _classes_in(arguments[-1] if arguments else None)
    else:
        for argument in arguments:
            yield from _classes_in(argument)


def _unknown_option(word: str, options: set[str], owner: type | None) -> str:
    """Return the line about an option that does not exist: who takes it, or which is nearest."""
    first = word.partition(".")[0]
    prefix, _, last = word.rpartition(".")
    own = set(_arguments(owner)) if owner is not None else set()
    takers = [c for c in named_classes() if "__init__" in vars(c) and last in inspect.signature(c).parameters]
    kinship = {c: len(set(c.__mro__) & set(owner.__mro__ if owner is not None else ())) for c in takers}
    owners = [c.__name__ for c in sorted(takers, key=lambda c: -kinship[c])]  # those like this part first
    known = any(name.partition(".")[0] == first for name in options)
    if owners and word not in options and (known or not prefix):
        return f"option {word} is not accepted here; {', '.join(owners[:5])} take it"
    if not known:  # such as trainr.max_steps or modle.init_args.n_critic
        tops = {name.partition(".")[0] for name in options}
        return f"unknown option {word}{nearest(word, options) or nearest(first, tops)}"
    is_listed = any(name.startswith(f"{prefix}.") for name in options - {f"{prefix}.help"})  # such as checkpoints
    names = own or {name for c in named_classes() if not is_listed for name in _arguments(c)}
    return f"unknown option {word}{nearest(word, options | ({f'{prefix}.{n}' for n in names} if prefix else names))}"


def _arguments(cls: type) -> Iterator[str]:
    for base in cls.__mro__:
        if "__init__" in vars(base) and base is not object:
            yield from set(inspect.signature(vars(base)["__init__"]).parameters) - {"self", "args", "kwargs"}
