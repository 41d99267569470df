"""Images of one's own: a folder or a zip of any mixture of image files."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.decoding import Crop, ImageSize, decode, file_shape
from gan_lightning.data.image_files import LabelRule, Listing, arrange, image_files
from gan_lightning.data.packing import OnError, Pack, Recipe, cache_home, packed
from gan_lightning.data.stream import RealSamples
from gan_lightning.errors import UserError


class ImageFolder(RealData):
    """Images of a folder or a zip, decoded once.

    Any format that Pillow reads, in any size and pixel type, mixed: 16 bits are scaled to 8, transparency shows a white
    page, the camera's orientation is applied, of an animation the first frame counts. Files without an image's suffix
    are ignored. The images are packed into one memory-mapped file, in `.gan_lightning` inside the folder (beside the
    zip), or under `~/.cache/gan_lightning` if that cannot be written; it is used again until a file or an option
    changes.

    Sub-folders `train` and `test` (or `val`), alone at the top, are the splits. Otherwise hold out a fraction, or name
    another folder; else metrics compare with the training images.

    Example:
        >>> data = ImageFolder("photos", image_size=8)
        >>> data.shape, data.n_classes, len(data.reference("train"))
        (Images(height=8, width=8, channels=3), 2, 4)

    Args:
        root: Folder or `.zip`.
        image_size: Height and width that images are brought to, one number or `[height, width]`.
        channels: 3 for RGB, 1 for grey, 4 for RGB with its transparency.
        labels: "auto" takes the first level of sub-folders for classes if there are two or more and all images lie in
            them; "folders" insists on it; "none" ignores folders.
        crop: "center" scales until `image_size` is covered and keeps the middle; "none" squeezes the whole image.
        on_error: What to do about an image that cannot be read: "raise" names it and stops, "skip" leaves it out and
            counts it.
        eval_fraction: Fraction of the images to hold out for evaluation, at random but always the same ones.
        eval_root: Another folder or `.zip` with the evaluation images.
        cache_dir: Folder for the packed file.
        batch_size: Size of the global batch: the one a critic update sees, summed over processes.
        seed: Seed of sample order, flips and noise; null takes the module's seed.
        flip: Mirror training images at random.
        dequantize: Add uniform noise of one grey level to training images.
        limit: Train on a fixed random subset of this many images.

    Raises:
        UserError: The folder does not exist or holds no image, the labels asked for are not there, or an argument is
            out of its range.
    """

    def __init__(
        self,
        root: str,
        image_size: ImageSize,
        channels: int = 3,
        labels: LabelRule = "auto",
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
    ) -> None:
        super().__init__(batch_size, seed, flip, dequantize, limit)
        file_shape(image_size, channels)
        self.root = root
        self.image_size = image_size
        self.channels = channels
        self.crop = crop
        self.on_error = on_error
        self.cache_dir = cache_dir
        self.roots: dict[Split, str] = {"train": root, "eval": eval_root or root}
        files = image_files(root)
        found = arrange(files.names(), labels, files.root)
        self.classes = found.classes
        self.n_classes = len(found.classes)
        self._listings: dict[Split, Listing] = {"train": found.train}
        self._packs: dict[Split, Pack] = {}
        if eval_root is not None:
            self._listings["eval"] = _evaluation(eval_root, labels, found.classes)
        elif found.evaluation is not None:
            self._listings["eval"] = found.evaluation
        if eval_fraction != 0:
            self._hold_out(eval_fraction)
        self.save_hyperparameters(logger=False)

    def _hold_out(self, fraction: float) -> None:
        train = self._listings["train"]
        if "eval" in self._listings:
            raise UserError(
                f"eval_fraction is {fraction}, but {self.roots['eval']} is an evaluation split already; set it to 0"
            )
        n_eval = round(len(train.names) * fraction)
        if not 0 < n_eval < len(train.names):
            raise UserError(
                "eval_fraction must be between 0 and 1 and leave images on both sides, "
                f"got {fraction} of {len(train.names)} images"
            )
        order = torch.randperm(len(train.names), generator=torch.Generator().manual_seed(0)).tolist()
        self._listings = {"train": train.take(sorted(order[n_eval:])), "eval": train.take(sorted(order[:n_eval]))}

    def prepare_data(self) -> None:
        """Pack the splits, once per node; a pack that is there already is only looked up."""
        for split in self._listings:
            self._pack(split)

    def load_split(self, split: Split) -> RealSamples:
        """Map the packed images of the split."""
        if split not in self._listings:
            split = "train"
        pack = self._pack(split)
        labels = None
        if (indices := self._listings[split].labels) is not None:
            labels = torch.tensor(indices)[
                torch.isin(torch.arange(len(indices)), torch.tensor(pack.skipped), invert=True)
            ]
        shape = "x".join(map(str, pack.images.shape[1:]))
        description = f"images of {self.roots[split]}, {split} split, {len(pack.images)} of {shape}"
        return RealSamples(pack.images, labels, description, pack.digest)

    def _pack(self, split: Split) -> Pack:
        if split not in self._packs:  # looking one up reads the date of every file
            self._packs[split] = packed(*self._recipe(split), self.on_error)
        return self._packs[split]

    def _recipe(self, split: Split) -> tuple[Recipe, list[Path]]:
        files = image_files(self.roots[split])
        names = self._listings[split].names
        options = {"size": self.image_size, "channels": self.channels, "crop": self.crop}
        shape = file_shape(self.image_size, self.channels)
        beside = (files.root if files.root.is_dir() else files.root.parent) / ".gan_lightning"
        folders = [Path(self.cache_dir).expanduser()] if self.cache_dir else [beside, cache_home()]
        recipe = Recipe(
            name=f"{files.root.name} ({split})",
            owner=json.dumps({"root": str(files.root.resolve()), "split": split, **options}),
            key={**options, "files": [[name, *files.stamp(name)] for name in names]},
            n=len(names),
            shape=shape.size,
            decode=lambda i: decode(files.read(names[i]), shape, self.crop),
            describe=lambda i: f"{files.root}{'/' if files.root.is_dir() else ': '}{names[i]}",
        )
        return recipe, folders


def _evaluation(root: str, rule: LabelRule, classes: list[str]) -> Listing:
    """List the evaluation images of another root (all, unless it has splits), with the training classes' indices."""
    files = image_files(root)
    found = arrange(files.names(), rule, files.root)
    listing = found.evaluation or found.train
    if not classes or listing.labels is None:
        return Listing(listing.names, None)
    if not set(found.classes) <= set(classes):
        raise UserError(
            f"eval_root {root} has the classes {found.classes}, but the training images have {classes}; use labels=none"
        )
    return Listing(listing.names, [classes.index(found.classes[i]) for i in listing.labels])
