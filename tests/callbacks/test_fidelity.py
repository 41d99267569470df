"""What the fidelity callback asks the generator for, what it makes of it, and where its numbers and cards end up."""

from __future__ import annotations

import csv
import json
import math
import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.callbacks import Coverage, Fidelity
from gan_lightning.data import RandomImages, Ring
from gan_lightning.data.stream import RealSamples
from gan_lightning.errors import UserError
from gan_lightning.evaluation.measures import METRICS as ALL_METRICS
from gan_lightning.evaluation.moments import features_file, statistics_key
from gan_lightning.families import SNGAN
from gan_lightning.loggers import RunCSVLogger
from gan_lightning.metrics import Digits, ModuleExtractor, Raw
from tests.cases import GREY, LABELLED, VECTORS, Case, mlp
from tests.training import Recorder, command, fit, networks, trainer

METRICS: Any = ["fid", "isc", "kid", "prc"]


class Split(RandomImages):
    """Random images whose split is given."""

    def __init__(self, images, labels, n_classes=3):
        super().__init__(images.shape[-1], images.shape[1], n_classes)
        self.split = RealSamples(images, labels, "given")

    def load_split(self, split):
        return self.split


def images(n=48, channels=1):
    return torch.randint(0, 256, (n, channels, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def at(folder, data, fn="validate", rank=0, world_size=1, ckpt_path=None, loggers=()):
    return SimpleNamespace(
        datamodule=data,
        global_rank=rank,
        world_size=world_size,
        is_global_zero=rank == 0,
        sanity_checking=False,
        default_root_dir=folder,
        precision="32-true",
        state=SimpleNamespace(fn=fn),
        loggers=list(loggers),
        strategy=SimpleNamespace(broadcast=lambda value: value),
        ckpt_path=ckpt_path,
    )


def measured(callback, data, game, folder, **options):
    """Return the numbers of one evaluation and its card."""
    logged: dict[str, float] = {}
    game.log_dict = lambda values, **_: logged.update(values)
    callback._evaluate(at(folder, data, **options), game)
    cards = sorted((folder / "evaluation").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return logged, json.loads(cards[-1].read_text(), parse_constant=pytest.fail)


def asked(game):
    """Return the list that the labels of the generator's samples are appended to."""
    seen: list[torch.Tensor] = []
    game.generator_average.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1].clone()))
    return seen


def test_other_weights_under_one_name_are_other_settings(tmp_path):
    torch.save(torch.nn.Linear(16, 4).state_dict(), tmp_path / "a.pt")
    torch.save(torch.nn.Linear(16, 4).state_dict(), tmp_path / "b.pt")
    found = []
    for weights in ("a.pt", "b.pt", "a.pt"):
        module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4))
        state = {f"1.{key}": value for key, value in torch.load(tmp_path / weights, weights_only=True).items()}
        torch.save(state, tmp_path / "mine.pt")
        fidelity = Fidelity(ModuleExtractor(module, "mine", weights_path=str(tmp_path / "mine.pt")), 8)
        assert fidelity.settings()["extractors"] == ["mine"]
        fidelity.extractors[0].load()
        found.append(fidelity.settings()["extractors"])
    assert found[0] == found[2] != found[1]
    with pytest.raises(UserError, match="must not be that of another extractor, got 'digits'"):
        ModuleExtractor(module, "digits")


@pytest.mark.parametrize(
    ("labels", "expected", "stated"),
    [
        ("data", [40, 25, 5], "as frequent as in the eval split"),
        ("uniform", [24, 23, 23], "all classes in turn"),
    ],
)
def test_labels_are_as_frequent_as_in_the_data(labels, expected, stated, tmp_path):
    data = Split(images(56), torch.tensor([0] * 32 + [1] * 20 + [2] * 4))
    game = Case(SNGAN, data=LABELLED, **mlp(3)).game()
    seen = asked(game)
    _, card = measured(Fidelity(Digits(), 70, METRICS, labels=labels), data, game, tmp_path)
    drawn = torch.cat(seen)[:70]
    assert drawn.bincount(minlength=3).tolist() == expected
    assert drawn[:64].unique().tolist() == [0, 1, 2]
    assert card["labels"] == stated


