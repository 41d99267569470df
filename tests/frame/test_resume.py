"""Contract 3: training on from a checkpoint gives what uninterrupted training gives, to the bit."""

from __future__ import annotations

import random

import pytest
import torch

from gan_lightning.families import SNGAN, WGANGP
from tests.cases import CASES, LABELLED, Case, mlp
from tests.training import SaveAt, assert_same, train

ROUNDS_PER_EPOCH = 4  # 48 samples in batches of 4 make 12 batches, 3 to a round


def load(path):
    return torch.load(path, weights_only=True)


def content(checkpoint):
    """Return what training goes on from: all but Lightning's own counters of epochs."""
    return {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "clock", "global_step")}


@pytest.mark.parametrize(
    ("case", "precision"),
    [
        *((case, precision) for case in CASES for precision in ("32-true", "bf16-mixed")),
        *((case, "64-true") for case in CASES[::10]),  # the same for every family: Lightning converts the module late
    ],
    ids=str,
)
def test_stopped_and_resumed_equals_uninterrupted(case, precision, tmp_path):
    options = {"precision": precision}
    train(case.game(), case.data(), tmp_path, 4, callbacks=[SaveAt(tmp_path, {2, 4})], **options)
    whole = content(load(tmp_path / "4.ckpt"))
    again = case.game(seed=0)
    with torch.no_grad():
        for parameter in again.parameters():  # what was not restored would show
            parameter.zero_()
    save = SaveAt(tmp_path / "resumed", {4})
    train(again, case.data(), tmp_path, 4, ckpt=tmp_path / "2.ckpt", callbacks=[save], **options)
    assert_same(whole, content(load(tmp_path / "resumed" / "4.ckpt")))


EPOCHS = [
    Case(WGANGP, n_critic=3, critic_accumulation=2, name="mlp"),
    Case(SNGAN, data=LABELLED, n_critic=3, ema_decay=0.9, **mlp(3), name="conditional"),
]


@pytest.mark.parametrize("case", EPOCHS, ids=repr)
@pytest.mark.parametrize("stops", [[3], [4], [2 * ROUNDS_PER_EPOCH], [0], [1, 5, 6]], ids=str)
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "ended"])
def test_the_moment_of_the_stop_does_not_matter(case, stops, killed, tmp_path):
    """Mid-epoch, at an epoch's end, anywhere (0), and several times; killed after a save, or ended by max_steps."""
    total = 10
    stops = [stop or random.randrange(1, total) for stop in stops]
    straight = train(case.game(), case.data(), tmp_path, total, callbacks=[SaveAt(tmp_path, {total})])
    rows, start = [], None
    for stop in [*stops, total]:
        reached = stop + 1 if killed and stop < total else stop  # the update after the save is lost
        part = train(
            case.game(), case.data(), tmp_path, reached, ckpt=start, callbacks=[SaveAt(tmp_path / "b", {stop})]
        )
        rows += [row for step, row in part.rows if step < stop]
        start = tmp_path / "b" / f"{stop}.ckpt"
    assert_same(content(load(tmp_path / f"{total}.ckpt")), content(load(start)))
    assert_same([row for _, row in straight.rows], rows)


def test_a_checkpoint_holds_tensors_and_plain_values_only(tmp_path):
    case = EPOCHS[1]
    train(case.game(), case.data(), tmp_path, 1, callbacks=[SaveAt(tmp_path, {1})])
    checkpoint = load(tmp_path / "1.ckpt")

    def check(value, path):
        if isinstance(value, dict):
            for key, inner in value.items():
                check(inner, f"{path}/{key}")
        elif isinstance(value, list | tuple):
            for inner in value:
                check(inner, path)
        else:
            assert value is None or isinstance(value, str | int | float | bool | torch.Tensor), f"{path}: {type(value)}"

    check(checkpoint, "")
    assert checkpoint["clock"]["updates_done"] == 1
    assert checkpoint["clock"]["critic_updates_done"] == 3
    assert checkpoint["clock"]["samples_seen"] == 12
