"""LightningCLI with run folders, resuming, one-line errors, and configs that a checkpoint brings along."""

from __future__ import annotations

import logging
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, NoReturn

import yaml
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities import rank_zero_only

import gan_lightning.data
import gan_lightning.families
import gan_lightning.loggers
import gan_lightning.networks
import gan_lightning.strategies  # noqa: F401  imported so that short class names and gan_ddp resolve
from gan_lightning.callbacks import Checkpoints, Fidelity, SampleGrid, Throughput, UpdateBar
from gan_lightning.cli import fail, nearest
from gan_lightning.from_checkpoint import read_checkpoint, user_errors
from gan_lightning.game import Game
from gan_lightning.runs import RUN_FOLDER_VARIABLE, new_run_folder, resume_from, say

_PORTABLE_KEYS = ("seed_everything", "name", "model", "data", "samples", "fidelity")


class Parser(LightningArgumentParser):
    """A parser whose errors are one line that names the mistake and the nearest valid option."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Exit with code 2."""
        fail(self._short(message))

    def _short(self, message: str) -> str:
        unknown = re.search(r"(?:Unrecognized arguments|Option|Key|argument)s?:?\s*'?(--)?([\w.+-]+)'?.*?(?:not accepted|not expected|$)", message)
        lines = [line.strip(" -") for line in message.splitlines()]
        kept = [
            line
            for line in lines
            if line and not re.match(r"(usage:|Given value|Expected a|Does not validate|NoneType|Problem with|Subclass types)", line)
        ]
        text = " / ".join(dict.fromkeys(kept)) or message
        if unknown:
            word = unknown.group(2)
            text += nearest(word, self._known_options(word))
        return text[:600]

    def _known_options(self, word: str) -> list[str]:
        import inspect

        known = {name.removeprefix("--") for name in self._option_string_actions}
        modules = (gan_lightning.families, gan_lightning.networks, gan_lightning.data)
        for module in modules:
            for name in getattr(module, "__all__", []):
                cls = getattr(module, name)
                if inspect.isclass(cls):
                    for base in cls.__mro__:
                        if "__init__" in vars(base) and base is not object:
                            known |= set(inspect.signature(base.__init__).parameters) - {"self", "args", "kwargs"}
        prefix, _, last = word.rpartition(".")
        return [f"{prefix}.{name}" if prefix and "." not in name else name for name in known] if last else list(known)