def test_equally_frequent_classes_come_in_turn_and_chunks_do_not_depend_on_the_rank(tmp_path):
    game = Case(SNGAN, data=LABELLED, **mlp(3)).game()
    seen = asked(game)
    equal = Split(images(48), torch.arange(48) % 3)
    measured(Fidelity(Digits(), 130), equal, game, tmp_path)
    assert torch.equal(torch.cat(seen)[:130], torch.arange(130) % 3)

    data, whole = Split(images(40), torch.arange(40).clamp(max=2)), []
    for world_size in (1, 2):
        parts = {}
        for rank in range(world_size):
            seen.clear()
            callback = Fidelity(Digits(), 130, ["fid"])
            callback._real = callback._measure_real(at(tmp_path, data), "eval", False)
            measured(callback, data, game, tmp_path, rank=rank, world_size=world_size)
            parts |= dict(zip(range(rank, 3, world_size), seen, strict=True))
        whole.append(torch.cat([parts[chunk] for chunk in range(3)])[:130])
    assert torch.equal(*whole)


def test_fewer_samples_than_classes_is_said(tmp_path, capsys):
    game = Case(SNGAN, data=LABELLED, **mlp(3)).game()
    Fidelity(Digits(), 2, ["fid"]).setup(None, game, "fit")  # type: ignore[arg-type]
    assert "fidelity.n_samples 2 is below the 3 classes" in capsys.readouterr().err
    with pytest.raises(ValueError, match="labels must be data or uniform, got equal"):
        Fidelity(labels="equal")  # type: ignore[arg-type]


def test_precision_and_recall_carry_the_name_of_inception_too():
    """torch-fidelity's own default for them is VGG16; `val/fid` is Inception's, as published."""
    measured = Fidelity(metrics=["fid", "kid", "isc", "prc"])
    assert measured.names(None) == [
        "val/fid", "val/kid_mean", "val/kid_std", "val/isc_mean", "val/isc_std", "val/precision_inception", "val/recall_inception"
    ]  # fmt: skip


def test_the_card_has_both_precisions_and_keys_carry_the_extractor(tmp_path):
    game = Case(SNGAN).game()
    values, card = measured(Fidelity(Digits(), 64, METRICS), GREY(), game, tmp_path)
    assert {"val/precision_digits", "val/recall_digits"} <= set(values)
    assert card["precision"] == values["val/precision_digits"] and card["trainer_precision"] == "32-true"


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_samples_that_are_not_finite_give_nan_in_every_metric(broken, tmp_path):
    game = Case(SNGAN).game()
    draw = game.sample_chunks

    def one_is_broken(chunks, **options):
        for chunk, samples in zip(chunks, draw(chunks, **options), strict=True):
            if chunk == 1:
                samples[3, 0, 2, 2] = broken
            yield samples

    game.sample_chunks = one_is_broken
    values, card = measured(Fidelity(Digits(), 128, METRICS), GREY(), game, tmp_path)
    assert len(values) == 7 and all(math.isnan(value) for value in values.values()), values
    assert card["fid"] is None

    ring, found = Case(SNGAN, data=VECTORS).game(), {}
    points = torch.zeros(64, 2)
    points[3, 1] = broken
    ring.sample_chunks = lambda chunks, **_: (points for _ in chunks)
    ring.log_dict = lambda values, **_: found.update(values)
    Coverage(128)._evaluate(at(tmp_path, Ring(n_modes=4, n=48)), ring)
    assert set(found) == {"val/modes", "val/high_quality", "val/reverse_kl"}
    assert all(math.isnan(value) for value in found.values())


def test_floating_samples_are_compared_with_floating_samples(tmp_path):
    """The generator's own samples as the reference: the distance is 0 only if both sides are prepared alike."""
    game = Case(SNGAN, data=lambda **_: RandomImages(8, 4)).game()
    data = Split(game.sample(128), None, 0)
    values, _ = measured(Fidelity(Raw(), 128), data, game, tmp_path)
    assert_close(values["val/fid_raw"], 0.0, atol=1e-4, rtol=0)


def test_an_extractor_of_8_bit_images_refuses_floating_ones(tmp_path):
    game = Case(SNGAN).game()
    with pytest.raises(ValueError, match="samples must be uint8 images"):
        measured(Fidelity(Digits(), 64), Split(game.sample(64), None, 0), game, tmp_path)


