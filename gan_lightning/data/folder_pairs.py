"""Pairs from one folder of pictures: with a degradation, or of pictures that hold both side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, final

from gan_lightning.data.base import Split
from gan_lightning.data.decoding import Crop, ImageSize, file_shape
from gan_lightning.data.degradations import Degradation
from gan_lightning.data.image_folder import ImageFolder
from gan_lightning.data.pairs import DegradedSources, ImagePairs
from gan_lightning.data.samples import PairedSamples, RealSamples, StoredSources
from gan_lightning.description import describe, rebuild
from gan_lightning.errors import UserError


class FolderPairs(ImagePairs):
    """Pairs whose targets are those of a folder, and whose sources may be those of another.

    Args:
        targets: The folder of the targets.
        sources: The folder of the sources, None where they are made of the targets.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of sample order and flips; None takes the module's seed.
        flip: Mirror training images at random, sources as their targets.
    """

    def __init__(
        self, targets: ImageFolder, sources: ImageFolder | None, batch_size: int, seed: int | None, flip: bool
    ) -> None:
        super().__init__(batch_size, seed, flip)
        self._targets, self._sources = targets, sources
        self.image_size, self.channels = targets.image_size, targets.channels
        self.left_out = targets.left_out

    def prepare_data(self) -> None:
        """Pack the splits, once per node; a pack that is there already is only looked up."""
        for folder in (self._targets, self._sources):
            if folder is not None:
                folder.prepare_data()

    def discard_split(self, split: Split) -> None:
        """Remove the packed images of the split."""
        for folder in (self._targets, self._sources):
            if folder is not None:
                folder.discard_split(split)

    def _read(self, split: Split) -> RealSamples:
        """Return the targets of a split."""
        found = self._targets.load_split(split)
        self.sides = self._targets.sides
        return found


@final
class DegradedFolder(FolderPairs):
    """Pictures of a folder or a zip as targets, and what a degradation leaves of them as sources.

    Sub-folders `train` and `test` (or `val`) are the splits, or a fraction is held out, as in `ImageFolder`.

    Example:
        >>> from gan_lightning.data import LowResolution
        >>> data = DegradedFolder("photos", image_size=8, degradation=LowResolution(2))
        >>> data.shape.source, data.sources("eval", [0, 2]).shape
        (Images(height=4, width=4, channels=3), torch.Size([2, 3, 4, 4]))

    Args:
        root: Folder or `.zip`.
        image_size: Height and width that pictures are brought to, one number or `[height, width]`.
        degradation: What is lost: `Grey`, `Edges`, `LowResolution`, `Masked`.
        channels: 3 for RGB, 1 for grey, 4 for RGB with its transparency.
        crop: "center" scales until `image_size` is covered and keeps the middle; "none" squeezes the whole picture.
        eval_fraction: Fraction of the pictures to hold out for evaluation, at random but always the same ones.
        eval_root: Another folder or `.zip` with the evaluation pictures.
        cache_dir: Folder for the packed file, instead of the user's cache folder.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of sample order and flips; null takes the module's seed.
        flip: Mirror training pairs at random.
        limit: Train on a fixed random subset of this many pictures.
        value_range: The values that are black and white in pixels deeper than 8 bits.

    Raises:
        UserError: As `ImageFolder`, or pictures of this size cannot be degraded so.
    """

    def __init__(
        self,
        root: str,
        image_size: ImageSize,
        degradation: Degradation,
        channels: int = 3,
        crop: Crop = "center",
        eval_fraction: float = 0.0,
        eval_root: str | None = None,
        cache_dir: str | None = None,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
        limit: int | None = None,
        value_range: list[float] | None = None,
    ) -> None:
        if isinstance(degradation, Mapping):  # as the hyper-parameters of a checkpoint hold it
            plain = {"_class_path": degradation["class_path"], **degradation.get("init_args", {})}
            degradation = rebuild(Degradation, plain)
        source_shape = degradation.shape(file_shape(image_size, channels))  # refuses before files are looked for
        targets = ImageFolder(
            root,
            image_size,
            channels,
            "none",
            crop,
            eval_fraction=eval_fraction,
            eval_root=eval_root,
            cache_dir=cache_dir,
            limit=limit,
            value_range=value_range,
        )
        super().__init__(targets, None, batch_size, seed, flip)
        self.degradation, self.source_shape = degradation, source_shape
        self.save_hyperparameters(logger=False, ignore=["degradation"])
        self.save_hyperparameters({"degradation": describe(degradation)}, logger=False)

    def load_split(self, split: Split) -> PairedSamples:
        """Map the packed pictures of the split."""
        found = self._read(split)
        sources = DegradedSources(self.degradation, len(found))
        return PairedSamples(
            found.images, None, f"{found.description}, from {self.degradation}", found.digest, sources=sources
        )


@final
class SideBySide(FolderPairs):
    """Pictures that hold a source and a target side by side, as those of pix2pix's data sets (facades, maps, edges2shoes).

    Sub-folders `train` and `val` (or `test`) are the splits, or a fraction is held out, as in `ImageFolder`.

    Example:
        >>> SideBySide("photos", image_size=8).shape.target
        Images(height=8, width=8, channels=3)

    Args:
        root: Folder or `.zip`.
        image_size: Height and width that each half is brought to, one number or `[height, width]`.
        direction: "AtoB" makes the right half from the left one, "BtoA" the left half from the right one.
        channels: 3 for RGB, 1 for grey.
        crop: "center" scales until `image_size` is covered and keeps the middle; "none" squeezes the whole half.
        eval_fraction: Fraction of the pictures to hold out for evaluation, at random but always the same ones.
        eval_root: Another folder or `.zip` with the evaluation pictures.
        cache_dir: Folder for the packed file, instead of the user's cache folder.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of sample order and flips; null takes the module's seed.
        flip: Mirror training pairs at random.
        limit: Train on a fixed random subset of this many pictures.
        value_range: The values that are black and white in pixels deeper than 8 bits.

    Raises:
        UserError: As `ImageFolder`; a picture of odd width is named when it is read.
    """

    def __init__(
        self,
        root: str,
        image_size: ImageSize,
        direction: Literal["AtoB", "BtoA"] = "AtoB",
        channels: int = 3,
        crop: Crop = "center",
        eval_fraction: float = 0.0,
        eval_root: str | None = None,
        cache_dir: str | None = None,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
        limit: int | None = None,
        value_range: list[float] | None = None,
    ) -> None:
        if direction not in ("AtoB", "BtoA"):
            raise UserError(f"direction must be AtoB or BtoA, got {direction}")
        half = file_shape(image_size, channels)
        both = ImageFolder(
            root,
            [half.height, 2 * half.width],
            channels,
            "none",
            crop,
            eval_fraction=eval_fraction,
            eval_root=eval_root,
            cache_dir=cache_dir,
            limit=limit,
            value_range=value_range,
        )
        both.keep_halves()
        super().__init__(both, None, batch_size, seed, flip)
        self.image_size, self.source_shape, self.direction = image_size, half, direction
        self.save_hyperparameters(logger=False)

    def load_split(self, split: Split) -> PairedSamples:
        """Map the packed pictures of the split, and cut them."""
        found, width = self._read(split), self.source_shape.width
        left, right = found.images[..., :width], found.images[..., width:]
        source, target = (left, right) if self.direction == "AtoB" else (right, left)
        sources = StoredSources(source, f"{found.digest} {self.direction}")
        return PairedSamples(target, None, f"{found.description}, {self.direction}", sources=sources)
