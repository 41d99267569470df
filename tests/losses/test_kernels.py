import math

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.losses.kernels import UStatistic, VStatistic, rbf_mixture

SIGMAS = (1.0, 2.0, 4.0, 8.0, 16.0)


def k(a, b):
    square = sum((i - j) ** 2 for i, j in zip(a.tolist(), b.tolist(), strict=True))
    return sum(math.exp(-square / (2 * s * s)) for s in SIGMAS)


def kernels(x, y):
    return [rbf_mixture(a, b, SIGMAS) for a, b in ((x, x), (x, y), (y, y))]


def test_estimators_against_a_double_loop():
    torch.manual_seed(0)
    x, y = 3 * torch.randn(5, 4, dtype=torch.float64), torch.randn(7, 4, dtype=torch.float64) + 1
    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    xy = sum(k(x[i], y[j]) for i in range(n) for j in range(m))
    unbiased = xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)
    biased = (xx + 5 * n) / n**2 + (yy + 5 * m) / m**2 - 2 * xy / (n * m)  # k(x, x) = 5, one for each sigma
    assert_close(UStatistic()(*kernels(x, y)).item(), unbiased)
    assert_close(VStatistic()(*kernels(x, y)).item(), biased)


def test_bias():
    torch.manual_seed(0)
    draws = [(torch.randn(6, 2), torch.randn(6, 2)) for _ in range(1000)]
    u = torch.stack([UStatistic()(*kernels(x, y)) for x, y in draws])
    assert abs(u.mean()) < 4 * u.std() / len(u) ** 0.5
    assert (u < 0).any()
    v = torch.stack([VStatistic()(*kernels(x, y)) for x, y in draws])
    assert (v >= -1e-6).all() and v.mean() > 20 * v.std() / len(v) ** 0.5
    x = torch.randn(6, 2)
    assert_close(VStatistic()(*kernels(x, x)), torch.tensor(0.0))


def test_an_offset_of_all_features_costs_no_digits():
    torch.manual_seed(0)
    x, y = torch.randn(8, 3), torch.randn(8, 3)
    near = VStatistic()(*kernels(x, y))
    offset = 2.0**12
    exact = VStatistic()(*kernels((x + offset).double(), (y + offset).double()))
    assert_close(VStatistic()(*kernels(x + offset, y + offset)).double(), exact, rtol=1e-4, atol=1e-6)
    assert_close(near.double(), exact, rtol=1e-2, atol=1e-3)


def test_gradients_are_finite_where_samples_coincide():
    x = torch.zeros(3, 2, requires_grad=True)
    rbf_mixture(x, x, SIGMAS).sum().backward()
    assert_close(x.grad, torch.zeros(3, 2))


def test_one_sample_has_no_unbiased_estimate():
    with pytest.raises(ValueError, match="at least 2 samples"):
        UStatistic()(*kernels(torch.zeros(1, 2), torch.zeros(3, 2)))
