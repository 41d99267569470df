"""SamplingGame: a game whose generator makes samples from latents, and how they are drawn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from gan_lightning.errors import UserError, nearest
from gan_lightning.games.divergence import EVERY, spread_of
from gan_lightning.games.game import Game
from gan_lightning.games.latents import Latents, NormalLatents
from gan_lightning.randomness import mix, truncate
from gan_lightning.shapes import Shape

_SPREAD = "spread"
SAMPLE_CHUNK = 64
"""Samples are drawn in chunks of this many, each from its own seed, so that any sharing of the chunks gives the same."""


class SamplingGame(Game):
    """A game whose averaged generator makes samples from latents, the `Sampler` of everything that watches it.

    Attributes:
        shape: Shape of a sample.
        n_classes: Number of classes, 0 for an unconditional generator.
        latent_distribution: What latents are drawn from, in training and for samples.
    """

    shape: Shape
    n_classes: int
    latent_distribution: Latents = NormalLatents()

    @property
    @abstractmethod
    def latent_dim(self) -> int:
        """Number of latent coordinates D."""

    def note_spread(self, real: Tensor, fake: Tensor) -> None:
        """Let the watch see, now and then, whether generated samples `(N, ...)` differ as real ones do."""
        if len(real) > 1 and len(fake) > 1 and (self.tracing or self._looks_at_spread):
            self.record({_SPREAD: spread_of(real, fake)})

    def record(self, values: Mapping[str, Tensor]) -> None:
        """Log these numbers; the spread of generated samples is for the watch."""
        others = dict(values)
        spread = None if self.tracing else others.pop(_SPREAD, None)
        if spread is not None and self._looks_at_spread:
            self.watch.note_spread(self.updates_done, spread)
        super().record(others)

    @property
    def _looks_at_spread(self) -> bool:
        return self.updates_done % EVERY == EVERY - 1

    def latents(self, n: int) -> Tensor:
        """Return this turn's latents `(n, latent_dim)` for this process's n rows."""
        return self.latent_distribution.of_turn(self.noise, n, self.latent_dim)

    def sample_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return latents `(n, latent_dim)` on the CPU for sampling, drawn from `generator`."""
        return self.latent_distribution.sample(generator, n, self.latent_dim)

    @torch.no_grad()
    def sample(
        self, n: int, labels: Sequence[int | str] | Tensor | None = None, seed: int = 0, truncation: float | None = None
    ) -> Tensor:
        """Return `n` samples of the averaged generator, images `(n, C, H, W)` in [-1, 1] or vectors `(n, D)`.

        Args:
            n: Number of samples.
            labels: Classes by number or name, repeated in turn until there are n; all classes in turn if none are given.
            seed: The same seed gives the same samples.
            truncation: Draw the latents outside [-truncation, truncation] anew (BigGAN, arXiv:1809.11096, section 3.1).

        Raises:
            UserError: n is below 1, truncation is not above 0, or labels are given to an unconditional generator or are
                not among its classes.
        """
        if n < 1:
            raise UserError(f"n must be at least 1, got {n}")
        return torch.cat(list(self.sample_chunks(range(-(-n // SAMPLE_CHUNK)), labels, seed, truncation)))[:n]

    @torch.no_grad()
    def sample_chunks(
        self,
        chunks: Iterable[int],
        labels: Sequence[int | str] | Tensor | None = None,
        seed: int = 0,
        truncation: float | None = None,
    ) -> Iterator[Tensor]:
        """Yield the chunks of `SAMPLE_CHUNK` samples with these indices; chunk j is the same wherever it is drawn."""
        classes = self.label_indices(labels)
        if truncation is not None and not isinstance(self.latent_distribution, NormalLatents):
            raise UserError(
                f"truncation {truncation} is of normal latents, and this generator was trained with "
                f"{self.latent_distribution}; leave it out"
            )
        for chunk in chunks:
            generator = torch.Generator().manual_seed(mix(seed, chunk, 0x5A))
            latents = self.sample_latents(SAMPLE_CHUNK, generator)
            if truncation is not None:
                latents = truncate(latents, truncation, generator)
            rows = torch.arange(chunk * SAMPLE_CHUNK, (chunk + 1) * SAMPLE_CHUNK)
            chosen = None if classes is None else classes[rows % len(classes)].to(self.device)
            yield self.generator_average(latents.to(self.device, self.dtype_of_samples), chosen)

    def label_indices(self, labels: Sequence[int | str] | Tensor | None) -> Tensor | None:
        """Return the indices of classes that are given as names or indices, all of them if None; None without classes.

        Raises:
            UserError: There is no such class, or the generator has none.
        """
        if not self.n_classes:
            if labels is not None:
                given = labels.tolist() if isinstance(labels, Tensor) else labels
                raise UserError(f"labels {given} given, but this generator is not conditional")
            return None
        if labels is None:
            return torch.arange(self.n_classes)
        if isinstance(labels, str):
            labels = [labels]
        if not isinstance(labels, Tensor):
            for label in labels:
                if isinstance(label, str) and label not in self.classes:
                    raise UserError(
                        f"there is no class {label!r}{nearest(label, self.classes)}; the classes are "
                        f"{', '.join(self.classes[:20]) or f'0 ... {self.n_classes - 1}'}"
                    )
            labels = [self.classes.index(label) if isinstance(label, str) else label for label in labels]
        classes = torch.as_tensor(labels, dtype=torch.long).flatten().cpu()
        wrong = classes[(classes < 0) | (classes >= self.n_classes)].tolist()
        if wrong or not len(classes):
            raise UserError(f"labels must be among 0 ... {self.n_classes - 1}, got {wrong or 'none'}")
        return classes
