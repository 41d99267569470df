"""One pass of the critic over real and generated samples: the same numbers as two, where it judges each by itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gan_lightning.games import penalized
from gan_lightning.networks.base import Critic
from gan_lightning.stabilizers.slopes import judges_alone
from tests.cases import CASES, Case
from tests.golden.losses import play

NAMES = ("WGANGP", "R3GAN-vectors", "FGAN", "GeometricGAN-vectors-accumulated", "ACGAN-vectors", "McGAN-vectors")
PICKED = [case for case in CASES if case.name in (*NAMES, "WGANGP-conditional-clipped")]
SNGAN = next(case for case in CASES if case.name == "SNGAN")


@pytest.mark.parametrize("case", PICKED, ids=repr)
def test_three_rounds_are_those_of_two_passes(case: Case, tmp_path, monkeypatch) -> None:
    one = play(case, tmp_path)
    monkeypatch.setattr(penalized, "judges_alone", lambda critic: False)
    for ours, plain in zip(one, play(case, tmp_path), strict=True):
        assert ours == pytest.approx(plain, rel=1e-9, abs=1e-12)


class Line(Critic):
    """A critic whose class is none of the package's."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(2, 1)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        return samples

    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.output(features).squeeze(1)


class LineAlone(Line):
    couples_batch = False


def test_somebody_elses_critic_shares_a_pass_only_if_it_says_so() -> None:
    assert not judges_alone(Line())
    assert judges_alone(LineAlone())
    assert not judges_alone(nn.Sequential(LineAlone(), nn.BatchNorm1d(1)))


def test_spectral_norm_iterates_once_in_a_critic_update() -> None:
    game = SNGAN.game()
    assert judges_alone(game.critic)
    norm = game.critic.output.parametrizations.weight[0]
    weight = game.critic.output.parametrizations.weight.original.detach()
    norm._v.copy_(nn.functional.normalize(torch.randn_like(norm._v), dim=0))
    u = nn.functional.normalize(weight @ norm._v, dim=0)
    expected = nn.functional.normalize(weight.T @ u, dim=0)
    passes = []
    game.critic.register_forward_hook(lambda *given: passes.append(len(given[1][0])))
    game.judge_both(game.critic, *torch.randn(2, 8, *game.shape.size))
    assert passes == [16]
    torch.testing.assert_close(norm._v, expected)


def test_logits_of_both_are_those_of_each_at_the_same_weights() -> None:
    game = SNGAN.game().double()
    game.critic.eval()  # leaves the singular vectors where they are
    real, fake = torch.randn(2, 8, *game.shape.size, dtype=torch.float64)
    both = game.judge_both(game.critic, real, fake)
    torch.testing.assert_close(both, (game.critic(real), game.critic(fake)), rtol=1e-12, atol=1e-12)
