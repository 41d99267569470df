"""LightningCLI with run folders, resuming, one-line errors, and configs that a checkpoint brings along."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
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
from gan_lightning.cli.command_line import last_value, renamed, typed_paths, with_checkpoint_config
from gan_lightning.cli.config_files import config_folder
from gan_lightning.cli.documents import Document, check_empty_keys, documents, left_out, options
from gan_lightning.cli.mistakes import ABOUT_A_PATH, refused_path, user_errors
from gan_lightning.cli.own_modules import searched
from gan_lightning.cli.parser import Parser
from gan_lightning.cli.saved_config import SaveConfig, classes_of, put_into
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
from gan_lightning.protocols import Shaped
from gan_lightning.runs.checkpoint_files import DISK_IS_FULL, CheckpointFiles, read_checkpoint
from gan_lightning.runs.folders import (
    Place,
    checkpoint_path,
    moved_run,
    new_run_folder,
    resume_from,
)
from gan_lightning.runs.home import with_home
from gan_lightning.runs.launch import agree, die_with_launcher, is_launched_by_lightning, rank
from gan_lightning.runs.locks import lock, unlock_all
from gan_lightning.runs.signals import STOPPED, end_at_once
from gan_lightning.shapes import Shape

_LOGGERS = "lightning.pytorch.loggers"  # named in base.yaml

_FOUR_DIGITS = ("precision_5", "ndcg_5", "js_1", "js_4", "l1", "cycle_error")
_TOLD_AT_THE_END = {"val/modes": ".0f", **{f"val/{name}": ".4f" for name in _FOUR_DIGITS}}
"""Beside all FIDs: metrics whose first and last values stand at the end of a run, and how."""


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
        parser.link_arguments("data", "model.init_args.classes", classes_of, apply_on="instantiate")
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
        _refuse_idle_options(plain)
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
            put_into(folder, config.trainer)
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
        typed = last_value(Parser.words, "init_from") is not None
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
            start_from(self.model, self._start, self.datamodule)
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
            "sample grid": max(
                (folder / "samples").glob("*.*"), key=lambda path: (len(path.stem), path), default=folder / "samples"
            ),
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


def _refuse_idle_options(config: dict[str, Any]) -> None:
    """Raise a UserError if an option is typed of a part that a config turns off."""
    for option, _ in options(list(Parser.words)):
        part, _, name = option.removeprefix("--").partition(".")
        is_off = part in PARTS and config[part].get("enabled") is False
        if is_off and name != "enabled" and last_value(Parser.words, f"{part}.enabled") is None:
            raise UserError(f"{option} has no effect, as {part}.enabled is false; give --{part}.enabled true too")


def _shape_of(data: Any) -> Shape:
    if not isinstance(data, Shaped):
        raise UserError(
            f"{type(data).__name__} does not declare the shape of its samples: a stock LightningDataModule gives no rounds; "
            "subclass gan_lightning.data.RealData, or train from Python on gan_lightning.data.data_of(loader)"
        )
    return data.shape


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
            words = with_files(renamed([arg for arg in args if not (trust and arg == "--trust")]))
            files = documents(words)
            given = with_checkpoint_config(words)
            own = {str(Path(one.file).expanduser().parent) for one in files if Path(one.file).expanduser().is_file()}
            with ExitStack() as found, known_classes_only(trust or given == words, [*typed_paths(words), _LOGGERS]):
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
