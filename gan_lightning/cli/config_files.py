"""Config files: where those that ship lie, and what a file says together with the files it is based on."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from gan_lightning.errors import UserError, nearest

BASE = "base"
"""The key under which a config file names the file, or the list of files, that it adds to."""


class _Dumper(yaml.SafeDumper):
    """Writes text that jsonargparse would read as a number, such as the class 64_E4, between quotes."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def as_yaml(config: dict[str, Any]) -> str:
    """Return a config of plain values as text that means the same to jsonargparse, its keys in their order.

    Example:
        >>> as_yaml({"classes": ["64_E4", "cat"], "lr": 1e-3})
        "classes:\\n- '64_E4'\\n- cat\\nlr: 0.001\\n"
    """
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False)


def config_folder() -> Path:
    """Return the folder of the configs that ship: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return package / "configs" if (package / "configs").is_dir() else package.parent / "configs"


def read_config(file: Path, default_name: bool = True) -> dict[str, Any]:
    """Return what a config file says on top of its bases, as plain values without the key `base`.

    A base is looked for beside the file, then among the configs that ship. Later bases override earlier ones and the
    file overrides them all, key by key; a list is replaced, and so is a part whose `class_path` is another. A file that
    has a base and no `name` is named after its place: `wgan_gp/ring.yaml` is `wgan_gp-ring`.

    Args:
        file: Where it is.
        default_name: Whether it is named so; not beside a config that says a name.

    Raises:
        UserError: The file is no YAML, is no mapping, or names a base that is not there or that leads back to it.
    """
    own = read_plain(file)
    if BASE not in own:
        return own
    merged = _with_bases(file, ())
    if default_name:
        merged.setdefault("name", f"{file.absolute().parent.name}-{file.stem}")
    return merged


def _with_bases(file: Path, above: tuple[Path, ...]) -> dict[str, Any]:
    own, above = read_plain(file), (*above, file.resolve())
    merged: dict[str, Any] = {}
    named = own.pop(BASE, [])
    for name in named if isinstance(named, list) else [named]:
        base = find_base(name, file)
        if base.resolve() in above:
            raise UserError(f"{file}: base {name} leads back to the file itself")
        merged = _merged(merged, _with_bases(base, above))
    return _merged(merged, own)


def find_base(name: Any, file: Path) -> Path:
    """Return the base of that name: beside the file, or among the configs that ship."""
    if not isinstance(name, str):
        raise UserError(f"{file}: base must be a file or a list of files, got {name!r}")
    places = [file.parent, config_folder()]
    for place in places:
        if (place / name).is_file():
            return place / name
    known = [path.name for path in config_folder().glob("base*.yaml")]
    raise UserError(f"{file}: there is no base {name}{nearest(name, known)} in {' or '.join(map(str, places))}")


def read_plain(file: Path) -> dict[str, Any]:
    """Return what a YAML file says by itself.

    Raises:
        UserError: It is no YAML, is no mapping, gives a key twice or cannot be read.
    """
    try:
        said = deepcopy(_parsed(file.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not valid YAML: {error}") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    if said is None:
        raise UserError(f"{file} is empty; a config says key: value")
    if not isinstance(said, dict):
        raise UserError(f"{file} must say key: value, got {str(said)[:40]!r}")
    return said


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
    return yaml.load(text, _Strict)  # bases are read for each file that names them


_Loader: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader  # several times as fast


class _Strict(_Loader):
    """Refuses a key that a mapping gives twice, of which the last one would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping."""
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise yaml.YAMLError(f"{key.value} stands there twice, in lines {lines[key.value]} and {line}")
                lines[key.value] = line
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _merged(under: Any, over: Any) -> Any:
    """Return the nested values of `over` on top of those of `under`."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    was, now = (str(part.get("class_path", "")).rpartition(".")[2] for part in (under, over))
    if was and now and was != now:
        return over
    return {key: _merged(under.get(key), over[key]) if key in over else under[key] for key in {**under, **over}}
