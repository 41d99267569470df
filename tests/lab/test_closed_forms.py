"""The lab's games of two numbers and its divergences against closed forms, and what a wrong loss or penalty would give."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from gan_lightning.data import data_of
from gan_lightning.families import DRAGAN, SNGAN, MinimaxGAN, NonSaturatingGAN
from gan_lightning.lab import dirac, gaussians
from gan_lightning.lab.critics import penalized_best
from gan_lightning.lab.dirac import Consensus, DiracGame, Formula, Point, Slope, eigenvalues, path, penalized
from gan_lightning.losses import Wasserstein
from gan_lightning.metrics.coverage import wasserstein_1d
from gan_lightning.metrics.divergences import (
    jensen_shannon_divergence,
    kl_divergence,
    sliced_wasserstein,
    total_variation,
    wasserstein,
)
from gan_lightning.optimizers import SGD
from gan_lightning.shapes import Vectors
from gan_lightning.stabilizers import R1, R2, GradientPenalty
from gan_lightning.stabilizers.base import CriticPenalty

WGAN = partial(SNGAN, objective=Wasserstein())


@pytest.mark.parametrize(
    ("build", "known"),
    [
        (MinimaxGAN, [-0.5j, 0.5j]),
        (NonSaturatingGAN, [-0.5j, 0.5j]),
        (WGAN, [-1j, 1j]),
        (penalized(MinimaxGAN, R1(0.3)), [complex(-0.15, -math.sqrt(0.2275)), complex(-0.15, math.sqrt(0.2275))]),
        (penalized(NonSaturatingGAN, R2(0.3)), [complex(-0.15, -math.sqrt(0.2275)), complex(-0.15, math.sqrt(0.2275))]),
        (penalized(MinimaxGAN, R1(2.0)), [-1 - math.sqrt(0.75), -1 + math.sqrt(0.75)]),
    ],
)
def test_the_eigenvalues_of_the_dirac_gan(build, known):
    assert np.allclose(eigenvalues(DiracGame(build)), known, atol=1e-6)


def test_consensus_turns_the_eigenvalues_inwards():
    assert np.allclose(eigenvalues(Consensus(DiracGame(MinimaxGAN), 1.0)), [-0.25 - 0.5j, -0.25 + 0.5j], atol=1e-4)


def test_the_product_game_grows_or_goes_round():
    field = DiracGame(WGAN)
    assert math.hypot(*path(field, 100, 0.1, False)[-1]) == pytest.approx(math.sqrt(2) * 1.01**50, rel=1e-12)  # 2.32586
    theta, psi = path(field, 100, 0.1, True, start=(1.0, 1.0)).T
    assert np.ptp(theta**2 + psi**2 - 0.1 * theta * psi) < 1e-13
    assert math.hypot(theta[-1], psi[-1]) == pytest.approx(1.39388, abs=2e-5)


def test_alternating_steps_are_those_of_a_trained_game():
    optimizers = {"critic_optimizer": SGD(lr=0.2), "generator_optimizer": SGD(lr=0.2)}
    game = penalized(MinimaxGAN, R1(0.3))(Point, Slope, Vectors(1), n_critic=1, **optimizers)
    trainer = Trainer(max_steps=30, accelerator="cpu", devices=1, precision="64-true", logger=False,
                      enable_progress_bar=False, enable_checkpointing=False, enable_model_summary=False)  # fmt: skip
    trainer.fit(game, datamodule=data_of(torch.zeros(4, 1), batch_size=1))
    there = [game.generator.theta.item(), game.critic.psi.item()]
    assert there == pytest.approx(path(DiracGame(penalized(MinimaxGAN, R1(0.3))), 30, 0.2, True)[-1], abs=1e-12)


@pytest.mark.parametrize(
    ("formula", "clip", "simultaneous", "alternating"),
    [
        (Formula("saturating"), None, 3.10, 1.42),
        (Formula("non-saturating"), None, 0.640, 0.284),
        (Formula("wasserstein"), 1.0, None, 1.02),
        (Formula("wasserstein", slope_penalty=0.35), None, 1.80, 1.22),
        (Formula("saturating", r1=0.3), None, 2.64e-6, 2.3e-7),
        (Formula("saturating", r1=1.0), None, 9.5e-22, 7.5e-17),
        (Formula("saturating", r1=2.0), None, 1.3e-6, 1.9e-6),
        (Formula("non-saturating", r1=0.3), None, 2.2e-6, 1.5e-7),
        (Formula("saturating", consensus=1.0), None, 2.6e-10, 1.7e-11),
    ],
)
def test_the_formulas_give_the_distances_of_the_notebook(formula, clip, simultaneous, alternating):
    """To their printed digits. The notebook's generator moves first, and its regularizer of WGAN-GP has a factor 1/2."""
    if simultaneous is not None:  # with clipping at once, a range is printed
        ours = math.hypot(*path(formula, 500, 0.2, False, clip)[-1])
        assert ours == pytest.approx(simultaneous, rel=0.025)
    moved = (1 + 0.2 * formula.of_generator(1.0, -1.0), -1.0)  # then the critic is first, but for the last half step
    points = path(formula, 500, 0.2, True, clip, start=moved)
    assert math.hypot(points[-2][0], points[-1][1]) == pytest.approx(alternating, rel=0.025)


FIELDS = [
    ("saturating", MinimaxGAN, 0.0),
    ("non-saturating", NonSaturatingGAN, 0.0),
    ("wasserstein", WGAN, 0.0),
    ("non-saturating", partial(DRAGAN, gp_weight=0.7), 0.7),
    ("wasserstein", penalized(WGAN, GradientPenalty(0.7)), 0.7),
]


