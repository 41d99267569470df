"""SeqGAN: values and policy gradients against exact enumeration, phases, resume, and a whole run from a file to lines."""

from __future__ import annotations

import itertools
import json
import shutil
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import one_hot
from torch.testing import assert_close

from gan_lightning.errors import UserError
from gan_lightning.families import SeqGAN
from gan_lightning.losses.policy import policy_gradient_loss
from gan_lightning.networks import LSTMGenerator, MLPCritic, MLPGenerator, TextCNNCritic, TextGenerator
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Images, Tokens
from tests.cases import CASES
from tests.training import SaveAt, assert_same, command, fit, train

V, T = 3, 3
ALL = torch.tensor(list(itertools.product(range(V), repeat=T)))
"""Every sequence."""
(CASE,) = [case for case in CASES if case.name == "SeqGAN"]


def tiny(**options) -> SeqGAN:
    torch.manual_seed(0)
    game = SeqGAN(
        partial(LSTMGenerator, embedding_dim=4, width=5),
        partial(TextCNNCritic, embedding_dim=4, n_filters=5, kernel_widths=[1, 2, 3], dropout=0.5),
        Tokens(T, V),
        **options,
    ).double()
    for network in (game.generator, game.critic):
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter)
    for average, own in zip(game.generator_average.parameters(), game.generator.parameters(), strict=True):
        average.data.copy_(own)
    return game


def probabilities(generator: Any, symbols: Tensor) -> Tensor:
    """Return p `(N, T)` of each symbol given those before it, by stepping an LSTM cell with the same weights."""
    lstm = generator.lstm
    cell = torch.nn.LSTMCell(lstm.input_size, lstm.hidden_size)
    weights = {name: getattr(lstm, f"{name}_l0") for name, _ in cell.named_parameters()}
    state, found = None, []
    before = torch.full((len(symbols),), V)
    for t in range(symbols.shape[1]):
        state = functional_call(cell, weights, (generator.embedding(before), state))
        found.append(generator.output(state[0]).softmax(1).gather(1, symbols[:, t : t + 1]))
        before = symbols[:, t]
    return torch.cat(found, dim=1)


def exact_values(game: SeqGAN) -> Tensor:
    """Return Q_0 ... Q_T `(27, T + 1)` of all sequences: D's mean over all that begin alike, as likely as they are."""
    with torch.no_grad():
        game.critic.eval()
        rewards = game.critic(one_hot(ALL, V).transpose(1, 2).double()).sigmoid()
        p = probabilities(game.generator_average, ALL).prod(1)
    values = torch.zeros(len(ALL), T + 1, dtype=torch.float64)
    for row, symbols in enumerate(ALL):
        for t in range(T + 1):
            alike = (ALL[:, :t] == symbols[:t]).all(1)
            values[row, t] = (p * rewards)[alike].sum() / p[alike].sum()
    return values


def test_the_generator_knows_its_probabilities():
    game = tiny()
    wanted = probabilities(game.generator, ALL)
    assert_close(game.generator.log_probabilities(ALL).gather(2, ALL[:, :, None]).squeeze(2).exp(), wanted)
    assert_close(wanted.prod(1).sum(), torch.tensor(1.0, dtype=torch.float64))


def test_what_it_writes_is_as_frequent_as_it_is_likely():
    game = tiny()
    with torch.no_grad():
        p = probabilities(game.generator, ALL).prod(1)
        n = 40_000
        latents = game.sample_latents(n, torch.Generator().manual_seed(0)).double()
        places = game.generator(latents).argmax(1) @ torch.tensor([V * V, V, 1])
        frequencies = places.bincount(minlength=V**T) / n
        assert ((frequencies - p).abs() < 4.5 * (p * (1 - p) / n).sqrt()).all()
        beginning = torch.tensor([[2, 0]])
        ended = game.generator.completed(beginning, 2 * torch.rand(1, n, 1).double() - 1)[0]
        assert (ended[:, :2] == beginning).all()
        alike = (ALL[:, :2] == beginning).all(1)
        assert_close(ended[:, 2].bincount(minlength=V).double() / n, p[alike] / p[alike].sum(), atol=0.015, rtol=0)
        assert (game.generator.completed(beginning, torch.tensor([[[-1.0], [1 - 1e-12]]]).double())[0, :, 2] < V).all()


