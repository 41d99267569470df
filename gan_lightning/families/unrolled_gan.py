"""Metz, Poole, Pfau, Sohl-Dickstein, "Unrolled Generative Adversarial Networks", ICLR 2017, https://arxiv.org/abs/1611.02163."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.func import functional_call

from gan_lightning.errors import UserError
from gan_lightning.games.game import Terms
from gan_lightning.games.objective import ObjectiveGAN
from gan_lightning.losses.objectives import Saturating
from gan_lightning.optimizers.functional import functional
from gan_lightning.optimizers.specs import SGD, Adam, OptimizerSpec


@final
class UnrolledGAN(ObjectiveGAN):
    """The generator looks K critic steps ahead: L_D(theta) = -E log D(x) - E log(1 - D(G(z))), L_G = -L_D(theta_K).

    theta_0 = theta and theta_{k+1} is theta_k after one step of the critic's own optimizer down L_D, its moments
    carried on, all on the batch of the generator's turn; the generator's gradient passes through theta_K (eq. 7 to 9).
    The critic itself takes one plain step and keeps nothing of the unrolled ones. K steps cost K critic updates with
    second derivatives and the memory of all of them: for small networks. The ranks average the unrolled gradients, so
    that the steps are down the loss on the global batch (on a micro-batch under accumulation).

    Args:
        n_unrolled: K; 5 is the authors' notebook's, 10 the paper's on the ring of Gaussians.
        real_target: What D(x) is drawn to on real samples: below 1, such as 0.9, is one-sided label smoothing.
        critic_optimizer: Optimizer of the critic, Adam or SGD (the notebook's setting).
        generator_optimizer: Optimizer of the generator (the notebook's setting).
    """

    def __init__(
        self,
        *args: Any,
        n_unrolled: int = 5,
        real_target: float = 1.0,
        critic_optimizer: OptimizerSpec = Adam(lr=1e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=1e-3, betas=(0.5, 0.999)),
        **kwargs: Any,
    ) -> None:
        if n_unrolled < 0:
            raise UserError(f"n_unrolled must be at least 0, got {n_unrolled}; 0 is the minimax game")
        if not isinstance(critic_optimizer, Adam | SGD):
            raise UserError(
                f"UnrolledGAN cannot unroll {type(critic_optimizer).__name__}; take Adam or SGD as critic_optimizer"
            )
        super().__init__(*args, critic_optimizer=critic_optimizer, generator_optimizer=generator_optimizer, **kwargs)
        self.play_for(Saturating(real_target))
        self.n_unrolled = n_unrolled

    def generator_loss(self, real: Tensor, fake: Tensor, labels: Tensor | None) -> Terms:
        """Return minus the loss of the critic that would be after its next K steps."""
        names, owned = zip(*self.critic.named_parameters(), strict=True)
        parameters = [p.detach().requires_grad_() for p in owned]
        buffers = {name: buffer.clone() for name, buffer in self.critic.named_buffers()}

        def loss() -> Tensor:
            state = {**dict(zip(names, parameters, strict=True)), **buffers}

            def judge(samples: Tensor, labels: Tensor | None) -> Tensor:
                return functional_call(self.critic, state, (samples, labels))

            return self.objective.critic_loss(*self.judge_both(judge, real, fake, labels))

        optimizer = functional(self.optimizers(use_pl_optimizer=False)[0], owned)  # type: ignore[index]
        for _ in range(self.n_unrolled):
            gradients = torch.autograd.grad(loss(), parameters, create_graph=True)
            flat = self.mean_over_ranks(torch.cat([gradient.flatten() for gradient in gradients]))
            pieces = flat.split([p.numel() for p in parameters])
            gradients = tuple(piece.view_as(p) for piece, p in zip(pieces, parameters, strict=True))
            parameters = optimizer.step(parameters, gradients)
        return {"unrolled": -loss()}

    def check(self) -> None:
        """Refuse what the unrolled steps would leave out."""
        super().check()
        ignored = [type(part).__name__ for part in (*self.critic_penalties, self.critic_constraint) if part is not None]
        if self.players[0].clip_norm is not None:
            ignored.append("critic_clip_norm")
        if ignored:
            raise UserError(
                f"UnrolledGAN unrolls the bare loss of the critic, without {ignored[0]}; leave it out, "
                "or take another family, such as NonSaturatingGAN"
            )
