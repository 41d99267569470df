"""How well the averaged generator ranks documents for queries, on held-out judgements, while training and in `validate`."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer

from gan_lightning.callbacks.measuring import Measurement, Measuring
from gan_lightning.metrics.fidelity import chunks, gather_rows, shard
from gan_lightning.metrics.ranking import ranking_metrics, ranking_names
from gan_lightning.protocols import Judgements, Ranking


class Retrieval(Measuring):
    """Ranks documents for every query with held-out relevant ones, at every validation and before the first update.

    Logged are the means over queries of `val/precision_3`, `_5`, `_10`, `val/ndcg_3`, `_5`, `_10`, `val/map` and `val/mrr`, as
    `metrics.ranking` defines them. The protocol is that of IRGAN's code (geek-ai/irgan): all documents are ranked but those
    that are relevant to the query in the training part, those judged and not relevant among them. Each evaluation leaves a
    card in `evaluation/`. Ranks share the queries.

    Args:
        enabled: Measure at all.
    """

    option = "retrieval"
    libraries = ("torch", "torchmetrics", "lightning")

    def __init__(self, enabled: bool = True) -> None:
        super().__init__(1, 0, enabled)

    def watches(self, game: Any) -> bool:
        """Tell whether the game scores documents."""
        return isinstance(game, Ranking)

    def names(self, trainer: Trainer) -> list[str]:
        """Return what the numbers are logged as; none for data without judgements."""
        return [f"val/{name}" for name in ranking_names()] if self.enabled and self._has_queries(trainer) else []

    def applies(self, trainer: Trainer, game: Any) -> bool:
        """Tell whether the data have held-out judgements."""
        return self._has_queries(trainer)

    def measure(self, trainer: Trainer, game: Any) -> Measurement:
        """Rank for this rank's queries, and return the means over all."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        queries = data.ranked_queries()
        ranges = chunks(len(queries))
        rows = []
        for index in shard(len(ranges), trainer.global_rank, trainer.world_size):
            mine = queries[ranges[index].start : ranges[index].stop]
            found, relevant, missing = data.relevance(mine)
            scores = game.scores(mine, found.documents).float().cpu()
            valid = torch.ones_like(relevant) if found.valid is None else found.valid
            rows.append((index, ranking_metrics(scores, relevant, valid, missing)))
        means = gather_rows(rows).double().mean(0).tolist()
        facts = {
            "n_queries": len(queries),
            "n_documents": len(data.counts),
            "protocol": "all documents but those relevant in the training part are ranked, relevance 0 or 1, ties in the "
            "documents' order, relevant documents unknown in training rank last; means over queries with a relevant "
            "document in both parts (geek-ai/irgan)",
            "real_fingerprint": data.reference("eval").fingerprint,
            "training_fingerprint": data.reference("train").fingerprint,
            "data": type(data).__name__,
        }
        values = dict(zip(ranking_names(), means, strict=True))
        return Measurement(values, facts, (f"{len(queries)}queries",), prefix="retrieval-")

    def _has_queries(self, trainer: Trainer) -> bool:
        data = trainer.datamodule  # type: ignore[attr-defined]
        return isinstance(data, Judgements) and len(data.ranked_queries()) > 0
