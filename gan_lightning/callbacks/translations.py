"""How near translations come to their targets, and what comes back of them, while training and in `validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.errors import require
from gan_lightning.evaluation.pictures import log_picture
from gan_lightning.evaluation.translated import Translated, cycle_distance, draw_translations, target_distances
from gan_lightning.protocols import Paired, Translating


class Translations(Measuring):
    """Translates held-out sources at every validation, and before the first update.

    Distances are means of absolute differences of values in [-1, 1]. Of pairs `val/l1` is that of translations from their
    targets; `val/l1_of_source`, beside it, that of the sources, where they have the targets' size (a grey one in three
    channels). Of a game that translates both ways `val/cycle_error` is the distance of what comes back from what went in,
    and `val/cycle_error_a`, `val/cycle_error_b` are those of the two domains, whose mean it is. Each evaluation leaves a card
    in `evaluation/` and a picture in `samples/`: input, ours, target; without pairs input, ours, what comes back. Ranks share
    the sources.

    Args:
        n_samples: Of the held-out sources at most so many, at random but always the same ones.
        n_rows: Rows of the picture.
        n_columns: Its columns, three for each source.
        seed: Of what is random about a translation.
        enabled: Measure at all.
    """

    option = "translations"

    def __init__(
        self, n_samples: int = 2000, n_rows: int = 8, n_columns: int = 9, seed: int = 0, enabled: bool = True
    ) -> None:
        require("translations", n_rows=n_rows, n_columns=n_columns)
        super().__init__(n_samples, seed, enabled)
        self.n_rows, self.n_columns = n_rows, n_columns

    def watches(self, game: Any) -> bool:
        """Tell whether the game translates."""
        return isinstance(game, Translating)

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; none of a game that does not translate."""
        game: Any = trainer.lightning_module
        if not (self.enabled and self.watches(game) and self.applies(trainer, game)):
            return []
        return [f"val/{name}" for name in self._names(trainer, game)]

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether the data are sources and targets."""
        return isinstance(trainer.datamodule, Paired)  # type: ignore[attr-defined]

    def _names(self, trainer: Trainer, game: Any) -> list[str]:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        names = []
        if data.is_paired:
            names.append("l1")
            if Translated(game, data, "eval", 1).can_be_compared():
                names.append("l1_of_source")
        if "BtoA" in game.directions:
            names += ["cycle_error", "cycle_error_a", "cycle_error_b"]
        return names

    def measure(self, trainer: Trainer, game: Any) -> Measurement:
        """Translate this rank's chunks, and return the means over all."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        names, targets = self._names(trainer, game), data.reference("eval")
        translated = Translated(game, data, "eval", self.n_samples)
        ranks = self.seed, trainer.global_rank, trainer.world_size
        values: dict[str, float] = {}
        if "l1" in names:
            found = target_distances(translated, "l1_of_source" in names, *ranks)
            values |= dict(zip(names, found, strict=False))
        if "cycle_error" in names:
            there, back = (cycle_distance(translated, direction, *ranks) for direction in ("AtoB", "BtoA"))
            values |= {"cycle_error": (there + back) / 2, "cycle_error_a": there, "cycle_error_b": back}
        if trainer.is_global_zero and trainer.state.fn == "fit":
            self._draw(trainer, game, data)
        facts = {
            "n_sources": len(translated),
            "n_held_out": data.n_sources("eval"),
            "seed": self.seed,
            "protocol": "means of absolute differences of values in [-1, 1] over held-out images; before rounding to 8 bits",
            "held_out": targets.description,
            "real_fingerprint": targets.fingerprint,
            "sources_fingerprint": targets.sources.fingerprint,
            "data": type(data).__name__,
        }
        return Measurement(values, facts, (f"{len(translated)}sources", f"seed{self.seed}"), prefix="translations-")

    def _draw(self, trainer: Trainer, game: Any, data: Any) -> None:
        image = draw_translations(game, data, self.n_rows, self.n_columns, self.seed)
        path = Path(trainer.default_root_dir) / "samples" / f"{game.updates_done:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
        log_picture(trainer, "samples", image, game.updates_done)
