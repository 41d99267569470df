"""Which image belongs to which split and class, as folders, `dataset.json` and tables of labels say."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from gan_lightning.data.image_files import ImageFiles
from gan_lightning.data.label_files import TABLES, Labels, find_label_files
from gan_lightning.errors import UserError, say

OnError = Literal["raise", "skip"]
TRAIN_NAMES = ("train", "training")
EVAL_NAMES = ("test", "testing", "val", "valid", "validation", "eval")  # the first that is there is used
_SPLIT = re.compile(rf"({'|'.join(TRAIN_NAMES + EVAL_NAMES)})[ _-]?(set|data|images|imgs|split)?[ _-]?\d*")

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """The images of one split.

    Attributes:
        names: Their paths, sorted.
        labels: The class index of each, or None.
    """

    names: list[str]
    labels: list[int] | None

    def take(self, rows: Sequence[int]) -> Listing:
        """Return the listing of some rows."""
        return Listing([self.names[i] for i in rows], None if self.labels is None else [self.labels[i] for i in rows])


@dataclass(frozen=True)
class Arrangement:
    """Which file belongs to which split and class.

    Attributes:
        train: The training images.
        evaluation: The evaluation images, or None if the folders do not separate them.
        classes: Names of the classes in the order of their indices, empty without labels.
        source: The files that the labels come from, "" for folders.
        left_out: How many images are in neither split, by the reason.
    """

    train: Listing
    evaluation: Listing | None
    classes: list[str]
    source: str = ""
    left_out: dict[str, int] = field(default_factory=dict)


def class_order(names: Iterable[str]) -> list[str]:
    """Return the names of classes in the order of their indices: numbers, also inside names, sort as numbers."""
    names = set(names)
    try:
        return sorted(names, key=lambda name: (float(name), name))
    except ValueError:
        return sorted(names, key=lambda name: ([_natural(part) for part in re.split(r"(\d+)", name)], name))


def arrange(
    files: ImageFiles, rule: str, on_error: OnError = "raise", given: Sequence[str] | None = None
) -> Arrangement:
    """Read splits and classes.

    A top folder that holds everything is looked through. Folders of training and of evaluation images are the splits;
    pictures beside both are left out, pictures beside evaluation folders alone are the training ones. Classes are what a
    `dataset.json` or a table of labels says; else the first folder below, if every image lies in one and there are at
    least two.

    Args:
        files: The image files.
        rule: "auto", "folders" (which insists on folders, and takes every folder for a class where there are others than
            splits), "none", or the path of a file of labels, with `:column` behind for a table of several.
        on_error: Whether images without a label, and folders that cannot be listed, are refused or left out.
        given: Names of the classes in the order of their indices; those that are found, sorted, if None.

    Raises:
        UserError: The rule cannot be met, evaluation folders lie among others, or a class occurs in the evaluation split
            only.
    """
    names = files.names()
    left_out: dict[str, int] = {}
    if files.unlisted:
        folder, reason = next(iter(files.unlisted.items()))
        if on_error == "raise":
            raise UserError(
                f"cannot list {files.describe(folder)}: {reason}; make it readable, or leave it out with on_error=skip"
            )
        say(
            f"{len(files.unlisted)} folders cannot be listed and are left out, such as {files.describe(folder)}: {reason}"
        )
    below: dict[str, Parts] = {name: tuple(name.split("/")) for name in names}
    folders = [""]
    deepest = 3 if rule == "folders" else 2  # a single class folder is a class only for someone who says so
    while len({parts[0] for parts in below.values()}) == 1 and min(map(len, below.values())) >= deepest:
        folders.append("/".join(names[0].split("/")[: len(folders)]))
        below = {name: parts[1:] for name, parts in below.items()}

    if rule != "folders" and {_kind(parts[1]) for parts in below.values() if len(parts) > 2} & {*TRAIN_NAMES}:
        if all(len(parts) > 2 and _kind(parts[1]) for parts in below.values()):  # <class>/<split>/...
            below = {name: (parts[1], parts[0], *parts[2:]) for name, parts in below.items()}
    splits = _splits(below, rule, files)
    unused = [name for name in names if splits.get(name) is None]
    for name in unused:
        where = f"in {below[name][0]}/" if len(below[name]) > 1 else "beside the folders of the splits"
        left_out[where] = left_out.get(where, 0) + 1
    if set(splits.values()) != {"train"}:
        top = folders[-1]
        folders += dict.fromkeys(
            f"{top}/{below[name][0]}" if top else below[name][0] for name in names if len(below[name]) > 1
        )
        below = {name: parts[1:] if len(parts) > 1 else parts for name, parts in below.items() if splits[name]}
    train = [name for name in names if splits[name] == "train"]
    evaluation = [name for name in names if splits[name] == "eval"]

    labels = _labels(files, [*train, *evaluation], rule, folders)
    if labels.decides:
        class_of: dict[str, str] = labels.of
        train, evaluation = _labelled(train, evaluation, labels, on_error, left_out)
    else:
        class_of = _class_folders({name: below[name] for name in (*train, *evaluation)}, rule, files)
    classes = class_order(class_of[name] for name in train) if class_of else []
    if len(classes) < 2 and rule == "auto" and not given:
        classes = []
    if given is not None and class_of:
        strange = [name for name in classes if name not in given]
        if strange or len(set(given)) != len(given):
            raise UserError(
                f"classes are {', '.join(given)}, but {files.root} has {', '.join(strange) or 'them once each'}: give the "
                "folders or labels their old names, or set classes to null, which sorts and numbers those that are there"
            )
        classes = list(given)
    elif given:
        raise UserError(
            f"classes are {', '.join(given)}, but the {files.noun}s of {files.root} have none; set classes to null"
        )
    index = {name: i for i, name in enumerate(classes)}
    if classes and evaluation and not any(name in class_of for name in evaluation):
        return Arrangement(
            _listing(train, class_of, index), Listing(evaluation, None), classes, labels.source, left_out
        )
    stray = next((name for name in evaluation if classes and class_of[name] not in index), None)
    if stray is not None:
        what = "class" if labels.decides else "class folder"
        raise UserError(f"{files.root}: the {what} of {stray} is not in the training split; use labels=none")
    return Arrangement(
        _listing(train, class_of, index),
        _listing(evaluation, class_of, index) if evaluation else None,
        classes,
        labels.source,
        left_out,
    )


def hold_out(train: Listing, fraction: float, noun: str = "image") -> tuple[Listing, Listing]:
    """Return a listing cut in two, at random but always alike; of each class at least one stays in the first part.

    Args:
        train: What to cut.
        fraction: Share of the second part.
        noun: What is listed, for messages.

    Raises:
        UserError: Nothing would be left in one of them.
    """
    n_eval = round(len(train.names) * fraction)
    if not 0 < n_eval < len(train.names):
        raise UserError(
            f"eval_fraction must be between 0 and 1 and leave {noun}s on both sides, "
            f"got {fraction} of {len(train.names)} {noun}s"
        )
    order = torch.randperm(len(train.names), generator=torch.Generator().manual_seed(0)).tolist()
    kept, held_out = order[n_eval:], order[:n_eval]
    if train.labels is not None:
        trained = {train.labels[row] for row in kept}
        for row in held_out:
            if train.labels[row] not in trained:
                trained.add(train.labels[row])
                kept.append(row)
        returned = set(kept)
        held_out = [row for row in held_out if row not in returned]
        if not held_out:
            raise UserError(
                f"eval_fraction {fraction} holds out {n_eval} of {len(train.names)} {noun}s, all of them the last of "
                "their class; set a larger fraction"
            )
    return train.take(sorted(kept)), train.take(sorted(held_out))


def _listing(names: list[str], class_of: dict[str, str], index: dict[str, int]) -> Listing:
    return Listing(names, [index[class_of[name]] for name in names] if index else None)


def _splits(below: dict[str, Parts], rule: str, files: ImageFiles) -> dict[str, Literal["train", "eval"] | None]:
    """Return the split of each image, None for those of no split.

    Raises:
        UserError: Evaluation folders lie among others, so that it cannot be told what the others are.
    """
    tops = list(dict.fromkeys(parts[0] for parts in below.values() if len(parts) > 1))
    kinds = {top: _kind(top) for top in tops}
    trains = [top for name in TRAIN_NAMES for top in tops if kinds[top] == name]
    evals = [top for name in EVAL_NAMES for top in tops if kinds[top] == name]
    others = [top for top in tops if kinds[top] is None] + trains[1:]
    n_loose = sum(len(parts) == 1 for parts in below.values())
    everything: dict[str, Literal["train", "eval"] | None] = dict.fromkeys(below, "train")
    if not evals or (rule == "folders" and (others or n_loose or not trains)):
        return everything
    if others or not (trains or n_loose):
        beside = (
            f"beside {others[0]}" if others else f"and no folder of training {files.noun}s beside {', '.join(evals)}"
        )
        raise UserError(
            f"{files.root} has a folder {evals[0]} {beside}: if it is the evaluation split, put the training {files.noun}s into "
            "a folder train, or elsewhere and name it with eval_root; if it is a class, set labels=folders "
            "(--data.labels folders)"
        )
    train, evaluation = (trains[0] if trains else None), evals[0]

    def split(parts: Parts) -> Literal["train", "eval"] | None:
        if len(parts) == 1:
            return None if train else "train"
        return "train" if parts[0] == train else "eval" if parts[0] == evaluation else None

    return {name: split(parts) for name, parts in below.items()}


def _kind(folder: str) -> str | None:
    """Return which of the splits' names a folder's name is, such as "train" for "Train_Set", None for none."""
    match = _SPLIT.fullmatch(folder.lower())
    return match.group(1) if match else None


def _labels(files: ImageFiles, names: list[str], rule: str, folders: list[str]) -> Labels:
    """Read the files of labels that the rule asks for.

    Raises:
        UserError: The rule is the path of a file that is not there, or that holds no classes.
    """
    labels = Labels(files, names)
    if rule in ("folders", "none"):
        return labels
    if rule == "auto":
        labels.read(find_label_files(files, folders), None, insist=False)
        return labels
    file, _, column = rule.partition(":")
    if not file.lower().endswith((*TABLES, ".json")):
        raise UserError(
            "labels must be auto, folders, none, or a .json, .csv, .tsv or .jsonl file inside the folder "
            f"(with :column behind), got {rule}"
        )
    found = [name for name in files.seen if name == file or os.path.basename(name) == file]
    if not found:
        raise UserError(f"there is no file {file} in {files.root}; labels names a file inside it")
    labels.read(found, column or None, insist=True)
    return labels


def _labelled(
    train: list[str], evaluation: list[str], labels: Labels, on_error: OnError, left_out: dict[str, int]
) -> tuple[list[str], list[str]]:
    """Return the images of both splits that have a label; a split without any is kept whole."""
    if not labels.of:
        return train, evaluation
    kept = []
    for names in (train, evaluation):
        without = [name for name in names if name not in labels.of]
        if without and (names is train or len(without) < len(names)):
            if on_error == "raise":
                raise UserError(
                    f"{labels.source} has no label for {len(without)} of {len(names)} images, such as {without[0]}; "
                    "add them, leave such images out with on_error=skip (--data.on_error skip), or use labels=none"
                )
            left_out["without a label"] = left_out.get("without a label", 0) + len(without)
            names = [name for name in names if name in labels.of]
        kept.append(names)
    if not kept[0]:
        raise UserError(f"{labels.source} has no label for any training image; use labels=none")
    return kept[0], kept[1]


def _class_folders(below: dict[str, Parts], rule: str, files: ImageFiles) -> dict[str, str]:
    """Return the first folder that each image lies in, nothing if one lies in none."""
    outside = next((name for name, parts in below.items() if len(parts) < 2), None)
    if rule == "folders" and outside is not None:
        raise UserError(
            f"labels=folders needs every {files.noun} in a class folder, but {files.root} has {outside}; "
            "move it or use labels=none"
        )
    return {name: parts[0] for name, parts in below.items()} if outside is None and rule != "none" else {}


def _natural(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdecimal() else (1, 0, part)
