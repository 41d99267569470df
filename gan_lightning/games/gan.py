"""GAN: latents in, samples out, real against fake, with labels or without."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.latents import Latents, NormalLatents
from gan_lightning.games.penalised import HeldCritic, check_kinds
from gan_lightning.networks.base import Critic, CriticFactory, Generator, GeneratorFactory
from gan_lightning.observations.base import Observation
from gan_lightning.randomness import mix, truncate
from gan_lightning.shapes import Shape
from gan_lightning.stabilisers.base import CriticConstraint, CriticPenalty, GeneratorTerm, GeneratorTurn
from gan_lightning.stabilisers.critic_of_turn import CriticOfTurn, Judged, View

SAMPLE_CHUNK = 64
"""Samples are drawn in chunks of this many, each from its own seed, so that any sharing of the chunks gives the same."""


class GAN(HeldCritic):
    """A game between a generator of samples and a critic of them: images `(N, C, H, W)` in [-1, 1] or vectors `(N, D)`.

    Fakes carry the labels of the real batch, so both players see the class distribution of the data.

    Args:
        generator: Builds the generator of samples of the shape.
        critic: Builds the critic of samples of the shape.
        shape: Shape of a sample, the data's.
        critic_penalties: Terms added to the critic's loss.
        generator_terms: Terms added to the generator's loss.
        observation: What the critic is shown of samples; the samples themselves if none.
        critic_constraint: What the critic's weights are held to after each of its updates.
        adversarial_weight: Weight of the family's own generator terms beside the added ones; at 0 they are left out.
        latent_distribution: What latents are drawn from, in training and for samples.

    Attributes:
        shift_invariant: Whether the losses stay the same if one constant is added to all logits, so that their sign and
            level mean nothing.
        conditional: Whether the family's losses need classes.
        classifies: Whether the family trains a critic to tell the class.
    """

    conditional: bool = False
    classifies: bool = False

    generator: Generator
    critic: Critic
    generator_average: Generator
    generator_terms: list[GeneratorTerm]  # a ModuleList, so that their state is in the checkpoint

    def __init__(
        self,
        generator: GeneratorFactory,
        critic: CriticFactory,
        shape: Shape,
        critic_penalties: list[CriticPenalty] | None = None,
        generator_terms: list[GeneratorTerm] | None = None,
        observation: Observation | None = None,
        critic_constraint: CriticConstraint | None = None,
        adversarial_weight: float = 1.0,
        latent_distribution: Latents = NormalLatents(),
        **kwargs: Any,
    ) -> None:
        if "real_target" in kwargs:
            raise UserError(
                f"real_target {kwargs['real_target']} smooths the labels of a logistic loss, and {type(self).__name__} "
                "takes none; leave it out, or take a logistic family such as NonSaturatingGAN, or the objective NonSaturating"
            )
        pack = observation.pack if observation else 1
        super().__init__(
            generator(shape),
            critic(shape.packed(pack)),
            critic_penalties=critic_penalties,
            critic_constraint=critic_constraint,
            **kwargs,
        )
        with warnings.catch_warnings():  # parts that are modules are described in the checkpoint, not pickled
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of .nn.Module.")
            self.save_hyperparameters(logger=False)
        self.shape = shape
        self.generator_terms = nn.ModuleList(generator_terms or [])  # type: ignore[assignment]
        self.observation = observation
        self.pack = pack
        self.adversarial_weight = adversarial_weight
        self.latent_distribution = latent_distribution
        self.n_classes = self.generator.n_classes
        self.fresh_real = self.fresh_real or any(term.fresh_real for term in self.generator_terms)
        for term in self.generator_terms:
            term.attach(self)

    @abstractmethod
    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the terms of the critic's loss on samples `(N, ...)`, as the critic is shown them."""

    @abstractmethod
    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the terms of the generator's loss on samples `(N, ...)`, as the critic is shown them."""

    def latents(self, n: int) -> Tensor:
        """Return this turn's latents `(n, latent_dim)` for this process's n rows."""
        return self.latent_distribution.of_turn(self.noise, n, self.generator.latent_dim)

    def critic_turn(self, batch: Any) -> Terms:
        """Return the family's critic terms and the penalties', on a fake batch made without a graph."""
        real, labels = batch.real, self._labels(batch)
        with torch.no_grad():
            fake = self.generator(self.latents(len(real)), labels)
        real_draws = self.noise if self.observation is None else self.noise.repeated()
        shown_real, seen_labels = self._observe(real, labels)
        fake_draws = self.noise if self.observation is None else self.noise.repeated()
        shown_fake, _ = self._observe(fake, labels)
        with self.remembered_logits() as known:
            terms = self.critic_loss(shown_real, shown_fake, seen_labels)
        if self.critic_penalties:
            shown = whole = Judged(CriticOfTurn(self.critic, known), shown_real, shown_fake)
            if self.observation is not None:
                real, fake = (x.reshape(len(x) // self.pack, -1, *x.shape[2:]) for x in (real, fake))
                view = View(self.observation, labels, fake, real_draws, fake_draws)
                whole = Judged(CriticOfTurn(self.critic, known, view), real, fake)
            terms |= self.penalty_terms(shown, whole, seen_labels)
        if self.observation is not None:
            self.observation.watch(self, shown_real, seen_labels)
        return terms

    def generator_turn(self, batch: Any) -> Terms:
        """Return the family's generator terms and the added ones, on a fake batch of fresh latents."""
        samples, labels = batch.real, self._labels(batch)
        latents = self.latents(len(samples))
        generated = self.generator(latents, labels)
        real, seen_labels = self._observe(samples, labels)
        fake, _ = self._observe(generated, labels)
        terms = self.generator_loss(real, fake, seen_labels) if self.adversarial_weight else {}
        if self.adversarial_weight != 1:
            terms = {name: self.adversarial_weight * value for name, value in terms.items()}
        if self.generator_terms:
            turn = GeneratorTurn(real, fake, seen_labels, latents, generated, labels)
            for term in self.generator_terms:
                terms[term.name] = term(self, turn)
        return terms

    def generator_parameters(self) -> Iterable[Parameter]:
        """Return the parameters of the generator and of networks that its terms bring along."""
        return chain(self.generator.parameters(), *(term.parameters() for term in self.generator_terms))

    def after_critic_update(self) -> None:
        """Hold the critic to its constraint and tell the parts that keep a memory."""
        super().after_critic_update()
        if self.observation is not None:
            self.observation.after_critic_update(self)

    def after_generator_update(self) -> None:
        """Tell the terms that keep a memory."""
        for term in self.generator_terms:
            term.after_update(self)

    @torch.no_grad()
    def sample(
        self, n: int, labels: Sequence[int] | Tensor | None = None, seed: int = 0, truncation: float | None = None
    ) -> Tensor:
        """Return `n` samples of the averaged generator, images `(n, C, H, W)` in [-1, 1] or vectors `(n, D)`.

        Args:
            n: Number of samples.
            labels: Classes, repeated in turn until there are n; all classes in turn if none are given.
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
        chunks: Sequence[int],
        labels: Sequence[int] | Tensor | None = None,
        seed: int = 0,
        truncation: float | None = None,
    ) -> Iterator[Tensor]:
        """Yield the chunks of `SAMPLE_CHUNK` samples with these indices; chunk j is the same wherever it is drawn."""
        classes = self._classes(labels)
        if truncation is not None and not isinstance(self.latent_distribution, NormalLatents):
            raise UserError(
                f"truncation {truncation} is of normal latents, and this generator was trained with "
                f"{self.latent_distribution}; leave it out"
            )
        dtype = self.dtype_of_samples
        for chunk in chunks:
            generator = torch.Generator().manual_seed(mix(seed, chunk, 0x5A))
            latents = self.sample_latents(SAMPLE_CHUNK, generator)
            if truncation is not None:
                latents = truncate(latents, truncation, generator)
            latents = latents.to(self.device, dtype)
            rows = torch.arange(chunk * SAMPLE_CHUNK, (chunk + 1) * SAMPLE_CHUNK)
            chosen = None if classes is None else classes[rows % len(classes)].to(self.device)
            yield self.generator_average(latents, chosen)

    def sample_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return latents `(n, latent_dim)` on the CPU for sampling, drawn from `generator`."""
        return self.latent_distribution.sample(generator, n, self.generator.latent_dim)

    def _classes(self, labels: Sequence[int] | Tensor | None) -> Tensor | None:
        if not self.n_classes:
            if labels is not None:
                raise UserError(f"labels {list(map(int, labels))} given, but this generator is not conditional")
            return None
        if labels is None:
            return torch.arange(self.n_classes)
        classes = torch.as_tensor(labels, dtype=torch.long).flatten().cpu()
        wrong = classes[(classes < 0) | (classes >= self.n_classes)].tolist()
        if wrong or not len(classes):
            raise UserError(f"labels must be among 0 ... {self.n_classes - 1}, got {wrong or 'none'}")
        return classes

    def _labels(self, batch: Any) -> Tensor | None:
        return batch.labels if self.n_classes or self.critic.n_classes else None

    def _observe(self, samples: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return (samples, labels) if self.observation is None else self.observation(samples, labels, self.noise)

    def check(self) -> None:
        """Raise a UserError that names both sides and the fix if the parts cannot go together."""
        mine, theirs = type(self.generator).__name__, type(self.critic).__name__
        if self.generator.n_classes != self.critic.n_classes:
            raise UserError(
                f"{mine} has n_classes {self.generator.n_classes} but {theirs} has {self.critic.n_classes}: a conditional "
                "GAN's critic must see the labels that its generator obeys; set n_classes alike on both"
            )
        if self.conditional and not self.n_classes:
            raise UserError(
                f"{type(self).__name__} needs classes, but {mine} has n_classes 0; set n_classes on both networks, or take "
                "a family that needs none"
            )
        data = getattr(self.trainer, "datamodule", None)
        known = getattr(data, "n_classes", self.n_classes)
        if self.n_classes and known != self.n_classes:
            raise UserError(
                f"{mine} has n_classes {self.n_classes} but {type(data).__name__} has {known}: set "
                "model.generator.n_classes and model.critic.n_classes to the data's, 0 for an unconditional GAN"
            )
        if not self.adversarial_weight > 0 and (self.adversarial_weight < 0 or not self.generator_terms):
            raise UserError(
                f"adversarial_weight {self.adversarial_weight} with {len(self.generator_terms)} generator_terms leaves "
                "the generator nothing to learn; it must be above 0, or 0 beside a term such as FeatureMatching"
            )
        if hasattr(self.critic, "classify") and not self.classifies:
            raise UserError(
                f"{theirs} tells the class, but {type(self).__name__} has no loss that trains it to, and its logit ignores "
                "the labels; take ACGAN, or a critic that is conditional itself, such as ConcatenatingCritic"
            )
        check_kinds("generator_terms", self.generator_terms)
        super().check()
        for part in (*self.generator_terms, self.observation):
            if part is not None:
                part.check(self)