def test_roll_outs_are_worth_their_exact_expectation():
    game = tiny(n_rollouts=4000)
    game.noise = Noise(7, torch.device("cpu"), torch.float64)
    game.critic.train()
    with torch.no_grad():
        found = game.values(ALL)
    assert game.critic.training
    wanted = exact_values(game)
    assert_close(found, wanted, atol=0.03, rtol=0)
    assert_close(found[:, T], wanted[:, T])  # the whole sequence, and no dropout
    assert (found[:, :T] - wanted[:, :T]).abs().max() > 0
    assert wanted[:, T].std() > 0.05


def test_the_policy_gradient_is_that_of_the_expected_reward():
    """Over all sequences, each as often as it is likely: the gradient of sum over y of p(y) D(y)."""
    game = tiny()
    values = exact_values(game)
    parameters = list(game.generator.parameters())
    p = probabilities(game.generator, ALL).prod(1)
    wanted = torch.autograd.grad((p * values[:, T]).sum(), parameters)
    log_p = game.generator.log_probabilities(ALL).gather(2, ALL[:, :, None]).squeeze(2)
    for advantages in (values.diff(dim=1), values[:, 1:]):  # with the baseline, and as in the paper
        # the loss is a mean over 27 sequences and T positions
        loss = policy_gradient_loss(log_p, len(ALL) * T * p.detach()[:, None] * advantages)
        for found, exact in zip(torch.autograd.grad(loss, parameters, retain_graph=True), wanted, strict=True):
            assert_close(found, -exact)


def test_a_turn_has_the_loss_of_its_draws():
    game = tiny(n_rollouts=3)
    real = one_hot(ALL, V).transpose(1, 2).double()
    batch = type("Batch", (), {"real": real})
    game.noise = Noise(3, torch.device("cpu"), torch.float64)
    ((name, loss),) = game.generator_turn(batch).items()
    game.noise = Noise(3, torch.device("cpu"), torch.float64)
    with torch.no_grad():
        symbols = game.generator(game.latents(len(real))).argmax(1)
        values = game.values(symbols)
        log_p = probabilities(game.generator, symbols).log()
    assert name == "sequence"
    assert_close(loss.detach(), -(log_p * (values[:, 1:] - values[:, :-1])).mean())
    game.n_pretraining = 1
    ((name, loss),) = game.generator_turn(batch).items()
    assert name == "sequence"
    assert_close(loss, -probabilities(game.generator, ALL).log().mean())


def test_the_phases_take_their_turns(tmp_path):
    game = tiny(n_pretraining=2, n_critic_pretraining=7, n_critic=3)
    assert [game.critic_updates_in_round(update) for update in range(5)] == [0, 0, 7, 3, 3]
    game = CASE.game()
    recorder = train(game, CASE.data(), tmp_path, 4)
    assert game.critic_updates_done == 3 + 2 + 2
    assert len(recorder.column("loss/critic")) == 3 and len(recorder.column("loss/generator")) == 4


@pytest.mark.parametrize(("n", "told"), [(2, True), (3, False)])
def test_a_run_that_ends_before_the_game_begins_is_told(n, told, tmp_path, capfd):
    train(CASE.game(n_pretraining=2), CASE.data(), tmp_path, n)
    assert (f"the critic rests until the last update, {n}" in "".join(capfd.readouterr())) == told


