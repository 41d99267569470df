"""One, two and three processes that share the global batch reach the same weights, to the rounding of sums."""

from __future__ import annotations

import pytest

from tests.cluster import equal_ranks
from tests.cluster.launch import load, start_ranks


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)])  # three take 20 s of two cores
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("equal")
    equal_ranks.main(folder, 1, 0)
    for rank, ended in enumerate(start_ranks(request.param, "tests.cluster.equal_ranks", str(folder))):
        assert ended.returncode == 0, f"rank {rank} of {request.param}:\n{ended.stdout[-4000:]}"
    return request.param, folder


@pytest.mark.parametrize("case", equal_ranks.FOUR, ids=repr)
def test_weights_after_twenty_updates(case, world, record_property):
    world_size, folder = world
    assert not case.is_coupled
    alone = load(folder / f"{case.name}.1.0.pt")
    largest = 0.0
    for rank in range(world_size):
        state = load(folder / f"{case.name}.{world_size}.{rank}.pt")
        largest = max(
            largest, *(float((state[name] - value).abs().max()) for name, value in alone.items() if value.numel())
        )
    record_property("largest difference", largest)
    print(f"{case.name}, {world_size} processes: largest difference {largest:.1e}")
    assert largest < 1e-10
