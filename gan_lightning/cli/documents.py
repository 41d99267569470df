"""What a YAML file or an option says that jsonargparse would take without a word: keys given twice, unknown or linked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gan_lightning.cli.config_files import BASE, find_base, read_config, read_plain
from gan_lightning.errors import KEYS_OF_A_PART, UserError, nearest

_LINKED = {
    "seed": "the seed of everything is --seed_everything (seed_everything in YAML)",
    "shape": "the shape of a sample is the data's; set it there, such as --data.image_size",
    "image_size": "the shape of a sample is the data's; set --data.image_size",
    "classes": "the names of the classes are the data's",
    "channels": "the shape of a sample is the data's; set --data.channels",
}
"""Arguments of the model that follow from others, and which."""


class Document(NamedTuple):
    """A YAML file of the command line.

    Attributes:
        file: Its path as given.
        where: The option that it is the value of, "" for the whole config.
        content: What it holds.
    """

    file: str
    where: str
    content: Any


def options(args: list[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the options of a command line with what `--option value` or `--option=value` gives, None for the last word."""
    for word, after in zip(args, [*args[1:], None], strict=True):
        option, equals, value = word.partition("=")
        if option.startswith("-"):
            yield option, value if equals else after


def documents(args: list[str]) -> list[Document]:
    """Return the YAML files of a command line, and those that they name in turn.

    Raises:
        UserError: One is no YAML, is empty, gives a key twice, or sets what follows from something else; or an option
            does so.
    """
    found: list[Document] = []
    for option, value in options(args):
        linked = re.fullmatch(r"--model(?:\.init_args)?\.(\w+)", option)
        if linked and linked.group(1) in _LINKED:
            raise UserError(f"{option} is not given by itself: {_LINKED[linked.group(1)]}")
        where = "" if option in ("-c", "--config") else option.lstrip("-")
        if where == "" and value and Path(value).expanduser().is_file():
            read_config(Path(value).expanduser())  # refuses bases that lead in a circle
        if value and (where == "" or value.endswith((".yaml", ".yml"))):
            found += _read(value, Path(), where)
    return found


def _read(given: str, folder: Path, where: str) -> Iterator[Document]:
    path = folder / Path(given).expanduser()
    if not path.is_file():
        return
    content = read_plain(path)
    bases = content.get(BASE, []) if where == "" else []
    for base in bases if isinstance(bases, list) else [bases]:
        yield from _read(str(find_base(base, path)), Path(), where)
    arguments = _at(content, "init_args") if where == "model" else _at(content, "model", "init_args")
    for name in _LINKED.keys() & set(arguments if isinstance(arguments, Mapping) else ()):
        raise UserError(f"{given} sets model.init_args.{name}, which is not given by itself: {_LINKED[name]}")
    _check_parts(content, where, given)
    yield Document(given, where, content)
    for key, value in _strings(content, where):
        if value.endswith((".yaml", ".yml")) and key != BASE:
            yield from _read(value, path.parent, key)


def _check_parts(content: Any, where: str, file: str) -> None:
    """Refuse a part whose class is no name, whose arguments are no mapping, or that has other keys."""
    if isinstance(content, list):
        for index, inner in enumerate(content):
            _check_parts(inner, f"{where}[{index}]", file)
    if not isinstance(content, Mapping):
        return
    if "class_path" in content and not isinstance(content["class_path"], str):
        raise UserError(f"class_path of {where} must be the name of a class, got {content['class_path']} (in {file})")
    for key, value in content.items():
        is_part = "class_path" in content or "init_args" in content
        if is_part and key in ("init_args", "dict_kwargs") and not isinstance(value, Mapping):
            raise UserError(f"{key} of {where} must hold keys and values, got {value} (in {file})")
        if is_part and key not in KEYS_OF_A_PART:
            raise UserError(f"unknown key {where}.{key}{nearest(str(key), KEYS_OF_A_PART)} (in {file})")
        _check_parts(value, where if key in KEYS_OF_A_PART else f"{where}.{key}".lstrip("."), file)


def _at(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _strings(content: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _strings(value, f"{where}.{key}".lstrip("."))
    elif isinstance(content, str):
        yield where, content


def check_empty_keys(found: list[Document], config: Any) -> None:
    """Refuse unknown keys whose value is an empty mapping, which jsonargparse drops.

    Args:
        found: The YAML files of the command line.
        config: What they were parsed to, as nested mappings.

    Raises:
        UserError: There is one.
    """
    for document in found:
        parsed = _at(config, *document.where.split(".")) if document.where else config
        for path, known in _unknown(document.content, parsed, document.where):
            short = path.replace(".init_args", "")
            raise UserError(f"unknown key {short} in {document.file}{nearest(path.rpartition('.')[2], known)}")


def left_out(found: list[Document], words: Sequence[str], config: Any) -> Iterator[str]:
    """Yield a line for each part of a config of the command line that is another class now, which does not take all of it.

    Args:
        found: The YAML files of the command line.
        words: The command line; what a config says on top of its bases replaces them as it wants.
        config: What they were parsed to, as nested mappings.
    """
    typed = {value for option, value in options(list(words)) if option in ("-c", "--config")}
    for document in found:
        if document.file in typed:
            said = read_config(Path(document.file).expanduser())
            for part in ("model", "data"):
                for kind, names in _dropped(said.get(part), config.get(part), part):
                    yield f"left out of {document.file}, because {kind} does not take it: {', '.join(names)}"


def _dropped(said: Any, now: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the class and the arguments of each part that has become that class and has lost those arguments."""
    if not isinstance(said, Mapping) or not isinstance(now, Mapping):
        return
    before, after = (_at(one, "init_args") or {} for one in (said, now))
    kinds = [str(one.get("class_path") or "").rpartition(".")[2] for one in (said, now)]
    names = [f"{path}.{name}" for name in before if name not in after]
    if kinds[0] and kinds[1] and kinds[0] != kinds[1] and names:
        yield kinds[1], names
    for name in before:
        yield from _dropped(before[name], after.get(name), f"{path}.{name}")


def _unknown(raw: Any, parsed: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    if not isinstance(raw, Mapping) or not isinstance(parsed, Mapping):
        return
    if str(raw.get("class_path", "")).rpartition(".")[2] != str(parsed.get("class_path", "")).rpartition(".")[2]:
        return  # a later file has another class there
    for key, value in raw.items():
        where = f"{path}.{key}".lstrip(".")
        if key in parsed:
            yield from _unknown(value, parsed[key], where)
        elif _is_hollow(value) and key not in ("init_args", "dict_kwargs"):
            yield where, list(map(str, parsed))


def _is_hollow(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_hollow, value.values()))


def file_of(found: Sequence[Document], path: str) -> str:
    """Return " (in FILE)" with the last file that sets a path such as `model.generator.width`, "" if none does."""
    for document in reversed(found):
        keys = path.split(".")
        if document.where and path.startswith(f"{document.where}."):
            keys = path[len(document.where) + 1 :].split(".")
        elif document.where:
            continue
        if path and _has(document.content, keys):
            return f" (in {document.file})"
    return ""


def _has(content: Any, keys: list[str]) -> bool:
    if not keys:
        return True
    if isinstance(content, list):
        return any(_has(inner, keys) for inner in content)
    if not isinstance(content, Mapping):
        return False
    if keys[0] in content and _has(content[keys[0]], keys[1:]):
        return True
    return _has(content.get("init_args"), keys)
