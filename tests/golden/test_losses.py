from __future__ import annotations

import json

import pytest

from tests.cases import CASES, Case
from tests.golden.losses import PATH, UPDATES, play

GOLDEN = json.loads(PATH.read_text())


def test_every_row_has_golden_numbers() -> None:
    assert sorted(GOLDEN) == sorted(case.name for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_numbers_are_those_of_before(case: Case, tmp_path) -> None:
    golden, found = GOLDEN[case.name], play(case, tmp_path)
    assert len(found) == len(golden) == UPDATES
    for before, now in zip(golden, found, strict=True):
        # 1e-9, not equal: another machine's matrix products round otherwise in the last digits
        assert now == pytest.approx(before, rel=1e-9, abs=1e-12)
