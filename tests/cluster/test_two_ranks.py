"""Two ranks under gan_ddp: bytes, buffers, the canary, signals, a full disk."""

from __future__ import annotations

import pytest
import torch

from tests.cluster.launch import load, start_ranks
from tests.training import assert_same


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    for rank, ended in enumerate(start_ranks(2, "tests.cluster.scenes", str(folder))):
        assert ended.returncode == 0, f"rank {rank}:\n{ended.stdout[-4000:]}"
        assert ended.stdout.rstrip().endswith("played")
    return lambda scene: [load(folder / f"{scene}.{rank}.pt") for rank in range(2)], folder


def test_each_rank_resumes_to_the_bit_whatever_was_saved_on_the_way(played):
    ranks, _ = played[0]("resume_to_the_bit"), played[1]
    for rank in ranks:
        assert_same(rank["straight"], rank["resumed"])
    statistics = [name for name in ranks[0]["straight"] if name.endswith("running_mean")]
    assert statistics and any(not torch.equal(ranks[0]["straight"][n], ranks[1]["straight"][n]) for n in statistics)


def test_a_checkpoint_holds_the_average_of_the_ranks_and_each_ranks_own(played):
    checkpoint = load(played[1] / "resume_to_the_bit" / "3.ckpt")
    assert checkpoint["rank_buffers"]
    for name, rows in checkpoint["rank_buffers"].items():
        assert name.endswith(("running_mean", "running_var")), name
        torch.testing.assert_close(checkpoint["state_dict"][name], (rows[0] + rows[1]) / 2)


def test_all_ranks_evaluate_the_networks_that_a_checkpoint_holds(played):
    one, two = played[0]("same_networks_in_validation")
    assert_same(one["during"], two["during"])
    for rank in (one, two):
        assert_same(rank["before"], rank["after"])
    assert any(not torch.equal(one["before"][name], two["before"][name]) for name in one["before"])
    checkpoint = load(played[1] / "same_networks_in_validation" / "mid.ckpt")
    for name, value in one["during"].items():
        assert torch.equal(checkpoint["state_dict"][name], value)
    for rank, seen in enumerate((one, two)):
        for name, rows in checkpoint["rank_buffers"].items():
            assert torch.equal(rows[rank], seen["before"][name])


def test_only_the_moving_players_gradients_are_sent(played):
    for found in played[0]("bytes_sent"):
        assert found["all_reduce"] == found["updates"] * (3 * found["critic"] + found["generator"])
        assert found["other"] <= 100 * found["updates"]


def test_the_canary_notices_one_rounding_step_on_one_rank(played):
    for found in played[0]("canary"):
        assert "the ranks have diverged: after update 2, " in found["message"]
        assert "of rank 1 is not rank 0's" in found["message"]


def test_a_signal_to_one_rank_stops_all_at_the_end_of_the_round(played):
    one, two = played[0]("one_rank_is_signalled")
    assert one["global_step"] == two["global_step"] == one["saved"] == 3
    assert two["stopped_by"] == "SIGTERM"
    assert one["stopped_by"] == "a signal on another rank"


def test_all_ranks_save_when_the_minutes_are_over_on_one(played):
    for found in played[0]("minutes_are_over_on_one_rank"):
        assert found["saved"] == [3, 3, 5]  # seen after updates 3, 4 and 5, the last one


def test_all_ranks_stop_when_rank_0_cannot_write(played):
    one, two = played[0]("disk_is_full")
    assert one["message"] == two["message"]
    assert "last.ckpt could not be written: " in one["message"]
