"""LightningCLI with run folders, resuming, one-line errors, and configs that a checkpoint brings along."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities import rank_zero_only

import gan_lightning.execution.gan_ddp  # noqa: F401  registers gan_ddp
from gan_lightning.callbacks import (
    Canary,
    Checkpoints,
    Coverage,
    Diagnostics,
    Fidelity,
    MelodyStatistics,
    NgramDivergence,
    Preemption,
    Retrieval,
    SampleGrid,
    SoundStatistics,
    Throughput,
    Translations,
    UpdateBar,
    Upscaling,
)
from gan_lightning.callbacks.measuring import Measuring
from gan_lightning.cli.config_files import as_yaml, config_folder
from gan_lightning.cli.documents import Document, check_empty_keys, documents, left_out, options
from gan_lightning.cli.mistakes import ABOUT_A_PATH, refused_path, user_errors
from gan_lightning.cli.own_modules import searched
from gan_lightning.cli.parser import Parser
from gan_lightning.cli.shipped import with_files
from gan_lightning.cli.trainer_options import check_environment, check_options, check_tasks
from gan_lightning.description import known_classes_only
from gan_lightning.errors import USER_ERROR, RunFailed, UserError, check_tree, fail, in_one_line, nearest, say
from gan_lightning.evaluation.report import write_report
from gan_lightning.evaluation.run_pictures import write_run_pictures
from gan_lightning.execution.precision import check_precision
from gan_lightning.execution.process_state import process_kept
from gan_lightning.execution.ranks import close_process_group
from gan_lightning.games.game import WEIGHTS_ONLY, Game
from gan_lightning.games.restore import Start, read_start, start_from
from gan_lightning.loggers.tensorboard import log_run
from gan_lightning.protocols import Classed, RunLogger, Shaped
from gan_lightning.runs.checkpoint_files import DISK_IS_FULL, CheckpointFiles, read_checkpoint
from gan_lightning.runs.files import set_aside
from gan_lightning.runs.folders import (
    Place,
    checkpoint_path,
    moved_run,
    new_run_folder,
    resume_from,
)
from gan_lightning.runs.home import with_home, without_home
from gan_lightning.runs.launch import agree, die_with_launcher, is_launched_by_lightning, rank
from gan_lightning.runs.locks import lock, unlock_all
from gan_lightning.runs.old_names import option_with_new_names, with_new_names
from gan_lightning.runs.signals import STOPPED, end_at_once
from gan_lightning.shapes import Shape

_PORTABLE_KEYS = (
    "seed_everything",
    "name",
    "model",
    "data",
    "samples",
    "fidelity",
    "coverage",
    "retrieval",
    "ngrams",
    "translations",
    "upscaling",
    "music",
    "sound",
)

_LOGGERS = "lightning.pytorch.loggers"  # named in base.yaml

_FOUR_DIGITS = ("precision_5", "ndcg_5", "js_1", "js_4", "l1", "cycle_error")
_TOLD_AT_THE_END = {"val/modes": ".0f", **{f"val/{name}": ".4f" for name in _FOUR_DIGITS}}
"""Beside all FIDs: metrics whose first and last values stand at the end of a run, and how."""


class SaveConfig(SaveConfigCallback):
    """Writes `config.yaml` into the run folder, and what other verbs need of it into every checkpoint."""

    _classes: list[str] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file, on rank 0, when training; the names of classes that the data found are written down."""
        self._classes = _classes_of(trainer.datamodule)  # type: ignore[attr-defined]
        if stage == "fit" and trainer.is_global_zero:
            path = Path(trainer.default_root_dir) / "config.yaml"
            text = as_yaml(self._plain)
            if path.is_file() and path.read_text() != text:
                set_aside(path)
            path.write_text(text)
            for logger in trainer.loggers:
                if isinstance(logger, RunLogger):
                    logger.log_run(path)
                elif isinstance(logger, TensorBoardLogger):
                    log_run(logger, path, ["loss/critic", "loss/generator", *_measured(trainer, pl_module)])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the config of model, data and metrics."""
        config = self._plain
        checkpoint["config"] = {key: config[key] for key in _PORTABLE_KEYS if key in config}
        for key in ("hyper_parameters", "datamodule_hyper_parameters"):
            if key in checkpoint:
                checkpoint[key] = without_home(checkpoint[key])

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say in one line which settings are not those of the checkpoint."""
        then, now = with_new_names(without_home(checkpoint.get("config"))), self._plain
        if trainer.state.fn != "fit" and then:
            _refuse_another_model(then, now)
        if trainer.state.fn == "fit" and then:
            changes = [text for key in ("model", "data") for text in _changes(then.get(key), now.get(key), key)]
            changes = [
                text for text in changes if text.split()[0] not in ("data.batch_size", "model.seed")
            ]  # told apart
            if changes:
                say(f"resuming with other settings than the checkpoint's: {', '.join(changes)}")

    @cached_property
    def _plain(self) -> dict[str, Any]:
        """The config as plain values; where a run resumed from is no part of it, nor are its folder and the user's home."""
        config = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        config = {key: value for key, value in config.items() if key not in ("ckpt_path", "resume")}
        for part, key in _places(config.get("trainer") or {}):
            part[key] = _NOWHERE[key]
        arguments = config["data"].get("init_args") or {}
        if self._classes and "classes" in arguments:
            arguments["classes"] = self._classes
        return with_new_names(without_home(config))


