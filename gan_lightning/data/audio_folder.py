"""Sound of one's own: a folder or a zip of audio files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import final

import torch

from gan_lightning.data.arrangement import Listing, OnError, arrange, hold_out
from gan_lightning.data.audio_files import SUFFIXES, Form, decode_audio, soundfile_library
from gan_lightning.data.base import RealData, Split
from gan_lightning.data.image_files import ImageFiles, image_files
from gan_lightning.data.packing import Pack, Recipe, pack_home, packed
from gan_lightning.data.stream import RealSamples
from gan_lightning.errors import UserError
from gan_lightning.shapes import Signals

_NOUN = "recording"


@final
class AudioFolder(RealData):
    """Recordings of a folder or a zip, resampled once.

    WAV, FLAC, OGG, AIFF, AU and MP3 in any rate, depth and number of channels, through soundfile
    (`pip install 'gan-lightning[sound]'`). Channels are averaged; each recording is cut to `length` samples, or filled with
    silence. The recordings are packed, 16 bits a sample, into one file in the user's cache folder, which is used again until
    a file or an option changes.

    Sub-folders `train` and `test` (or `val`) at the top are the splits. Otherwise hold out a fraction; else metrics compare
    with the training recordings. Classes are the first level of sub-folders below.

    Example:
        >>> import soundfile
        >>> from pathlib import Path
        >>> for name in ("low/1", "low/2", "high/1"):
        ...     Path(name).parent.mkdir(exist_ok=True)
        ...     soundfile.write(f"{name}.wav", torch.zeros(800, 2).numpy(), 8000)
        >>> data = AudioFolder(".", length=512, rate=4000)
        >>> data.shape, data.classes, data.reference("train").images.shape
        (Signals(length=512, channels=1), ['high', 'low'], torch.Size([3, 1, 512]))

    Args:
        root: Folder or `.zip`.
        length: Samples of a recording: seconds times `rate`.
        rate: Samples of a second.
        labels: "auto" takes the first level of sub-folders for classes if there are two or more and all recordings lie in
            them; "folders" insists on them, "none" ignores them; `FILE` or `FILE:COLUMN` names a table.
        trim: Remove silence at both ends: what is more than so many decibels below the loudest sample; null keeps it.
        normalize: Scale each recording to a peak of 1.
        on_error: What to do about a recording that cannot be read: "raise" names it and stops, "skip" leaves it out and
            counts it.
        classes: Names of the classes in the order of their indices; null sorts those that are found.
        eval_fraction: Fraction of the recordings to hold out, at random but always the same ones.
        cache_dir: Folder for the packed file, instead of the user's cache folder.
        batch_size: Size of the global batch, summed over processes.
        seed: Seed of the sample order; null takes the module's seed.

    Raises:
        UserError: The folder does not exist or holds no recording, or an argument is out of its range.
    """

    def __init__(
        self,
        root: str,
        length: int,
        rate: int = 16000,
        labels: str = "auto",
        trim: float | None = None,
        normalize: bool = False,
        on_error: OnError = "raise",
        classes: list[str] | None = None,
        eval_fraction: float = 0.0,
        cache_dir: str | None = None,
        batch_size: int = 64,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, seed)
        if length < 1:
            raise UserError(f"length of AudioFolder must be at least 1 sample, got {length}")
        if not 100 <= rate <= 768_000:
            raise UserError(f"rate must be 100 to 768000 samples of a second, got {rate}")
        if trim is not None and trim <= 0:
            raise UserError(f"trim must be above 0 decibels (or null to keep silence), got {trim}")
        if on_error not in ("raise", "skip"):
            raise UserError(f"on_error must be raise or skip, got {on_error!r}")
        soundfile_library()
        self.root, self.length, self.rate, self.on_error, self.cache_dir = root, length, rate, on_error, cache_dir
        self.form = Form(rate, length, trim, normalize)
        files = self._files()
        found = arrange(files, labels, on_error, classes)
        self.left_out = dict(files.others()) | found.left_out
        self.classes, self.n_classes = found.classes, len(found.classes)
        self._listings: dict[Split, Listing] = {"train": found.train}
        self._packs: dict[Split, Pack] = {}
        if found.evaluation is not None:
            self._listings["eval"] = found.evaluation
        if eval_fraction != 0:
            if found.evaluation is not None:
                raise UserError(
                    f"eval_fraction is {eval_fraction}, but {root} has an evaluation split already; set it to 0"
                )
            kept, held_out = hold_out(found.train, eval_fraction, _NOUN)
            self._listings = {"train": kept, "eval": held_out}
        self.save_hyperparameters(logger=False)

    def _files(self) -> ImageFiles:
        return image_files(self.root, SUFFIXES, _NOUN)

    @property
    def shape(self) -> Signals:
        """Samples of a recording, one channel."""
        return Signals(self.length, 1)

    def prepare_data(self) -> None:
        """Pack the splits, once per node; a pack that is there already is only looked up."""
        for split in self._listings:
            self._pack(split)

    def load_split(self, split: Split) -> RealSamples:
        """Map the packed recordings of the split."""
        if split not in self._listings:
            split = "train"
        pack, indices = self._pack(split), self._listings[split].labels
        if split == "train" and pack.skipped:
            self.left_out["unreadable"] = len(pack.skipped)
        labels = None
        if indices is not None:
            skipped = set(pack.skipped)
            labels = torch.tensor([label for row, label in enumerate(indices) if row not in skipped])
        what = f"recordings of {self.root}, {split} split, {len(pack.images)} of {self.length} at {self.rate} Hz"
        return RealSamples(pack.images, labels, what, pack.digest)

    def discard_split(self, split: Split) -> None:
        """Remove the packed recordings of the split."""
        self._packs.pop(split if split in self._listings else "train").discard()

    def found(self) -> str:
        """Return in one line what there is to train on, and how long the recordings were before they were cut or padded."""
        text, (shortest, longest) = super().found(), self._pack("train").sides
        seconds = [f"{n / self.rate:.2f}" for n in (shortest, longest, self.length)]
        return f"{text}; of {seconds[0]} to {seconds[1]} s, cut or padded to {seconds[2]} s"

    def state_dict(self) -> dict[str, object]:
        """Return what tells these data from others, and the rate."""
        return {**super().state_dict(), "rate": self.rate}

    def load_state_dict(self, state_dict: dict[str, object]) -> None:
        """Say what has changed since the checkpoint was written.

        Raises:
            UserError: The rate is another.
        """
        if state_dict["rate"] != self.rate:
            raise UserError(
                f"the checkpoint was trained on sound of {state_dict['rate']} Hz, and data.rate is {self.rate}; set it back, "
                "or train anew"
            )
        if "n" in state_dict:
            super().load_state_dict(state_dict)

    def _pack(self, split: Split) -> Pack:
        if split not in self._packs:
            self._packs[split] = packed(*self._recipe(split), self.on_error)
        return self._packs[split]

    def _recipe(self, split: Split) -> tuple[Recipe, list[Path]]:
        files, names, form = self._files(), self._listings[split].names, self.form
        options = {"sound": list(form)}
        recipe = Recipe(
            name=f"{files.root.name} ({split})",
            owner=json.dumps({"root": str(files.root.resolve()), "split": split, **options}),
            key={**options, "files": [[name, *files.stamp(name)] for name in names]},
            n=len(names),
            shape=(1, self.length),
            decode=lambda i: decode_audio(files.read(names[i]), form),
            describe=lambda i: files.describe(names[i]),
            facts={"classes": self.classes},
            dtype="int16",
            noun=_NOUN,
        )
        return recipe, [Path(self.cache_dir).expanduser()] if self.cache_dir else [pack_home()]
