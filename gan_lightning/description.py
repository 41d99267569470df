"""Objects as primitives and back, so that a checkpoint alone is enough to rebuild the module that wrote it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from typing import Any

from torch import nn

from gan_lightning.errors import UserError
from gan_lightning.shapes import shape_of

_PRIMITIVES = (str, int, float, bool, type(None))


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
    linked = {name: describe(vars(module)[name]) for name in ("shape", "seed") if name in vars(module)}
    return {**given, **linked, "_class_path": _path(type(module))}


def rebuild(base: type, hyper_parameters: dict[str, Any]) -> Any:
    """Return the object, an instance of `base`, that `describe_module` described.

    Raises:
        UserError: The checkpoint's module was made from something that cannot be described, or is not a `base`.
    """
    from jsonargparse import ArgumentParser

    if "_class_path" not in hyper_parameters:
        reason = hyper_parameters.get("_error", "it holds no description of its module")
        raise UserError(f"this checkpoint cannot be rebuilt without its config: {reason}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(base, "module", fail_untyped=False)
    arguments = {k: v for k, v in hyper_parameters.items() if not k.startswith("_")}
    if "shape" not in arguments and {"image_size", "channels"} <= set(arguments):  # written by 0.1.0
        arguments["shape"] = describe(shape_of(arguments.pop("image_size"), arguments.pop("channels")))
    config = {"module": {"class_path": hyper_parameters["_class_path"], "init_args": arguments}}
    instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes  # renamed in jsonargparse 4.49
    return instantiate(parser.parse_object(config))["module"]


def _path(cls: type) -> str:
    """Return where a class is found: the face of its room (`gan_lightning.losses.Hinge`) if that shows it."""
    parts = cls.__module__.split(".")
    for n in range(1, len(parts)):
        face = sys.modules.get(".".join(parts[:n]))
        if face is not None and vars(face).get(cls.__qualname__) is cls:
            return f"{face.__name__}.{cls.__qualname__}"
    return f"{cls.__module__}.{cls.__qualname__}"
