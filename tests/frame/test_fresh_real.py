"""A game whose generator draws a batch of real data of its own takes it from the same stream, and resumes where it was."""

from __future__ import annotations

import pytest
import torch

from gan_lightning.errors import UserError
from gan_lightning.families import MMDGAN, R3GAN, NonSaturatingGAN
from gan_lightning.stabilizers.generator_terms import FeatureMatching
from tests.cases import LABELLED, VECTORS, Case, r3gan
from tests.training import SaveAt, assert_same, train

FRESH = [
    Case(R3GAN, data=LABELLED, **r3gan(3), n_critic=2),
    Case(MMDGAN, data=VECTORS, clip_value=0.5, n_critic=1, n_warm_up=1, n_critic_warm_up=3),
    Case(NonSaturatingGAN, data=VECTORS, generator_terms=[FeatureMatching()], name="feature-matching"),
]
PLAIN = Case(NonSaturatingGAN, data=VECTORS, n_critic=2)
UPDATES = 4


def watch(game):
    """Return the list to which each turn adds its name and the real samples that it was given."""
    seen = []

    def watched(name, turn):
        return lambda batch: seen.append((name, batch.real.clone())) or turn(batch)

    game.critic_turn = watched("critic", game.critic_turn)
    game.generator_turn = watched("generator", game.generator_turn)
    return seen


def stream(case, game, tmp_path, n):
    """Return the first batches of the data, as the game is given them."""
    data = case.data()
    probe = Case(NonSaturatingGAN, data=case.make_data, n_critic=n).game()
    seen = watch(probe)
    train(probe, data, tmp_path, 1)
    return [real for name, real in seen if name == "critic"]


@pytest.mark.parametrize("case", FRESH, ids=repr)
def test_every_turn_has_a_batch_of_its_own(case, tmp_path):
    game = case.game()
    seen = watch(game)
    train(game, case.data(), tmp_path, UPDATES)
    expected = stream(case, game, tmp_path, len(seen))
    for (_, real), one in zip(seen, expected, strict=True):
        assert torch.equal(real, one)
    n_critic = sum(game.critic_updates_in_round(update) for update in range(UPDATES))
    assert [name for name, _ in seen].count("critic") == n_critic == game.critic_updates_done
    assert game.samples_seen == n_critic * 4  # the critic's: what kimg means in the authors' code


def test_other_games_share_the_critics_last_batch(tmp_path):
    game = PLAIN.game()
    seen = watch(game)
    train(game, PLAIN.data(), tmp_path, UPDATES)
    for index, (name, real) in enumerate(seen):
        assert name != "generator" or real is seen[index - 1][1] or torch.equal(real, seen[index - 1][1])
    assert game.clock() == (UPDATES, 2 * UPDATES)


@pytest.mark.parametrize("case", FRESH, ids=repr)
def test_resumed_runs_go_on_with_the_next_batch(case, tmp_path):
    whole, again = case.game(), case.game()
    train(whole, case.data(), tmp_path, UPDATES, callbacks=[SaveAt(tmp_path, {2})])
    train(again, case.data(), tmp_path, UPDATES, tmp_path / "2.ckpt")
    assert again.clock() == whole.clock()
    assert_same(dict(whole.state_dict()), dict(again.state_dict()))


def test_a_checkpoint_of_before_goes_on_where_its_stream_was(tmp_path):
    case = FRESH[0]
    game = case.game()
    train(game, case.data(), tmp_path, 2, callbacks=[SaveAt(tmp_path, {2})])
    checkpoint = torch.load(tmp_path / "2.ckpt", weights_only=True)
    del checkpoint["clock"]["fresh_batches_taken"]  # 0.1.0 took none
    again = case.game()
    again.on_load_checkpoint(checkpoint)
    assert again.clock() == (2, 4)


def test_a_round_without_the_generators_batch_is_refused(tmp_path):
    case = FRESH[-1]
    game = case.game()
    game.batches_in_round = lambda update: 1
    with pytest.raises(UserError, match="a round of 1 batch"):
        train(game, case.data(), tmp_path, 1)
