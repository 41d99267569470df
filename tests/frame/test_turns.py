"""Contracts 1 and 2 for every family: who moves, and that the logged terms are the loss that was minimised."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from tests.cases import CASES, Case
from tests.training import train

UPDATES = 3


def watch_turns(game: Any) -> list[tuple[str, dict[str, torch.Tensor], dict[str, bool]]]:
    """Record, whenever a turn begins, whose it is, all parameters, and which of them require gradients."""
    seen: list[tuple[str, dict[str, torch.Tensor], dict[str, bool]]] = []

    def spy(name: str) -> None:
        turn = getattr(game, name)

        def watched(batch: Any) -> Any:
            parameters = dict(game.named_parameters())
            weights = {k: p.detach().clone() for k, p in parameters.items()}
            seen.append((name, weights, {k: p.requires_grad for k, p in parameters.items()}))
            return turn(batch)

        setattr(game, name, watched)

    spy("critic_turn")
    spy("generator_turn")
    return seen


def names_of(game: Any, player: str) -> set[str]:
    mine = {id(p) for p in getattr(game, f"{player}_parameters")()}
    return {name for name, p in game.named_parameters() if id(p) in mine}


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_player_changes_its_own_parameters_and_no_others(case, tmp_path):
    game = case.game()
    players = {"critic_turn": names_of(game, "critic"), "generator_turn": names_of(game, "generator")}
    average = {name for name, _ in game.named_parameters() if name.startswith("generator_average.")}
    assert players["critic_turn"] and players["generator_turn"]
    assert not players["critic_turn"] & players["generator_turn"]
    seen = watch_turns(game)
    train(game, case.data(), tmp_path, UPDATES)
    end = {name: p.detach().clone() for name, p in game.named_parameters()}

    after = [weights for _, weights, _ in seen[1:]] + [end]
    moved_in = []
    for (name, before, requires_grad), weights in zip(seen, after, strict=True):
        moved = {k for k in before if not torch.equal(before[k], weights[k])}
        assert moved <= players[name] | (average if name == "generator_turn" else set())
        moved_in.append(bool(moved & players[name]))
        assert {k for k, flag in requires_grad.items() if flag} == players[name]
    if all(player.accumulation == 1 for player in game.players):
        assert all(moved_in)

    parts = dict(zip(("critic_turn", "generator_turn"), [player.accumulation for player in game.players], strict=True))
    counts = Counter(name for name, _, _ in seen)
    assert counts["generator_turn"] == UPDATES * parts["generator_turn"]
    n_critic = sum(game.critic_updates_in_round(update) for update in range(UPDATES))
    assert counts["critic_turn"] == n_critic * parts["critic_turn"]
    assert game.clock() == (UPDATES, sum(game.batches_in_round(update) for update in range(UPDATES)))
    assert sum(moved_in) == n_critic + UPDATES


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_logged_terms_add_up_to_the_minimised_loss(case, tmp_path):
    game = case.game()
    backward, losses = game.manual_backward, []

    def watched(loss, *args, **kwargs):
        losses.append(loss.detach().clone())
        backward(loss, *args, **kwargs)

    game.manual_backward = watched
    rows = [row for _, row in train(game, case.data(), tmp_path, UPDATES).rows]
    assert len(rows) == UPDATES
    critic_parts, generator_parts = (player.accumulation for player in game.players)
    for update, row in enumerate(rows):
        n = game.critic_updates_in_round(update) * critic_parts
        critic, losses = losses[:n], losses[n:]
        generator, losses = losses[:generator_parts], losses[generator_parts:]
        for player, minimised in (("critic", critic[-critic_parts:]), ("generator", generator)):
            if not minimised:  # a round in which the critic rests
                assert f"loss/{player}" not in row
                continue
            terms = [value for key, value in row.items() if key.startswith(f"{player}/")]
            assert len(terms) != 1  # one alone is the loss, and logged as that
            if terms:
                assert_close(torch.tensor(sum(terms)), torch.stack(minimised).sum())
            assert_close(torch.tensor(row[f"loss/{player}"]), torch.stack(minimised).sum())
    assert not losses


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_average_stays_in_evaluation_mode_and_carries_the_buffers(case, tmp_path):
    game = case.game()
    modes = []
    turn = game.generator_turn
    game.generator_turn = lambda batch: (
        modes.append((game.generator.training, game.generator_average.training)) or turn(batch)
    )
    train(game, case.data(), tmp_path, UPDATES)
    assert set(modes) == {(True, False)}
    buffers = dict(game.generator.named_buffers())
    for name, mean in game.generator_average.named_buffers():
        assert torch.equal(mean, buffers[name]), name


def test_no_two_rows_of_the_table_are_one():
    assert len({repr(case) for case in CASES}) == len(CASES)
    assert all(isinstance(case, Case) for case in CASES)
