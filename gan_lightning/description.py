"""Objects as primitives and back, so that a checkpoint alone is enough to rebuild the module that wrote it."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from gan_lightning.errors import UserError, check_tree
from gan_lightning.shapes import shape_of

_PRIMITIVES = (str, int, float, bool, type(None))
KNOWN_PACKAGES = ("gan_lightning", "torch.nn", "torch.optim", "torchvision.datasets")
"""Where the classes may be from that a file names which nobody has said to trust."""


@contextmanager
def known_classes_only(trust: bool = False, also: Iterable[str] = ()) -> Iterator[None]:
    """Let class paths resolve in `KNOWN_PACKAGES` and nowhere else, so that a file cannot run code by naming it.

    What is refused is not imported. The policy is jsonargparse's, which applies it wherever a value names an object, by
    the name given and by the place where the object is defined; it is put back at the end.

    Args:
        trust: Do nothing: whoever asks trusts the file.
        also: Further packages, modules or objects, such as those that the user has typed.
    """
    if trust:
        yield
        return
    from jsonargparse import set_parsing_settings
    from jsonargparse._common import parsing_settings

    before = dict(parsing_settings)
    parsing_settings["import_path_verdicts"] = {}  # those that jsonargparse denies by default are denied by "*"
    allowed = [path for path in also if path.partition(".")[0] != "jsonargparse"]  # it refuses to be named itself
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=[*KNOWN_PACKAGES, *allowed])
    try:
        yield
    finally:
        parsing_settings.clear()
        parsing_settings.update(before)


def refusal(message: str) -> str | None:
    """Return the line about a class path that `known_classes_only` refused, None if the message is of something else."""
    found = re.search(r"Importing '([\w.]+)' is not allowed", message)
    if found is None:
        return None
    *others, last = KNOWN_PACKAGES
    return (
        f"the file names {found.group(1)}, which is not of {', '.join(others)} or {last} and was not imported, because "
        "that would run its code; if you trust the file, give --trust (from Python trust=True)"
    )


def find_class(path: str) -> Any:
    """Return the class that a dotted path names.

    Raises:
        UserError: `known_classes_only` is in force and does not allow it.
        ImportError: There is no such module.
        AttributeError: There is no such class in it.
    """
    from jsonargparse._common import ImportDenied
    from jsonargparse._util import import_object

    try:
        return import_object(path)
    except ImportDenied as error:
        raise UserError(refusal(str(error)) or str(error)) from error


def describe(value: Any) -> Any:
    """Return `value` as primitives: classes and instances become `class_path` and `init_args`.

    Understands classes, `functools.partial` of a class, dataclasses, and objects that keep their constructor's arguments
    as attributes of the same names.

    Raises:
        TypeError: For anything else, such as a lambda.
    """
    if isinstance(value, _PRIMITIVES):
        return value
    if isinstance(value, list | tuple | nn.ModuleList):
        return [describe(v) for v in value]
    if isinstance(value, dict):
        return {str(k): describe(v) for k, v in value.items()}
    if inspect.isclass(value):
        return {"class_path": _path(value)}
    if isinstance(value, functools.partial):
        # jsonargparse makes partials of its own instantiator, whose argument is the class
        classes = [part for part in (value.func, *value.args) if inspect.isclass(part)]
        if len(classes) == 1 and all(callable(part) for part in value.args):
            return {"class_path": _path(classes[0]), "init_args": describe(value.keywords)}
    if dataclasses.is_dataclass(value):
        fields = {f.name: describe(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class_path": _path(type(value)), "init_args": fields}
    names = [n for n in inspect.signature(type(value)).parameters if n not in ("args", "kwargs")]
    if not inspect.isfunction(value) and all(hasattr(value, name) for name in names):
        return {"class_path": _path(type(value)), "init_args": {n: describe(getattr(value, n)) for n in names}}
    raise TypeError(f"{value!r} cannot be written as primitives; pass a class or functools.partial(Class, name=value)")


def describe_module(module: Any) -> dict[str, Any]:
    """Return the hyper-parameters from which `rebuild` makes a module equal to `module` but for its weights."""
    try:
        given = {k: describe(v) for k, v in module.hparams.items() if not k.startswith("_")}
    except TypeError as error:
        return {"_error": str(error)}
    linked = {name: describe(vars(module)[name]) for name in ("shape", "seed", "classes") if name in vars(module)}
    return {**given, **linked, "_class_path": _path(type(module))}


def check_plain(owner: Any, values: Any, name: str = "") -> None:
    """Refuse hyper-parameters that a checkpoint could not be read with: all but plain values, lists and dictionaries.

    Raises:
        UserError: There is one; the line names it.
    """
    if isinstance(values, dict):
        for key, value in values.items():
            check_plain(owner, value, name or str(key))
    elif isinstance(values, list | tuple):
        for value in values:
            check_plain(owner, value, name)
    elif not isinstance(values, _PRIMITIVES):
        raise UserError(
            f"{type(owner).__name__} keeps its {name} in its hyper-parameters, a {type(values).__name__}: its checkpoints "
            f"could not be read, which hold plain values only; give a name or a path, or save_hyperparameters(ignore={name!r})"
        )


def rebuild(base: type, hyper_parameters: dict[str, Any], trust: bool = False, also: Iterable[str] = ()) -> Any:
    """Return the object, an instance of `base`, that `describe_module` described.

    Args:
        base: What it must be an instance of.
        hyper_parameters: The description.
        trust: Import whatever the description names, not only what is of `KNOWN_PACKAGES`.
        also: Further modules whose classes may be named.

    Raises:
        UserError: The checkpoint's module was made from something that cannot be described, or is not a `base`, or
            the description names a class that is not to be imported.
    """
    from jsonargparse import ArgumentParser

    if "_class_path" not in hyper_parameters:
        reason = hyper_parameters.get("_error", "it holds no description of its module")
        raise UserError(f"this checkpoint cannot be rebuilt without its config: {reason}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(base, "module", fail_untyped=False)
    arguments = {k: v for k, v in hyper_parameters.items() if not k.startswith("_")}
    is_network = issubclass(base, nn.Module)  # data have an image_size and channels of their own
    if is_network and "shape" not in arguments and {"image_size", "channels"} <= set(arguments):  # written by 0.1.0
        arguments["shape"] = describe(shape_of(arguments.pop("image_size"), arguments.pop("channels")))
    config = {"module": {"class_path": hyper_parameters["_class_path"], "init_args": arguments}}
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes  # renamed in jsonargparse 4.49
    with known_classes_only(trust, also):
        try:
            parsed = parser.parse_object(config)
        except argparse.ArgumentError as error:
            text = " ".join(str(error).split())
            raise UserError(refusal(text) or f"the checkpoint's module cannot be rebuilt: {text[:400]}") from error
        check_tree(parsed["module"].as_dict())
        return instantiate(parsed)["module"]


def _path(cls: type) -> str:
    """Return where a class is found: the face of its room (`gan_lightning.losses.Hinge`) if that shows it."""
    parts = cls.__module__.split(".")
    for n in range(1, len(parts)):
        face = sys.modules.get(".".join(parts[:n]))
        if face is not None and vars(face).get(cls.__qualname__) is cls:
            return f"{face.__name__}.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}"
