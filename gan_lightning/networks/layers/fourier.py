"""Random Fourier features, so that a network of points sees small distances (Tancik et al. 2020, arXiv:2006.10739)."""

from __future__ import annotations

from torch import Tensor, cat, randn

from gan_lightning.errors import UserError


def random_frequencies(n_values: int, n: int, fourier_std: float) -> Tensor | None:
    """Return frequencies `(n_values, n)` in radians per unit, normally distributed; None where the deviation is 0.

    Raises:
        UserError: The deviation is negative.
    """
    if not fourier_std >= 0:
        raise UserError(f"fourier_std must not be negative, got {fourier_std}; 0 leaves the frequencies out")
    return fourier_std * randn(n_values, n) if fourier_std else None


def n_with_waves(n_values: int, frequencies: Tensor | None) -> int:
    """Return how many numbers `append_waves` makes of `n_values`."""
    return n_values if frequencies is None else n_values + 2 * frequencies.size(1)


def append_waves(inputs: Tensor, frequencies: Tensor | None) -> Tensor:
    """Return inputs `(N, D)`, followed by cosines and sines of their products with frequencies `(D, K)`: `(N, D + 2 K)`."""
    if frequencies is None:
        return inputs
    angles = inputs @ frequencies
    return cat([inputs, angles.cos(), angles.sin()], dim=1)
