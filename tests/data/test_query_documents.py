"""LETOR's files: what they say, what is refused, and a game on them."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.data import QueryDocuments
from tests.training import command, fit

LINES = [
    "2 qid:10 1:0.5 3:4 # GX1",
    "0 qid:10 1:1.5",
    "-1 qid:10 3:2",
    "1 qid:20 2:1",
    "0 qid:20 2:3 #",
    "",
    "0 qid:30 1:1",
]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "train.txt").write_text("\n".join(LINES) + "\n")
    return tmp_path / "train.txt"


def test_a_file_says_queries_documents_and_features(path):
    data = QueryDocuments(str(path), eval_fraction=0.01)
    assert data.users == ["10", "20", "30"] and data.shape.size == (2,)
    assert (data.shape.queries, data.shape.documents, data.shape.features) == (3, 6, 3)
    assert data.reference("train").images.tolist() == [[0, 0], [1, 3]]
    found = data.candidates(torch.tensor([1, 0]))
    assert found.documents[0, :2].tolist() == [3, 4] and found.documents[1].tolist() == [0, 1, 2]
    assert found.valid.tolist() == [[True, True, False], [True, True, True]]
    assert found.positive.tolist() == [[True, False, False], [True, False, False]]
    assert_close(data.features[:3], torch.tensor([[1 / 3, 0, 1], [1, 0, 0], [0, 0, 0.5]]))
    assert QueryDocuments(str(path), normalize=False).features[0].tolist() == [0.5, 0, 4]
    assert "1 queries have none and are not trained on" in data.found()


def test_other_features_of_the_same_documents_are_noticed(path, tmp_path, capsys):
    data = QueryDocuments(str(path), eval_fraction=0.01)
    before = {split: data.reference(split).fingerprint for split in ("train", "eval")}
    state = data.state_dict()
    path.write_text("\n".join(LINES).replace("1:1.5", "1:0.25") + "\n")
    changed = QueryDocuments(str(path), eval_fraction=0.01)
    assert all(changed.reference(split).fingerprint != before[split] for split in before)
    changed.load_state_dict(state)
    assert "the training data are not those of the checkpoint" in capsys.readouterr().err


def test_a_held_out_file_has_queries_of_its_own(path, tmp_path):
    (tmp_path / "test.txt").write_text("0 qid:10 1:3\n1 qid:10 1:1\n0 qid:40 1:1\n")
    data = QueryDocuments(str(path), test_path=str(tmp_path / "test.txt"))
    assert data.users == ["10", "20", "30", "10", "40"] and data.ranked_queries().tolist() == [3]
    found, relevant, missing = data.relevance(torch.tensor([3]))
    assert found.documents.tolist() == [[6, 7]] and relevant.tolist() == [[False, True]] and not missing.any()
    assert not data.counts[6:].any()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 10 1:2", "no query behind the label"),
        ("x qid:1 1:2", "a number is none: 'x'"),
        ("1 qid:1 1:nan", "a number is none: 'nan'"),
        ("1 qid:1 0:2", "not number:value: '0:2'"),
        ("1 qid:1 cat", "not number:value: 'cat'"),
    ],
)
def test_a_broken_line_is_refused_with_its_number_or_counted(tmp_path, line, said):
    (tmp_path / "f").write_text(f"1 qid:a 1:1\n0 qid:a 1:2\n{line}\n")
    with pytest.raises(ValueError, match="f, line 3: ") as refused:
        QueryDocuments(str(tmp_path / "f")).shape  # noqa: B018
    assert said in str(refused.value)
    assert "1 lines left out" in QueryDocuments(str(tmp_path / "f"), on_error="skip").found()


def test_what_has_nothing_to_rank_is_refused(tmp_path):
    (tmp_path / "f").write_text("# nothing\n")
    with pytest.raises(ValueError, match="holds no document"):
        QueryDocuments(str(tmp_path / "f")).shape  # noqa: B018
    (tmp_path / "f").write_text("0 qid:1 1:1\n")
    with pytest.raises(ValueError, match="no document to train on has a label of data.threshold 1"):
        QueryDocuments(str(tmp_path / "f")).reference("train")
    (tmp_path / "g").write_text("1 qid:1 7:1\n")
    with pytest.raises(ValueError, match="has a feature 7, and .* none above 1"):
        QueryDocuments(str(tmp_path / "f"), test_path=str(tmp_path / "g")).shape  # noqa: B018


def test_a_game_learns_to_rank_documents(tmp_path):
    """Relevance is a linear function of the features: the game ranks held-out queries far better than chance."""
    random = torch.Generator().manual_seed(0)
    lines = []
    for query in range(60):
        features = torch.rand(10, 4, generator=random)
        best = (features @ torch.tensor([2.0, -1.0, 1.0, 0.0])).topk(2).indices.tolist()
        for place, row in enumerate(features.tolist()):
            numbers = " ".join(f"{number}:{value:.4f}" for number, value in enumerate(row, 1))
            lines.append(f"{int(place in best)} qid:{query} {numbers}")
    (tmp_path / "f").write_text("\n".join(lines))
    adam = {"class_path": "Adam", "init_args": {"lr": 0.05, "betas": [0.9, 0.99]}}
    arguments = {
        "n_pretraining": 60,
        "ema_decay": 0.5,
        "objective": {"class_path": "Pairwise"},
        "generator": {"class_path": "MLPRanker", "init_args": {"width": 8}},
        "critic": {"class_path": "MLPRanker", "init_args": {"width": 8}},
        "generator_optimizer": adam,
        "critic_optimizer": adam,
    }
    config = {
        "name": "run",
        "trainer": {"accelerator": "cpu", "max_steps": 80, "val_check_interval": 80, "log_every_n_steps": 80},
        "data": {"class_path": "QueryDocuments", "init_args": {"path": str(tmp_path / "f"), "batch_size": 32}},
        "model": {"class_path": "IRGAN", "init_args": arguments},
    }
    outcome = fit(tmp_path, config)
    assert outcome.code == 0, outcome.err
    before, after = [float(word) for word in outcome.out.split("ndcg_5: ")[1].split() if word.startswith("0.")][:2]
    assert after > 0.9 > before
    outcome = command(
        "recommend", "--ckpt_path", tmp_path / "run/checkpoints/last.ckpt", "--users", "1", "--out", tmp_path / "o"
    )
    assert outcome.code == 2 and "recommends nothing" in outcome.err
    outcome = fit(
        tmp_path / "b", {**config, "model": {"class_path": "IRGAN", "init_args": {**arguments, "n_candidates": 4}}}
    )
    assert outcome.code == 2 and "n_candidates 4 takes some of all documents" in outcome.err