class SaveConfig(SaveConfigCallback):
    """Writes `config.yaml` into the run folder, and what other verbs need of it into every checkpoint."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file, on rank 0, when training."""
        if stage == "fit" and trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / "config.yaml"
            text = self.parser.dump(self.config, skip_none=False)
            if path.is_file() and path.read_text() != text:
                path.rename(path.with_name(f"config.{_free_number(path)}.yaml"))
            path.write_text(text)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the config of model, data and metrics."""
        config = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        checkpoint["config"] = {key: config[key] for key in _PORTABLE_KEYS if key in config}


def _free_number(path: Path) -> int:
    number = 1
    while path.with_name(f"config.{number}.yaml").exists():
        number += 1
    return number


class GanLightningCLI(LightningCLI):
    """The verbs that train and measure."""

    def __init__(self, args: list[str]) -> None:
        base = config_folder() / "base.yaml"
        defaults = {"default_config_files": [str(base)]} if base.is_file() else {}
        super().__init__(
            Game,
            LightningDataModule,
            save_config_callback=SaveConfig,
            parser_class=Parser,
            parser_kwargs={verb: dict(defaults) for verb in ("fit", "validate", "test", "predict")},
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            args=args,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run's own options, and the parts that every run has."""
        parser.add_argument("--name", type=str | None, default=None, help="The run folder is runs_dir/name.")
        parser.add_argument("--runs_dir", type=str, default="runs", help="Where run folders go.")
        parser.add_argument("--resume", type=str | None, default=None, help="auto, a run folder, or a checkpoint.")
        parser.add_lightning_class_args(SampleGrid, "samples")
        parser.add_lightning_class_args(Fidelity, "fidelity")
        parser.add_lightning_class_args(Checkpoints, "checkpoints")
        for size in ("image_size", "channels"):
            parser.link_arguments(f"data.{size}", f"model.init_args.{size}", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.init_args.seed")

    def _parse_ckpt_path(self) -> None:
        """Leave the command line in force: Lightning would let the checkpoint's hyper-parameters override it."""

    def before_instantiate_classes(self) -> None:
        """Choose the run folder and put everything that is written into it."""
        config = self.config[self.subcommand]
        if self.subcommand == "fit":
            folder = self._run_folder(config)
            for logger in config.trainer.logger or [] if isinstance(config.trainer.logger, list) else []:
                if "save_dir" in logger.init_args:
                    logger.init_args.save_dir = str(folder)
        else:
            ckpt = Path(config.ckpt_path) if config.get("ckpt_path") else None
            folder = ckpt.parent.parent if ckpt and ckpt.parent.name == "checkpoints" else Path(config.runs_dir)
            config.trainer.logger = False  # nothing but the card and the printed table: metrics.csv is the training's
        config.trainer.default_root_dir = str(folder)
        self.run_folder = folder

    def _run_folder(self, config: Any) -> Path:
        name = config.name or _default_name(config)
        given = os.environ.get(RUN_FOLDER_VARIABLE)
        if given:
            folder, checkpoint = Path(given), None
            if config.resume:
                _, checkpoint = resume_from(str(folder) if (folder / "checkpoints").is_dir() else "auto", folder.parent, folder.name)
        elif config.resume:
            folder, checkpoint = resume_from(config.resume, config.runs_dir, name)
        else:
            folder, checkpoint = new_run_folder(config.runs_dir, name), None
        if config.resume:
            if config.get("ckpt_path"):
                raise ValueError("--resume and --ckpt_path both say where to start; give one")
            if checkpoint is not None:
                read_checkpoint(checkpoint)
                config.ckpt_path = str(checkpoint)
            say(f"resuming {folder} from {checkpoint.name if checkpoint else 'its start'}")
        os.environ[RUN_FOLDER_VARIABLE] = str(folder)
        config.name = folder.name
        return folder

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Return the trainer, with the bar and the throughput that every run has."""
        trainer = super().instantiate_trainer(**kwargs)
        if self.subcommand == "fit":
            trainer.callbacks.insert(0, Throughput())  # type: ignore[attr-defined]
            trainer.callbacks[:] = [c for c in trainer.callbacks if type(c).__name__ not in ("TQDMProgressBar", "RichProgressBar")]  # type: ignore[attr-defined]
            if trainer.is_global_zero:
                trainer.callbacks.append(UpdateBar())  # type: ignore[attr-defined]
        return trainer

    @rank_zero_only
    def after_fit(self) -> None:
        """Say where everything lies, and what was reached."""
        folder = self.run_folder
        grids = sorted((folder / "samples").glob("*.png"))
        print(f"\nsample grid  {grids[-1] if grids else 'none drawn'}")
        print(f"metrics      {folder / 'metrics.csv'}")
        print(f"checkpoint   {folder / 'checkpoints' / 'last.ckpt'}")
        print(f"config       {folder / 'config.yaml'}")
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            history = getattr(callback, "history", [])
            for key in history[-1][1] if history else []:
                if key.startswith("val/fid") and key in history[0][1]:
                    (first, before), (last, after) = history[0], history[-1]
                    name = key.removeprefix("val/")
                    print(f"{name}: {before[key]:.2f} after {first} updates, {after[key]:.2f} after {last}")


def _default_name(config: Any) -> str:
    data = config.data.init_args.get("dataset") or config.data.class_path
    family = config.model.class_path
    return f"{family.rpartition('.')[2].lower()}-{str(data).rpartition('.')[2].lower()}"


def config_folder() -> Path:
    """Return the folder of the configs that ship: inside an installed package, beside it in a checkout."""
    inside = Path(__file__).parent / "configs"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "configs"


def _with_checkpoint_config(args: list[str]) -> list[str]:
    """Put the config that a checkpoint carries in front, for a verb that measures it and was given none."""
    given = [arg for arg in args if arg in ("-c", "--config") or arg.startswith(("--config=", "-c="))]
    paths = [args[i + 1] for i, arg in enumerate(args[:-1]) if arg == "--ckpt_path"]
    paths += [arg.partition("=")[2] for arg in args if arg.startswith("--ckpt_path=")]
    if given or not paths or args[0] == "fit":
        return args
    config = read_checkpoint(paths[-1]).get("config")
    if config is None:
        raise ValueError(f"{paths[-1]} carries no config (it was not written by gan-lightning fit); give --config")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        yaml.safe_dump(config, file)
    return [args[0], "--config", file.name, *args[1:]]


def _quieten() -> None:
    """Silence what is true of every run and asks nothing of the user."""
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    for message in (
        ".*does not have many workers.*",
        ".*LightningCLI's args parameter.*",
        ".*in eval mode at the start of training.*",  # the generator's average always is
        ".*your dataloader is not resumable.*",  # its position is the game's clock
        ".*isinstance.treespec, LeafSpec.*",
        ".*Skipping val loop.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)  # tips, "GPU available", "weights_only was not set"


def run(args: list[str]) -> None:
    """Run fit, validate, test or predict with these arguments."""
    _quieten()
    with user_errors():
        GanLightningCLI(_with_checkpoint_config(args))
    sys.stdout.flush()
