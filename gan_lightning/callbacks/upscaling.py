"""How near the averaged upscaler comes to held-out large pictures, while training and in `validate`, beside bicubic's numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.evaluation.enlarging import bicubic
from gan_lightning.evaluation.pictures import grid, log_picture, to_uint8
from gan_lightning.metrics.extractors import FeatureExtractor
from gan_lightning.metrics.fidelity import gather_rows, shard
from gan_lightning.metrics.super_resolution import fidelity_of_pictures
from gan_lightning.protocols import Paired, Upscales

_AT_ONCE = 16


class Upscaling(Measuring):
    """Compares enlarged held-out pictures with the large ones, at every validation and before the first update.

    Logged are the means over pictures of `val/psnr` and `val/ssim`, as `metrics.fidelity_of_pictures` defines them (luma, without
    a border of as many pixels as the factor), beside `val/psnr_bicubic` and `val/ssim_bicubic` of the small pictures enlarged
    bicubically, as Pillow does. With an extractor `val/distance` and `val/distance_bicubic` are added: the mean distance of its
    features, LPIPS of an extractor of pairs. Each evaluation leaves a card in `evaluation/` and a picture in `samples/`: small
    pictures, bicubic, ours, large ones. Ranks share the pictures.

    Args:
        n_pictures: Of the held-out pictures the first so many; all if null (None).
        extractor: Of which network the features are compared; none if null (None).
        enabled: Measure at all.
    """

    option = "upscaling"
    libraries = ("torch", "torchmetrics", "lightning")

    def __init__(
        self, n_pictures: int | None = 1000, extractor: FeatureExtractor | None = None, enabled: bool = True
    ) -> None:
        super().__init__(1 if n_pictures is None else n_pictures, 0, enabled)
        self.n_pictures, self.extractor = n_pictures, extractor

    def watches(self, game: Any) -> bool:
        """Tell whether the game enlarges pictures."""
        return isinstance(game, Upscales)

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; none of a game that does not enlarge."""
        game = trainer.lightning_module
        is_measured = self.enabled and self.watches(game) and self.applies(trainer, game)
        return [f"val/{name}" for name in self._names()] if is_measured else []

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether the data are pairs."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        return isinstance(data, Paired) and data.is_paired

    def _names(self) -> list[str]:
        kinds = ["psnr", "ssim", *(["distance"] if self.extractor is not None else [])]
        return [*kinds, *(f"{kind}_bicubic" for kind in kinds)]

    def measure(self, trainer: Trainer, game: Any) -> Measurement:
        """Compare this rank's pictures, and return the means over all."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        large = data.reference("eval").images
        n = len(large) if self.n_pictures is None else min(self.n_pictures, len(large))
        starts = list(range(0, n, _AT_ONCE))
        rows: list[tuple[int, Tensor]] = []
        for index in shard(len(starts), trainer.global_rank, trainer.world_size):
            chosen = list(range(starts[index], min(starts[index] + _AT_ONCE, n)))
            real, small = large[chosen], data.sources("eval", chosen)
            rows.append((index, self._compare(game, small, real)))
        values = dict(zip(self._names(), gather_rows(rows).double().nanmean(0).tolist(), strict=True))
        values = {
            name: value for name, value in values.items() if value == value
        }  # no SSIM of pictures too small for it
        if trainer.is_global_zero and trainer.state.fn == "fit":
            self._draw(trainer, game, data, large)
        levels = "grey levels (0 ... 255)" if large.shape[1] == 1 else "luma of ITU-R 601 (16 ... 235)"
        facts = {
            "n_pictures": n,
            "factor": game.factor,
            "protocol": f"{levels} of 8-bit pictures without a border of {game.factor} pixels; PSNR, and "
            "SSIM with a Gaussian window of 11 pixels, sigma 1.5; means over pictures; bicubic as Pillow does",
            "held_out": data.reference("eval").description,
            "real_fingerprint": data.reference("eval").fingerprint,
            "sources_fingerprint": data.reference("eval").sources.fingerprint,
            "extractor": None if self.extractor is None else self.extractor.name,
            "data": type(data).__name__,
        }
        return Measurement(values, facts, (f"{n}pictures",), prefix="upscaling-")

    def _compare(self, game: Any, small: Tensor, real: Tensor) -> Tensor:
        made = to_uint8(game.upscale(small.float() / 127.5 - 1).cpu())
        plain = bicubic(small, game.factor)
        found = [fidelity_of_pictures(real, made, game.factor)]
        found_plain = [fidelity_of_pictures(real, plain, game.factor)]
        if self.extractor is not None:
            self.extractor.load(game.device)
            for pictures, rows in ((made, found), (plain, found_plain)):
                rows.append(self.extractor.distances(real, pictures).double().cpu()[:, None])
        return torch.cat([*found, *found_plain], 1)

    def _draw(self, trainer: Trainer, game: Any, data: Any, large: Tensor) -> None:
        chosen = list(range(min(8, len(large))))
        real, small = large[chosen], data.sources("eval", chosen)
        made = to_uint8(game.upscale(small.float() / 127.5 - 1).cpu())
        pixels = small.repeat_interleave(game.factor, 2).repeat_interleave(game.factor, 3)
        image = grid(
            torch.cat([pixels, bicubic(small, game.factor), made, real]),
            len(chosen),
            ["small", "bicubic", "ours", "large"],
        )
        path = Path(trainer.default_root_dir) / "samples" / f"{game.updates_done:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        log_picture(trainer, "upscaled", image, game.updates_done)
