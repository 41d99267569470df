"""Virtual batch normalisation (Salimans et al., Improved Techniques for Training GANs, 2016, arXiv:1606.03498)."""

from __future__ import annotations

import torch
from torch import Tensor, cat, nn

from gan_lightning.errors import UserError
from gan_lightning.networks.base import GeneratorFactory
from gan_lightning.networks.wrappers.base import WrappedGenerator
from gan_lightning.shapes import Shape


class VirtualBatchNorm(nn.Module):
    """Each sample is normalised by the statistics of a fixed reference batch and itself (section 3.5).

    The reference batch, the first B rows of the input, gives mean m and mean square s of each channel; a sample with
    its own m_i and s_i over its pixels is normalised by (m_i + B m) / (B + 1) and (s_i + B s) / (B + 1), the reference
    batch by m and s. So samples do not influence each other, and the layer does the same in evaluation mode.

    Args:
        n_channels: Number of channels C.
        n_reference: B.
        eps: Added to the variance.
        affine: Whether there are a gain and an offset for each channel.
    """

    def __init__(self, n_channels: int, n_reference: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        self.n_reference, self.eps = n_reference, eps
        self.weight = nn.Parameter(torch.ones(n_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(n_channels)) if affine else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise reference and samples `(B + N, C)` or `(B + N, C, H, W)`."""
        flat = inputs.flatten(2) if inputs.dim() > 2 else inputs[:, :, None]
        moments = torch.stack([flat.mean(2), flat.square().mean(2)])  # (2, B + N, C)
        b = self.n_reference
        reference = moments[:, :b].mean(1, keepdim=True)
        moments = cat([reference.expand(-1, b, -1), (moments[:, b:] + b * reference) / (b + 1)], 1)
        mean, square = moments[..., None]
        scale = (square - mean.square()).clamp(min=0).add(self.eps).rsqrt()
        normalised = (flat - mean) * scale
        if self.weight is not None and self.bias is not None:
            normalised = normalised * self.weight[:, None] + self.bias[:, None]
        return normalised.view_as(inputs)


class VirtualBatchNormGenerator(WrappedGenerator):
    """Any generator with its batch normalisation made virtual.

    The reference batch, drawn once, is a buffer, so it is in the checkpoint and in the running average. It passes
    through the network with every batch: B + N samples are computed for N. All classes in turn are its labels if the
    network is conditional.

    Args:
        shape: Shape of a sample.
        network: Builds the generator, whose batch normalisation layers are replaced, their gains and offsets kept.
        n_reference: B, the size of the reference batch.

    Raises:
        UserError: The network has no batch normalisation, or B is below 2.
    """

    reference: Tensor
    reference_labels: Tensor

    def __init__(self, shape: Shape, network: GeneratorFactory, n_reference: int = 64) -> None:
        super().__init__(network(shape))
        if n_reference < 2:
            raise UserError(f"n_reference must be at least 2, got {n_reference}; 64 is a usual batch")
        layers = {
            name: layer
            for name, layer in self.network.named_modules()
            if isinstance(layer, nn.modules.batchnorm._BatchNorm)
        }
        if not layers:
            raise UserError(
                f"VirtualBatchNormGenerator found no batch normalisation in {type(self.network).__name__} to replace; "
                "take a generator that has it, such as DCGANGenerator"
            )
        for name, layer in layers.items():
            virtual = VirtualBatchNorm(layer.num_features, n_reference, layer.eps, layer.affine)
            if layer.affine:
                virtual.weight, virtual.bias = layer.weight, layer.bias
            self.network.set_submodule(name, virtual)
        self.register_buffer("reference", torch.randn(n_reference, self.latent_dim))
        self.register_buffer("reference_labels", torch.arange(n_reference) % max(self.n_classes, 1))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)` in [-1, 1] or vectors `(N, C)`."""
        latents = cat([self.reference.to(latents.dtype), latents])
        labels = labels if labels is None else cat([self.reference_labels, labels])
        return self.network(latents, labels)[len(self.reference) :]
