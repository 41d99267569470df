"""Decode a set of images once into one memory-mapped uint8 file, found again by its key.

A pack is two files: `<owner>-<key>.npy`, the images `(N, C, H, W)`, and `<owner>-<key>.json`, written last, which says
that the pack is whole, what it holds and what was left out. The key covers everything the pixels depend on, so a pack
is never out of date, only unused; the packs that the same owner (one folder under one set of options) no longer uses
are removed when a new one is made. Both files appear by a rename, so processes that pack the same set at the same time
disturb nobody: the last one wins, with equal content.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from gan_lightning.data.stream import fingerprint
from gan_lightning.errors import UserError

FORMAT = 1  # raise it when the pixels of a pack would come out differently
OnError = Literal["raise", "skip"]


@dataclass(frozen=True)
class Recipe:
    """What a pack holds and how to make it.

    Attributes:
        name: What is packed, for people.
        owner: Identifies the data and the options, but not the state of the files.
        key: Everything the pixels depend on; JSON types.
        n: Number of images.
        shape: `(C, H, W)` of each.
        decode: Returns image `i` as uint8 `(C, H, W)`; raises anything if it cannot. Called from several threads.
        describe: Returns what to call image `i` in a message.
    """

    name: str
    owner: str
    key: object
    n: int
    shape: tuple[int, int, int]
    decode: Callable[[int], np.ndarray]
    describe: Callable[[int], str]


@dataclass(frozen=True)
class Pack:
    """Packed images.

    Attributes:
        images: uint8 `(N, C, H, W)`, mapped from the file copy-on-write.
        skipped: Indices of images that are not in it because they could not be read.
        digest: Hash of the content, as `RealSamples.fingerprint`.
    """

    images: Tensor
    skipped: list[int]
    digest: str


def packed(recipe: Recipe, folders: Sequence[Path], on_error: OnError) -> Pack:
    """Return the pack of a recipe from the first folder that has it, or make it in the first that can be written.

    Raises:
        UserError: An image cannot be read (with "raise"), or none can, or no folder can be written.
    """
    stem = f"{_hash(recipe.owner)}-{_hash({'format': FORMAT, 'shape': recipe.shape, 'key': recipe.key})}"
    folder = next((folder for folder in folders if (folder / f"{stem}.json").is_file()), None)
    if folder is None:
        folder = writable(folders)
        _make(recipe, folder, stem, on_error)
        for old in folder.glob(f"{_hash(recipe.owner)}-*"):
            if not old.name.startswith(stem):
                old.unlink(missing_ok=True)  # whoever has it mapped keeps it
    card = json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))
    if card["skipped"]:
        first = card["skipped"][0]
        if on_error == "raise":
            raise UserError(_unreadable(first["file"], first["reason"]))
        rank_zero_warn(
            f"{recipe.name}: {len(card['skipped'])} of {recipe.n} images could not be read and are left out, "
            f"the first is {first['file']} ({first['reason']}); the others are listed in {folder / stem}.json"
        )
    # copy-on-write lets torch share the pages without a warning about read-only memory; nobody writes
    images = torch.from_numpy(np.load(folder / f"{stem}.npy", mmap_mode="c"))
    return Pack(images, [entry["index"] for entry in card["skipped"]], card["fingerprint"])


def cache_home() -> Path:
    """Return the folder for packs whose data cannot be written to: under `XDG_CACHE_HOME`, or `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gan_lightning"


def writable(folders: Sequence[Path]) -> Path:
    """Make and return the first folder in which a file can be created.

    It is tried, because permission bits do not tell; but a folder marked read-only is left alone even by root, to whom
    every folder is writable (containers).

    Raises:
        UserError: There is none.
    """
    reasons = []
    for folder in folders:
        try:
            parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
            if not parent.stat().st_mode & 0o222:
                reasons.append(f"{folder}: {parent} is read-only")
                continue
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror}")
    raise UserError(
        f"no folder to keep prepared data in ({'; '.join(reasons)}); set XDG_CACHE_HOME to a folder you can write to"
    )


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` if the block succeeds, remove it otherwise."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes it private, but a pack may be shared
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def n_cpus() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make(recipe: Recipe, folder: Path, stem: str, on_error: OnError) -> None:
    rank_zero_info(f"packing {recipe.name}: {recipe.n} images to {folder / stem}.npy")
    with replacing(folder / f"{stem}.npy") as temporary:
        images: np.ndarray = np.lib.format.open_memmap(
            temporary, mode="w+", dtype=np.uint8, shape=(recipe.n, *recipe.shape)
        )
        bad = _fill(images, recipe, on_error)
        if bad:
            if len(bad) == recipe.n:
                index, reason = next(iter(bad.items()))
                raise UserError(
                    f"{recipe.name}: none of {recipe.n} images can be read; {recipe.describe(index)}: {reason}"
                )
            with replacing(temporary) as shorter:
                images = _without(images, bad, shorter)
        content = fingerprint(images)
    skipped = [{"index": i, "file": recipe.describe(i), "reason": reason} for i, reason in sorted(bad.items())]
    card = {
        "format": FORMAT,
        "name": recipe.name,
        "owner": recipe.owner,
        "shape": [recipe.n - len(bad), *recipe.shape],
        "fingerprint": content,
        "skipped": skipped,
    }
    with replacing(folder / f"{stem}.json") as temporary:
        temporary.write_text(json.dumps(card, indent=1), encoding="utf-8")


def _fill(images: np.ndarray, recipe: Recipe, on_error: OnError) -> dict[int, str]:
    """Decode every image into its row; return the reasons of those that could not be read, by index."""
    from tqdm import tqdm

    def fill(rows: range) -> dict[int, str]:
        bad = {}
        for i in rows:
            try:
                images[i] = recipe.decode(i)
            except Exception as error:  # Pillow's plugins raise anything at all on hostile bytes
                bad[i] = one_line(error)
        return bad

    bad: dict[int, str] = {}
    chunks = [range(start, min(start + 64, recipe.n)) for start in range(0, recipe.n, 64)]
    executor = ThreadPoolExecutor(min(16, n_cpus()))  # Pillow decodes outside the interpreter's lock
    try:
        with tqdm(total=recipe.n, desc=f"packing {recipe.name}", unit="img", disable=None) as bar:
            for rows, failures in zip(chunks, executor.map(fill, chunks), strict=True):
                bad |= failures
                bar.update(len(rows))
                if bad and on_error == "raise":
                    index, reason = min(bad.items())
                    raise UserError(_unreadable(recipe.describe(index), reason))
    finally:
        executor.shutdown(cancel_futures=True)
    return bad


def _without(images: np.ndarray, bad: dict[int, str], path: Path) -> np.ndarray:
    """Copy the rows that are not bad to another file."""
    good = [i for i in range(len(images)) if i not in bad]
    kept = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(len(good), *images.shape[1:]))
    for start in range(0, len(good), 1024):
        kept[start : start + 1024] = images[good[start : start + 1024]]
    return kept


def _unreadable(file: str, reason: str) -> str:
    return (
        f"cannot read the image {file}: {reason}; fix or remove it, or leave such files out "
        "with on_error=skip (--data.on_error skip)"
    )


def one_line(error: BaseException) -> str:
    """Return an exception's message on one line, or its type where it has none."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]
