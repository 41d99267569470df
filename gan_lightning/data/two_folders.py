"""Pairs from two folders of pictures: of equal names, or with nothing to do with each other."""

from __future__ import annotations

from typing import final

from gan_lightning.data.base import Split
from gan_lightning.data.decoding import Crop, ImageSize, file_shape, upright_size, why_unreadable
from gan_lightning.data.folder_pairs import FolderPairs
from gan_lightning.data.image_files import image_files, without_suffix
from gan_lightning.data.image_folder import ImageFolder
from gan_lightning.data.samples import PairedSamples, StoredSources
from gan_lightning.errors import UserError
from gan_lightning.shapes import Images


@final
class TwoFolders(FolderPairs):
    """Sources of one folder and targets of another, paired by name; suffixes may differ.

    Sub-folders `train` and `test` (or `val`), in both, are the splits, or a fraction is held out, as in `ImageFolder`.

    Example:
        >>> TwoFolders("photos", "photos", image_size=8, source_channels=1).shape.source
        Images(height=8, width=8, channels=1)

    Args:
        source: Folder or `.zip` of the sources.
        target: Folder or `.zip` of the targets.
        image_size: Height and width that targets are brought to, one number or `[height, width]`.
        factor: By how much the sides of a source are shorter than its target's, as for super-resolution.
        channels: Channels of the targets: 3 for RGB, 1 for grey, 4 for RGB with its transparency.
        source_channels: Channels of the sources.
        crop: "center" scales until the size is covered and keeps the middle; "none" squeezes the whole picture.
        eval_fraction: Fraction of the pairs to hold out for evaluation, at random but always the same ones.
        source_eval: Another folder or `.zip` with the evaluation sources.
        target_eval: Another folder or `.zip` with the evaluation targets.
        cache_dir: Folder for the packed files, instead of the user's cache folder.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of sample order and flips; null takes the module's seed.
        flip: Mirror training pairs at random.
        limit: Train on a fixed random subset of this many pairs.
        value_range: The values that are black and white in pixels deeper than 8 bits.

    Raises:
        UserError: As `ImageFolder`; a picture has no partner; or, before training, the sizes of a pair do not fit.
    """

    def __init__(
        self,
        source: str,
        target: str,
        image_size: ImageSize,
        factor: int = 1,
        channels: int = 3,
        source_channels: int = 3,
        crop: Crop = "center",
        eval_fraction: float = 0.0,
        source_eval: str | None = None,
        target_eval: str | None = None,
        cache_dir: str | None = None,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
        limit: int | None = None,
        value_range: list[float] | None = None,
    ) -> None:
        if factor < 1:
            raise UserError(f"factor of TwoFolders must be at least 1, got {factor}")
        if (source_eval is None) != (target_eval is None):
            given = f"source_eval {source_eval}" if target_eval is None else f"target_eval {target_eval}"
            raise UserError(f"{given} has no counterpart; give source_eval and target_eval, or neither")
        shape = file_shape(image_size, channels)
        if shape.height % factor or shape.width % factor:
            raise UserError(f"image_size {image_size} of the targets must be a multiple of factor {factor}")
        roots = [(source, target)] + ([(source_eval, target_eval)] if source_eval and target_eval else [])
        partners = {one: _by_name(one, other) for one, other in roots}
        small = Images(shape.height // factor, shape.width // factor, source_channels)
        folders = [
            ImageFolder(
                root,
                [size.height, size.width],
                size.channels,
                "none",
                crop,
                eval_fraction=eval_fraction,
                eval_root=eval_root,
                cache_dir=cache_dir,
                limit=limit,
                value_range=value_range,
            )
            for root, eval_root, size in ((target, target_eval, shape), (source, source_eval, small))
        ]
        folders[1].keep_partners(folders[0], partners)  # sorted with their suffixes, their order may be another
        super().__init__(folders[0], folders[1], batch_size, seed, flip)
        self.image_size, self.factor, self.source_shape = image_size, factor, small
        self.save_hyperparameters(logger=False)

    def load_split(self, split: Split) -> PairedSamples:
        """Map the packed pictures of the split."""
        assert self._sources is not None
        self._check_sizes(split)
        found, sources = self._read(split), self._sources.load_split(split)
        text = f"{found.description}, from {sources.description}"
        return PairedSamples(
            found.images, None, text, found.digest, sources=StoredSources(sources.images, sources.digest)
        )

    def _check_sizes(self, split: Split) -> None:
        """Refuse a pair in which the target is not `factor` times as large as its source."""
        assert self._sources is not None
        (sources, source_names), (targets, target_names) = self._sources.files(split), self._targets.files(split)
        for source, target in zip(source_names, target_names, strict=True):
            try:
                small, large = upright_size(sources.read(source)), upright_size(targets.read(target))
            except Exception as error:  # whatever Pillow raises
                raise UserError(
                    f"cannot read the pair {sources.describe(source)} and {targets.describe(target)}: {why_unreadable(error)}"
                ) from error
            if (self.factor * small[0], self.factor * small[1]) != large:
                raise UserError(
                    f"{sources.describe(source)} is {small[0]}x{small[1]} and {targets.describe(target)} is "
                    f"{large[0]}x{large[1]}: a target must be {self.factor} times as large as its source; resize one, or "
                    "set factor"
                )


@final
class UnpairedFolders(FolderPairs):
    """Sources of one folder, or of one class, and targets of another that have nothing to do with each other.

    Sub-folders `train` and `test` (or `val`) are the splits of each, or a fraction is held out, as in `ImageFolder`. In
    evaluation each of the two has as many pictures as its folder.

    Example:
        >>> data = UnpairedFolders("photos", "photos", 8, source_class="cats", target_class="dogs")
        >>> len(data.reference("train")), data.n_sources("train")
        (2, 2)

    Args:
        source: Folder or `.zip` of the sources, domain A.
        target: Folder or `.zip` of the targets, domain B.
        image_size: Height and width that pictures are brought to, one number or `[height, width]`.
        source_class: The class, a sub-folder of `source`, that the sources are of; null takes all pictures.
        target_class: The class that the targets are of.
        channels: Channels of the targets: 3 for RGB, 1 for grey.
        source_channels: Channels of the sources.
        crop: "center" scales until `image_size` is covered and keeps the middle; "none" squeezes the whole picture.
        eval_fraction: Fraction of the pictures to hold out for evaluation, at random but always the same ones.
        source_eval: Another folder or `.zip` with the evaluation sources.
        target_eval: Another folder or `.zip` with the evaluation targets.
        cache_dir: Folder for the packed files, instead of the user's cache folder.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of sample order and flips; null takes the module's seed.
        flip: Mirror training images at random, each by itself.
        limit: Train on a fixed random subset of this many pictures of each.
        value_range: The values that are black and white in pixels deeper than 8 bits.

    Raises:
        UserError: As `ImageFolder`, or there is no such class.
    """

    is_paired = False

    def __init__(
        self,
        source: str,
        target: str,
        image_size: ImageSize,
        source_class: str | None = None,
        target_class: str | None = None,
        channels: int = 3,
        source_channels: int = 3,
        crop: Crop = "center",
        eval_fraction: float = 0.0,
        source_eval: str | None = None,
        target_eval: str | None = None,
        cache_dir: str | None = None,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
        limit: int | None = None,
        value_range: list[float] | None = None,
    ) -> None:
        if (source_eval is None) != (target_eval is None):
            given = f"source_eval {source_eval}" if target_eval is None else f"target_eval {target_eval}"
            raise UserError(f"{given} has no counterpart; give source_eval and target_eval, or neither")
        folders = []
        for root, eval_root, name, n_channels in (
            (target, target_eval, target_class, channels),
            (source, source_eval, source_class, source_channels),
        ):
            folder = ImageFolder(
                root,
                image_size,
                n_channels,
                "none" if name is None else "auto",
                crop,
                eval_fraction=eval_fraction,
                eval_root=eval_root,
                cache_dir=cache_dir,
                value_range=value_range,
            )
            if name is not None:
                folder.keep_class(name)
            if limit is not None:
                folder.keep_only(limit)
            folders.append(folder)
        super().__init__(folders[0], folders[1], batch_size, seed, flip)
        self.source_shape = file_shape(image_size, source_channels)
        self.save_hyperparameters(logger=False)

    def load_split(self, split: Split) -> PairedSamples:
        """Map the packed pictures of the split."""
        assert self._sources is not None
        found, sources = self._read(split), self._sources.load_split(split)
        text = f"{found.description}, from {sources.description}, unpaired"
        stored = StoredSources(sources.images, sources.digest, is_paired=False)
        return PairedSamples(found.images, None, text, found.digest, sources=stored)


def _by_name(source: str, target: str) -> dict[str, str]:
    """Return the sources' names by those without suffixes; refuse a picture without a partner, and two that have one name."""
    roots = [image_files(source), image_files(target)]
    stems: list[dict[str, str]] = []
    for files in roots:
        found: dict[str, str] = {}
        for name in files.names():
            stem = without_suffix(name)
            if stem in found:
                raise UserError(
                    f"{files.describe(found[stem])} and {files.describe(name)} have one name, so that it cannot be told which "
                    "belongs to the pair; rename or remove one"
                )
            found[stem] = name
        stems.append(found)
    for own, other in ((0, 1), (1, 0)):
        alone = sorted(stems[own].keys() - stems[other].keys())
        if alone:
            raise UserError(
                f"{roots[own].describe(stems[own][alone[0]])} has no picture of its name in {roots[other].root} "
                f"({len(alone)} of {len(stems[own])} have none there, where {len(stems[other])} pictures are); add it, or "
                "remove this one"
            )
    return stems[0]
