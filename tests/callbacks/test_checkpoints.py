"""The schedule of checkpoints, which one is the best, and what a run is told that resumes under other circumstances."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path

import pytest
from lightning.pytorch import Callback

from gan_lightning.callbacks import Checkpoints, Fidelity, Upscaling
from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.errors import UserError
from gan_lightning.families import NonSaturatingGAN
from gan_lightning.metrics import Digits, ExtractorUnavailable
from gan_lightning.runs.checkpoint_files import read_checkpoint
from tests.cases import GREY, Case
from tests.training import assert_same, command, fit, networks, train, trainer

RANDOM = {"class_path": "RandomImages", "init_args": {"image_size": 8, "channels": 1, "n": 24, "batch_size": 4}}
CONFIG = {"name": "a", "data": RANDOM, "model": {"class_path": "NonSaturatingGAN", "init_args": networks()}}


def test_last_is_saved_by_updates_and_by_minutes(tmp_path, monkeypatch):
    watch, saved = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: watch[0])

    class Keeper(Checkpoints):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            watch[0] += 25.0  # seconds that an update takes

        def save(self, trainer, name):
            saved.append(trainer.global_step)
            super().save(trainer, name)

    options = {"callbacks": [Keeper(every_n_updates=5, every_n_minutes=1.0)], "enable_checkpointing": True}
    train(Case(NonSaturatingGAN).game(), GREY(), tmp_path, 9, **options)
    # 75 s are over after update 3, update 5 is due, 75 s more after update 8; 9 is the last, and the end
    assert saved == [3, 5, 8, 9, 9]
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["clock"]["updates_done"] == 9


@pytest.mark.parametrize(("seconds", "saved"), [(9.0, [7]), (11.0, [2, 4, 6, 7])])
def test_before_a_long_evaluation_the_state_is_saved(seconds, saved, tmp_path, monkeypatch):
    watch, found = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: watch[0])

    class Slow(Callback):
        def on_validation_epoch_end(self, trainer, pl_module):
            watch[0] += seconds
            last = Path(tmp_path / "checkpoints" / "last.ckpt")
            found.append(read_checkpoint(last)["clock"]["updates_done"] if last.is_file() else 0)

    class Keeper(Checkpoints):
        def save(self, trainer, name):
            done.append(trainer.global_step)
            super().save(trainer, name)

    done: list[int] = []
    options = {"callbacks": [Slow(), Keeper(every_n_updates=0)], "enable_checkpointing": True, "limit_val_batches": 1}
    options |= {"val_check_interval": 2, "check_val_every_n_epoch": None, "num_sanity_val_steps": 1}
    train(Case(NonSaturatingGAN).game(), GREY(), tmp_path, 7, **options)
    assert sorted(set(done)) == saved
    assert found[0] == 0 and found[1:] == ([2, 4, 6, 7] if seconds > 10 else [0, 0, 0, 7])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    assert fit(folder, CONFIG).code == 0
    return folder


def resumed(run, tmp_path, config=CONFIG, *words):
    """Continue a copy of the run, so that each test finds it as it was."""
    shutil.copytree(run / "a", tmp_path / "a")
    return fit(tmp_path, config, "--resume", "auto", *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data.batch_size=8"], "batch_size was 4 and is 8 now: the data continue at the same number of batches"),
        (["--seed_everything=3"], "seed was 0 and is 3 now: sample order and noise are those of another run"),
        (["--trainer.precision=64-true"], "precision was 32-true and is 64-true now: results are rounded otherwise"),
        (["--model.n_critic=2"], "resuming with other settings than the checkpoint's: model.n_critic 1 -> 2"),
    ],
    ids=["batch", "seed", "precision", "setting"],
)
def test_what_is_not_as_it_was_is_told(words, told, run, tmp_path):
    outcome = resumed(run, tmp_path, CONFIG, "--trainer.max_steps=7", *words)
    assert outcome.code == 0, outcome.err
    assert told in outcome.err + outcome.out
    assert read_checkpoint(tmp_path / "a" / "checkpoints" / "last.ckpt")["clock"]["updates_done"] == 7


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--model.generator.init_args.width=32", "--trainer.max_steps=9"], 2),
        (["--checkpoints.monitor=val/foo", "--trainer.max_steps=9"], 2),
        (["--model.critic_optimizer.init_args.lr=0.5", "--trainer.max_steps=2"], 0),
    ],
)
def test_a_resume_that_makes_no_update_leaves_the_config_as_it_was(words, code, run, tmp_path):
    shutil.copytree(run / "a", tmp_path / "a")
    before = (tmp_path / "a" / "config.yaml").read_text()
    done = command("fit", "--resume", tmp_path / "a", *words)
    assert done.code == code and ("nothing to do" in done.err) == (code == 0), done.err
    assert (tmp_path / "a" / "config.yaml").read_text() == before
    assert not (tmp_path / "a" / "config.1.yaml").exists()


def test_a_finished_run_has_nothing_to_do(run, tmp_path):
    outcome = resumed(run, tmp_path)
    assert outcome.code == 0
    assert (
        "nothing to do: the run made 6 of 6 updates; raise trainer.max_steps to continue" in outcome.err + outcome.out
    )
    kept, was = (read_checkpoint(folder / "a" / "checkpoints" / "last.ckpt") for folder in (tmp_path, run))
    assert kept["clock"] == was["clock"]
    assert_same(kept["state_dict"], was["state_dict"])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**CONFIG, "model": {"class_path": "WGANGP", "init_args": networks()}}, "is a run of model"),
        ({**CONFIG, "data": {"class_path": "Ring", "init_args": {"batch_size": 4}}}, "is a run of data"),
    ],
    ids=["family", "data"],
)
def test_another_experiment_is_refused(config, message, run, tmp_path):
    outcome = resumed(run, tmp_path, config)
    assert outcome.code == 2
    (line,) = outcome.err.strip().splitlines()
    assert message in line and "give another --name" in line


class Numbers(Measuring):
    """Measures a number of a given series at each validation."""

    option = "numbers"

    def __init__(self, name, series, n_samples=1):
        super().__init__(n_samples, 0, enabled=True)
        self.name, self.series = name, iter(series)

    def names(self, trainer):
        return [self.name] if self.name else []

    def applies(self, trainer, game):
        return not trainer.sanity_checking

    def measure(self, trainer, game):
        return Measurement({self.name.removeprefix("val/"): next(self.series)}, {}, ())


def best_update(folder, name, series, keeper, ckpt=None, updates=4, n_samples=1):
    """Return after which of four updates, one validation each, `best` was saved last; None if never."""
    options = {"limit_val_batches": 1.0, "val_check_interval": 1, "check_val_every_n_epoch": None}
    options["enable_checkpointing"] = True
    callbacks = [Numbers(name, series, n_samples), keeper]
    train(Case(NonSaturatingGAN).game(), GREY(), folder, updates, ckpt, callbacks=callbacks, **options)
    path = folder / "checkpoints" / "best.ckpt"
    return read_checkpoint(path)["clock"]["updates_done"] if path.is_file() else None


@pytest.mark.parametrize(
    ("name", "mode", "best"),
    [
        ("val/fid", None, 2),
        ("val/kid_mean_digits", None, 2),
        ("val/reverse_kl", None, 2),
        ("val/isc_mean", None, 3),
        ("val/isc_mean_digits", None, 3),
        ("val/precision", None, 3),
        ("val/recall_raw", None, 3),
        ("val/recall_inception", None, 3),
        ("val/modes", None, 3),
        ("val/high_quality", None, 3),
        ("val/mine", "max", 3),
        ("val/mine", "min", 2),
    ],
)
def test_the_best_is_the_least_or_the_greatest_as_the_metric_is(name, mode, best, tmp_path):
    assert best_update(tmp_path, name, [2.0, 1.0, 3.0, 2.0], Checkpoints(0, 0, name, mode)) == best


@pytest.mark.parametrize("name", ["val/fid", "val/isc_mean"])
def test_a_number_that_is_not_finite_is_never_the_best(name, tmp_path):
    nan, inf = math.nan, math.inf
    assert best_update(tmp_path / "a", name, [nan, 2.0, nan, -inf], Checkpoints(0, 0, name)) == 2
    assert best_update(tmp_path / "b", name, [nan, inf, -inf, nan], Checkpoints(0, 0, name)) is None


@pytest.mark.parametrize(("n_samples", "monitor", "best"), [(1, None, 2), (5, None, 4), (1, "val/fid_raw", 4)])
def test_numbers_measured_otherwise_do_not_compare(n_samples, monitor, best, tmp_path, capsys):
    assert best_update(tmp_path, "val/fid", [3.0, 1.0], Checkpoints(0, 0), updates=2) == 2
    ckpt = tmp_path / "checkpoints" / "last.ckpt"
    keeper, name = Checkpoints(0, 0, monitor), monitor or "val/fid"
    assert best_update(tmp_path, name, [5.0, 4.0], keeper, ckpt, n_samples=n_samples) == best
    said = capsys.readouterr().err
    changed = "numbers.n_samples was 1 and is 5 now: numbers do not compare with those before"
    assert (changed in said) == (n_samples == 5)
    if best == 4:
        assert read_checkpoint(tmp_path / "checkpoints" / "best.1.ckpt")["clock"]["updates_done"] == 2
        assert said.count("checkpoints/best.ckpt was the best by another measure: it is best.1.ckpt now") == 1
    assert len(list(ckpt.parent.iterdir())) == (3 if best == 4 else 2)


def test_numbers_of_other_settings_are_not_told_together():
    one = Numbers("val/fid", [])
    one.history = [(0, {"val/fid": 3.0}), (2, {"val/fid": 1.0})]
    same, other = Numbers("val/fid", []), Numbers("val/fid", [], n_samples=5)
    for callback in (same, other):
        callback.load_state_dict(one.state_dict())
        callback.history.append((4, {"val/fid": 2.0}))
    assert same.comparable == same.history and len(same.history) == 3
    assert other.comparable == [(4, {"val/fid": 2.0})]
    again = Numbers("val/fid", [], n_samples=5)
    again.load_state_dict(other.state_dict())
    assert again.comparable == other.comparable and again.history == other.history


def test_a_best_by_another_metric_is_forgotten():
    one, other = Checkpoints(monitor="val/fid"), Checkpoints(monitor="val/isc_mean")
    one.best = 3.0
    for keeper, best in ((other, None), (Checkpoints(monitor="val/fid"), 3.0)):
        keeper.load_state_dict(one.state_dict())
        assert keeper.best == best
    other.load_state_dict({"best": math.nan})
    assert other.best is None


@pytest.mark.parametrize(
    ("monitor", "fidelity", "message"),
    [
        ("val/isc_mena_digits", {}, r"did you mean val/isc_mean_digits\?"),
        ("val/fid", {}, r"did you mean val/fid_digits\?\): measured are val/fid_digits, val/isc_mean_digits"),
        ("val/isc_std_digits", {}, "set checkpoints.mode to min or max"),
        ("val/fid_digits", {"enabled": False}, "this run measures nothing"),
    ],
)
def test_a_monitor_that_nothing_measures_is_refused_before_training(monitor, fidelity, message, tmp_path):
    callbacks = [Fidelity(Digits(), 64, **fidelity), Checkpoints(monitor=monitor)]
    with pytest.raises(UserError, match=message):
        train(Case(NonSaturatingGAN).game(), GREY(), tmp_path, 1, callbacks=callbacks, enable_checkpointing=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"patience": 1},
            r"checkpoints.patience has no Fréchet distance to watch: measured are val/psnr.*give checkpoints.mon",
        ),
        ({"stop_on_alarm": True}, "checkpoints.stop_on_alarm has no Fréchet distance to watch: .*; leave it out"),
        (
            {"monitor": "val/mine", "mode": "max", "patience": 1},
            "patience watches evaluations, and trainer.limit_val_batches 0",
        ),
        ({"monitor": "val/psnr"}, "val/psnr is not a number whose best is known.*this run measures nothing"),
    ],
)
def test_what_has_nothing_to_watch_is_refused_before_training(options, message, tmp_path):
    measuring = Numbers("val/psnr", []) if "psnr" not in options.get("monitor", "") else Upscaling()
    callbacks = [measuring, Checkpoints(**options)]
    with pytest.raises(UserError, match=message):
        train(Case(NonSaturatingGAN).game(), GREY(), tmp_path, 1, callbacks=callbacks, enable_checkpointing=True)


def test_a_mistyped_number_of_ones_own_is_refused_at_the_first_validation(tmp_path):
    keeper = Checkpoints(0, 0, "val/mien", "max")
    with pytest.raises(UserError, match=r"checkpoints.monitor val/mien was not logged \(did you mean val/mine\?\)"):
        best_update(tmp_path, "val/mine", [1.0], keeper)
    with pytest.raises(UserError, match="give monitor too"):
        Checkpoints(mode="max")
    with pytest.raises(UserError, match="min, max or null, got most"):
        Checkpoints(monitor="val/mine", mode="most")


def test_a_monitor_goes_on_without_its_extractor(tmp_path, monkeypatch):
    """No weights on this machine: training continues without the number, as it does without a monitor."""

    def missing(self, device=None):
        raise ExtractorUnavailable("no weights")

    monkeypatch.setattr(Digits, "load", missing)
    callbacks = [Fidelity(Digits(), 64), Checkpoints(0, 0, "val/fid_digits")]
    options = {"limit_val_batches": 1.0, "val_check_interval": 1, "check_val_every_n_epoch": None}
    options["enable_checkpointing"] = True
    train(Case(NonSaturatingGAN).game(), GREY(), tmp_path, 1, callbacks=callbacks, **options)
    assert not (tmp_path / "checkpoints" / "best.ckpt").exists()


def test_patience_stops_after_so_many_evaluations_without_a_new_best(tmp_path, capsys):
    series = [3.0, 2.0, 2.5, math.nan, 1.0]
    options = {"limit_val_batches": 1.0, "val_check_interval": 1, "check_val_every_n_epoch": None}
    keeper, game = Checkpoints(0, 0, patience=2), Case(NonSaturatingGAN).game()
    fitter = trainer(tmp_path, 9, [Numbers("val/fid", series), keeper], enable_checkpointing=True, **options)
    fitter.fit(game, datamodule=GREY())
    assert game.updates_done == 4
    said = capsys.readouterr().err
    assert (
        "stopping at update 4: 2 evaluations without a better val/fid; the best is 2, in checkpoints/best.ckpt" in said
    )
    again = Checkpoints(0, 0, patience=3)
    again.load_state_dict(keeper.state_dict())
    assert again._since_best == 2
    old = {"best": 2.0, "by": [None, None]}  # as 0.1.0 wrote it
    again.load_state_dict(old)
    assert (again.best, again._since_best) == (2.0, 0)


@pytest.mark.parametrize(("stops", "done"), [(False, 5), (True, 3)])
def test_a_distance_far_above_its_best_is_said_once(stops, done, tmp_path, capsys):
    series = [5.0, 2.0, 6.5, 9.0, 1.0]
    options = {"limit_val_batches": 1.0, "val_check_interval": 1, "check_val_every_n_epoch": None}
    keeper, game = Checkpoints(0, 0, stop_on_alarm=stops), Case(NonSaturatingGAN).game()
    fitter = trainer(tmp_path, 5, [Numbers("val/fid_digits", series), keeper], enable_checkpointing=True, **options)
    fitter.fit(game, datamodule=GREY())
    said = capsys.readouterr().err
    assert said.count("val/fid_digits is 6.5 at update 3, more than 3 times its best, 2") == 1 and "is 9 at" not in said
    assert game.updates_done == done
    assert read_checkpoint(tmp_path / "checkpoints" / "best.ckpt")["clock"]["updates_done"] == (2 if stops else 5)


@pytest.mark.parametrize(
    ("options", "message"), [({"patience": 0}, "patience must be"), ({"alarm": 1}, "alarm must be")]
)
def test_patience_and_alarm_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Checkpoints(**options)
