"""Activations that torch does not have, and how a network is told which one to use.

None works in place: gradient penalties differentiate through the critic twice.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import softplus

from gan_lightning.errors import UserError

Activation = Callable[[], nn.Module]
"""Builds one activation; `torch.nn.SiLU` as it stands, or a class with `init_args` in YAML."""


class LeakyReLU(nn.LeakyReLU):
    """`max(x, slope * x)`, by default with the slope of DCGAN's critic (Radford et al. 2016, arXiv:1511.06434).

    Args:
        slope: Slope of the negative half.
    """

    def __init__(self, slope: float = 0.2) -> None:
        super().__init__(slope)


class LeakyReLUTenth(nn.LeakyReLU):
    """`max(x, x / 10)`, the activation of SNGAN's CNN critic (Miyato et al. 2018, arXiv:1802.05957, Table 3)."""

    def __init__(self) -> None:
        super().__init__(0.1)


class ShiftedSoftplus(nn.Module):
    """`softplus(2x + 2) / 2 - 1`, a smooth ReLU-like map (Gulrajani et al. 2017, arXiv:1704.00028, appendix B).

    Its second derivative is smooth, which ELU's is not, so it suits critics under a gradient penalty.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the activation of inputs of any shape, elementwise; values are above -1."""
        return softplus(2 * inputs + 2) / 2 - 1


class Maxout(nn.Module):
    """The largest of k linear maps for each unit (Goodfellow et al. 2013, arXiv:1302.4389), in fully connected networks.

    The layer in front of it has k times as many outputs, of which consecutive ones belong together. PacGAN's critics have
    k = 5 (Lin et al. 2018, arXiv:1712.04086).

    Args:
        pieces: k.

    Raises:
        UserError: There are less than two pieces.
    """

    def __init__(self, pieces: int = 5) -> None:
        super().__init__()
        if pieces < 2:
            raise UserError(f"pieces of Maxout must be at least 2, got {pieces}; with 1 there is no activation")
        self.pieces = pieces

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the largest of each k consecutive inputs: `(N, F)` of `(N, k F)`.

        Raises:
            UserError: The inputs are maps of a convolution, which has not k times its outputs.
        """
        if inputs.dim() != 2:
            raise UserError(
                f"Maxout is an activation of fully connected networks, got maps of shape {tuple(inputs.shape)}"
            )
        # The backward pass of max puts a gradient in its place; that of amax looks for ties, and takes 1.6 times as long.
        return inputs.unflatten(1, (-1, self.pieces)).max(2).values


def n_outputs(width: int, activation: nn.Module) -> int:
    """Return how many outputs a linear layer needs so that its activation has `width` of them."""
    return width * activation.pieces if isinstance(activation, Maxout) else width
