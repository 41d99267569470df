"""Terms added to the generator's loss, whatever the family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from torch import Tensor, nn

if TYPE_CHECKING:
    from gan_lightning.gan import GAN


class GeneratorTurn(NamedTuple):
    """What a generator's turn has at hand.

    Attributes:
        real: Real samples as the critic is shown them.
        fake: Generated samples as the critic is shown them.
        labels: Their labels, as the critic is shown them.
        latents: The latents `(N, latent_dim)` that the samples were generated from.
        generated: The generated samples `(N, ...)` before any observation.
        generated_labels: The labels `(N,)` that they were generated for.
    """

    real: Tensor
    fake: Tensor
    labels: Tensor | None
    latents: Tensor
    generated: Tensor
    generated_labels: Tensor | None


class GeneratorTerm(nn.Module, ABC):
    """One term of the generator's loss that any family can take.

    Attributes:
        name: The term's name: logged as `generator/<name>`.
    """

    name: ClassVar[str]

    @abstractmethod
    def forward(self, gan: GAN, turn: GeneratorTurn) -> Tensor:
        """Return the weighted term, a scalar."""
