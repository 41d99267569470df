"""RetrievalGame: a generator that is a policy over documents, against a critic that scores them for the same queries."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.games.game import Game
from gan_lightning.losses.policy import drawn
from gan_lightning.networks.base import Ranker, RankerFactory
from gan_lightning.protocols import Candidates, Judgements
from gan_lightning.shapes import Shape


class RetrievalGame(Game):
    """A game on pairs of a query and a relevant document `(N, 2)`, int64; both players score documents for queries.

    Args:
        generator: Builds the ranker whose scores make the policy.
        critic: Builds the ranker whose scores are logits.
        shape: How many queries and documents there are, the data's.
        n_candidates: Documents that an update's policy is a softmax over, for each row: the relevant one and others drawn
            uniformly. None (null) takes all. With all of them an update of N rows holds some ten tables of N times the
            number of documents; with C candidates ten of N times C.
    """

    generator: Ranker
    critic: Ranker
    generator_average: Ranker

    def __init__(
        self,
        generator: RankerFactory,
        critic: RankerFactory,
        shape: Shape,
        n_candidates: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator(shape), critic(shape), **kwargs)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of .nn.Module.")
            self.save_hyperparameters(logger=False)
        if n_candidates is not None and n_candidates < 2:
            raise UserError(f"n_candidates must be at least 2, or null for all documents, got {n_candidates}")
        self.shape, self.n_candidates = shape, n_candidates
        self.judgements: Judgements

    def check(self) -> None:
        """Refuse data without judgements."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, Judgements):
            raise UserError(
                f"{type(self).__name__} needs queries with relevant documents, and {type(data).__name__} has none; take "
                "ImplicitFeedback or QueryDocuments"
            )
        if data.features is not None and self.n_candidates is not None:
            raise UserError(
                f"n_candidates {self.n_candidates} takes some of all documents, and {type(data).__name__} has documents of "
                "each query; leave it out"
            )

    def setup(self, stage: str) -> None:
        """Tell the players what the data say of the documents."""
        super().setup(stage)
        self.judgements = self.trainer.datamodule  # type: ignore[attr-defined]
        for player in (self.generator, self.critic, self.generator_average):
            player.know(self.judgements.counts, self.judgements.features)

    def candidates(self, queries: Tensor, positives: Tensor) -> Candidates:
        """Return what the policy chooses from in this turn for queries `(N,)` with a relevant document `(N,)` each."""
        if self.n_candidates is None:
            return self._here(self.judgements.candidates(queries.cpu()))
        others = self.noise.integers(len(self.judgements.counts), len(queries), self.n_candidates - 1)
        documents = torch.cat([positives[:, None], others], dim=1)
        return Candidates(documents, None, self._is_positive(queries, documents))

    def negatives(self, queries: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Return n documents `(N, n)` for each query, drawn uniformly, and which of them are not known to be relevant."""
        if self.judgements.features is not None:
            found = self._here(self.judgements.candidates(queries.cpu()))
            assert found.valid is not None
            others = found.valid & ~found.positive
            places = drawn(others.to(self.dtype_of_samples), self.noise.uniform(len(queries), n))
            return at(found, places), others.gather(1, places)
        documents = self.noise.integers(len(self.judgements.counts), len(queries), n)
        return documents, ~self._is_positive(queries, documents)

    @torch.no_grad()
    def scores(self, queries: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return the averaged generator's scores `(N, M)` of documents `(N, M)`, or of all, for queries `(N,)`."""
        return self.generator_average(queries.to(self.device), None if documents is None else documents.to(self.device))

    def _is_positive(self, queries: Tensor, documents: Tensor) -> Tensor:
        return self.judgements.is_positive(queries.cpu(), documents.cpu()).to(documents.device)

    def _here(self, found: Candidates) -> Candidates:
        documents, valid = (part if part is None else part.to(self.device) for part in found[:2])
        return Candidates(documents, valid, found.positive.to(self.device))


def at(candidates: Candidates, places: Tensor) -> Tensor:
    """Return the documents `(N, K)` at places `(N, K)` among the candidates."""
    return places if candidates.documents is None else candidates.documents.gather(1, places)
