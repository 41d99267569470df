"""One pass of the critic over real and generated samples: the same numbers as two, where it judges each by itself."""

from __future__ import annotations

from functools import partial
from itertools import chain

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

from gan_lightning.families import ALI, Pix2Pix
from gan_lightning.networks import ConvJointCritic, PatchCritic
from gan_lightning.networks.base import Critic
from gan_lightning.stabilizers import slopes
from gan_lightning.stabilizers.slopes import judged_both, judges_alone
from tests.cases import CASES, COLOUR, PAIRS, Case, joint_cnn
from tests.golden.losses import play
from tests.training import train

BARE = (  # without penalties, which ask the critic more often
    "FGAN", "GeometricGAN-vectors-accumulated", "ACGAN-vectors", "McGAN-vectors", "MMDGAN-vectors", "UnrolledGAN", "ALI",
    "ALI-cnn", "BiGAN-vectors-accumulated", "Pix2Pix", "CycleGAN", "SRGAN-srresnet", "SRGAN-esrgan", "StyleTransfer",
    "SeqGAN", "IRGAN", "IRGAN-pretrained-sampled",
)  # fmt: skip
NAMES = (*BARE, "WGANGP", "WGANGP-conditional-clipped", "R3GAN-vectors", "SeqGAN-accumulated")
ROWS = {case.name: case for case in CASES}
PICKED = [ROWS[name] for name in NAMES]
SNGAN = ROWS["SNGAN"]


class Gradients(Callback):
    """Keeps the gradients of every step."""

    def __init__(self) -> None:
        self.steps: list[list[Tensor]] = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer) -> None:
        parameters = chain.from_iterable(group["params"] for group in optimizer.param_groups)
        self.steps.append([p.grad.clone() for p in parameters if p.grad is not None])


@pytest.mark.parametrize("case", PICKED, ids=repr)
def test_three_rounds_are_those_of_two_passes(case: Case, tmp_path, monkeypatch) -> None:
    one, two = Gradients(), Gradients()
    losses = play(case, tmp_path, callbacks=[one])
    monkeypatch.setattr(slopes, "judges_alone", lambda critic: False)
    for ours, plain in zip(losses, play(case, tmp_path, callbacks=[two]), strict=True):
        assert ours == pytest.approx(plain, rel=1e-9, abs=1e-12)
    assert len(one.steps) > 3
    torch.testing.assert_close(one.steps, two.steps, rtol=1e-9, atol=1e-12)


def passes_of_turns(case: Case, folder) -> list[int]:
    """Return how often each of the critic's turns asks the critic, or either of two, in a round."""
    game = case.game()
    networks = [game.critic.of_a, game.critic.of_b] if hasattr(game.critic, "of_a") else [game.critic]
    calls, found, turn = [0] * len(networks), [], game.critic_turn

    def note(index: int, *_: object) -> None:
        calls[index] += 1

    for index, network in enumerate(networks):  # its first layer, because some families ask for features alone
        next(m for m in network.modules() if not list(m.children())).register_forward_hook(partial(note, index))

    def watched(batch):
        calls[:] = [0] * len(calls)
        terms = turn(batch)
        found.extend(calls)
        return terms

    game.critic_turn = watched
    n_first = getattr(game, "n_pretraining", 0)  # updates of another kind
    train(game, case.data(), folder, n_first + 1)
    return found[n_first * game.players[0].accumulation if case.family.__name__ == "IRGAN" else 0 :]


@pytest.mark.parametrize("name", BARE)
def test_the_critic_passes_both_at_once(name: str, tmp_path) -> None:
    assert set(passes_of_turns(ROWS[name], tmp_path)) == {1}


@pytest.mark.parametrize(
    "case",
    [
        Case(ALI, data=COLOUR, **{**joint_cnn(), "critic": partial(ConvJointCritic, width=4, norm=nn.BatchNorm2d)}),
        Case(Pix2Pix, data=PAIRS, critic=partial(PatchCritic, width=2, n_layers=1)),
    ],
    ids=repr,
)
def test_batch_statistics_are_of_each_alone(case: Case, tmp_path) -> None:
    assert set(passes_of_turns(case, tmp_path)) == {2}


def test_sets_of_unequal_shapes_pass_one_after_the_other() -> None:
    critic, real, fake = nn.Linear(2, 1), torch.randn(4, 2), torch.randn(3, 2)
    torch.testing.assert_close(judged_both(critic, (real,), (fake,)), (critic(real), critic(fake)))


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
