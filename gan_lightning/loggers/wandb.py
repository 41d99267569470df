"""Weights & Biases: one run there however often the run is stopped and resumed."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from gan_lightning.errors import say
from gan_lightning.execution.lightning_private import require
from gan_lightning.runs.files import replacing


class RunWandbLogger(WandbLogger):
    """Sends a run to Weights & Biases, as one run there however often it is stopped and resumed; rank 0 only.

    The x-axis is `trainer/global_step`, generator updates. Beside the numbers, the sample grids and the histograms of
    the weights it gets the config and the version of the code (as the run's config) and the card of each evaluation
    (under its files). The run's id is made once and kept in `wandb_id` in the run folder, and
    where that folder is in `wandb_folder`. A folder that was moved or renamed keeps its id; a copy gets one of its own when
    the folder that it was copied from is still there.

    Args:
        save_dir: The run folder.
        project: Project that the run belongs to.
        entity: User or team; the login's default if not given.
        group: Runs that are shown together, such as the seeds of one setting.
        tags: Words to find it by.
        offline: Write to the run folder only, for `wandb sync` later.
        log_checkpoints: Also upload the checkpoints when training ends, as an artifact of type model.
    """

    def __init__(
        self,
        save_dir: str = ".",
        project: str = "gan-lightning",
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        offline: bool = False,
        log_checkpoints: bool = False,
    ) -> None:
        super().__init__(
            name=Path(save_dir).name, save_dir=save_dir, project=project, entity=entity, group=group, tags=tags
        )
        require(self, "_experiment", "_wandb_init", "_id")
        self.folder, self.log_checkpoints = Path(save_dir), log_checkpoints
        self._offline = offline
        self._cards: set[Path] = set()

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run, opened at its first use."""
        if self._experiment is None:
            if self._offline:
                self._wandb_init["mode"] = "offline"
            self._wandb_init["id"] = self._id = lasting_id(self.folder)
            self._cards = set(self.folder.glob("evaluation/*.json"))  # those of before a resume are there already
        return super().experiment

    @rank_zero_only
    def log_run(self, config: Path) -> None:
        """Record the config of the run and the version of the code."""
        values = {"code": code_version(), **yaml.safe_load(config.read_text())}
        self.experiment.config.update(values, allow_val_change=True)

    @rank_zero_only
    def log_histograms(self, histograms: Mapping[str, Tensor], step: int) -> None:
        """Log the histogram of each of some flat tensors."""
        import numpy as np
        import wandb

        row = {
            key: wandb.Histogram(np_histogram=np.histogram(values.numpy(), bins=64))
            for key, values in histograms.items()
        }
        self.experiment.log({**row, "trainer/global_step": step})

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Log one row, and the cards of evaluations that have appeared."""
        super().log_metrics(metrics, step)
        if any(key.startswith("val/") for key in metrics):
            self._save_cards()

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Save what is left, and the checkpoints if they are asked for."""
        if self._experiment is None:
            return
        self._save_cards()
        checkpoints = sorted(self.folder.glob("checkpoints/*.ckpt"))
        if self.log_checkpoints and checkpoints:
            import wandb

            artifact = wandb.Artifact(f"{self.folder.name}-checkpoints", type="model")
            for path in checkpoints:
                artifact.add_file(str(path))
            self.experiment.log_artifact(artifact)

    def _save_cards(self) -> None:
        for card in sorted(set(self.folder.glob("evaluation/*.json")) - self._cards):
            self._cards.add(card)
            self.experiment.save(str(card), base_path=str(self.folder), policy="now")


def code_version() -> str:
    """Return the package's version, with the commit it was run from and `+changes` if there is a checkout."""
    import gan_lightning

    package, version = Path(gan_lightning.__file__).resolve().parent, gan_lightning.__version__

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(package), *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != package.parent:
            return version  # installed within somebody else's repository
        changes = "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        return f"{version} {git('rev-parse', 'HEAD')}{changes}"
    except (OSError, subprocess.CalledProcessError):
        commit = os.environ.get("GAN_LIGHTNING_COMMIT", "")
        return f"{version} {commit}".strip()


def lasting_id(folder: Path) -> str:
    """Return the id that a run folder keeps, made at the first call, and anew for a copy of a folder that is still there."""
    path, place = folder / "wandb_id", folder / "wandb_folder"
    if path.is_file() and place.is_file():
        before = Path(place.read_text().strip())
        ids = [one / "wandb_id" for one in (before, folder)]
        if ids[0].is_file() and not before.samefile(folder) and ids[0].read_text() == ids[1].read_text():
            say(f"{folder} is a copy of {before}, which is still there: it is a run of its own at Weights & Biases")
            path.unlink()
    if not path.is_file():
        _write(path, secrets.token_hex(4))
    _write(place, str(folder.resolve()))
    return path.read_text().strip()


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text)
