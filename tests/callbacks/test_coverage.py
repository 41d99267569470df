from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gan_lightning.callbacks import Coverage, coverage
from gan_lightning.data import RandomImages, Ring, StackedDigits
from gan_lightning.data.base import scale
from gan_lightning.families import ALI, NonSaturatingGAN
from gan_lightning.metrics import Raw
from tests.cases import Case
from tests.training import Recorder, trainer


class Sampler:
    """Draws from the modes of a ring that it is told, chunk by chunk as a game does."""

    def __init__(self, ring: Ring, modes: list[int]) -> None:
        self.ring, self.modes = ring, torch.tensor(modes)
        self.updates_done, self.samples_seen, self.n_classes, self.ema_decay = 7, 0, 0, 0.0
        self.shape = ring.shape
        self.logged: dict[str, float] = {}

    def sample_chunks(self, chunks, seed=0):
        for chunk in chunks:
            random = torch.Generator().manual_seed(1000 * seed + chunk)
            modes = self.modes[torch.randint(len(self.modes), (64,), generator=random)]
            yield self.ring.centres[modes] + self.ring.std * torch.randn(64, 2, generator=random)

    def sample(self, n, labels=None, seed=0):
        raise AssertionError("whole samples are not drawn")

    sample_latents = sample

    def log_dict(self, values, **_):
        self.logged = values


def fake_trainer(data: Any, folder: Any, rank: int = 0, world_size: int = 1) -> Any:
    return SimpleNamespace(
        datamodule=data,
        global_rank=rank,
        world_size=world_size,
        is_global_zero=rank == 0,
        sanity_checking=False,
        default_root_dir=folder,
        precision="32-true",
        state=SimpleNamespace(fn="fit"),
        loggers=[],
    )


def test_a_perfect_sampler_and_a_collapsed_one(tmp_path):
    ring = Ring()
    for modes, reverse_kl in ((list(range(8)), 7 / 5000), ([0, 3], math.log(4))):
        game, callback = Sampler(ring, modes), Coverage()
        callback.on_validation_epoch_end(fake_trainer(ring, tmp_path), game)  # type: ignore[arg-type]
        assert game.logged["val/modes"] == len(modes)
        assert abs(game.logged["val/high_quality"] - (1 - math.exp(-4.5))) < 0.01
        assert abs(game.logged["val/reverse_kl"] - reverse_kl) < 0.005
        assert callback.history == [(7, game.logged)]
    card = json.loads((tmp_path / "evaluation" / "coverage-000007.json").read_text())
    assert card["modes"] == 2 and card["n_modes"] == 8 and card["n_generated"] == 2500 and card["update"] == 7


def test_ranks_share_the_same_samples(tmp_path, monkeypatch):
    """Each rank draws its chunks only; together they are what one process draws."""
    parts: list[tuple[int, torch.Tensor]] = []

    def gather(local):
        parts.extend(local)
        return torch.cat([rows for _, rows in local])

    monkeypatch.setattr(coverage, "gather_rows", gather)
    ring = Ring()
    for world_size in (1, 3):
        parts.clear()
        for rank in range(world_size):
            Coverage(n_samples=500)._evaluate(fake_trainer(ring, tmp_path, rank, world_size), Sampler(ring, [1, 2]))
        together = torch.cat([rows for _, rows in sorted(parts, key=lambda part: part[0])])
        assert [index for index, _ in sorted(parts, key=lambda part: part[0])] == list(range(8))
        assert len(together) == 500
        if world_size == 1:
            alone = together
    assert torch.equal(together, alone)


