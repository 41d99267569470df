"""GAN: latents in, samples out, real against fake, with labels or without."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Iterable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.latents import Latents, NormalLatents
from gan_lightning.games.penalized import HeldCritic, check_kinds
from gan_lightning.networks.base import Critic, CriticFactory, Generator, GeneratorFactory, StartsFromData, with_classes
from gan_lightning.observations.base import Observation
from gan_lightning.protocols import Data
from gan_lightning.randomness import Noise, mix
from gan_lightning.shapes import Shape
from gan_lightning.stabilizers.base import CriticConstraint, CriticPenalty, GeneratorTerm, GeneratorTurn
from gan_lightning.stabilizers.critic_of_turn import CriticOfTurn, Judged, View


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
        if (classes := kwargs.get("classes")) is not None:
            generator, critic = (with_classes(f, len(classes), self.conditional) for f in (generator, critic))
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

    @property
    def latent_dim(self) -> int:
        """Number of latent coordinates D."""
        return self.generator.latent_dim

    @abstractmethod
    def critic_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the terms of the critic's loss on samples `(N, ...)`, as the critic is shown them."""

    @abstractmethod
    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return the terms of the generator's loss on samples `(N, ...)`, as the critic is shown them."""

    def critic_turn(self, batch: Any) -> Terms:
        """Return the family's critic terms and the penalties', on a fake batch made without a graph."""
        real, labels = batch.real, self._labels(batch)
        with torch.no_grad():
            fake = self.generator(self.latents(len(real)), labels)
        self.note_spread(real, fake)
        real_draws = self.noise if self.observation is None else self.noise.repeated()
        shown_real, seen_labels = self._observe(real, labels)
        fake_draws = self.noise if self.observation is None else self.noise.repeated()
        shown_fake, _ = self._observe(fake, labels)
        with self.remembered_logits() as known:
            terms = self.critic_loss(shown_real, shown_fake, seen_labels)
        if self.due_penalties():
            shown = whole = Judged(CriticOfTurn(self.critic, known), shown_real, shown_fake)
            if self.observation is not None:
                real, fake = (x.reshape(len(x) // self.pack, -1, *x.shape[2:]) for x in (real, fake))
                view = View(self.observation, labels, fake, real_draws, fake_draws)
                whole = Judged(CriticOfTurn(self.critic, known, view), real, fake)
            terms |= self.penalty_terms(shown, whole, seen_labels)
        if self.observation is not None:
            self.observation.watch(self, shown_real, seen_labels)
        return terms

    def shown(self, batch: Any) -> tuple[Tensor, Judged, Tensor | None]:
        """Return fresh fakes for a batch, both kinds as the critic is shown them, and the labels that it is shown."""
        labels = self._labels(batch)
        fake = self.generator(self.latents(len(batch.real)), labels)
        shown, seen_labels = self._observe(batch.real, labels)
        return fake, Judged(self.critic, shown, self._observe(fake, labels)[0]), seen_labels

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

    def before_critic_update(self, batch: Any) -> None:
        """Let layers that start from data see the first global batch, as the critic is shown it; then the penalties."""
        layers = [module for module in self.critic.modules() if isinstance(module, StartsFromData)]
        if layers and self.critic_updates_done == 0:
            self.noise = Noise(mix(self.seed, 0x1D), self.device, self.dtype_of_samples)
            labels = self._labels(batch)
            labels = labels if labels is None else self.rows_of_all_ranks(labels)
            shown, labels = self._observe(self.rows_of_all_ranks(batch.real), labels)
            for layer in layers:
                layer.starting = True
            self.critic(shown, labels)
            for layer in layers:
                layer.starting = False
        super().before_critic_update(batch)

    def after_critic_update(self) -> None:
        """Hold the critic to its constraint and tell the parts that keep a memory."""
        super().after_critic_update()
        if self.observation is not None:
            self.observation.after_critic_update(self)

    def after_generator_update(self) -> None:
        """Tell the terms that keep a memory."""
        for term in self.generator_terms:
            term.after_update(self)

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
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if self.n_classes and isinstance(data, Data) and data.n_classes != self.n_classes:
            raise UserError(
                f"{mine} has n_classes {self.n_classes} but {type(data).__name__} has {data.n_classes}: set "
                "model.generator.n_classes and model.critic.n_classes to the data's, 0 for an unconditional GAN"
            )
        if not self.adversarial_weight > 0 and (self.adversarial_weight < 0 or not self.generator_terms):
            raise UserError(
                f"adversarial_weight {self.adversarial_weight} with {len(self.generator_terms)} generator_terms leaves "
                "the generator nothing to learn; it must be above 0, or 0 beside a term such as FeatureMatching"
            )
        if isinstance(self.critic, Critic) and self.critic.classifies and not self.classifies:
            raise UserError(
                f"{theirs} tells the class, but {type(self).__name__} has no loss that trains it to, and its logit ignores "
                "the labels; take ACGAN, or a critic that is conditional itself, such as ConcatenatingCritic"
            )
        check_kinds("generator_terms", self.generator_terms)
        super().check()
        for part in (*self.generator_terms, self.observation):
            if part is not None:
                part.check(self)