@pytest.mark.parametrize("at", [1, 2])
def test_a_run_resumes_to_the_bit_on_either_side_of_the_end_of_pretraining(tmp_path, at):
    options = {"n_pretraining": 2}
    train(CASE.game(**options), CASE.data(), tmp_path, 4, callbacks=[SaveAt(tmp_path, {at, 4})])
    again = tmp_path / "again"
    save = SaveAt(again, {4})
    train(CASE.game(**options), CASE.data(), again, 4, tmp_path / f"{at}.ckpt", callbacks=[save])
    assert_same(*(torch.load(folder / "4.ckpt", weights_only=True)["state_dict"] for folder in (tmp_path, again)))


@pytest.mark.parametrize(
    ("generator", "critic", "shape", "options", "said"),
    [
        (LSTMGenerator, TextCNNCritic, Images(8, 8, 1), {}, "LSTMGenerator is for text, but the data are images"),
        (TextGenerator, TextCNNCritic, Tokens(8, 4), {}, "TextGenerator makes all at once; take LSTMGenerator"),
        (MLPGenerator, MLPCritic, Tokens(8, 4), {}, "MLPGenerator makes all at once"),
        (LSTMGenerator, partial(MLPCritic, n_classes=2), Tokens(8, 4), {}, "SeqGAN has no labels, but MLPCritic has"),
        (LSTMGenerator, partial(TextCNNCritic, kernel_widths=[9]), Tokens(8, 4), {}, r"kernel_widths .* in 1 ... 8"),
        (LSTMGenerator, TextCNNCritic, Tokens(8, 4), {"n_rollouts": 0}, "n_rollouts must be at least 1, got 0"),
        (LSTMGenerator, TextCNNCritic, Tokens(8, 4), {"n_pretraining": -1}, "n_pretraining must not be negative"),
    ],
)
def test_what_does_not_fit_is_one_line(generator, critic, shape, options, said):
    with pytest.raises(UserError, match=said) as refused:
        SeqGAN(generator, critic, shape, **options)
    assert "\n" not in str(refused.value)


def test_truncation_is_of_normal_latents():
    with pytest.raises(UserError, match="leave it out"):
        tiny().sample(3, truncation=0.5)


def test_a_run_learns_a_text_and_writes_lines(tmp_path):
    text = "to be or not to be " * 60
    (tmp_path / "f").write_text(text)
    config = {
        "name": "run",
        "data": {"class_path": "Text", "init_args": {"path": str(tmp_path / "f"), "length": 12, "batch_size": 16}},
        "model": {
            "class_path": "SeqGAN",
            "init_args": {
                "n_pretraining": 80,
                "n_rollouts": 2,
                "n_critic": 1,
                "generator_optimizer": {"class_path": "Adam", "init_args": {"lr": 0.03}},
                "generator": {"class_path": "LSTMGenerator", "init_args": {"width": 24}},
                "critic": {"class_path": "TextCNNCritic", "init_args": {"n_filters": 4, "kernel_widths": [1, 2]}},
            },
        },
        "trainer": {"accelerator": "cpu", "max_steps": 84, "val_check_interval": 42, "log_every_n_steps": 1},
        "samples": {"every_n_updates": 84, "n_rows": 2, "n_columns": 2},
        "checkpoints": {"every_n_updates": 84},
        "ngrams": {"n_samples": 200},
    }
    outcome = fit(tmp_path, config)
    assert outcome.code == 0, outcome.err
    card = json.loads((tmp_path / "run/evaluation/ngrams-000084.json").read_text())
    assert card["js_4"] < 0.3 < card["js_of_unigrams"][3]
    moved = shutil.copy(tmp_path / "run/checkpoints/last.ckpt", tmp_path / "moved.ckpt")
    (tmp_path / "f").unlink()
    outcome = command("sample", "--ckpt_path", moved, "--n", 70, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    lines = (tmp_path / "out/samples.txt").read_text().splitlines()
    assert len(lines) == 70 and sum(line in text for line in lines) > 20 and len(set(lines)) > 5
