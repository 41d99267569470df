"""Weight clipping: the critic's weights are held in a box after each of its updates."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.errors import UserError
from gan_lightning.protocols import Host
from gan_lightning.stabilizers.base import CriticConstraint


@dataclass(frozen=True)
class WeightClipping(CriticConstraint):
    """Every parameter in [-c, c], gains of a batch norm included (Arjovsky 2017, arXiv:1701.07875, algorithm 1).

    Example:
        >>> with torch.no_grad():
        ...     WeightClipping(0.01)(critic)
        >>> critic.output.weight.detach()
        tensor([[0.0100, 0.0000]])

    Args:
        clip_value: c.
    """

    clip_value: float = 0.01

    def __post_init__(self) -> None:
        """Refuse an empty box."""
        if not self.clip_value > 0:
            raise UserError(f"clip_value must be above 0, got {self.clip_value}; the paper's is 0.01")

    def __call__(self, critic: nn.Module) -> None:
        """Clip every parameter of the critic that is trained."""
        for parameter in critic.parameters():
            if parameter.requires_grad:
                parameter.clamp_(-self.clip_value, self.clip_value)

    def check(self, game: Host) -> None:
        """Refuse a critic whose weights are rescaled after the clipping."""
        rescaled = [name for name, layer in game.critic.named_modules() if is_parametrized(layer)]
        if rescaled:
            raise UserError(
                f"WeightClipping bounds weights which {type(game.critic).__name__} then rescales by spectral "
                f"normalisation ({rescaled[0]}), so the bound bounds nothing; take one of the two"
            )
