from __future__ import annotations

import csv
import json
import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_lightning.callbacks import Diagnostics
from gan_lightning.callbacks.diagnostics import numbers_of
from gan_lightning.data import RandomImages
from gan_lightning.errors import UserError
from gan_lightning.families import DCGAN, NonSaturatingGAN
from gan_lightning.networks import DCGANCritic, DCGANGenerator
from gan_lightning.optimizers import SGD
from gan_lightning.protocols import Batch, Verdicts
from tests.cases import CASES, VECTORS, Case, cnn
from tests.golden.losses import PATH, play
from tests.training import Recorder, SaveAt, assert_same, train

LOGITS = {"logits/real_mean", "logits/real_std", "logits/fake_mean", "logits/fake_std", "logits/told_apart"}
BATCH_NORM = Case(
    DCGAN, data=partial(RandomImages, 16, 1, n=48, batch_size=4), **cnn(DCGANGenerator, DCGANCritic), name="batch-norm"
)
LABELS = torch.arange(8)
GOLDEN = json.loads(PATH.read_text())


def looks(recorder: Recorder) -> list[tuple[int, dict[str, Any]]]:
    """Return the rows of the diagnostics."""
    return [(step, row) for step, row in recorder.rows if "update_ratio/critic" in row]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_look_at_every_update_leaves_the_golden_losses(case: Case, tmp_path) -> None:
    for before, now in zip(GOLDEN[case.name], play(case, tmp_path, callbacks=[Diagnostics(1)]), strict=True):
        assert now == pytest.approx(before, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["DCGAN", "SAGAN", "NonSaturatingGAN-with-memory", "IRGAN"])
def test_weights_buffers_and_generators_are_as_without(name: str, tmp_path) -> None:
    case = next(case for case in CASES if case.name == name)
    found: list[Any] = []
    for callbacks in ([], [Diagnostics(1)]):
        game = case.game()
        train(game, case.data(), tmp_path, 3, callbacks=callbacks)
        found.append((game.state_dict(), torch.get_rng_state()))
    assert_same(found[0], found[1])


def test_what_is_logged_is_what_the_players_did(tmp_path) -> None:
    """By hand: a step of plain gradient descent moves by lr times the gradient, and the logits are those of the weights."""
    case = Case(NonSaturatingGAN, data=VECTORS, critic_optimizer=SGD(0.5), generator_optimizer=SGD(0.25))
    save = SaveAt(tmp_path, {1, 2})
    game = case.game()
    recorder = train(game, case.data(), tmp_path, 2, callbacks=[save, Diagnostics(2)])
    (one,) = looks(recorder)
    step, row = one
    assert step == 1
    states = [torch.load(tmp_path / f"{n}.ckpt", weights_only=True)["state_dict"] for n in (1, 2)]
    for player, lr in (("critic", 0.5), ("generator", 0.25)):
        before, after = (
            torch.cat([v.flatten() for k, v in state.items() if k.startswith(f"{player}.")]).double()
            for state in states
        )
        assert row[f"update_ratio/{player}"] == pytest.approx(float((after - before).norm() / before.norm()), rel=1e-4)
        assert row[f"grad_norm/{player}"] == pytest.approx(float((after - before).norm()) / lr, rel=1e-4)
    weight = next(v for k, v in states[1].items() if k.startswith("critic.") and v.dim() == 2)
    sigmas = [value for key, value in row.items() if key.startswith("sigma/")]
    assert sigmas[0] == pytest.approx(float(torch.linalg.svdvals(weight)[0]), rel=1e-5)
    assert row.keys() >= LOGITS | {"slope/between", "spread/samples", "spread/features"}
    assert all(map(math.isfinite, row.values()))


def test_a_clipped_players_norm_is_that_of_before_clipping(tmp_path) -> None:
    case = Case(NonSaturatingGAN, data=VECTORS, critic_clip_norm=1e-3)
    recorder = train(case.game(), case.data(), tmp_path, 1, callbacks=[Diagnostics(1)])
    assert recorder.column("grad_norm/critic")[0] > 1e-3 and len(recorder.column("grad_norm/critic")) == 1
    assert len(recorder.column("grad_norm/generator")) == 1


