"""IRGAN: the policy's draws, gradients and losses against closed forms, and whole runs from a file to a table."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.data import SyntheticFeedback
from gan_lightning.evaluation.cards import COMPARED
from gan_lightning.games.restore import load_game
from gan_lightning.losses.policy import (
    LogSigmoidReward,
    Pairwise,
    Pointwise,
    SigmoidReward,
    SoftplusReward,
    drawn,
    log_policy,
    policy_gradient_loss,
    ranking_loss,
    with_positives,
)
from gan_lightning.networks import MatrixFactorization, Popularity
from gan_lightning.shapes import Rankings, Vectors
from tests.cases import CASES, FEEDBACK
from tests.training import SaveAt, assert_same, command, fit, train


def test_the_policy_gradient_is_that_of_the_expected_reward():
    """Over all draws, weighted as they are likely: the gradient of sum_d p(d) r(d)."""
    scores = torch.tensor([[0.3, -1.0, 0.8]], dtype=torch.float64, requires_grad=True)
    rewards = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    positive = torch.tensor([[False, True, False]])
    (wanted,) = torch.autograd.grad((log_policy(scores).exp() * rewards).sum(), scores)
    log_p = log_policy(scores)
    mixed = with_positives(log_p.detach().exp(), positive, 0.2)
    assert_close(mixed.sum(1), torch.ones(1, dtype=torch.float64))
    weights = log_p.detach().exp() / mixed
    # each document as often as the mixture draws it: mean over 3 places times 3
    loss = policy_gradient_loss(log_p, 3 * mixed * weights * rewards)
    (found,) = torch.autograd.grad(loss, scores)
    assert_close(found, -wanted)


def test_draws_are_as_frequent_as_they_are_likely_and_never_impossible():
    p = torch.tensor([[0.1, 0.0, 0.6, 0.3, 0.0]])
    places = drawn(p, torch.rand(1, 100_000, generator=torch.Generator().manual_seed(0)))
    assert_close(places[0].bincount(minlength=5) / 100_000, p[0], atol=0.005, rtol=0)
    assert drawn(p, torch.tensor([[0.0, 1 - 2**-24]])).tolist() == [[0, 3]]


def test_what_is_not_valid_has_no_probability():
    valid = torch.tensor([[True, False, True]])
    assert_close(log_policy(torch.tensor([[0.0, 9.0, 1.0]]), valid, 0.5).exp()[0, 2], torch.tensor(2.0).sigmoid())
    assert log_policy(torch.tensor([[0.0, 9.0, 1.0]]), valid).exp()[0, 1] == 0


def test_rewards_and_losses_by_hand():
    f, w = torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0, 3.0]])
    assert_close(SigmoidReward().advantages(f, w), torch.tensor([[0.0, 0.7615942]]))
    soft = torch.tensor([0.6931472, 2.126928])
    assert_close(SoftplusReward().advantages(f, w), (soft - (soft * torch.tensor([0.25, 0.75])).sum())[None])
    assert_close(LogSigmoidReward().advantages(f, w), torch.tensor([[-0.6931472, -0.126928]]))
    real = torch.tensor([[1.0]])
    assert_close(Pointwise().critic_loss(real, f), torch.tensor(0.3132617 + (0.6931472 + 2.126928) / 2))
    assert_close(Pairwise().critic_loss(real, f), torch.tensor((0.3132617 + 1.3132617) / 2))
    assert Pairwise().judged(real, f).tolist() == [[-1.0, 1.0]] and Pointwise().judged(real, f) is f
    assert_close(
        ranking_loss(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])),
        torch.tensor(0.1566308),
    )


def test_players_score_all_documents_as_they_score_some():
    network = MatrixFactorization(Rankings(4, 6), embedding_dim=3)
    torch.nn.init.normal_(network.bias)
    queries, documents = torch.tensor([0, 3]), torch.tensor([[5, 0, 2], [1, 1, 4]])
    assert_close(network(queries).gather(1, documents), network(queries, documents))
    popular = Popularity(Rankings(4, 3))
    popular.know(torch.tensor([1.0, 5.0, 0.0]), None)
    assert popular(queries).argsort(dim=1).tolist() == [[2, 0, 1]] * 2
    assert popular(queries, torch.tensor([[1], [2]])).argmax(0).tolist() == [0]
    with pytest.raises(ValueError, match="but the data are vectors"):
        Popularity(Vectors(2))


@pytest.mark.parametrize("at", [1, 3])
def test_a_run_resumes_to_the_bit_on_either_side_of_the_end_of_pretraining(tmp_path, at):
    (case,) = [case for case in CASES if case.name == "IRGAN"]
    train(case.game(n_pretraining=2), case.data(), tmp_path, 4, callbacks=[SaveAt(tmp_path, {at, 4})])
    again = tmp_path / "again"
    train(case.game(n_pretraining=2), case.data(), again, 4, tmp_path / f"{at}.ckpt", callbacks=[SaveAt(again, {4})])
    assert_same(*(torch.load(folder / "4.ckpt", weights_only=True)["state_dict"] for folder in (tmp_path, again)))


def test_it_learns_what_synthetic_users_prefer(tmp_path):
    """The policy comes nearer to the true preferences than it started, and than popularity is."""
    (case,) = [case for case in CASES if case.name == "IRGAN"]
    data = SyntheticFeedback(n_users=60, n_items=40, n_liked=12, batch_size=60)
    game = case.family(**{**case.arguments, **_players(), "shape": data.shape, "n_pretraining": 120})
    train(game, data, tmp_path, 150)
    p = data.preferences.log_softmax(1)

    def divergence(log_q):
        return (p.exp() * (p - log_q)).sum(1).mean()

    learned = divergence(game.scores(torch.arange(60)).log_softmax(1))
    popular = divergence((data.counts / data.counts.sum()).clamp(min=1e-9).log().expand(60, -1))
    assert learned < 0.7 * popular


def _players():
    from functools import partial

    from gan_lightning.optimizers import Adam

    network = partial(MatrixFactorization, embedding_dim=4)
    return {
        "generator": network,
        "critic": network,
        "ema_decay": 0.5,
        "generator_optimizer": Adam(0.02),
        "critic_optimizer": Adam(0.02),
    }


CONFIG = {
    "name": "run",
    "model": {
        "class_path": "IRGAN",
        "init_args": {
            "n_pretraining": 2,
            "generator": {"class_path": "MatrixFactorization"},
            "critic": {"class_path": "MatrixFactorization"},
        },
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on a file of ratings, moved away, with the file, to where nothing else is."""
    folder = tmp_path_factory.mktemp("irgan")
    rows = [(f"u{u}", f"i{i}", 1 + (u * i) % 5, u + i) for u in range(12) for i in range(u % 3, 15, 2)]
    (folder / "ratings").write_text("".join(f"{u}::{i}::{r}::{t}\n" for u, i, r, t in rows))
    data = {"path": str(folder / "ratings"), "threshold": 3, "batch_size": 8}
    outcome = fit(folder, {**CONFIG, "data": {"class_path": "ImplicitFeedback", "init_args": data}})
    assert outcome.code == 0, outcome.err
    return folder, outcome, rows


