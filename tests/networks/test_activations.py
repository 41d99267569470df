from __future__ import annotations

import torch

from gan_lightning.networks import LeakyReLU, LeakyReLUTenth, ShiftedSoftplus


def test_leaky_relus_have_the_papers_slopes() -> None:
    inputs = torch.tensor([-10.0, -1.0, 0.0, 2.0])
    torch.testing.assert_close(LeakyReLU()(inputs), torch.tensor([-2.0, -0.2, 0.0, 2.0]))
    torch.testing.assert_close(LeakyReLUTenth()(inputs), torch.tensor([-1.0, -0.1, 0.0, 2.0]))
    torch.testing.assert_close(LeakyReLU(slope=0.5)(inputs), torch.tensor([-5.0, -0.5, 0.0, 2.0]))


def test_shifted_softplus_is_its_formula_and_stays_finite() -> None:
    inputs = torch.linspace(-5, 5, 41, dtype=torch.double)
    torch.testing.assert_close(ShiftedSoftplus()(inputs), torch.log1p(torch.exp(2 * inputs + 2)) / 2 - 1)
    torch.testing.assert_close(ShiftedSoftplus()(torch.tensor([1e4, -1e4])), torch.tensor([1e4, -1.0]))
