"""`gan-lightning configs`: the configs that ship, by name; and what stands for a config on the command line of `fit`."""

from __future__ import annotations

import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

from gan_lightning.cli.config_files import config_folder, read_config
from gan_lightning.errors import UserError, nearest, say

_NO_FAMILIES = ("compare", "hardware", "loggers")
"""Folders that are no families: experiments of one page, and files that are added to another config."""

_SUITING = {"Digits": "quickstart", **dict.fromkeys(("Ring", "Grid", "GaussianMixture", "SwissRoll"), "wgan_gp/ring")}
"""Data: the config that suits them where none is given; pictures have one for each size."""

_MINUTES = re.compile(r"(?<![\w.,(])([\d.,]+(?:-[\d.,]+)?|two|three|four|five|ten) minutes")
_FIGURE = re.compile(r"\b(?:FID|IS) [\d.]*\d")


def names() -> list[str]:
    """Return the names of the configs that ship, such as `wgan_gp/ring`; bases, which train nothing, are left out."""
    folder = config_folder()
    files = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.yaml"))
    return sorted(name.as_posix() for name in files if not name.name.startswith("base"))


def find_config(name: str) -> Path:
    """Return the file of the config of that name; `.yaml` and a leading `configs/` may be written.

    Raises:
        UserError: There is none.
    """
    short = re.sub(r"\.ya?ml$", "", name.removeprefix("./").removeprefix("configs/"))
    if short not in (known := names()):
        raise UserError(
            f"there is no config {name}{nearest(short, known)}: it is no file, and gan-lightning configs lists those "
            "that ship"
        )
    return config_folder() / f"{short}.yaml"


def with_files(args: list[str]) -> list[str]:
    """Return a command line whose configs are files: a path that exists wins over the name of a config that ships.

    Files come first, wherever they stand: what is typed is obeyed, before a config as behind it.

    `fit --resume RUN_FOLDER` without a config gets the folder's own, before whatever options are typed; `fit --data CLASS`
    with neither a config nor a model gets one that suits the data, which is said.

    Raises:
        UserError: A config is neither a file nor the name of one that ships, or there is neither model nor data.
    """
    words, before, resumed, has_config = [], "", "", False
    for arg in args:
        option, equals, value = arg.partition("=") if arg.startswith("-") else (before, "", arg)
        if option in ("-c", "--config") and (equals or not arg.startswith("-")):
            has_config = True
            is_text = any(sign in value for sign in "\n{:")  # the config itself, not where it is
            if value and not is_text and not Path(value).expanduser().exists():
                arg = f"{option}{equals}{find_config(value)}" if equals else str(find_config(value))
        elif option == "--resume" and (equals or not arg.startswith("-")):
            resumed = value
        before = arg if arg.startswith("-") and not equals else ""
        words.append(arg)
    words = _files_first(words)
    if words[0] != "fit" or has_config:
        return words
    if resumed in ("", "auto"):
        return [words[0], "--config", str(find_config(_suiting(words))), *words[1:]] if _needs_one(words) else words
    place = Path(resumed).expanduser()
    if not place.exists():
        raise UserError(f"nothing to resume at {resumed}; --resume takes auto, a run folder or a checkpoint")
    own = (place if place.is_dir() else place.parent.parent) / "config.yaml"
    return [words[0], "--config", str(own), *words[1:]] if own.is_file() else words


def _files_first(words: list[str]) -> list[str]:
    """Return the verb, its configs, the files of parts such as `--data mine.yaml`, and all else, each in their order."""
    configs: list[str] = []
    parts: list[str] = []
    others: list[str] = []
    place = others
    for word, after in pairwise([*words[1:], ""]):
        if word.startswith("-"):
            option, equals, value = word.partition("=")
            is_file = (value if equals else after).endswith((".yaml", ".yml"))
            place = configs if option in ("-c", "--config") else parts if is_file else others
        place.append(word)
    return [words[0], *configs, *parts, *others]


def _typed(words: list[str], option: str) -> str | None:
    """Return the last value of an option on a command line, None if it is not there."""
    values = [b for a, b in zip(words, [*words[1:], ""], strict=True) if a == option]
    values += [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
    return values[-1] if values else None


def _needs_one(words: list[str]) -> bool:
    """Tell whether a config is to be taken for a `fit` that has none.

    Raises:
        UserError: The data or the model is missing, and nothing suits.
    """
    model, data = _typed(words, "--model"), _typed(words, "--data")
    if model is None and data is None:
        raise UserError(
            "fit needs a model and data: --config NAME, such as quickstart or wgan_gp/ring (gan-lightning configs lists "
            "those that ship), or --data ImageFolder --data.root FOLDER for your own pictures"
        )
    if data is None:
        family = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(model).rpartition(".")[2]).lower().replace("_", "")
        own = [name for name in names() if name.partition("/")[0].replace("_", "") == family]
        raise UserError(
            f"fit has no data for {model}; --config NAME has some: "
            f"{', '.join(own) or 'gan-lightning configs lists those that ship'}"
        )
    return model is None and not data.endswith((".yaml", ".yml"))  # a file says what its data are


