"""Images of one's own: a folder or a zip of any mixture of image files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gan_lightning.data.arrangement import Listing, OnError, arrange, hold_out
from gan_lightning.data.base import RealData, Split, drawn
from gan_lightning.data.decoding import Crop, ImageSize, check_range, decode, file_shape
from gan_lightning.data.image_files import ImageFiles, image_files, without_suffix
from gan_lightning.data.packing import Pack, Recipe, pack_home, packed
from gan_lightning.data.stream import RealSamples
from gan_lightning.errors import UserError, nearest


class ImageFolder(RealData):
    """Images of a folder or a zip, decoded once.

    Any format that Pillow reads, in any size and pixel type, mixed: transparency shows a white page, the camera's
    orientation is applied, of an animation the first frame counts. Hidden and system folders are not seen; other files
    without an image's suffix are counted. The images are packed into one memory-mapped file in the user's cache folder
    (`$XDG_CACHE_HOME/gan_lightning/packs`, by default under `~/.cache`); it is used again until a file or an option
    changes. `gan-lightning cache` tells and clears.

    Sub-folders `train` and `test` (or `val`) at the top are the splits. Otherwise hold out a fraction, or name another
    folder; else metrics compare with the training images.

    The names of classes are sorted, numbers as numbers; a class's index is its place.

    Example:
        >>> data = ImageFolder("photos", image_size=8)
        >>> data.shape, data.n_classes, len(data.reference("train"))
        (Images(height=8, width=8, channels=3), 2, 4)

    Args:
        root: Folder or `.zip`.
        image_size: Height and width that images are brought to, one number or `[height, width]`.
        channels: 3 for RGB, 1 for grey, 4 for RGB with its transparency.
        labels: "auto" reads StyleGAN's `dataset.json`, or tables (`.csv`, `.tsv`, `.jsonl`) that name the images; without
            them it takes the first level of sub-folders for classes if there are two or more and all images lie in
            them. "folders" insists on folders; "none" ignores all; `FILE` or `FILE:COLUMN` names a table.
        crop: "center" scales until `image_size` is covered and keeps the middle; "none" squeezes the whole image.
        on_error: What to do about an image that cannot be read, or has no label: "raise" names it and stops, "skip"
            leaves it out and counts it.
        value_range: The values that are black and white in pixels deeper than 8 bits, such as [0, 4095] of 12-bit
            images; needed where there are any.
        classes: Names of the classes in the order of their indices; null sorts those that are found. A run's config and
            checkpoints write them down, so that they keep their indices.
        eval_fraction: Fraction of the images to hold out for evaluation, at random but always the same ones; of
            each class at least one stays for training.
        eval_root: Another folder or `.zip` with the evaluation images.
        cache_dir: Folder for the packed file, instead of the user's cache folder.
        batch_size: Size of the global batch: the one a critic update sees, summed over processes.
        seed: Seed of sample order, flips and noise; null takes the module's seed.
        flip: Mirror training images at random.
        dequantize: Add uniform noise of one grey level to training images.
        limit: Train on a fixed random subset of this many images; no others are decoded, and without an evaluation
            split metrics compare with these.

    Raises:
        UserError: The folder does not exist or holds no image, the labels asked for are not there, or an argument is
            out of its range.
    """

    def __init__(
        self,
        root: str,
        image_size: ImageSize,
        channels: int = 3,
        labels: str = "auto",
        crop: Crop = "center",
        on_error: OnError = "raise",
        eval_fraction: float = 0.0,
        eval_root: str | None = None,
        cache_dir: str | None = None,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
        dequantize: bool = False,
        limit: int | None = None,
        value_range: list[float] | None = None,
        classes: list[str] | None = None,
    ) -> None:
        super().__init__(batch_size, seed, flip, dequantize, limit)
        file_shape(image_size, channels)
        check_range(value_range)
        self.value_range = value_range
        self.root = root
        self.image_size = image_size
        self.channels = channels
        self.crop = crop
        self.on_error = on_error
        self.cache_dir = cache_dir
        self.roots: dict[Split, str] = {"train": root, "eval": eval_root or root}
        files = image_files(root)
        found = arrange(files, labels, on_error, classes)
        self.left_out = dict(files.others()) | found.left_out
        if found.source:
            for suffix in {Path(name).suffix.lower() for name in found.source.split(", ")}:
                self.left_out.pop(suffix, None)
        self.classes = found.classes
        self.n_classes = len(found.classes)
        self._listings: dict[Split, Listing] = {"train": found.train}
        self._packs: dict[Split, Pack] = {}
        self._variant: dict[str, Any] = {}
        if eval_root is not None:
            self._listings["eval"] = _evaluation(eval_root, labels, found.classes, on_error)
        elif found.evaluation is not None:
            self._listings["eval"] = found.evaluation
        if eval_fraction != 0:
            self._hold_out(eval_fraction)
        if limit is not None and limit < len(self._listings["train"].names):
            self._listings["train"] = self._listings["train"].take(drawn(len(self._listings["train"].names), limit))
        self.save_hyperparameters(logger=False)

    def _hold_out(self, fraction: float) -> None:
        train = self._listings["train"]
        if "eval" in self._listings:
            raise UserError(
                f"eval_fraction is {fraction}, but {self.roots['eval']} is an evaluation split already; set it to 0"
            )
        kept, held_out = hold_out(train, fraction)
        self._listings = {"train": kept, "eval": held_out}

    def keep_class(self, name: str) -> None:
        """Keep the images of one class alone, before any is read.

        Raises:
            UserError: There is no such class, or a split has no image of it.
        """
        if name not in self.classes:
            known = ", ".join(self.classes[:20]) or "none; the images must lie in one folder for each class"
            raise UserError(f"{self.root} has no class {name!r}{nearest(name, self.classes)}; its classes are {known}")
        for split, listing in self._listings.items():
            labels, index = listing.labels or [], self.classes.index(name)
            kept = listing.take([row for row, label in enumerate(labels) if label == index])
            if not kept.names:
                raise UserError(f"{self.roots[split]} has no image of class {name!r} in its {split} split")
            self._listings[split] = kept
        self._variant["class"] = name

    def keep_only(self, limit: int) -> None:
        """Keep a fixed random subset of so many training images, before any is read; all if there are fewer."""
        train = self._listings["train"]
        if limit < 1:
            raise UserError(f"limit must be at least 1 (or null for all samples), got {limit}")
        if limit < len(train.names):
            self._listings["train"] = train.take(drawn(len(train.names), limit))
            self._variant["only"] = limit

    def keep_halves(self) -> None:
        """Read each picture as two side by side: each half is brought to half the width of `image_size` by itself."""
        self._variant["halves"] = True

    def keep_partners(self, other: ImageFolder, own: Mapping[str, Mapping[str, str]]) -> None:
        """Keep, of each split, the images that have the names of another folder's, suffixes apart, in their order.

        Args:
            other: The folder.
            own: The names of this folder's images by those without suffixes, for each of its roots.
        """
        for split, listing in other._listings.items():
            names = own[self.roots[split]]
            self._listings[split] = Listing([names[without_suffix(name)] for name in listing.names], None)

    def files(self, split: Split) -> tuple[ImageFiles, list[str]]:
        """Return where the images of a split come from, and their names there, in the order of the rows."""
        split = split if split in self._listings else "train"
        return image_files(self.roots[split]), self._listings[split].names

    def prepare_data(self) -> None:
        """Pack the splits, once per node; a pack that is there already is only looked up."""
        for split in self._listings:
            self._pack(split)

    def load_split(self, split: Split) -> RealSamples:
        """Map the packed images of the split."""
        if split not in self._listings:
            split = "train"
        pack = self._pack(split)
        if split == "train":
            self.sides = pack.sides
            if pack.skipped:
                self.left_out["unreadable"] = len(pack.skipped)
        labels = None
        if (indices := self._listings[split].labels) is not None:
            labels = torch.tensor(indices)[
                torch.isin(torch.arange(len(indices)), torch.tensor(pack.skipped), invert=True)
            ]
        shape = "x".join(map(str, pack.images.shape[1:]))
        description = f"images of {self.roots[split]}, {split} split, {len(pack.images)} of {shape}"
        return RealSamples(pack.images, labels, description, pack.digest)

    def discard_split(self, split: Split) -> None:
        """Remove the packed images of the split."""
        self._packs.pop(split if split in self._listings else "train").discard()

    def _pack(self, split: Split) -> Pack:
        if split not in self._packs:  # looking one up reads the date of every file
            self._packs[split] = packed(*self._recipe(split), self.on_error)
        return self._packs[split]

    def _recipe(self, split: Split) -> tuple[Recipe, list[Path]]:
        files = image_files(self.roots[split])
        names = self._listings[split].names
        options: dict[str, Any] = {"size": self.image_size, "channels": self.channels, "crop": self.crop}
        options |= {} if self.value_range is None else {"value_range": self.value_range}
        options |= {} if self.limit is None or split != "train" else {"limit": self.limit}
        options |= self._variant
        halves: dict[str, Any] = {"halves": True} if "halves" in self._variant else {}
        shape = file_shape(self.image_size, self.channels)
        folders = [Path(self.cache_dir).expanduser()] if self.cache_dir else [pack_home()]
        recipe = Recipe(
            name=f"{files.root.name} ({split})",
            owner=json.dumps({"root": str(files.root.resolve()), "split": split, **options}),
            key={**options, "files": [[name, *files.stamp(name)] for name in names]},
            n=len(names),
            shape=shape.size,
            decode=lambda i: decode(files.read(names[i]), shape, self.crop, self.value_range, **halves),
            describe=lambda i: files.describe(names[i]),
            facts={"classes": self.classes},
        )
        return recipe, folders


def _evaluation(root: str, rule: str, classes: list[str], on_error: OnError) -> Listing:
    """List the evaluation images of another root (all, unless it has splits), with the training classes' indices."""
    files = image_files(root)
    found = arrange(files, rule, on_error)
    listing = found.evaluation or found.train
    if not classes or listing.labels is None:
        return Listing(listing.names, None)
    if not set(found.classes) <= set(classes):
        raise UserError(
            f"eval_root {root} has the classes {found.classes}, but the training images have {classes}; use labels=none"
        )
    return Listing(listing.names, [classes.index(found.classes[i]) for i in listing.labels])
