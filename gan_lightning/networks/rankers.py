"""Rankers: matrix factorization of users and items, popularity, and a small network over features of documents."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Ranker
from gan_lightning.shapes import Rankings, Shape


@final
class MatrixFactorization(Ranker):
    """s(u, i) = <p_u, q_i> + b_i, as both players of IRGAN's item recommendation (geek-ai/irgan: 5 numbers, U(-0.05, 0.05)).

    Memory: `(users + items) * embedding_dim + items` numbers, and as many again for each moment of the optimizer.

    Args:
        shape: How many users and items there are.
        embedding_dim: Numbers of an embedding.
        bound: Embeddings start uniform in [-bound, bound], biases at 0.
    """

    def __init__(self, shape: Shape, embedding_dim: int = 5, bound: float = 0.05) -> None:
        super().__init__()
        sizes = rankings(self, shape)
        if bound < 0:
            raise UserError(f"bound of MatrixFactorization must not be negative, got {bound}; the authors' is 0.05")
        self.users, self.items = (
            nn.Embedding(sizes.queries, embedding_dim),
            nn.Embedding(sizes.documents, embedding_dim),
        )
        self.bias = nn.Parameter(torch.zeros(sizes.documents))
        for table in (self.users, self.items):
            nn.init.uniform_(table.weight, -bound, bound)

    def forward(self, queries: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return scores `(N, M)` of items `(N, M)`, or of all, for users `(N,)`."""
        users = self.users(queries)
        if documents is None:
            return users @ self.items.weight.T + self.bias
        return torch.linalg.vecdot(users[:, None], self.items(documents)) + self.bias[documents]


@final
class Popularity(Ranker):
    """s(u, i) = a log(1 + n_i), n_i the users who have item i: the same order for everybody, whatever a > 0 is learned.

    Args:
        shape: How many users and items there are.
    """

    counts: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(rankings(self, shape).documents))
        self.log_scale = nn.Parameter(torch.zeros(()))

    def know(self, counts: Tensor, features: Tensor | None) -> None:
        """Take the counts."""
        self.counts.copy_(counts)

    def forward(self, queries: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return scores `(N, M)` of items `(N, M)`, or of all, for users `(N,)`."""
        scores = self.log_scale.exp() * self.counts.log1p()
        return scores.expand(len(queries), -1) if documents is None else scores[documents]


@final
class MLPRanker(Ranker):
    """s(q, d) = w . tanh(W x + b), x what describes document d of query q, as in IRGAN's web search (46 to 46 to 1).

    Weights start normal with standard deviation 0.1, cut at two of them, and the bias at 0 (geek-ai/irgan).

    Args:
        shape: How many queries and documents there are, and how many numbers describe a document.
        width: Units of the hidden layer.
    """

    described: Tensor

    def __init__(self, shape: Shape, width: int = 46) -> None:
        super().__init__()
        sizes = rankings(self, shape)
        if sizes.features is None:
            raise UserError(
                "MLPRanker needs numbers that describe a document, and the data have none; take MatrixFactorization"
            )
        self.register_buffer("described", torch.zeros(sizes.documents, sizes.features), persistent=False)
        self.hidden, self.output = nn.Linear(sizes.features, width), nn.Linear(width, 1, bias=False)
        for layer in (self.hidden, self.output):
            nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
        nn.init.zeros_(self.hidden.bias)

    def know(self, counts: Tensor, features: Tensor | None) -> None:
        """Take what describes the documents."""
        assert features is not None
        self.described.copy_(features)

    def forward(self, queries: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return scores `(N, M)` of documents `(N, M)`, or of all, for queries `(N,)`."""
        described = self.described.expand(len(queries), -1, -1) if documents is None else self.described[documents]
        return self.output(self.hidden(described).tanh()).squeeze(-1)


def rankings(network: Any, shape: Shape) -> Rankings:
    """Return the shape if it is one of queries and documents.

    Raises:
        UserError: It is not.
    """
    if not isinstance(shape, Rankings):
        raise UserError(
            f"{type(network).__name__} scores documents for queries, but the data are {shape.words}; take ImplicitFeedback "
            "or QueryDocuments, or another network"
        )
    return shape