def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(tmp_path) -> None:
    case = next(case for case in CASES if case.name == "SNGAN")
    whole = train(case.game(), case.data(), tmp_path, 4, callbacks=[SaveAt(tmp_path, {2}), Diagnostics(2)])
    again = train(case.game(), case.data(), tmp_path, 4, ckpt=tmp_path / "2.ckpt", callbacks=[Diagnostics(2)])
    assert looks(whole)[1:] == looks(again)


def judged(name: str, tmp_path, **arguments: Any) -> tuple[Any, Any]:
    case = next(case for case in [*CASES, BATCH_NORM] if case.name.endswith(name))
    game = case.game(**arguments)
    train(game, case.data(), tmp_path, 1)
    shape, n_classes = game.shape.size, game.n_classes
    torch.manual_seed(0)
    return game, game.judge(Batch(torch.randn(8, *shape), LABELS % n_classes if n_classes else None))


@pytest.mark.parametrize(
    ("name", "has_logits", "has_features", "has_slopes"),
    [
        ("MinimaxGAN-vectors", True, True, True),
        ("ALI", True, False, True),
        ("MMDGAN", False, True, False),  # its critic's last layer takes no part
        ("McGAN", False, True, False),
        ("batch-norm", True, True, False),  # a logit has no gradient of its own
        ("BiGAN-vectors-accumulated", True, False, True),
        ("NonSaturatingGAN-packed", True, True, True),
    ],
)
def test_what_a_critic_does_not_have_is_left_out(name, has_logits, has_features, has_slopes, tmp_path) -> None:
    _, verdicts = judged(name, tmp_path)
    assert (verdicts.logits is not None) == has_logits
    assert (verdicts.features is not None) == has_features
    assert (verdicts.slopes is not None) == has_slopes


def test_logits_slopes_and_features_are_the_critics(tmp_path) -> None:
    game, verdicts = judged("WGANGP-conditional-clipped", tmp_path)
    labels = LABELS % game.n_classes
    assert torch.equal(verdicts.logits[0], game.critic(verdicts.real, labels))
    assert torch.equal(verdicts.logits[1], game.critic(verdicts.fake, labels))
    assert torch.equal(verdicts.features[1], game.critic.features(verdicts.fake, labels))
    points = verdicts.fake.clone().requires_grad_(True)
    (slopes,) = torch.autograd.grad(game.critic(points, labels).sum(), points)
    assert verdicts.slopes.shape == (8,) and slopes.flatten(1).norm(dim=1).mean() > 0


def test_targets_that_are_turned_round_are_told_apart_all_the_same(tmp_path) -> None:
    _, verdicts = judged("LSGAN-vectors", tmp_path, real_target=-1.0, fake_target=1.0)
    assert not verdicts.higher_is_real
    _, verdicts = judged("FGAN-vectors", tmp_path)
    assert verdicts.higher_is_real


def test_samples_that_are_one_have_no_spread() -> None:
    real, one = torch.randn(8, 2), torch.ones(8, 2)

    def of(real: Tensor, fake: Tensor) -> dict[str, float]:
        return numbers_of(Verdicts(real, fake, None, (real, fake), True, None))

    assert of(real, one) == {"spread/samples": 0.0, "spread/features": 0.0}
    assert of(real, real) == {"spread/samples": 1.0, "spread/features": 1.0}
    assert all(map(math.isnan, of(one, real).values()))


@pytest.mark.parametrize(("every", "steps"), [(2, [1, 3]), (0, [])])
def test_the_interval_and_0(every, steps, tmp_path) -> None:
    case = Case(NonSaturatingGAN, data=VECTORS)
    recorder = train(case.game(), case.data(), tmp_path, 4, callbacks=[Diagnostics(every)])
    assert [step for step, _ in looks(recorder)] == steps
    with pytest.raises(UserError, match="every_n_updates of the diagnostics must not be negative, got -1"):
        Diagnostics(-1)


def test_a_run_logs_them(image_run) -> None:
    with (image_run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["logits/told_apart"]]
    assert [row["step"] for row in rows] == ["2", "5"]
    assert all(0 <= float(row["logits/told_apart"]) <= 1 for row in rows)
