"""Penalties on the critic that are not of its gradient: consistency, anchors, the memory of its weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast, final

import torch
from torch import Tensor, nn
from torch.nn import Parameter

from gan_lightning.errors import UserError
from gan_lightning.networks.base import Critic
from gan_lightning.observations.base import Observation
from gan_lightning.penalties import CriticPenalty
from gan_lightning.randomness import Noise

if TYPE_CHECKING:
    from gan_lightning.gan import GAN
    from gan_lightning.held_critic import HeldCritic
from gan_lightning.execution.ranks import sum_over_ranks


@final
class ConsistencyRegularisation(CriticPenalty):
    """E (f(x) - f(T(x)))^2 on real samples: the critic is blind to T (CR-GAN; Zhang 2020, arXiv:1910.12027, eq. 4).

    T is drawn anew for each sample and update. The paper's T flips images and shifts them by a few pixels:
    `Compose([HorizontalFlip(), Translation()])`.

    Args:
        transformation: T, which must not change what a sample is of.
        weight: lambda of the paper.
        on_fakes: Add E (f(G(z)) - f(T(G(z))))^2 (the balanced form; Zhao 2021, arXiv:2002.04724).
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates.
    """

    name = "consistency"
    per_sample = False

    def __init__(
        self, transformation: Observation, weight: float = 10.0, on_fakes: bool = False, interval: int = 1
    ) -> None:
        super().__init__(weight, interval)
        if transformation is None or transformation.pack > 1:
            raise UserError(
                f"ConsistencyRegularisation needs a transformation of single samples, got {transformation}; "
                "give one such as Translation() or Compose([ColourJitter(), Translation()])"
            )
        self.transformation, self.on_fakes = transformation, on_fakes

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the mean squared difference of the logits of samples and their transformed copies."""
        points = (real, fake) if self.on_fakes else (real,)
        gaps = [critic(x, labels) - critic(self.transformation(x, labels, noise)[0], labels) for x in points]
        return torch.stack([gap.square().mean() for gap in gaps]).sum()

    def check(self, gan: HeldCritic) -> None:
        """Refuse critics of more than a sample, and what the transformation refuses."""
        super().check(gan)
        if not hasattr(gan, "observation"):
            raise UserError(
                f"ConsistencyRegularisation transforms samples, but the critic of {type(gan).__name__} judges pairs of a "
                "sample and its latents; leave it out, or take another penalty, such as R1"
            )
        game = cast("GAN", gan)
        if game.observation is not None and game.observation.pack > 1:
            raise UserError(
                f"ConsistencyRegularisation transforms single samples, but {type(game.observation).__name__} shows the "
                "critic packs of them; take one of the two"
            )
        self.transformation.check(game)


@final
class LeCam(CriticPenalty):
    """E (f(x) - a_F)^2 + E (f(G(z)) - a_R)^2, a: running means of the logits (Tseng 2021, arXiv:2104.03310, eq. 4).

    a_R follows the logits of real samples, a_F those of generated ones, over the batches of all ranks and up to the
    update before this one; they start at 0. (The authors' code also puts a ReLU around the differences; the paper does
    not.) The anchors are in the checkpoint.

    Args:
        weight: lambda of the paper.
        decay: Decay of the running means in one critic update.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates, which alone move the
            anchors.
    """

    name = "lecam"
    per_sample = False
    anchors: Tensor
    sums: Tensor

    def __init__(self, weight: float = 0.3, decay: float = 0.99, interval: int = 1) -> None:
        super().__init__(weight, interval)
        if not 0 <= decay < 1:
            raise UserError(f"decay of LeCam must be in [0, 1), got {decay}; the authors' is 0.99")
        self.decay = decay
        self.register_buffer("anchors", torch.zeros(2))  # real, fake
        self.register_buffer("sums", torch.zeros(3), persistent=False)  # of real logits, of fake logits, their number

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the mean squared distance of the logits from the other side's anchor."""
        real_logits, fake_logits = critic(real, labels), critic(fake, labels)
        with torch.no_grad():
            number = self.sums.new_tensor(len(real_logits))
            self.sums += torch.stack([real_logits.sum(), fake_logits.sum(), number]).to(self.sums.dtype)
        real_anchor, fake_anchor = self.anchors.clone()  # the update after this turn must not reach into its graph
        return (real_logits - fake_anchor).square().mean() + (fake_logits - real_anchor).square().mean()

    def after_update(self, gan: HeldCritic) -> None:
        """Move the anchors towards this update's means over all ranks and micro-batches."""
        if gan.critic_updates_done % self.interval:
            return
        total = sum_over_ranks(self.sums)
        self.anchors.lerp_(total[:2] / total[2], 1 - self.decay)
        self.sums.zero_()


class ParameterMean(nn.Module):
    """The mean of all values that some parameters have had, as buffers; the first values count as one."""

    count: Tensor

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        super().__init__()
        for index, parameter in enumerate(parameters):
            self.register_buffer(f"mean_{index}", parameter.detach().clone())
        self.register_buffer("count", torch.ones((), dtype=torch.long))

    def squared_distance(self, parameters: Iterable[Parameter]) -> Tensor:
        """Return |theta - mean|^2 summed over all parameters, a scalar, differentiable in them."""
        return torch.stack([(p - mean).square().sum() for p, mean in zip(parameters, self._means(), strict=True)]).sum()

    @torch.no_grad()
    def update(self, parameters: Iterable[Parameter]) -> None:
        """Take the present values into the mean."""
        self.count += 1
        share = 1 / self.count
        for parameter, mean in zip(parameters, self._means(), strict=True):
            mean.add_((parameter - mean) * share)

    def _means(self) -> list[Tensor]:
        return [buffer for name, buffer in self.named_buffers() if name != "count"]


@final
class HistoricalAveraging(CriticPenalty):
    """|theta - 1/t sum_i theta_i|^2 over the critic's parameters (Salimans 2016, arXiv:1606.03498, section 3.3).

    The mean is over the values after each update so far and the initial ones; it is in the checkpoint. The paper gives
    both players such a term: `gan_lightning.generator_terms.HistoricalAveraging` is the generator's.

    Args:
        weight: Weight of the term; the paper names none.
        interval: Add the penalty, `interval` times as heavy, only every so many critic updates.
    """

    name = "historical_averaging"
    per_sample = False
    of_logits = False

    def __init__(self, weight: float = 1.0, interval: int = 1) -> None:
        super().__init__(weight, interval)
        self.history: ParameterMean

    def attach(self, gan: HeldCritic) -> None:
        """Start the mean at the critic's initial parameters."""
        self.history = ParameterMean(gan.critic.parameters())

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, labels: Tensor | None, noise: Noise) -> Tensor:
        """Return the squared Euclidean distance of the critic's parameters from their mean."""
        return self.history.squared_distance(critic.parameters())

    def after_update(self, gan: HeldCritic) -> None:
        """Take the critic's new parameters into the mean."""
        self.history.update(gan.critic.parameters())