def test_cards_of_measured_files_do_not_replace_each_other(tmp_path):
    game = Case(SNGAN).game()
    for folder, content in (("a", b"1"), ("b", b"2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "last.ckpt").write_bytes(content)
    variants = [("a", 64, "eval"), ("b", 64, "eval"), ("a", 65, "eval"), ("a", 64, "train")]
    for folder, n, split in variants:
        path = str(tmp_path / folder / "last.ckpt")
        measured(Fidelity(Digits(), n, split=split), GREY(), game, tmp_path, ckpt_path=path)  # type: ignore[arg-type]
    cards = [json.loads(path.read_text()) for path in (tmp_path / "evaluation").glob("*.json")]
    assert len(cards) == len(variants)
    assert {card["checkpoint"] for card in cards} == {"last.ckpt"}
    assert len({card["checkpoint_sha256"] for card in cards}) == 2


def test_numbers_are_logged_at_the_updates_done(tmp_path):
    recorder, callbacks = Recorder(), [Fidelity(Digits(), 64), Coverage(64)]
    options = {"limit_val_batches": 1.0, "num_sanity_val_steps": 1, "val_check_interval": 2}
    fitter = trainer(tmp_path, 5, callbacks, logger=recorder, check_val_every_n_epoch=None, **options)
    fitter.fit(Case(SNGAN, n_critic=1).game(), datamodule=GREY())
    assert [step for step, row in recorder.rows if "val/fid_digits" in row] == [0, 2, 4, 5]
    assert not any("step" in row for _, row in recorder.rows)
    assert "val/fid_digits" in fitter.callback_metrics
    assert callbacks[0].history[-1][0] == 5
    seconds, shares = recorder.column("perf/fidelity_seconds"), recorder.column("perf/fidelity_share")
    assert len(seconds) == len(shares) == 4 and all(0 < share < 1 for share in shares) and min(seconds) > 0
    assert "perf/coverage_share" not in recorder.rows[0][1]  # grey images have no modes


CONFIG = {
    "name": "a",
    "data": {"class_path": "RandomImages", "init_args": {"image_size": 8, "channels": 1, "n": 24, "batch_size": 4}},
    "model": {"class_path": "NonSaturatingGAN", "init_args": networks()},
    "fidelity": {"extractor": "gan_lightning.metrics.Digits", "n_samples": 64},
    "trainer": {
        "accelerator": "cpu",
        "max_steps": 6,
        "max_epochs": -1,
        "val_check_interval": 3,
        "check_val_every_n_epoch": None,
        "num_sanity_val_steps": 1,
        "log_every_n_steps": 1,
        "logger": [{"class_path": "gan_lightning.loggers.RunCSVLogger"}],
    },
}


def test_a_resumed_run_keeps_the_row_of_each_validation_once(tmp_path):
    for words in ((), ("--resume", "auto", "--trainer.max_steps=9")):
        assert fit(tmp_path, CONFIG, *words).code == 0
    with (tmp_path / "a" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["val/fid_digits"]] == [0, 3, 6, 9]
    assert [int(row["step"]) for row in rows if row["loss/critic"]] == list(range(9))


@pytest.mark.parametrize(
    ("first", "kept"),
    [
        ((3, {"loss/critic": 0.0}), [(0, "v"), (1, "l"), (3, "v")]),  # saved and validated at 3, lost after that
        ((3, {"val/fid": 0.0}), [(0, "v"), (1, "l")]),  # saved before 3, validated anew
        ((2, {"loss/critic": 0.0}), [(0, "v"), (1, "l")]),
    ],
)
def test_rows_of_lost_updates_go_and_the_validation_before_them_stays(first, kept, tmp_path):
    old = RunCSVLogger(str(tmp_path))
    for step, key in ((0, "val/fid"), (1, "loss/critic"), (3, "val/fid"), (3, "loss/critic"), (5, "val/fid")):
        old.log_metrics({key: 1.0}, step)
    old.finalize("")
    new = RunCSVLogger(str(tmp_path))
    new.log_metrics(first[1], first[0])
    new.finalize("")
    with (tmp_path / "metrics.csv").open() as file:
        *rows, last = list(csv.DictReader(file))
    assert [(int(row["step"]), "v" if row["val/fid"] else "l") for row in rows] == kept
    assert int(last["step"]) == first[0]


def test_validate_prints_the_numbers(tmp_path):
    assert fit(tmp_path, CONFIG).code == 0
    done = command("validate", "--ckpt_path", tmp_path / "a" / "checkpoints" / "best.ckpt")
    assert done.code == 0, done.err
    assert "val/fid_digits" in done.out


# --- all metrics, several extractors and seeds ---

ALL: Any = list(ALL_METRICS)


def test_every_metric_in_one_pass_over_the_samples(tmp_path):
    data = GreyWithEval(n_classes=3)
    game = Case(SNGAN, data=LABELLED, **mlp(3)).game()
    seen = asked(game)
    flat = ModuleExtractor(torch.nn.Flatten(), "flat")
    callback = Fidelity(None, 70, ALL, extractors=[Digits(), flat], n_seeds=2)
    values, card = measured(callback, data, game, tmp_path)
    paths = 2 * 2 * 2 * 70  # of ppl: two ends, for each seed and extractor
    assert sum(map(len, seen)) == 2 * 128 + paths  # two seeds of two chunks, once for both extractors
    assert set(values) == set(callback.names(None))
    assert all(math.isfinite(value) for value in values.values()), values
    assert {"val/class_fid_digits", "val/authpct_flat", "val/spread_fid_digits"} <= set(values)
    assert "val/isc_mean_digits" in values and "val/isc_mean_flat" not in values
    assert card["schema"] == 1 and card["seeds"] == [0, 1] and set(card["fid_of_classes"]) <= {"0", "1", "2"}
    one, other = (
        measured(Fidelity(Digits(), 70, ["fid"], seed=seed), data, game, tmp_path)[0]["val/fid_digits"]
        for seed in (0, 1)
    )
    assert_close(values["val/fid_digits"], (one + other) / 2)
    assert_close(values["val/spread_fid_digits"], abs(one - other) / math.sqrt(2))


class GreyWithEval(RandomImages):
    """Random images with a held-out split of their own."""

    def __init__(self, n_classes):
        super().__init__(8, 1, n_classes)
        self.parts = {name: images(n)[: n - 2] for name, n in (("train", 60), ("eval", 50))}

    def load_split(self, split):
        parts = self.parts[split]
        return RealSamples(parts, torch.arange(len(parts)) % 3, split)


def test_features_of_the_real_side_are_kept_and_damaged_ones_made_anew(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data, game = GreyWithEval(3), Case(SNGAN, data=LABELLED, **mlp(3)).game()
    found = []
    for _ in range(3):
        found.append(measured(Fidelity(Digits(), 64, ["fid", "prc"]), data, game, tmp_path)[0])
        lines = capsys.readouterr().err
        assert ("features of 48 real samples" in lines) == (len(found) != 2), lines
        if len(found) == 2:
            kept = features_file(statistics_key(data.reference("eval").fingerprint, 48, Digits()))
            kept.write_bytes(kept.read_bytes()[:-100])
    assert found[0] == found[1] == found[2]
    told = command("cache", "--list").out
    assert re.search(r"MB  features/\w+.pt  eval by digits$", told, re.MULTILINE), told
    assert re.search(r"MB  moments/\w+.pt  eval by digits$", told, re.MULTILINE), told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 5}, "n_samples 5 is below isc_splits 10"),
        ({"n_samples": 3, "metrics": ["prc"]}, "prc needs at least 4"),
        ({"metrics": ["class_fid"]}, "class_fid is of classes, and this generator has none"),
        ({"metrics": ["fidd"]}, r"no metric fidd \(did you mean fid\?\)"),
        ({"extractor": Digits(), "extractors": [Raw()]}, "both name networks"),
        ({"extractors": [Raw(), Raw()]}, "two whose numbers would have one name"),
        ({"n_seeds": 0}, "n_seeds must be at least 1"),
    ],
)
def test_what_cannot_be_measured_is_one_line_before_training(options, message):
    game = Case(SNGAN).game()
    with pytest.raises(UserError, match=message):
        Fidelity(**{"extractor": None if "extractors" in options else Digits(), **options}).setup(None, game, "fit")


def test_memorization_needs_held_out_samples(tmp_path):
    with pytest.raises(UserError, match="memorization compares with held-out samples"):
        measured(Fidelity(Digits(), 64, ["memorization"]), Split(images(48), None, 0), Case(SNGAN).game(), tmp_path)


def test_extractors_and_seeds_from_a_config(tmp_path):
    flat = {"class_path": "ModuleExtractor", "init_args": {"module": "torch.nn.Flatten", "name": "flat"}}
    config = {
        **CONFIG,
        "fidelity": {"extractors": ["Digits", flat], "n_samples": 64, "metrics": ["fid", "dc", "vendi"]},
    }
    done = fit(tmp_path, config)
    assert done.code == 0, done.err
    cards = sorted(path.name for path in (tmp_path / "a" / "evaluation").glob("*.json"))
    assert cards == [f"{name}{update:06d}.json" for name in ("", "flat-") for update in (0, 3, 6)]
    few = fit(tmp_path, {**CONFIG, "name": "few", "fidelity": {"extractor": "Digits", "n_samples": 5}})
    assert few.code == 2 and "n_samples 5 is below isc_splits 10" in few.err and few.err.count("\n") == 1
