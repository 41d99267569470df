"""Decode a set of images, or of recordings, once into one memory-mapped file, found again by its key.

A pack is two files: `<owner>-<key>.npy`, the images `(N, C, H, W)` or recordings `(N, C, L)`, and `<owner>-<key>.json`,
written last, which says that the pack is whole, what it holds and what was left out. Whoever opens one compares length,
shape and the checksum of pieces from all over it; a damaged one is made anew. The key covers everything the values depend
on, so a pack is never out of date, only unused; the packs that the same owner (one folder under one set of options) no
longer uses are removed when a new one is made. Both files appear by a rename, so processes that pack the same set at the
same time disturb nobody: the last one wins, with equal content.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from gan_lightning.data.arrangement import OnError
from gan_lightning.data.decoding import Decoded, UnknownRange, why_unreadable
from gan_lightning.data.stream import fingerprint
from gan_lightning.errors import RunFailed, UserError, in_one_line, say
from gan_lightning.runs.files import replacing, sweep

FORMAT = 2  # raise it when the pixels of a pack would come out differently
_PIECES, _PIECE = 64, 1 << 16  # what is compared when a pack is opened: 4 MiB, so a small pack is compared whole


@dataclass(frozen=True)
class Recipe:
    """What a pack holds and how to make it.

    Attributes:
        name: What is packed, for people.
        owner: Identifies the data and the options, but not the state of the files.
        key: Everything the pixels depend on; JSON types.
        n: Number of images.
        shape: `(C, H, W)` of each, `(C, L)` of recordings.
        decode: Returns image `i`, of that shape and `dtype`; raises anything if it cannot. Called from several threads.
        describe: Returns what to call image `i` in a message.
        facts: What else to write down beside the images, such as the names of their classes; JSON types.
        dtype: Type of the values.
        noun: What one is, for messages.
    """

    name: str
    owner: str
    key: object
    n: int
    shape: tuple[int, ...]
    decode: Callable[[int], Decoded]
    describe: Callable[[int], str]
    facts: dict[str, Any] = field(default_factory=dict)
    dtype: str = "uint8"
    noun: str = "image"


@dataclass(frozen=True)
class Pack:
    """Packed images.

    Attributes:
        images: `(N, *shape)`, mapped from the file copy-on-write.
        skipped: Indices of images that are not in it because they could not be read.
        digest: Hash of the content, as `RealSamples.fingerprint`.
        sides: The shortest and the longest side of the images as they were, in pixels; the least and greatest length of
            recordings.
        path: The file of the images.
    """

    images: Tensor
    skipped: list[int]
    digest: str
    sides: tuple[int, int]
    path: Path

    def discard(self) -> None:
        """Remove the files; whoever has them mapped keeps them."""
        self.path.with_suffix(".json").unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def packed(recipe: Recipe, folders: Sequence[Path], on_error: OnError) -> Pack:
    """Return the pack of a recipe from the first folder that has it, or make it in the first that can be written.

    Raises:
        UserError: An image cannot be read (with "raise"), or none can, or no folder can be written.
    """
    stem = f"{_hash(recipe.owner)}-{_hash({'format': FORMAT, 'shape': recipe.shape, 'key': recipe.key})}"
    opened = (_open(folder / f"{stem}.npy", recipe) for folder in folders)
    found = next((pack_and_card for pack_and_card in opened if pack_and_card is not None), None)
    if found is None:
        folder = writable(folders)
        sweep(folder)
        _make(recipe, folder, stem, on_error)
        for old in folder.glob(f"{_hash(recipe.owner)}-*"):
            if not old.name.startswith(stem):
                old.unlink(missing_ok=True)  # whoever has it mapped keeps it
        found = _open(folder / f"{stem}.npy", recipe)
        if found is None:
            raise RunFailed(f"{folder / stem}.npy changed while it was written; is its disk sound?")
    pack, card = found
    if card["skipped"]:
        first = card["skipped"][0]
        if on_error == "raise":
            raise UserError(_unreadable(recipe.noun, first["file"], first["reason"]))
        rank_zero_warn(
            f"{recipe.name}: {len(card['skipped'])} of {recipe.n} {recipe.noun}s could not be read and are left out, "
            f"the first is {first['file']} ({first['reason']}); the others are listed in {pack.path.with_suffix('.json')}"
        )
    return pack


def _open(path: Path, recipe: Recipe) -> tuple[Pack, dict[str, Any]] | None:
    """Return a pack and its card, None if there is none; a damaged one is said and removed."""
    beside = path.with_suffix(".json")
    try:
        if not beside.is_file():
            return None
    except OSError:  # a folder that cannot be looked into
        return None
    try:
        card = json.loads(beside.read_text(encoding="utf-8"))
        skipped = [int(entry["index"]) for entry in card["skipped"]]
        shape = (recipe.n - len(skipped), *recipe.shape)
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            stored, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            start = file.tell()
        if (stored, fortran, dtype) != (shape, False, np.dtype(recipe.dtype)):
            raise ValueError(f"it holds {dtype} {stored}, not {shape}")
        if path.stat().st_size != start + math.prod(shape) * dtype.itemsize:
            raise ValueError("its length is wrong")
        # copy-on-write lets torch share the pages without a warning about read-only memory; nobody writes
        images = np.load(path, mmap_mode="c")
        if sample(images) != card["sample"]:
            raise ValueError("its checksum is wrong")
        shortest, longest = card["sides"]
        pack = Pack(torch.from_numpy(images), skipped, str(card["fingerprint"]), (shortest, longest), path)
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        say(f"the packed {recipe.noun}s {path} are damaged ({in_one_line(error)}); they are made anew")
        with suppress(OSError):
            beside.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        return None
    return pack, card


def sample(images: np.ndarray) -> str:
    """Return a checksum of pieces from all over an array."""
    flat = images.reshape(-1).view(np.uint8)
    last = max(0, len(flat) - _PIECE)
    starts = dict.fromkeys(last * i // (_PIECES - 1) for i in range(_PIECES))
    if len(flat) <= _PIECES * _PIECE:
        starts = dict.fromkeys(range(0, len(flat), _PIECE))
    digest = hashlib.sha256()
    for start in starts:
        digest.update(flat[start : start + _PIECE].data)
    return digest.hexdigest()


def cache_home() -> Path:
    """Return the folder for everything that is prepared once: under `XDG_CACHE_HOME`, or `~/.cache`.

    Raises:
        UserError: There is no home folder.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(given) if given else Path.home() / ".cache") / "gan_lightning"
    except RuntimeError as error:
        raise UserError("there is no home folder to keep prepared data in; set XDG_CACHE_HOME to a folder") from error


