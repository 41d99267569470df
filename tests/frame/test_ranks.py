"""Contracts 3 and 4 on two and three processes: what each draws, what they reach together, and that all of them end."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from tests.cases import CASES
from tests.cluster.launch import start_ranks
from tests.frame import ranks
from tests.training import assert_same

UNCOUPLED = [case for case in CASES if not case.is_coupled]


@pytest.fixture(scope="session", params=[2, pytest.param(3, marks=pytest.mark.slow)])  # three take 45 s of two cores
def world(request, tmp_path_factory):
    """The number of ranks and the folder of what they wrote."""
    folder = tmp_path_factory.mktemp(f"world-{request.param}")
    ended = start_ranks(request.param, "tests.frame.ranks", str(folder), timeout=300)
    for rank, process in enumerate(ended):
        assert process.returncode == 0, f"rank {rank}:\n{process.stdout[-4000:]}"
        assert process.stdout.rstrip().endswith("played")
    return request.param, folder


def load(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="session")
def alone(tmp_path_factory):
    """The weights that one process reaches, by case."""
    folder = tmp_path_factory.mktemp("alone")
    return {case.name: ranks.play(case, folder).state_dict() for case in UNCOUPLED}


@pytest.mark.parametrize("case", UNCOUPLED, ids=repr)
def test_ranks_that_share_a_batch_reach_what_one_process_reaches(case, world, alone):
    world_size, folder = world
    for rank in range(world_size):
        state = load(folder / f"{case.name}.{rank}.pt")
        assert state.keys() == alone[case.name].keys()
        for name, value in state.items():
            assert_close(
                value, alone[case.name][name], rtol=1e-9, atol=1e-11, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_so_do_compiled_ones(world, alone):
    world_size, folder = world
    plain = alone[ranks.COMPILED.name]
    for rank in range(world_size):
        for name, value in load(folder / f"compiled.{rank}.pt").items():
            assert_close(value, plain[name], rtol=1e-9, atol=1e-11, msg=lambda text, name=name: f"{name}: {text}")


def test_ranks_draw_different_latents_that_join_to_those_of_one_process(world, tmp_path):
    world_size, folder = world
    drawn = [load(folder / f"drawn.{rank}.pt") for rank in range(world_size)]
    one = ranks.play_and_record(tmp_path)
    for kind, of_one in one.items():
        assert len(of_one) == len(drawn[0][kind]) > 0
        for index, whole in enumerate(of_one):
            parts = [draws[kind][index] for draws in drawn]
            assert len(parts[0]) == ranks.BATCH_SIZE // world_size
            assert torch.equal(torch.cat(parts), whole)
    latents = torch.cat(one["latents"])
    assert len(latents.unique(dim=0)) == len(latents)  # fresh ones in every turn, on every rank


@pytest.mark.parametrize("world", [2], indirect=True)
@pytest.mark.parametrize("strategy", ranks.STRATEGIES)
@pytest.mark.parametrize("case", ranks.RESUMED, ids=repr)
def test_two_ranks_resume_to_the_bit(case, strategy, world):
    folder = world[1] / strategy / case.name
    whole, resumed = load(folder / "4.ckpt"), load(folder / "resumed" / "4.ckpt")
    for key in ("state_dict", "optimizer_states", "clock", "global_step"):
        assert_same(whole[key], resumed[key], key)
