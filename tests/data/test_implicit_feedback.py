"""Files of ratings: formats as they come, splits, and what is refused with file and line."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_lightning.data import ImplicitFeedback, SyntheticFeedback
from gan_lightning.data.feedback import Pairs
from gan_lightning.data.implicit_feedback import in_order
from gan_lightning.data.ratings_files import read_lines

ROWS = [("1", "10", 5, 100), ("1", "9", 4, 200), ("1", "2", 1, 300), ("2", "9", 4, 100), ("2", "2", 5, 50)]


def write(path, rows=ROWS, separator="\t", header="", end="\n"):
    lines = [separator.join(map(str, row)) for row in rows]
    path.write_text(end.join([*([header] if header else []), *lines]) + end, encoding="utf-8")
    return str(path)


def liked(data):
    return {(data.users[u], data.items[i]) for u, i in data.judged.liked.pairs.tolist()}


def held_out(data):
    return {(data.users[u], data.items[i]) for u, i in data.judged.held_out.pairs.tolist()}


@pytest.mark.parametrize("separator", ["\t", "::", ",", ";", "|", " ", "  "])
@pytest.mark.parametrize("header", ["", "userId{0}movieId{0}rating{0}timestamp"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_any_separator_with_a_header_or_none(tmp_path, separator, header, end):
    path = write(tmp_path / "ratings", separator=separator, header=header.format(separator), end=end)
    data = ImplicitFeedback(path, threshold=4, split="chronological", eval_fraction=0.4)
    assert data.users == ["1", "2"] and data.items == ["2", "9", "10"]
    assert liked(data) == {("1", "9"), ("1", "10"), ("2", "2")}
    assert held_out(data) == {("2", "9")}  # the last line of user 1 has a rating of 1


def test_the_header_says_where_things_stand(tmp_path):
    path = write(
        tmp_path / "ratings.csv",
        [("2024-05-01", 5, "Ångström", '"a, b"'), ("2024-05-02", 1, "Ångström", "ü")],
        ",",
        "date,stars,customer,product",
    )
    data = ImplicitFeedback(path, threshold=3, eval_fraction=0.01)
    assert data.users == ["Ångström"] and data.items == ["a, b", "ü"]
    assert liked(data) == {("Ångström", "a, b")}


@pytest.mark.parametrize(
    ("header", "places"),
    [
        ("user_id,business_id,review_count,stars", (0, 1, 3, None)),
        ("user_id,item_id,sentiment,rating,timestamp", (0, 1, 3, 4)),
        ("user_id,movie_title,movie_id,rating", (0, 2, 3, None)),
        ("user_rating,item_id,user_id", (2, 1, 0, None)),
        ("userId,movieId,rating,timestamp", (0, 1, 2, 3)),
        (",customer,product,date", (1, 2, None, 3)),
    ],
)
def test_the_column_that_is_called_most_nearly_so_is_taken_and_said(header, places, tmp_path):
    n = len(header.split(","))
    path = write(
        tmp_path / "ratings.csv", [tuple(10 * row + i for i in range(1, n + 1)) for row in range(4)], ",", header
    )
    data = ImplicitFeedback(path, eval_fraction=0.01)
    assert tuple(read_lines(path).columns) == places
    names = header.split(",")
    said = zip(("user", "item", "rating", "time"), places, strict=True)
    assert ", ".join(f"{what} from {names[i]}" for what, i in said if i is not None) in data.found()


def test_two_columns_are_pairs_that_are_liked(tmp_path):
    data = ImplicitFeedback(write(tmp_path / "pairs", [("x", "a"), ("x", "b"), ("y", "a")]), eval_fraction=0.5)
    assert len(data.judged.liked.pairs) == 2 and len(data.judged.held_out.pairs) == 1


def test_places_of_columns_can_be_given(tmp_path):
    data = ImplicitFeedback(write(tmp_path / "r", [(7, "i", "u"), (8, "j", "u")]), columns=[2, 1], eval_fraction=0.1)
    assert data.users == ["u"] and data.items == ["i", "j"]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("1\t2\t5\n1\t3\tfive\n", {}, ["r, line 2", "rating is no number", "'five'"]),
        ("1\t2\t5\n1\t3\tnan\n", {}, ["line 2", "no finite number"]),
        ("1\t2\t5\n\n1\t3\n", {}, ["line 3", "too few columns: 2"]),
        ("1\t2\t5\n\t3\t4\n", {}, ["line 2", "empty user or item"]),
        ("1\t2\t5\t0\n1\t3\t4\tsoon\n", {}, ["line 2", "time is neither"]),
        ("", {}, ["r is empty"]),
        ("alone\nlonely\n", {}, ["line 1", "one column", "data.separator"]),
        ("1\t2\t5\n1\t3\t4\n", {"separator": "#"}, ["line 1", "one column"]),
        ("1\t2\t3\n1\t3\t2\n", {"threshold": 4.0}, ["no rating reaches", "the highest is 3"]),
        ("1\t2\t5\n1\t3\t5\n", {"split": "chronological"}, ["no column of times"]),
        ("1\t2\t5\n", {"columns": [0, 0]}, ["data.columns", "[0, 0]"]),
    ],
)
def test_what_cannot_be_used_is_one_line_with_file_and_line(tmp_path, text, options, words):
    (tmp_path / "r").write_text(text)
    with pytest.raises(ValueError) as refused:
        ImplicitFeedback(str(tmp_path / "r"), **options).shape  # noqa: B018
    assert "\n" not in str(refused.value) and all(word in str(refused.value) for word in words), refused.value


def test_what_is_not_there_or_no_text_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        ImplicitFeedback(str(tmp_path / "none")).shape  # noqa: B018
    (tmp_path / "r").write_bytes(b"1\t2\t5\n1\t\xff\t5\n")
    with pytest.raises(ValueError, match="line 2: it is not UTF-8"):
        ImplicitFeedback(str(tmp_path / "r")).shape  # noqa: B018
    with pytest.raises(ValueError, match="leave data.eval_fraction 0.1 out"):
        ImplicitFeedback("r", test_path="t", eval_fraction=0.1)


def test_broken_and_repeated_lines_are_counted_and_said(tmp_path):
    (tmp_path / "r").write_text("1\t2\t5\n1\t3\tfive\n1\t4\t4\n1\t2\t1\n2\t4\tsix\n2\t4\t5\n")
    data = ImplicitFeedback(str(tmp_path / "r"), threshold=4, eval_fraction=0.01, on_error="skip")
    assert liked(data) == {("1", "4"), ("2", "4")}  # the last line of (1, 2) counts
    said = data.found()
    assert "2 lines left out: the rating is no number" in said and "1 lines give a pair again" in said


def test_a_held_out_file_with_strangers(tmp_path):
    train = write(tmp_path / "train")
    test = write(tmp_path / "test", [("1", "2", 5, 0), ("1", "77", 5, 0), ("3", "9", 5, 0), ("2", "10", 2, 0)])
    data = ImplicitFeedback(train, threshold=4, test_path=test)
    assert held_out(data) == {("1", "2")} and data.judged.n_missing.tolist() == [1, 0]
    assert data.ranked_queries().tolist() == [0]
    said = data.found()
    assert "1 users who are not in the training file are left out, such as 3" in said
    assert "1 pairs have an item that is not in the training file" in said
    found, relevant, missing = data.relevance(torch.tensor([0]))
    assert found.valid.tolist() == [[True, False, False]]  # what the user does not like in training is ranked
    assert relevant.tolist() == [[True, False, False]] and missing.tolist() == [1]


def test_a_user_without_anything_to_train_on_is_said_and_not_measured(tmp_path):
    train = write(tmp_path / "train", [*ROWS, ("3", "9", 1, 0)])
    test = write(tmp_path / "test", [("3", "10", 5, 0), ("1", "2", 5, 0)])
    data = ImplicitFeedback(train, threshold=4, test_path=test)
    assert data.ranked_queries().tolist() == [0]
    assert "1 users have nothing to train on" in data.found()


def test_random_splits_are_the_same_each_time_and_leave_a_line_of_each_user(tmp_path):
    rows = [(u, i, 5) for u in range(20) for i in range(10)]
    path = write(tmp_path / "r", rows)
    one, again, other = (ImplicitFeedback(path, split_seed=seed) for seed in (0, 0, 1))
    assert held_out(one) == held_out(again) != held_out(other)
    assert one.judged.held_out.counts().tolist() == [2] * 20 and not held_out(one) & liked(one)
    single = ImplicitFeedback(write(tmp_path / "s", [("a", "x"), ("b", "y")]), eval_fraction=0.9)
    assert len(single.judged.liked.pairs) == 2


def test_other_users_or_items_are_refused_on_loading(tmp_path):
    state = ImplicitFeedback(write(tmp_path / "a")).state_dict()
    same = ImplicitFeedback(write(tmp_path / "b", ROWS[::-1]))
    same.load_state_dict(state)
    with pytest.raises(ValueError, match="5 items and|knows 3 items and the data have 4, of which '77'"):
        ImplicitFeedback(write(tmp_path / "c", [*ROWS, ("1", "77", 5, 0)])).load_state_dict(state)


def test_numbers_are_sorted_as_numbers():
    assert in_order(["10", "9"]) == ["9", "10"] and in_order(["10", "9", "b"]) == ["10", "9", "b"]


def test_pairs_answer_as_a_dense_table_does():
    dense = np.random.default_rng(0).random((6, 9)) < 0.3
    dense[2] = False
    pairs = Pairs(np.argwhere(dense), 6, 9)
    rows = np.array([5, 2, 0, 5])
    assert np.array_equal(pairs.table(rows), dense[rows])
    assert pairs.counts().tolist() == dense.sum(1).tolist()
    grid = np.indices((6, 9))
    assert np.array_equal(pairs.has(*grid), dense)
    empty = Pairs(np.zeros((0, 2), dtype=np.int64), 6, 9)
    assert not empty.has(*grid).any() and not empty.table(rows).any()


def test_synthetic_users_prefer_what_they_are_said_to():
    data = SyntheticFeedback(n_users=50, n_items=40)
    liked_scores = data.preferences[torch.from_numpy(data.judged.liked.table(np.arange(50)))]
    assert liked_scores.mean() > data.preferences.mean() + 0.5
    assert data.judged.liked.counts().tolist() == [20] * 50
