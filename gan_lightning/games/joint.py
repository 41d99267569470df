"""JointGAN: a generator and an encoder together against a critic of (sample, latents) pairs."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.penalized import HeldCritic
from gan_lightning.networks.base import Critic, Generator, GeneratorFactory
from gan_lightning.networks.encoders import Encoder, EncoderFactory
from gan_lightning.networks.joint_critic import JointCritic, JointCriticFactory
from gan_lightning.randomness import mix
from gan_lightning.shapes import Shape
from gan_lightning.stabilizers.base import CriticConstraint, CriticPenalty
from gan_lightning.stabilizers.critic_of_turn import CriticOfTurn, Judged
from gan_lightning.stabilizers.slopes import judged_both


class GeneratorAndEncoder(nn.Module):
    """The generator player of joint inference: latents to samples, and back; called, it generates."""

    def __init__(self, generator: Generator, encoder: Encoder) -> None:
        super().__init__()
        self.generator, self.encoder = generator, encoder

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return samples of latents `(N, latent_dim)`: images `(N, C, H, W)` in [-1, 1] or vectors `(N, C)`."""
        return self.generator(latents)


class CriticOfRows(Critic):
    """A critic of pairs as penalties see a critic: of rows that hold a flattened sample and its latents.

    Args:
        critic: The critic of pairs.
        shape: Shape of a sample.
    """

    def __init__(self, critic: JointCritic, shape: Sequence[int]) -> None:
        super().__init__()
        self.critic, self.shape = critic, tuple(shape)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the rows themselves."""
        return samples

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits `(N,)` of rows `(N, |sample| + D)`."""
        n = prod(self.shape)
        return self.critic(features[:, :n].unflatten(1, self.shape), features[:, n:])


class JointGAN(HeldCritic):
    """The critic tells (real x, inferred z) from (generated x, drawn z); the other player is generator and encoder.

    The papers update critic and (generator, encoder) at once, on one batch and at the same parameters. Here they take
    turns, each on fresh latents, as in every game of this package; the losses are the papers'.

    Args:
        generator: Builds the generator of samples of the shape; unconditional.
        encoder: Builds the encoder of samples of the shape into so many numbers.
        critic: Builds the critic of pairs of a sample of the shape and so many latent coordinates.
        shape: Shape of a sample, the data's.
        critic_penalties: Terms added to the critic's loss, on pairs: slopes are those in sample and latents together.
        critic_constraint: What the critic's weights are held to after each of its updates.

    Raises:
        UserError: The generator is conditional.

    Attributes:
        codes_per_latent: How many numbers the family asks of the encoder for each latent coordinate.
    """

    judges_pairs = True
    codes_per_latent: ClassVar[int]
    generator: GeneratorAndEncoder
    critic: JointCritic
    generator_average: GeneratorAndEncoder

    def __init__(
        self,
        generator: GeneratorFactory,
        encoder: EncoderFactory,
        critic: JointCriticFactory,
        shape: Shape,
        critic_penalties: list[CriticPenalty] | None = None,
        critic_constraint: CriticConstraint | None = None,
        **kwargs: Any,
    ) -> None:
        decoder = generator(shape)
        if decoder.n_classes:
            raise UserError(
                f"{type(self).__name__} has no labels, but its generator has n_classes {decoder.n_classes}; set it to 0"
            )
        inference = encoder(shape, self.codes_per_latent * decoder.latent_dim)
        super().__init__(
            GeneratorAndEncoder(decoder, inference),
            critic(shape, decoder.latent_dim),
            critic_penalties=critic_penalties,
            critic_constraint=critic_constraint,
            **kwargs,
        )
        with warnings.catch_warnings():  # penalties are described in the checkpoint, not pickled
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of .nn.Module.")
            self.save_hyperparameters(logger=False)
        self.shape = shape
        self.n_classes = 0

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates D."""
        return self.generator.generator.latent_dim

    @abstractmethod
    def critic_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Terms:
        """Return the terms of the critic's loss on the logits of (x, inferred z) and (generated x, z), `(N,)` each."""

    @abstractmethod
    def generator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Terms:
        """Return the terms of the generator's and encoder's loss on the same two kinds of logits, `(N,)` each."""

    @abstractmethod
    def infer(self, codes: Tensor, noise: Tensor) -> Tensor:
        """Return latents `(N, D)` from the encoder's codes `(N, codes_per_latent * D)` and N(0, 1) draws `(N, D)`."""

    def critic_turn(self, batch: Any) -> Terms:
        """Return the family's critic terms and the penalties', on pairs made without a graph."""
        with torch.no_grad():
            real, fake = self._pairs(batch.real)
        self.note_spread(real[0], fake[0])
        logits = self._judge_both(real, fake)
        terms = self.critic_loss(*logits)
        if self.due_penalties():
            critic, rows = self._as_rows(real, fake)
            judged = Judged(CriticOfTurn(critic, list(zip(rows, logits, strict=True))), *rows)
            terms |= self.penalty_terms(judged, judged)
        return terms

    def shown(self, batch: Any) -> tuple[Tensor, Judged, Tensor | None]:
        """Return fresh fakes for a batch, and both kinds of pairs as rows."""
        real, fake = self._pairs(batch.real)
        critic, rows = self._as_rows(real, fake)
        return fake[0], Judged(critic, *rows), None

    def _as_rows(self, *pairs: tuple[Tensor, Tensor]) -> tuple[CriticOfRows, list[Tensor]]:
        """Return pairs as rows `(N, |sample| + D)`, and the critic of them."""
        rows = [torch.cat([samples.flatten(1), latents], dim=1) for samples, latents in pairs]
        return CriticOfRows(self.critic, pairs[0][0].shape[1:]), rows

    def generator_turn(self, batch: Any) -> Terms:
        """Return the family's terms of generator and encoder, on fresh latents."""
        real, fake = self._pairs(batch.real)
        return self.generator_loss(*self._judge_both(real, fake))

    def _judge_both(self, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the logits of both kinds of pairs; dropout has a pass for each, so that old runs resume with its numbers."""
        if any(isinstance(module, nn.Dropout) for module in self.critic.modules()):
            return self.critic(*real), self.critic(*fake)
        return judged_both(self.critic, real, fake)

    def _pairs(self, samples: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        latents = self.latents(len(samples))
        noise = self.noise.normal(len(samples), self.latent_dim)
        return (samples, self.infer(self.generator.encoder(samples), noise)), (self.generator(latents), latents)

    @torch.no_grad()
    def encode(self, samples: Tensor, seed: int = 0) -> Tensor:
        """Return latents `(n, latent_dim)` that the averaged encoder infers of `n` samples; one seed, one draw."""
        noise = torch.randn(len(samples), self.latent_dim, generator=torch.Generator().manual_seed(mix(seed, 0xE)))
        samples = samples.to(self.device, self.dtype_of_samples)
        return self.infer(self.generator_average.encoder(samples), noise.to(samples))

    @torch.no_grad()
    def reconstruct(self, samples: Tensor, seed: int = 0) -> Tensor:
        """Return what the averaged generator makes of the latents inferred of samples `(n, ...)`, in their shape."""
        return self.generator_average(self.encode(samples, seed))
