"""Yu et al., SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient, AAAI 2017, arXiv:1609.05473: its networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic, SequenceGenerator
from gan_lightning.networks.text import require_tokens
from gan_lightning.shapes import Shape


@final
class LSTMGenerator(SequenceGenerator):
    """An LSTM over the symbols so far to the probabilities of the next one (section 3.1 and appendix).

    Called with latents it writes whole sequences, as probabilities of 0 and 1.

    Args:
        shape: Length of a sequence and size of the vocabulary.
        embedding_dim: Numbers that stand for a symbol, 32 in the authors' code.
        width: Hidden units of a layer, 32 in the authors' code.
        n_layers: Layers of the LSTM.
    """

    def __init__(self, shape: Shape, embedding_dim: int = 32, width: int = 32, n_layers: int = 1) -> None:
        super().__init__()
        tokens = require_tokens(self, shape)
        self.latent_dim, self.vocabulary = tokens.length, tokens.vocabulary
        self.embedding = nn.Embedding(
            tokens.vocabulary + 1, embedding_dim
        )  # the last one stands before the first symbol
        self.lstm = nn.LSTM(embedding_dim, width, n_layers, batch_first=True)
        self.output = nn.Linear(width, tokens.vocabulary)

    def log_probabilities(self, symbols: Tensor) -> Tensor:
        """Return log p `(N, L, V)` of symbols `(N, L)`."""
        hidden, _ = self._read(self._behind_start(symbols)[:, :-1])
        return self.output(hidden).log_softmax(2)

    def completed(self, symbols: Tensor, latents: Tensor) -> Tensor:
        """Return sequences `(N, R, L)` of beginnings `(N, t)` and latents `(N, R, L - t)`."""
        n, n_rollouts, n_missing = latents.shape
        places = (latents.flatten(0, 1) + 1) / 2
        hidden, state = self._read(self._behind_start(symbols))
        hidden = hidden[:, -1].repeat_interleave(n_rollouts, 0)
        state = tuple(part.repeat_interleave(n_rollouts, 1) for part in state)
        written = [symbols.repeat_interleave(n_rollouts, 0)]
        for step in range(n_missing):
            if step:
                outputs, state = self._read(written[-1], state)
                hidden = outputs[:, 0]
            ends = self.output(hidden).softmax(1).cumsum(1)
            chosen = (ends <= places[:, step : step + 1] * ends[:, -1:]).sum(1, keepdim=True)
            written.append(chosen.clamp(max=self.vocabulary - 1))
        return torch.cat(written, dim=1).unflatten(0, (n, n_rollouts))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, L)` in [-1, 1) to probabilities `(N, V, L)`, 1 for the symbol that was chosen, else 0."""
        nothing = torch.zeros(latents.shape[0], 0, dtype=torch.long, device=latents.device)
        symbols = self.completed(nothing, latents[:, None])
        return (symbols == torch.arange(self.vocabulary, device=latents.device)[:, None]).to(latents.dtype)

    def _read(self, symbols: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        with torch.autocast(symbols.device.type, enabled=False):  # a CPU without AVX-512 has no LSTM in bfloat16
            return self.lstm(self.embedding(symbols), state)

    def _behind_start(self, symbols: Tensor) -> Tensor:
        start = torch.full((symbols.shape[0], 1), self.vocabulary, dtype=torch.long, device=symbols.device)
        return torch.cat([start, symbols], dim=1)


@final
class TextCNNCritic(Critic):
    """Convolutions of several widths over embedded symbols, each filter's largest answer, dropout, a logit (Kim 2014).

    SeqGAN's critic (section 3.3) without its highway layer. Kim's paper is arXiv:1408.5882.

    Args:
        shape: Length of a text and size of the vocabulary.
        embedding_dim: Numbers that stand for a symbol, 64 in the authors' code.
        n_filters: Filters of each width.
        kernel_widths: Symbols that a filter sees; 1 to 20 in the authors' code.
        dropout: Share of the answers that are left out in training, 0.25 in the authors' code.

    Raises:
        UserError: A width is below 1 or above the length.
    """

    def __init__(
        self,
        shape: Shape,
        embedding_dim: int = 64,
        n_filters: int = 64,
        kernel_widths: Sequence[int] = (1, 2, 3, 4, 5, 8),
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        tokens = require_tokens(self, shape)
        if not kernel_widths or min(kernel_widths) < 1 or max(kernel_widths) > tokens.length:
            raise UserError(
                f"kernel_widths of TextCNNCritic must be in 1 ... {tokens.length}, the length of a text, got "
                f"{list(kernel_widths)}"
            )
        self.n_features = n_filters * len(kernel_widths)
        self.embedding = nn.Conv1d(tokens.vocabulary, embedding_dim, 1, bias=False)
        self.filters = nn.ModuleList(nn.Conv1d(embedding_dim, n_filters, width) for width in kernel_widths)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.n_features, 1)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the filters' largest answers `(N, F)` to probabilities `(N, V, L)`."""
        embedded = self.embedding(samples)
        return self.dropout(torch.cat([filters(embedded).relu().amax(2) for filters in self.filters], dim=1))

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return raw logits `(N,)`."""
        return self.output(features).squeeze(1)
