"""How well documents are ranked: precision, NDCG, average precision and reciprocal rank of each query."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CUTS = (3, 5, 10)
"""The places up to which IRGAN's paper counts."""


def ranking_names(cuts: Sequence[int] = CUTS) -> list[str]:
    """Return what `ranking_metrics` measures, in its order.

    Example:
        >>> ranking_names((5,))
        ['precision_5', 'ndcg_5', 'map', 'mrr']
    """
    return [f"{name}_{k}" for name in ("precision", "ndcg") for k in cuts] + ["map", "mrr"]


def ranking_metrics(
    scores: Tensor, relevant: Tensor, valid: Tensor, missing: Tensor, cuts: Sequence[int] = CUTS
) -> Tensor:
    """Return each query's precision and NDCG at some places, average precision and reciprocal rank, `(N, 2 cuts + 2)`.

    They are torchmetrics.retrieval's, for all queries at once. Relevance is 0 or 1, documents of equal score are ranked in
    their order, and relevant ones that cannot be ranked count as if they came last. A query without a relevant one is 0.

    Example:
        >>> scores, relevant = torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[False, True, False]])
        >>> ranking_metrics(scores, relevant, torch.ones(1, 3, dtype=torch.bool), torch.zeros(1), cuts=(2,))
        tensor([[0.5000, 0.6309, 0.5000, 0.5000]])

    Args:
        scores: Scores `(N, M)`.
        relevant: Which documents are relevant, `(N, M)`.
        valid: Which documents are ranked, `(N, M)`.
        missing: How many relevant documents are not among the M, `(N,)`.
        cuts: The places.
    """
    order = scores.masked_fill(~valid, -torch.inf).sort(dim=1, descending=True, stable=True).indices
    hits = (relevant & valid).gather(1, order).double()
    place = torch.arange(1, hits.shape[1] + 1, dtype=torch.float64)
    n_ranked, n_missing = valid.sum(1), missing.long()
    n_relevant = hits.sum(1) + n_missing
    discount = 1 / (place + 1).log2()
    ideal = torch.cat([torch.zeros(1), discount.cumsum(0)])
    found = hits.cumsum(1)
    # those that cannot be ranked take the places behind the last ranked one
    behind = [n_ranked[i] + torch.arange(1, n + 1) for i, n in enumerate(n_missing.tolist())]
    late = torch.stack([((found[i, -1] + torch.arange(1, len(at) + 1)) / at).sum() for i, at in enumerate(behind)])
    first = torch.where(hits.any(1), hits.argmax(1) + 1.0, torch.where(n_missing > 0, n_ranked + 1.0, torch.inf))
    columns = [hits[:, :k].sum(1) / k for k in cuts]
    for k in cuts:
        best = ideal[n_relevant.clamp(max=min(k, len(place))).long()]
        columns.append((hits[:, :k] * discount[:k]).sum(1) / best.clamp(min=1e-12))
    columns += [((found / place * hits).sum(1) + late) / n_relevant.clamp(min=1), 1 / first]
    return torch.stack(columns, dim=1).float()