def test_samples_of_no_quality_have_no_divergence(tmp_path):
    ring = Ring()
    far = Sampler(ring, [0])
    far.ring = Ring(radius=50.0)
    Coverage(n_samples=64)._evaluate(fake_trainer(ring, tmp_path), far)
    assert far.logged == {"val/modes": 0.0, "val/high_quality": 0.0}
    json.loads((tmp_path / "evaluation" / "coverage-000007.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("family", [NonSaturatingGAN, ALI])
def test_it_measures_before_and_while_training_vectors_and_leaves_images_alone(family, tmp_path):
    for data, measured in ((Ring(n=48, batch_size=4), True), (RandomImages(8, 1, n=48, batch_size=4), False)):
        case = Case(family, data=lambda data=data, **_: data)
        recorder, callback = Recorder(), Coverage(n_samples=70)
        options = {"limit_val_batches": 1.0, "num_sanity_val_steps": 1, "val_check_interval": 2}
        folder = tmp_path / str(measured)
        fitter = trainer(folder, 4, [callback], logger=recorder, check_val_every_n_epoch=None, **options)
        fitter.fit(case.game(), datamodule=data)
        assert [update for update, _ in callback.history] == ([0, 2, 4] if measured else [])
        assert len(recorder.column("val/modes")) == 3 * measured
        assert (folder / "evaluation").exists() == measured
        again = Coverage()
        again.load_state_dict(callback.state_dict())
        assert again.history == callback.history


class Stacker(Sampler):
    """Draws real triples, of the rows that it is told."""

    device = torch.device("cpu")

    def __init__(self, data: StackedDigits, rows: torch.Tensor) -> None:
        self.images = scale(data.reference("train").images[rows], torch.float32)
        self.updates_done, self.samples_seen, self.n_classes, self.ema_decay = 7, 0, 0, 0.0
        self.shape = data.shape
        self.logged: dict[str, float] = {}

    def sample_chunks(self, chunks, seed=0):
        for chunk in chunks:
            yield self.images[64 * chunk : 64 * chunk + 64]


def test_modes_of_real_triples_are_those_of_their_labels(tmp_path):
    """The shipped classifier is right on all scans that it was trained on."""
    data = StackedDigits(n=2000)
    labels = data.reference("train").labels
    assert labels is not None
    few = torch.arange(2000)[labels // 100 == 7][:100]
    for rows in (torch.arange(2000), few):
        game, callback = Stacker(data, rows), Coverage(n_samples=len(rows))
        callback._evaluate(fake_trainer(data, tmp_path), game)
        shares = labels[rows].bincount(minlength=1000) / len(rows)
        assert game.logged["val/modes"] == (shares > 0).sum()
        assert game.logged["val/reverse_kl"] == pytest.approx(torch.xlogy(shares, 1000 * shares).sum().item(), abs=1e-5)
        assert set(game.logged) == set(callback.names(fake_trainer(data, tmp_path)))
    card = json.loads((tmp_path / "evaluation" / "coverage-000007.json").read_text())
    assert card["n_modes"] == 1000 and card["classifier"] == "digits" and card["data"] == "StackedDigits"


def test_triples_that_are_not_finite_and_classifiers_that_do_not_fit(tmp_path):
    data = StackedDigits(n=64)
    game = Stacker(data, torch.arange(64))
    game.images[3, 1, 2, 2] = math.nan
    Coverage(n_samples=64)._evaluate(fake_trainer(data, tmp_path), game)
    assert all(math.isnan(value) for value in game.logged.values()) and len(game.logged) == 2
    with pytest.raises(ValueError, match="classifier raw has no classes; take Digits"):
        Coverage(classifier=Raw())
    data.channel_classes = 9
    with pytest.raises(ValueError, match="digits tells 10 classes apart, the channels of the data have 9"):
        Coverage(n_samples=64)._evaluate(fake_trainer(data, tmp_path), game)


class OwnStacked(RandomImages):
    channel_classes = 10


def test_own_stacked_images_are_measured_by_their_number_of_classes_alone():
    callback, data = Coverage(n_samples=4), OwnStacked(8, 3, n=8, batch_size=4)
    assert callback.names(fake_trainer(data, None)) == ["val/modes", "val/reverse_kl"]


def test_stacked_digits_are_measured_while_training(tmp_path):
    data = StackedDigits(n=48, batch_size=4)
    case, callback = Case(NonSaturatingGAN, data=lambda **_: data), Coverage(n_samples=70)
    options = {"limit_val_batches": 1.0, "num_sanity_val_steps": 1, "val_check_interval": 2}
    trainer(tmp_path, 4, [callback], check_val_every_n_epoch=None, **options).fit(case.game(), datamodule=data)
    assert [update for update, _ in callback.history] == [0, 2, 4]
    assert all(1 <= values["val/modes"] <= 70 for _, values in callback.history)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match=r"coverage.n_samples must be at least 1, got 0"):
        Coverage(n_samples=0)
    with pytest.raises(ValueError, match=r"coverage.n_std must be above 0, got 0"):
        Coverage(n_std=0)
