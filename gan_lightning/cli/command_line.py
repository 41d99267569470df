"""The words of a command line: what they give, and what stands for them in a checkpoint."""

from __future__ import annotations

import re

from gan_lightning.cli.config_files import as_yaml
from gan_lightning.cli.documents import options
from gan_lightning.cli.saved_config import PORTABLE
from gan_lightning.errors import UserError, say
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.runs.folders import checkpoint_path
from gan_lightning.runs.home import with_home
from gan_lightning.runs.old_names import option_with_new_names


def with_checkpoint_config(args: list[str]) -> list[str]:
    """Prepend the config stored in a checkpoint, for a verb that measures it and was given none."""
    given = last_value(args, "ckpt_path")
    if args[0] == "fit" or given is None or last_value(args, "config") or last_value(args, "c", "-"):
        return args
    name = last_value(args, "name")
    if given in ("last", "best") and name is None:
        raise UserError(f"--ckpt_path {given} is that of a run folder; give --name NAME or --config FILE")
    path = checkpoint_path(with_home(given), with_home(last_value(args, "runs_dir") or "runs"), name or "")
    config = read_checkpoint(path, hold=True).get("config")
    if config is None:
        raise UserError(f"{path} carries no config (it was not written by gan-lightning fit); give --config")
    others = sorted(map(str, config.keys() - set(PORTABLE)))
    if others:
        say(f"left out of the config in {path}, because no checkpoint has them: {', '.join(others)}")
    config = {key: config[key] for key in PORTABLE if key in config}
    return [args[0], "--config", as_yaml(config), *args[1:]]


def typed_paths(args: list[str]) -> list[str]:
    """Return the class paths that are values of options on the command line; a checkpoint's name is none."""
    values = {arg.rpartition("=")[2] for arg in args} - {last_value(args, "ckpt_path")}
    return [value for value in values if re.fullmatch(r"[a-zA-Z_]\w*(\.[a-zA-Z_]\w*)+", value)]


def renamed(args: list[str]) -> list[str]:
    """Return the arguments with the classes and options of release 0.1.0 written as they are now."""
    words, before = [], ""
    for arg in args:
        option, equals, value = arg.partition("=") if arg.startswith("--") else (before, "", arg)
        if arg.startswith("--"):
            new, value = option_with_new_names(option, value)
            words.append(f"{new}{equals}{value}")
            before = option
        else:
            words.append(option_with_new_names(before, value)[1])
    return words


def last_value(args: list[str], option: str, dashes: str = "--") -> str | None:
    """Return the value that the last `--option value` or `--option=value` of a command line gives, None without one."""
    values = [value for word, value in options(args) if word == dashes + option]
    return values[-1] if values else None