def pack_home() -> Path:
    """Return the folder for packs."""
    return cache_home() / "packs"


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


def _reserved(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return a mapped array in a file whose space is taken: a full disk would end the process without a word.

    Raises:
        RunFailed: There is not enough space.
    """
    need = math.prod(shape) * dtype.itemsize
    try:
        images: np.ndarray = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
        need = path.stat().st_size
        with path.open("r+b") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, need)
            except AttributeError:  # macOS and Windows have none
                if shutil.disk_usage(path.parent).free < need:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    except OSError as error:
        free = shutil.disk_usage(path.parent).free
        raise RunFailed(
            f"{path.parent} has no room for the packed data: {error.strerror} ({need / 1e6:,.0f} MB are needed, "
            f"{free / 1e6:,.0f} MB are free); free some space, or name another folder with data.cache_dir"
        ) from error
    return images


def n_cpus() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _make(recipe: Recipe, folder: Path, stem: str, on_error: OnError) -> None:
    rank_zero_info(f"packing {recipe.name}: {recipe.n} {recipe.noun}s to {folder / stem}.npy")
    with replacing(folder / f"{stem}.npy") as temporary:
        images = _reserved(temporary, (recipe.n, *recipe.shape), np.dtype(recipe.dtype))
        bad, sides = _fill(images, recipe, on_error)
        if bad:
            if len(bad) == recipe.n:
                index, reason = next(iter(bad.items()))
                raise UserError(
                    f"{recipe.name}: none of {recipe.n} {recipe.noun}s can be read; {recipe.describe(index)}: {reason}"
                )
            with replacing(temporary) as shorter:
                images = _without(images, bad, shorter)
        content, pieces = fingerprint(images), sample(images)
    skipped = [{"index": i, "file": recipe.describe(i), "reason": reason} for i, reason in sorted(bad.items())]
    card = {
        "format": FORMAT,
        "name": recipe.name,
        "owner": recipe.owner,
        "shape": [recipe.n - len(bad), *recipe.shape],
        "fingerprint": content,
        "sample": pieces,
        "sides": sides,
        "skipped": skipped,
        **recipe.facts,
    }
    with replacing(folder / f"{stem}.json") as temporary:
        temporary.write_text(json.dumps(card, indent=1), encoding="utf-8")


def _fill(images: np.ndarray, recipe: Recipe, on_error: OnError) -> tuple[dict[int, str], tuple[int, int]]:
    """Decode every image into its row.

    Returns:
        The reasons of those that could not be read, by index, and the shortest and longest side of the others.
    """
    from tqdm import tqdm

    sides: list[tuple[int, int]] = []

    def fill(rows: range) -> dict[int, str]:
        bad = {}
        for i in rows:
            try:
                images[i], found = recipe.decode(i)
                sides.append(found)
            except UnknownRange as error:  # to leave out every such image would be to guess as well
                raise UserError(f"{recipe.describe(i)}: {error}") from error
            except Exception as error:  # Pillow's plugins raise anything at all on hostile bytes
                bad[i] = why_unreadable(error)
        return bad

    bad: dict[int, str] = {}
    chunks = [range(start, min(start + 64, recipe.n)) for start in range(0, recipe.n, 64)]
    executor = ThreadPoolExecutor(min(16, n_cpus()))  # Pillow decodes outside the interpreter's lock
    try:
        with tqdm(total=recipe.n, desc=f"packing {recipe.name}", unit=recipe.noun, disable=None) as bar:
            for rows, failures in zip(chunks, executor.map(fill, chunks), strict=True):
                bad |= failures
                bar.update(len(rows))
                if bad and on_error == "raise":
                    index, reason = min(bad.items())
                    raise UserError(_unreadable(recipe.noun, recipe.describe(index), reason))
    finally:
        executor.shutdown(cancel_futures=True)
    return bad, (min((short for short, _ in sides), default=0), max((long for _, long in sides), default=0))


def _without(images: np.ndarray, bad: dict[int, str], path: Path) -> np.ndarray:
    """Copy the rows that are not bad to another file."""
    good = [i for i in range(len(images)) if i not in bad]
    kept = _reserved(path, (len(good), *images.shape[1:]), images.dtype)
    for start in range(0, len(good), 1024):
        kept[start : start + 1024] = images[good[start : start + 1024]]
    return kept


def _unreadable(noun: str, file: str, reason: str) -> str:
    return (
        f"cannot read the {noun} {file}: {reason}; fix or remove it, or leave such files out "
        "with on_error=skip (--data.on_error skip)"
    )


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]