@pytest.mark.parametrize(("losses", "build", "weight"), FIELDS)
def test_the_distances_are_those_of_the_formulas(losses, build, weight):
    """Over 60 steps; a step more, and half a penalty, are missed."""
    field, formula = DiracGame(build), Formula(losses, slope_penalty=weight)
    paths = [path(field, 60, 0.2, turns) for turns in (False, True)]
    assert all(row.holds for row in dirac._distance_rows("", paths, formula))
    late = [path(field, 61, 0.2, turns)[1:] for turns in (False, True)]
    assert not any(row.holds for row in dirac._distance_rows("", late, formula))
    half = Formula(losses, r1=0.05) if not weight else Formula(losses, slope_penalty=weight / 2)
    assert not any(row.holds for row in dirac._distance_rows("", paths, half))


class WithoutHalf(CriticPenalty):
    """R1 without its factor 1/2: what the lab must not let pass."""

    name = "wrong"

    def penalty(self, critic, real, fake, labels, noise):
        return (critic(real + 1) - critic(real)).square().mean()


@pytest.mark.parametrize("wrong", ["a missing half", "a wrong sign", "an off-by-one"])
def test_a_wrong_formula_is_missed(wrong, monkeypatch):
    """Each of three mutations makes rows of `dirac` or `product` fail."""
    monkeypatch.setattr(dirac, "_PRODUCT_STEPS", 50)
    assert all(row.holds for row in dirac.play_product(0).rows)
    if wrong == "a missing half":
        monkeypatch.setattr(dirac, "R1", WithoutHalf)
    elif wrong == "a wrong sign":
        right = DiracGame.of_generator
        monkeypatch.setattr(DiracGame, "of_generator", lambda self, theta, psi: -right(self, theta, psi))
    else:
        right_path = dirac.path
        monkeypatch.setattr(dirac, "path", lambda field, n, *args, **kw: right_path(field, n + 1, *args, **kw))
    if wrong == "a missing half":
        field = DiracGame(penalized(MinimaxGAN, dirac.R1(0.3)))
        rows = dirac._eigenvalue_rows("R1", eigenvalues(field), dirac._pair(-0.15, 0.15**2 - 0.25), 1e-4)
    else:
        rows = dirac.play_product(0).rows
    assert not all(row.holds for row in rows)


@pytest.mark.parametrize("experiment", gaussians.EXPERIMENTS, ids=lambda one: one.name)
def test_the_experiments_on_densities_find_what_is_known(experiment):
    found = experiment.play(1)
    assert len(found.rows) > 10 and [row.name for row in found.rows if not row.holds] == []


def test_divergences_of_probabilities():
    p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.25, 0.5])
    assert kl_divergence(p, q).item() == pytest.approx(math.log(2))
    assert kl_divergence(q, p).item() == math.inf and kl_divergence(p, p).item() == 0
    middle = 0.5 * (math.log(0.5 / 0.375)) + 0.5 * (0.5 * math.log(0.25 / 0.375) + 0.5 * math.log(2))
    assert jensen_shannon_divergence(p, q).item() == pytest.approx(middle)
    assert total_variation(p, q).item() == pytest.approx(0.5)


def test_wasserstein_distances_of_samples():
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, generator=random), torch.rand(45, generator=random)
    scipy = pytest.importorskip("scipy.stats")
    assert wasserstein_1d(x, y) == pytest.approx(scipy.wasserstein_distance(x.numpy(), y.numpy()), abs=1e-7)
    points = torch.randn(50, 3, generator=random).double()
    assert wasserstein(points, points[torch.randperm(50, generator=random)]).item() == pytest.approx(0, abs=1e-9)
    moved = points + torch.tensor([3.0, 4.0, 0.0])
    assert wasserstein(points, moved).item() == pytest.approx(5)
    along = sliced_wasserstein(points, moved, 4000).item()
    assert along == pytest.approx(2.5, abs=0.05)  # E |<u, d>| = |d| / 2 in three dimensions
    line = points[:, :1]
    assert wasserstein(line, y[:45, None].double().repeat(2, 1)[:50]).item() == pytest.approx(
        wasserstein_1d(line[:, 0], y.repeat(2)[:50])
    )


@pytest.mark.parametrize(("theta", "weight"), [(2.0, 10.0), (1.0, 1.0)])
def test_the_best_of_a_penalized_critic_is_that_of_drawn_samples(theta, weight):
    random, edges = torch.Generator().manual_seed(0), torch.linspace(-4, theta + 4, 161, dtype=torch.float64)
    real, fake = torch.randn(2, 400_000, generator=random, dtype=torch.float64)
    fake += theta
    share = torch.rand(400_000, generator=random, dtype=torch.float64)
    width = edges[1] - edges[0]
    # what a slope of 1 in each cell adds to E f(G(z)) - E f(x), and how many points between lie there
    gain = torch.stack(
        [(fake - edge).clamp(0, width).mean() - (real - edge).clamp(0, width).mean() for edge in edges[:-1]]
    )
    between = torch.histogram(share * real + (1 - share) * fake, edges).hist / len(real)
    slopes = 1 + gain / (2 * weight * between.clamp(min=1e-9))
    seen, cells = between > 1e-4, (edges[:-1] >= 0) & (edges[1:] <= theta + 1e-9)
    gap, slope = penalized_best(theta, weight)
    assert (gain * slopes)[seen].sum().item() == pytest.approx(gap, rel=0.01)
    assert slopes[cells].mean().item() == pytest.approx(slope, rel=0.01)
    assert penalized_best(theta, 1e9) == pytest.approx((theta, 1.0), rel=1e-5)
