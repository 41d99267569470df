"""Ranking metrics against torchmetrics, an independent implementation, query by query."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchmetrics.functional import retrieval

from gan_lightning.metrics.ranking import CUTS, ranking_metrics, ranking_names


def reference(scores, relevant):
    return torch.stack(
        [
            *(retrieval.retrieval_precision(scores, relevant, top_k=k) for k in CUTS),
            *(retrieval.retrieval_normalized_dcg(scores, relevant, top_k=k) for k in CUTS),
            retrieval.retrieval_average_precision(scores, relevant),
            retrieval.retrieval_reciprocal_rank(scores, relevant),
        ]
    )


@pytest.mark.parametrize("n_missing", [0, 3])
def test_they_are_those_of_torchmetrics(n_missing):
    random = torch.Generator().manual_seed(0)
    scores = torch.rand(20, 30, generator=random) + 0.1
    valid = torch.rand(20, 30, generator=random) < 0.8
    relevant = torch.rand(20, 30, generator=random) < 0.2
    found = ranking_metrics(scores, relevant, valid, torch.full((20,), n_missing))
    assert found.shape == (20, len(ranking_names()))
    for i in range(20):
        # documents that cannot be ranked, as ranked last
        late = torch.linspace(0.09, 0.01, n_missing) if n_missing else torch.zeros(0)
        hits = torch.cat([relevant[i][valid[i]], torch.ones(n_missing, dtype=torch.bool)])
        assert_close(found[i], reference(torch.cat([scores[i][valid[i]], late]), hits))


def test_a_query_with_nothing_relevant_is_zero_and_ties_keep_their_order():
    all_valid = torch.ones(1, 4, dtype=torch.bool)
    none = torch.zeros(1, 4, dtype=torch.bool)
    assert not ranking_metrics(torch.rand(1, 4), none, all_valid, torch.zeros(1)).any()
    second = torch.tensor([[False, True, False, False]])
    assert ranking_metrics(torch.zeros(1, 4), second, all_valid, torch.zeros(1))[0, -1] == 0.5
