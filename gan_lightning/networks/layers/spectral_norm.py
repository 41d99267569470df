"""Spectral normalisation (Miyato et al., Spectral Normalization for GANs, ICLR 2018, arXiv:1802.05957)."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.errors import UserError
from gan_lightning.networks.layers.conditional import ConditionalBatchNorm2d

_LAYERS = (
    nn.Linear,
    nn.Embedding,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def spectrally_normalize(module: ModuleT, n_power_iterations: int = 1, eps: float = 1e-12) -> ModuleT:
    """Divide every weight of a module by its largest singular value, in place, and return the module.

    The weight of a convolution is seen as the matrix `(out, in * k * k)`. In train mode each forward pass makes
    `n_power_iterations` steps towards the singular vectors, which are buffers (no gradient, in the state dict); in eval
    mode they stay as they are. Initialise the weights before. Layers that are normalised already are left alone, as are
    the gains and offsets of conditional batch normalisation.

    Args:
        module: Network whose linear, embedding and (transposed) convolution layers are normalised.
        n_power_iterations: Power iterations per forward pass.
        eps: Least norm that a vector is divided by.

    Raises:
        UserError: A weight is 0.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, ConditionalBatchNorm2d)]
    left_alone = {id(part) for norm in norms for part in (norm.gain, norm.offset)}
    for name, layer in list(module.named_modules()):  # a list, because registering adds submodules
        if isinstance(layer, _LAYERS) and id(layer) not in left_alone and not is_parametrized(layer, "weight"):
            if not layer.weight.is_meta and not layer.weight.any():
                raise UserError(
                    f"{type(module).__name__} starts with weights of 0 ({name}), which have no spectral norm to be "
                    "divided by; leave the spectral normalisation out, or take another network or initialization"
                )
            spectral_norm(layer, n_power_iterations=n_power_iterations, eps=eps)
    return module


spectrally_normalise = spectrally_normalize  # its name in 0.1.0