def test_a_run_says_what_it_found_and_leaves_cards(run):
    folder, outcome, _ = run
    assert "12 users and 15 items" in outcome.err and "precision_5: " in outcome.out
    card = json.loads((folder / "run/evaluation/retrieval-000006.json").read_text())
    assert {
        "precision_3",
        "ndcg_10",
        "map",
        "mrr",
        "protocol",
        "n_queries",
    } <= card.keys() and "n_generated" not in card
    assert all(len(card[name]) == 64 for name in ("real_fingerprint", "training_fingerprint"))
    assert {"real_fingerprint", "training_fingerprint"} <= set(COMPARED)
    assert "val/ndcg_5" in (folder / "run/metrics.csv").read_text()


def test_validate_and_another_held_out_file(run):
    folder, _, _ = run
    checkpoint = folder / "run/checkpoints/last.ckpt"
    outcome = command("validate", "--ckpt_path", checkpoint)
    assert outcome.code == 0 and "val/precision_5" in outcome.out, outcome.err
    (folder / "test").write_text("u1::i2::5::0\nu1::i77::5::0\n")
    outcome = command("validate", "--ckpt_path", checkpoint, "--data.test_path", folder / "test")
    assert outcome.code == 0, outcome.err


def test_recommending_needs_the_checkpoint_alone_and_gives_nothing_that_the_user_has(run, tmp_path):
    folder, _, rows = run
    moved = shutil.copy(folder / "run/checkpoints/last.ckpt", tmp_path / "moved.ckpt")
    outcome = command("recommend", "--ckpt_path", moved, "--users", "u3,u10", "--k", 4, "--out", tmp_path / "out.csv")
    assert outcome.code == 0, outcome.err
    table = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [(row["user"], row["rank"]) for row in table] == [(u, str(k)) for u in ("u3", "u10") for k in (1, 2, 3, 4)]
    state = torch.load(moved, weights_only=True)["ImplicitFeedback"]
    game = load_game(moved)
    for user in ("u3", "u10"):
        place = state["users"].index(user)
        has = state["seen"][state["offsets"][place] : state["offsets"][place + 1]].long()
        in_file = {i for u, i, _, _ in rows if u == user}
        assert {state["items"][i] for i in has} <= in_file
        scores = game.scores(torch.tensor([place]))[0]
        scores[has] = -torch.inf
        best = [state["items"][i] for i in scores.sort(descending=True, stable=True).indices[:4]]
        assert [row["item"] for row in table if row["user"] == user] == best
    outcome = command("recommend", "--ckpt_path", moved, "--users", "all", "--k", 99, "--out", tmp_path / "all.csv")
    assert outcome.code == 0 and "12 of 12 users have fewer than 99 items left" in outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--users", "u33"], "there is no user 'u33' in the training data (did you mean u3?)"),
        (["--users", " , "], "--users must be names of users"),
        (["--users", "u3", "--k", "0"], "must be a whole number of at least 1"),
    ],
)
def test_what_cannot_be_recommended_is_one_line(run, tmp_path, words, said):
    checkpoint = run[0] / "run/checkpoints/last.ckpt"
    outcome = command("recommend", "--ckpt_path", checkpoint, "--out", tmp_path / "out.csv", *words)
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1 and said in outcome.err, outcome.err
    assert not (tmp_path / "out.csv").exists()


def test_other_data_and_other_games_are_refused(tmp_path):
    ring = {"class_path": "Ring", "init_args": {"n": 64, "batch_size": 8}}
    outcome = fit(tmp_path, {**CONFIG, "data": ring})
    assert outcome.code == 2 and "scores documents for queries, but the data are vectors" in outcome.err
    with pytest.raises(ValueError, match="n_candidates must be at least 2"):
        CASES[-1].game(n_candidates=1)
    with pytest.raises(ValueError, match=r"positive_share must be in \[0, 1\)"):
        CASES[-1].game(positive_share=1.0)
    assert FEEDBACK().reference("train").images.dtype == torch.int64
