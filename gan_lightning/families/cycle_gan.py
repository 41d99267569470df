"""Zhu, Park, Isola & Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", ICCV 2017,
https://arxiv.org/abs/1703.10593."""

from __future__ import annotations

from typing import Any, ClassVar, final

from torch import Tensor, nn
from torch.nn.functional import l1_loss

from gan_lightning.errors import UserError
from gan_lightning.games.buffer import FakeBuffer
from gan_lightning.games.game import Terms
from gan_lightning.games.translation import TranslationGame
from gan_lightning.losses.objectives import LeastSquares, Objective
from gan_lightning.networks.base import Critic, CriticFactory, Translator, TranslatorFactory, require_pair
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.randomness import Noise, Shard, mix
from gan_lightning.shapes import Pair, Shape
from gan_lightning.stabilizers.slopes import judged_both


class TwoTranslators(nn.Module):
    """The generator player of CycleGAN: G from A to B and F from B to A; called, it is G."""

    def __init__(self, a_to_b: Translator, b_to_a: Translator) -> None:
        super().__init__()
        self.a_to_b, self.b_to_a = a_to_b, b_to_a

    def forward(self, sources: Tensor, noise: Noise | None = None) -> Tensor:
        """Return images of B `(N, C, H, W)` for images of A `(N, c, H, W)`, both in [-1, 1]."""
        return self.a_to_b(sources, noise)


class TwoCritics(nn.Module):
    """The critic player of CycleGAN: one for each domain; called, it is that of B."""

    def __init__(self, of_a: Critic, of_b: Critic) -> None:
        super().__init__()
        self.of_a, self.of_b = of_a, of_b

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of images of B."""
        return self.of_b(images)


@final
class CycleGAN(TranslationGame):
    r"""Two domains without pairs: G makes B of A, F makes A of B, and what is made there and back is to be what it was.

    With images a and b, critics f_A and f_B, and fakes a', b' from buffers,

    L_D = 1/2 E (f_B(b) - 1)^2 + 1/2 E f_B(b')^2 + 1/2 E (f_A(a) - 1)^2 + 1/2 E f_A(a')^2

    L_G = E (f_B(G(a)) - 1)^2 + E (f_A(F(b)) - 1)^2 + lambda (E |F(G(a)) - a| + E |G(F(b)) - b| + w (E |G(b) - b| + E |F(a) - a|))

    minimised; distances are means over values. Both generators are one player and both critics the other, so that each has
    one optimizer, as in the authors' code. There the generators move first in a round; here the critics do. The buffers hold
    fakes of the global batch, on all ranks the same ones.

    Args:
        generator: Builds a translator of a pair; asked twice, the second time for the way back.
        critic: Builds the critic of a domain.
        shape: The pair of the domains A and B, the data's.
        cycle_weight: lambda.
        identity_weight: w; the authors' code has 0.5, which needs domains with equally many channels.
        n_buffered: How many fakes a buffer keeps; 0 shows the critics the newest ones alone.
        objective: The adversarial losses of each critic.
        adversarial_weight: Weight of the generators' losses: `LeastSquares` is half the paper's.
        critic_optimizer: Optimizer of both critics (the paper's).
        generator_optimizer: Optimizer of both generators (the paper's).
        ema_decay: Decay of the generators' running average; the paper has none.
        **kwargs: Those of `Game`.

    Raises:
        UserError: There is an identity loss between domains of unequal channels.
    """

    directions: ClassVar[tuple[str, ...]] = ("AtoB", "BtoA")
    of_pairs: ClassVar[bool] = False
    generator: TwoTranslators
    critic: TwoCritics
    generator_average: TwoTranslators

    def __init__(
        self,
        generator: TranslatorFactory,
        critic: CriticFactory,
        shape: Shape,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        n_buffered: int = 50,
        objective: Objective = LeastSquares(),
        adversarial_weight: float = 2.0,
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        ema_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        a, b = require_pair(shape)
        if identity_weight and a.channels != b.channels:
            raise UserError(
                f"identity_weight {identity_weight} asks a generator to leave images of its own domain alone, but A has "
                f"{a.channels} channels and B has {b.channels}; set it to 0, or take as many channels"
            )
        super().__init__(
            TwoTranslators(generator(Pair(a, b)), generator(Pair(b, a))),
            TwoCritics(critic(a), critic(b)),
            shape,
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            ema_decay=ema_decay,
            **kwargs,
        )
        self.cycle_weight, self.identity_weight, self.objective = cycle_weight, identity_weight, objective
        self.adversarial_weight = adversarial_weight
        self.buffer_of_a, self.buffer_of_b = FakeBuffer(n_buffered, a), FakeBuffer(n_buffered, b)
        self._fakes: tuple[Tensor, Tensor]

    def networks_of(self, direction: str) -> tuple[nn.Module, int]:
        """Return the averaged network of a direction, and what the sides of its images must be multiples of."""
        both = self.generator_average
        network = both.a_to_b if direction == "AtoB" else both.b_to_a
        return network, network.multiple

    def before_critic_update(self, batch: Any) -> None:
        """Make the fakes of the global batch and exchange some for those of the buffers."""
        n, shard = len(batch.real), Shard(self._rank, self._world_size)
        noise = Noise(mix(self.seed, self.critic_updates_done, 0xCB), self.device, self.dtype_of_samples, shard)
        made = self.generator.b_to_a(batch.real, noise), self.generator.a_to_b(batch.source, noise)
        mine = slice(self._rank * n, (self._rank + 1) * n)
        draws = Noise(mix(self.seed, self.critic_updates_done, 0xCC), self.device, self.dtype_of_samples)
        of_a, of_b = (
            buffer.exchanged(self.rows_of_all_ranks(fakes), draws.uniform(n * self._world_size, 2))[mine]
            for buffer, fakes in zip((self.buffer_of_a, self.buffer_of_b), made, strict=True)
        )
        self._fakes = of_a, of_b

    def critic_turn(self, batch: Any) -> Terms:
        """Return the objective's critic loss of each domain, on fakes from the buffers."""
        start = self.noise.shard.part * len(batch.real)
        fake_a, fake_b = (fakes[start : start + len(batch.real)] for fakes in self._fakes)
        loss = self.objective.critic_loss
        name = self.objective.name
        return {
            f"{name}_a": loss(*judged_both(self.critic.of_a, (batch.source,), (fake_a,))),
            f"{name}_b": loss(*judged_both(self.critic.of_b, (batch.real,), (fake_b,))),
        }

    def generator_turn(self, batch: Any) -> Terms:
        """Return the objective's generator losses, the cycles' and the identities'."""
        a, b = batch.source, batch.real
        to_b, to_a = self.generator.a_to_b, self.generator.b_to_a
        made_b, made_a = to_b(a, self.noise), to_a(b, self.noise)
        name, loss = self.objective.name, self.objective.generator_loss
        terms = {
            f"{name}_a": self.adversarial_weight * loss(self.critic.of_a(made_a)),
            f"{name}_b": self.adversarial_weight * loss(self.critic.of_b(made_b)),
            "cycle_a": self.cycle_weight * l1_loss(to_a(made_b, self.noise), a),
            "cycle_b": self.cycle_weight * l1_loss(to_b(made_a, self.noise), b),
        }
        if self.identity_weight:
            weight = self.cycle_weight * self.identity_weight
            terms["identity_a"] = weight * l1_loss(to_a(a, self.noise), a)
            terms["identity_b"] = weight * l1_loss(to_b(b, self.noise), b)
        return terms