def _suiting(words: list[str]) -> str:
    """Return the name of a config that suits the data of a `fit` without model and config, and say which it is.

    Raises:
        UserError: None does.
    """
    data = str(_typed(words, "--data")).rpartition(".")[2]
    if data in _SUITING:
        name, why = _SUITING[data], f"data {data}"
    elif data in ("ImageFolder", "TorchvisionImages", "RandomImages"):
        import torch

        accelerator = _typed(words, "--trainer.accelerator") or "auto"
        has_gpu = accelerator in ("gpu", "cuda") or (accelerator == "auto" and torch.cuda.is_available())
        side = _typed(words, "--data.image_size")
        sides = [int(number) for number in re.findall(r"\d+", side or "")] or [64 if has_gpu else 32]
        size = next((size for size in (32, 64, 128) if max(sides) <= size), 128)
        name = f"pictures/{'gpu' if has_gpu else 'cpu'}{size}"
        why = f"pictures at {'x'.join(map(str, sides)) if side else size} on a {'GPU' if has_gpu else 'CPU'}"
    else:
        raise UserError(
            f"fit has no model for the data {data}; give --config NAME, such as pictures/cpu32 or wgan_gp/ring (gan-lightning "
            "configs lists those that ship), or --model CLASS with its generator and critic"
        )
    steps = (read_config(find_config(name)).get("trainer") or {}).get("max_steps")
    say(
        f"no --config: {name} is taken, for {why} ({read_config(find_config(name))['model']['class_path']}, {steps:,} updates); "
        f"gan-lightning configs show {name} prints it, --config NAME takes another"
    )
    return name


def tell() -> None:
    """Print every config that ships, family by family: its data, and the minutes and figure that its header names."""
    rows = [(name, *_told(config_folder() / f"{name}.yaml")) for name in names()]
    width = [max(len(row[column]) for row in rows) for column in range(3)]
    family = ""
    print(f"  {'NAME':{width[0]}}  {'DATA':{width[1]}}  {'MINUTES':{max(width[2], 7)}}  EXPECTED, as the header says")
    for name, data, minutes, figure in sorted(rows, key=lambda row: (row[0].split("/")[0] in _NO_FAMILIES, row[0])):
        if "/" in name and name.partition("/")[0] != family:
            family = name.partition("/")[0]
            print(family)
        print(f"  {name:{width[0]}}  {data:{width[1]}}  {minutes:{max(width[2], 7)}}  {figure}")
    print(
        "\n- is not in the header. gan-lightning fit --config NAME trains one; compare, hardware and loggers are added to"
    )
    print(
        "another: --config NAME --config hardware/cpu. gan-lightning configs show NAME, or copy NAME FILE to alter one."
    )


def _told(file: Path) -> tuple[str, str, str]:
    config = read_config(file)
    data: Any = config.get("data") or {}
    dataset = (data.get("init_args") or {}).get("dataset")
    lines = [line[1:].strip() for line in _header(file)]
    text = " ".join(lines)
    minutes, figures = _MINUTES.search(text), dict.fromkeys(_FIGURE.findall(text))
    expected = re.search(r"(?:Expected|Measured): (.*?)(?:[.:;](?: |$)| \(seed|, where|$)", text)
    if expected:
        figure = expected.group(1)
    else:
        figure = ", ".join(figures)
        if figure and re.search(r"(not|neither) measured", text, re.IGNORECASE):
            figure += " (published, not measured here)"
    return str(dataset or data.get("class_path") or "-"), minutes.group(1) if minutes else "-", figure or "-"


def _header(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return lines[: next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))]


def show(name: str) -> None:
    """Print a config that ships, as it is written."""
    print(find_config(name).read_text(encoding="utf-8"), end="")


def copy(name: str, file: str) -> None:
    """Write a config that ships to a file that is not there yet; its bases are found from anywhere.

    Raises:
        UserError: There is no such config, or there is something at `file`, or no folder to write it to.
    """
    source, target = find_config(name), Path(file).expanduser()
    if target.is_dir():
        target /= source.name
    if target.exists():
        raise UserError(f"{target} exists; give another file")
    if not target.parent.is_dir():
        raise UserError(f"there is no folder {target.parent} to write {target.name} to; make it first")
    shutil.copyfile(source, target)
    print(f"{target}; gan-lightning fit --config {target} trains it")
