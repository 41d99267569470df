"""Pictures of one folder, and the styles that they are to be brought into."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from gan_lightning.data.base import RealData, Split
from gan_lightning.data.decoding import Crop, ImageSize, decode, file_shape, upright_size, why_unreadable
from gan_lightning.data.image_folder import ImageFolder
from gan_lightning.data.samples import RealSamples, fingerprint
from gan_lightning.data.stream import generator
from gan_lightning.errors import UserError, require, say


@final
class StyledFolder(RealData):
    """Pictures of a folder or a zip, as `ImageFolder` reads them, and pictures of styles.

    The names of the styles are those of their files; in configs and checkpoints they stand as classes.

    Example:
        >>> data = StyledFolder("photos", 16, styles=["photos/cats/1.png"], style_size=32)
        >>> data.classes, data.styles()[0].shape
        (['1'], torch.Size([3, 32, 32]))

    Args:
        root: Folder or `.zip` of the pictures.
        image_size: Height and width that they are brought to.
        styles: Files of the styles' pictures.
        style_size: The shorter side that these are brought to; null (None) leaves them as they are.
        channels: 3 for RGB, 1 for grey.
        crop: As in `ImageFolder`.
        eval_fraction: Fraction of the pictures to hold out.
        cache_dir: Folder for the packed file, instead of the user's cache folder.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of sample order and flips; null takes the module's seed.
        flip: Mirror training pictures at random.
        limit: Train on a fixed random subset of this many pictures.
        classes: Names of the styles; null takes those of their files.
        value_range: The values that are black and white in pixels deeper than 8 bits.

    Raises:
        UserError: As `ImageFolder`; or a style's file is not there, is no picture, or has another one's name.
    """

    def __init__(
        self,
        root: str,
        image_size: ImageSize,
        styles: list[str],
        style_size: int | None = 256,
        channels: int = 3,
        crop: Crop = "center",
        eval_fraction: float = 0.0,
        cache_dir: str | None = None,
        batch_size: int = 4,
        seed: int | None = None,
        flip: bool = True,
        limit: int | None = None,
        classes: list[str] | None = None,
        value_range: list[float] | None = None,
    ) -> None:
        super().__init__(batch_size, seed, flip, limit=limit)
        self.value_range = value_range
        if not styles:
            raise UserError("styles must name at least one picture, got an empty list")
        if style_size is not None and style_size < 16:
            raise UserError(f"style_size must be at least 16, or null for the pictures' own, got {style_size}")
        names = [Path(style).stem for style in styles] if classes is None else list(classes)
        if len(names) != len(styles):
            raise UserError(
                f"classes names {len(names)} styles, and there are {len(styles)} pictures in styles; give as many"
            )
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"two styles are called {twice!r}; rename a file, or give classes")
        self.image_size, self.channels = image_size, channels
        self.classes, self.n_classes = names, len(names)
        self._style_files = [Path(style).expanduser() for style in styles]
        for file in self._style_files:
            if not file.is_file():
                raise UserError(f"styles must be files of pictures, there is none at {file}")
        self.style_size = style_size
        self._folder = ImageFolder(
            root,
            image_size,
            channels,
            "none",
            crop,
            eval_fraction=eval_fraction,
            cache_dir=cache_dir,
            limit=limit,
            value_range=value_range,
        )
        self._styles: list[Tensor] = []
        self.save_hyperparameters(logger=False)

    def prepare_data(self) -> None:
        """Pack the pictures, once per node."""
        self._folder.prepare_data()

    def load_split(self, split: Split) -> RealSamples:
        """Map the packed pictures of the split."""
        found = self._folder.load_split(split)
        self.sides, self.left_out = self._folder.sides, self._folder.left_out
        return found

    def discard_split(self, split: Split) -> None:
        """Remove the packed pictures of the split."""
        self._folder.discard_split(split)

    def state_dict(self) -> dict[str, Any]:
        """Return what tells these pictures and styles from others, for the checkpoint."""
        state = super().state_dict()
        return state | {"styles": self._prints} if state else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Say what has changed since the checkpoint was written."""
        super().load_state_dict(state_dict)
        then = state_dict.get("styles", [])
        changed = [name for name, one, other in zip(self.classes, then, self._prints, strict=False) if one != other]
        if changed:
            say(f"the styles are not those of the checkpoint: other pictures of {', '.join(changed)}")

    @cached_property
    def _prints(self) -> list[str]:
        """What tells each style's picture from others."""
        return [fingerprint(style.numpy()) for style in self.styles()]

    def styles(self) -> list[Tensor]:
        """Return each style's picture, uint8 `(C, H, W)`.

        Raises:
            UserError: A file is no picture.
        """
        if not self._styles:
            self._styles = [self._read(file) for file in self._style_files]
        return self._styles

    def _read(self, file: Path) -> Tensor:
        try:
            content = file.read_bytes()
            height, width = upright_size(content)
            scale = 1.0 if self.style_size is None else self.style_size / min(height, width)
            size = [max(1, round(height * scale)), max(1, round(width * scale))]
            return torch.from_numpy(
                decode(content, file_shape(size, self.channels), "none", self.value_range).pixels.copy()
            )
        except Exception as error:  # Pillow raises anything on bytes that are no picture
            raise UserError(f"cannot read the style {file}: {why_unreadable(error)}") from error


@final
class RandomStyled(RealData):
    """Uniform noise as pictures and as styles, for tests and benchmarks.

    Example:
        >>> data = RandomStyled(image_size=16, n_styles=2, n=10)
        >>> data.reference("train").images.shape, data.classes
        (torch.Size([10, 3, 16, 16]), ['0', '1'])

    Args:
        image_size: Height and width of pictures and styles, one number or `[height, width]`.
        n_styles: Number of styles.
        channels: Number of channels.
        n: Number of pictures in each split.
        sample_seed: Seed of the draw.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of sample order and flips; null takes the module's seed.
        flip: Mirror training pictures at random.

    Raises:
        UserError: A number is out of its range.
    """

    def __init__(
        self,
        image_size: int | list[int],
        n_styles: int = 1,
        channels: int = 3,
        n: int = 256,
        sample_seed: int = 0,
        batch_size: int = 64,
        seed: int | None = None,
        flip: bool = False,
    ) -> None:
        super().__init__(batch_size, seed, flip)
        require("RandomStyled", channels=channels, n=n, sample_seed=sample_seed)
        if n_styles < 1:
            raise UserError(f"n_styles must be at least 1, got {n_styles}")
        self.image_size, self.channels, self.n, self.sample_seed = image_size, channels, n, sample_seed
        self.n_classes = n_styles
        self.save_hyperparameters(logger=False)

    def load_split(self, split: Split) -> RealSamples:
        """Draw the split."""
        random = generator(self.sample_seed, 0 if split == "train" else 1)
        images = torch.randint(0, 256, (self.n, *self.shape.size), dtype=torch.uint8, generator=random)
        return RealSamples(images, None, f"RandomStyled, {split} split, {self.n} images of {self.shape}")

    def styles(self) -> list[Tensor]:
        """Return each style's picture, uint8 `(C, H, W)`."""
        random = generator(self.sample_seed, 2)
        drawn = torch.randint(0, 256, (self.n_classes, *self.shape.size), dtype=torch.uint8, generator=random)
        return list(drawn)