_NOWHERE = {"default_root_dir": None, "save_dir": "."}
"""Options of the trainer and of its loggers that are the run folder, and what stands there for it in a config."""


def _places(trainer: Any) -> Iterator[tuple[Any, str]]:
    """Yield the mapping and the key of each option that is the run folder, of the trainer and of its loggers."""
    yield trainer, "default_root_dir"
    for logger in trainer["logger"] if isinstance(trainer.get("logger"), list) else []:
        if "save_dir" in (logger.get("init_args") or {}):
            yield logger["init_args"], "save_dir"


def _put_into(folder: Path, trainer: Any) -> None:
    """Have the trainer and its loggers write into the run folder; say so where a config wants another."""
    others = {str(part[key]): key for part, key in _places(trainer) if part.get(key) not in (None, ".", str(folder))}
    for given, key in others.items():
        say(f"{key} {given} is not used: the run folder is {folder}; --runs_dir and --name say where it lies")
    for part, key in _places(trainer):
        part[key] = str(folder)


def _refuse_another_model(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise a UserError if a checkpoint is measured as another family, or with options of it that were typed."""
    changes = _changes(then.get("model"), now.get("model"), "model")
    is_typed = any(word.startswith("--model") for word in Parser.words)
    family = [str(config.get("model", {}).get("class_path", "")).rpartition(".")[2] for config in (then, now)]
    if changes and (is_typed or family[0] != family[1]):
        raise UserError(
            f"a checkpoint is measured as it was trained, and this would be another model: {', '.join(changes[:3])}; leave it out"
        )


def _measured(trainer: Trainer, game: LightningModule) -> list[str]:
    """Return what this run's measurements are logged as."""
    callbacks = [callback for callback in trainer.callbacks if isinstance(callback, Measuring)]  # type: ignore[attr-defined]
    return [name for callback in callbacks if callback.measures(trainer, game) for name in callback.names(trainer)]


def _changes(then: Any, now: Any, name: str) -> list[str]:
    """Return "name old -> new" for each value of a nested config that is not the same."""
    if isinstance(then, dict) and isinstance(now, dict):
        keys = dict.fromkeys([*then, *now])
        return [text for key in keys for text in _changes(then.get(key), now.get(key), f"{name}.{key}")]
    if then == now:
        return []
    return [f"{name.replace('.init_args', '').replace('.class_path', '')} {_short(then)} -> {_short(now)}"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


PARTS = {
    "samples": SampleGrid,
    "fidelity": Fidelity,
    "coverage": Coverage,
    "retrieval": Retrieval,
    "ngrams": NgramDivergence,
    "translations": Translations,
    "upscaling": Upscaling,
    "music": MelodyStatistics,
    "sound": SoundStatistics,
    "checkpoints": Checkpoints,
    "canary": Canary,
    "diagnostics": Diagnostics,
}
"""Option group: the callback of every run that it sets."""


_TRIALS: list[TemporaryDirectory[str]] = []
"""Where a `fast_dev_run` writes what is not kept."""


class GanLightningCLI(LightningCLI):
    """The verbs that train and measure.

    Attributes:
        is_training: Whether training has begun in this process: what fails from then on is no mistake in the command.
    """

    is_training = False
    _start: Start | None = None

    def __init__(self, args: list[str], files: list[Document]) -> None:
        self._verb, self._files = args[0], files
        Parser.files, Parser.words = files, args
        base = config_folder() / "base.yaml"
        defaults = {"default_config_files": [str(base)]} if base.is_file() else {}
        super().__init__(
            Game,
            LightningDataModule,
            save_config_callback=SaveConfig,
            parser_class=Parser,
            parser_kwargs={args[0]: defaults},
            subclass_mode_model=True,
            subclass_mode_data=True,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            args=args,
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """Return the verb that was given: building the options of all four takes as long as importing torch."""
        return {self._verb: super().subcommands()[self._verb]}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run's own options, and the parts that every run has."""
        parser.add_argument("--name", type=str | None, default=None, help="The run folder is runs_dir/name.")
        parser.add_argument("--runs_dir", type=str, default="runs", help="Where run folders go.")
        parser.add_argument(
            "--init_from",
            type=str | None,
            default=None,
            help="Weights to start from: a checkpoint, run or shared folder.",
        )
        parser.add_argument("--resume", type=str | None, default=None, help="auto, a run folder, or a checkpoint.")
        for part, kind in PARTS.items():
            parser.add_lightning_class_args(kind, part)
        parser.link_arguments("data", "model.init_args.shape", _shape_of, apply_on="instantiate")
        parser.link_arguments("data", "model.init_args.classes", _classes_of, apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.init_args.seed")

    def _set_seed(self) -> None:
        """Seed everything, with a seed that numpy takes."""
        check_tree({"seed_everything": self.config[self.subcommand].seed_everything})
        super()._set_seed()

    def _parse_ckpt_path(self) -> None:
        """Leave the command line in force: Lightning would let the checkpoint's hyper-parameters override it."""

    def before_instantiate_classes(self) -> None:
        """Choose the run folder and put everything that is written into it."""
        config = with_home(self.config[self.subcommand])
        plain = config.as_dict()
        check_empty_keys(self._files, plain)
        for line in left_out(self._files, Parser.words, plain):
            say(line)
        for part in ("trainer", *PARTS):
            if not isinstance(plain.get(part), dict):
                raise UserError(f"{part} must hold keys and values, got {plain.get(part)}")
        check_tree(plain, owners=PARTS)
        if config.get("ckpt_path") and config.resume:
            raise UserError("--resume and --ckpt_path both say where to start; give one")
        if config.get("ckpt_path"):
            config.ckpt_path = str(
                checkpoint_path(config.ckpt_path, config.runs_dir, config.name or _default_name(config))
            )
            checkpoint = read_checkpoint(config.ckpt_path, hold=True)  # before anything is built; Lightning takes it
            if self.subcommand == "fit":
                _refuse_weights_only(checkpoint, config.ckpt_path)
        elif self.subcommand != "fit":
            raise UserError(
                f"{self.subcommand} needs trained weights; give --ckpt_path FILE, or last or best of --name"
            )
        self._check_start(config)
        self._start = read_start(with_home(config.init_from)) if config.init_from and not config.resume else None
        if self.subcommand == "fit":
            check_precision(config.trainer.precision)  # on a CPU Lightning makes another one of it without a word
            check_options(config.trainer, Parser.words)
            strategy, known = config.trainer.strategy, ["auto", *StrategyRegistry.available_strategies()]
            if isinstance(strategy, str) and strategy not in known:
                raise UserError(f"there is no strategy {strategy}{nearest(strategy, known)}")
            folder = self._run_folder(config)
            if config.init_from and config.resume and not config.get("ckpt_path"):  # there was nothing to resume yet
                self._start = read_start(with_home(config.init_from))
            if not isinstance(config.trainer.logger, bool | list | None):
                config.trainer.logger = [config.trainer.logger]
            _put_into(folder, config.trainer)
        else:
            ckpt = Path(config.ckpt_path)
            folder = ckpt.parent.parent if ckpt.parent.name == "checkpoints" else Path(config.runs_dir)
            config.trainer.logger = False  # nothing but the card and the printed table: metrics.csv is the training's
            config.trainer.default_root_dir = str(folder)
        self.run_folder = folder

    def _check_start(self, config: Any) -> None:
        """Refuse weights to start from where a run goes on, and where none starts."""
        if not config.init_from:
            return
        if self.subcommand != "fit":
            raise UserError(f"--init_from is of fit: {self.subcommand} measures the weights of --ckpt_path")
        typed = _last_value(Parser.words, "init_from") is not None
        if config.get("ckpt_path") or (typed and config.resume not in (None, "auto")):
            raise UserError(
                "--init_from starts a new run from weights, and --resume FOLDER and --ckpt_path go on with one; give one of "
                "them (beside --resume auto, init_from is of the run's start alone)"
            )

    def _run_folder(self, config: Any) -> Path:
        name = config.name or _default_name(config)
        if config.trainer.fast_dev_run and config.resume:
            raise UserError(
                "trainer.fast_dev_run tries a run and keeps nothing of it; leave --resume out, or give --ckpt_path"
            )

        def decide() -> Place:
            if config.trainer.fast_dev_run:
                _TRIALS.append(TemporaryDirectory(prefix="gan-lightning-"))
                return Place(new_run_folder(_TRIALS[-1].name, name), None)
            if config.resume:
                return resume_from(self._moved(config, name) or config.resume, config.runs_dir, name)
            return Place(new_run_folder(config.runs_dir, name), None)

        folder, checkpoint = agree(decide, config.runs_dir, bool(config.resume))
        if not is_launched_by_lightning() and rank() == 0:
            lock(folder)
        if checkpoint is not None:
            _refuse_other_experiment(config, checkpoint, folder)
            config.ckpt_path = str(checkpoint)
        if config.resume:
            say(f"resuming {folder} from {checkpoint.name if checkpoint else 'its start'}")
        config.name = folder.name
        return folder

    def _moved(self, config: Any, name: str) -> str | None:
        """Return where the run to resume has been moved to, if its own config says so and nothing is where it was."""
        if config.resume != "auto" or (Path(config.runs_dir) / name).is_dir():
            return None
        files = [Path(path.absolute) for path in config.get("config") or [] if path is not None]
        found = [folder for file in files if (folder := moved_run(file, config.runs_dir, name))]
        return str(found[-1]) if found else None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Return the trainer, with the bar and the throughput that every run has."""
        given = self._get(self.config_init, "trainer", default={}).get("plugins") or []
        plugins = [*given] if isinstance(given, list) else [given]
        plugins.append(CheckpointFiles())
        is_step = SLURMEnvironment.detect() and "SLURM_PROCID" in os.environ
        if is_step:
            plugins.append(SLURMEnvironment(auto_requeue=False))  # the batch script requeues, on exit code 75
        elif SLURMEnvironment.detect():  # salloc without srun
            say("in a Slurm allocation, but not started by srun: the run has the processes that it starts itself")
            plugins.append(LightningEnvironment())
        try:
            trainer = super().instantiate_trainer(**{**kwargs, "plugins": plugins})
        except (ValueError, TypeError, RuntimeError, ImportError) as error:  # how Lightning refuses what it is given
            raise UserError(f"the trainer cannot be made: {error}") from error
        if is_step:
            check_tasks(trainer.num_devices, trainer.num_nodes)
        if self.subcommand == "fit":
            self.preemption = Preemption()
            trainer.callbacks.insert(0, Throughput())  # type: ignore[attr-defined]
            bars = ("TQDMProgressBar", "RichProgressBar")  # Lightning adds one by itself
            trainer.callbacks[:] = [c for c in trainer.callbacks if type(c).__name__ not in bars]  # type: ignore[attr-defined]
            if trainer.is_global_zero:
                trainer.callbacks.append(UpdateBar())  # type: ignore[attr-defined]
            # last, so that what it saves has the others' newest state
            trainer.callbacks.append(self.preemption)  # type: ignore[attr-defined]
        return trainer

    def before_fit(self) -> None:
        """Refuse what cannot train before other ranks are started: Lightning kills rank 0 when one of them fails."""
        self.trainer.datamodule, self.model.trainer = self.datamodule, self.trainer  # type: ignore[attr-defined]
        self.model.preflight("fit")
        if self._start is not None:
            start_from(self.model, self._start)
        self._start = None
        GanLightningCLI.is_training = True
        if self.trainer.world_size > 1:
            end_at_once(unlock_all)  # until all ranks have met

    def after_validate(self) -> None:
        """Fail if nothing was measured.

        Raises:
            RunFailed: No callback logged a number.
        """
        if not self.trainer.callback_metrics:
            ours = [callback for callback in self.trainer.callbacks if isinstance(callback, Measuring)]  # type: ignore[attr-defined]
            kind = [one for one in ours if one.watches(self.model)]
            why = [f"{one.option} {'cannot measure this' if one.enabled else 'is not enabled'}" for one in kind]
            raise RunFailed(f"{self.subcommand} measured nothing: {', '.join(why)}")

    after_test = after_validate

    @rank_zero_only
    def after_fit(self) -> None:
        """Say where everything lies, and what was reached."""
        folder = self.run_folder
        if self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            say(
                f"fast_dev_run: {self.trainer.global_step} updates, samples, measurements and a checkpoint; nothing is kept"
            )
            return
        if self.preemption.stopped_by:
            last = folder / "checkpoints" / "last.ckpt"
            say(
                f"stopped by {self.preemption.stopped_by} after update {self.trainer.global_step}, the state is in {last}"
            )
            say(f"to resume: the same command with --name {folder.name} --resume auto")
            return
        written = {
            "sample grid": max((folder / "samples").glob("*.*"), default=folder / "samples"),
            "metrics": folder / "metrics.csv",
            "checkpoint": folder / "checkpoints" / "last.ckpt",
            "config": folder / "config.yaml",
            "report": folder / "report.html",
        }
        try:
            write_report(folder)
        except Exception as error:  # a page is not worth a run
            say(f"report.html could not be written: {in_one_line(error)}; gan-lightning report {folder} tries again")
        try:
            written |= {name.partition(".")[0]: folder / name for name in write_run_pictures(folder)}
        except Exception as error:  # nor is a picture
            say(f"curves.png and film.gif could not be written: {in_one_line(error)}")
        print()
        for what, path in written.items():
            print(f"{what:12} {path if path.is_file() else 'none'}")
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if not (isinstance(callback, Measuring) and callback.comparable):
                continue
            (first, before), (done, after) = callback.comparable[0], callback.comparable[-1]
            for key, value in after.items():
                form = ".2f" if key.startswith("val/fid") else _TOLD_AT_THE_END.get(key)
                if form is None or key not in before:
                    continue
                told = f"{before[key]:{form}} after {first} updates"
                told += f", {value:{form}} after {done}" if done > first else ""
                good = after.get("val/high_quality") if key == "val/modes" else None  # vectors alone have it
                beside = "" if good is None else f" ({good:.1%} of the samples of high quality)"
                print(f"{key.removeprefix('val/')}: {told}{beside}")


def _shape_of(data: Any) -> Shape:
    if not isinstance(data, Shaped):
        raise UserError(
            f"{type(data).__name__} does not declare the shape of its samples: a stock LightningDataModule gives no rounds; "
            "subclass gan_lightning.data.RealData, or train from Python on gan_lightning.data.data_of(loader)"
        )
    return data.shape


def _classes_of(data: Any) -> list[str] | None:
    return list(data.classes) if isinstance(data, Classed) else None


def _default_name(config: Any) -> str:
    data = (config.data.get("init_args") or {}).get("dataset") or config.data.class_path
    family = config.model.class_path
    return f"{family.rpartition('.')[2].lower()}-{str(data).rpartition('.')[2].lower()}"


def _refuse_weights_only(checkpoint: dict[str, Any], path: Path | str) -> None:
    """Raise a UserError if a checkpoint has no state of the optimizers to resume from."""
    if not checkpoint.get("optimizer_states"):
        raise UserError(WEIGHTS_ONLY.format(path))


def _refuse_other_experiment(config: Any, path: Path, folder: Path) -> None:
    """Raise a UserError if a checkpoint is of another family or of other data than the config asks for."""
    checkpoint = read_checkpoint(path, hold=True)
    _refuse_weights_only(checkpoint, path)
    then = checkpoint.get("config") or {}
    for part in ("model", "data"):
        was, asked = (str(c.get(part, {}).get("class_path", "")) for c in (then, config))
        if was and was.rpartition(".")[2] != asked.rpartition(".")[2]:
            raise UserError(f"{folder} is a run of {part} {was}, not of {asked}; give another --name")


def _with_checkpoint_config(args: list[str]) -> list[str]:
    """Prepend the config stored in a checkpoint, for a verb that measures it and was given none."""
    given = _last_value(args, "ckpt_path")
    if args[0] == "fit" or given is None or _last_value(args, "config") or _last_value(args, "c", "-"):
        return args
    name = _last_value(args, "name")
    if given in ("last", "best") and name is None:
        raise UserError(f"--ckpt_path {given} is that of a run folder; give --name NAME or --config FILE")
    path = checkpoint_path(with_home(given), with_home(_last_value(args, "runs_dir") or "runs"), name or "")
    config = read_checkpoint(path, hold=True).get("config")
    if config is None:
        raise UserError(f"{path} carries no config (it was not written by gan-lightning fit); give --config")
    others = sorted(map(str, config.keys() - set(_PORTABLE_KEYS)))
    if others:
        say(f"left out of the config in {path}, because no checkpoint has them: {', '.join(others)}")
    config = {key: config[key] for key in _PORTABLE_KEYS if key in config}
    return [args[0], "--config", as_yaml(config), *args[1:]]


def _typed_paths(args: list[str]) -> list[str]:
    """Return the class paths that are values of options on the command line; a checkpoint's name is none."""
    values = {arg.rpartition("=")[2] for arg in args} - {_last_value(args, "ckpt_path")}
    return [value for value in values if re.fullmatch(r"[a-zA-Z_]\w*(\.[a-zA-Z_]\w*)+", value)]


def _with_new_names(args: list[str]) -> list[str]:
    """Return the arguments with the classes and options of release 0.1.0 written as they are now."""
    words, before = [], ""
    for arg in args:
        option, equals, value = arg.partition("=") if arg.startswith("--") else (before, "", arg)
        if arg.startswith("--"):
            new, value = option_with_new_names(option, value)
            words.append(f"{new}{equals}{value}")
            before = option
        else:
            words.append(option_with_new_names(before, value)[1])
    return words


def _last_value(args: list[str], option: str, dashes: str = "--") -> str | None:
    """Return the value that the last `--option value` or `--option=value` of a command line gives, None without one."""
    values = [value for word, value in options(args) if word == dashes + option]
    return values[-1] if values else None


@process_kept()
def run(args: list[str]) -> None:
    """Run fit, validate or test with these arguments.

    When all ranks have agreed to end, those that Lightning's launcher started exit with 0: at any other code the launcher
    kills the remaining ranks before they have finished.
    """
    die_with_launcher()
    cli: GanLightningCLI | None = None
    GanLightningCLI.is_training = False
    try:
        with user_errors():
            check_environment()
            trust = args[0] != "fit" and "--trust" in args
            words = with_files(_with_new_names([arg for arg in args if not (trust and arg == "--trust")]))
            files = documents(words)
            given = _with_checkpoint_config(words)
            own = {str(Path(one.file).expanduser().parent) for one in files if Path(one.file).expanduser().is_file()}
            with ExitStack() as found, known_classes_only(trust or given == words, [*_typed_paths(words), _LOGGERS]):
                for folder in sorted(own):
                    found.enter_context(searched(folder))
                cli = GanLightningCLI(given, files)
                close_process_group()
    except RunFailed as failed:
        say(str(failed))
        sys.exit(0 if is_launched_by_lightning() else 1)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        if error.errno in DISK_IS_FULL:
            fail(f"{error.strerror}{where}; free some space and resume with --resume auto", 1)
        if error.errno not in ABOUT_A_PATH or not error.filename:
            raise
        fail(refused_path(error), 1 if GanLightningCLI.is_training else USER_ERROR)
    finally:
        unlock_all()
        while _TRIALS:
            _TRIALS.pop().cleanup()
    with suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
    if cli is not None and cli.subcommand == "fit" and cli.preemption.stopped_by and not is_launched_by_lightning():
        sys.exit(STOPPED)
