"""Text: how it is cut, its vocabulary, what is refused, and whole runs from a file to lines of samples."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from torch.testing import assert_close

from gan_lightning.data import Text
from gan_lightning.metrics.text import PADDING, UNKNOWN, ngram_counts, ngram_divergence, sampled_ngrams, spelled
from gan_lightning.networks import TextCritic, TextGenerator
from gan_lightning.shapes import Images, Tokens
from tests.training import command, fit

CHINESE = "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏" * 40


def texts(data, split="train"):
    return ["".join(data.vocabulary[s] for s in row) for row in data.reference(split).images.tolist()]


def test_lines_are_cut_and_padded(tmp_path):
    (tmp_path / "f").write_text("abc\r\n\r\nabcdefg\r\n" * 10 + "last", encoding="utf-8-sig")
    data = Text(str(tmp_path / "f"), length=5, by="lines")
    assert set(texts(data)) | set(texts(data, "eval")) == {"abc", "abcde", "last"}
    assert data.vocabulary[:3] == [UNKNOWN, PADDING, "a"] and data.shape == Tokens(5, len(data.vocabulary))
    assert len(data.reference("train")) + len(data.reference("eval")) == 21


def test_windows_are_pieces_of_the_text_and_the_held_out_ones_are_of_other_blocks(tmp_path):
    text = "".join(f"{i:05d}" for i in range(2000))
    (tmp_path / "f").write_text(text)
    data = Text(str(tmp_path / "f"), length=10, stride=3)
    train, held_out = texts(data), texts(data, "eval")
    assert all(window in text for window in train[:50] + held_out[:50])
    assert not set(train) & set(held_out) and 0.05 < len(held_out) / len(train) < 0.2
    assert text.index(train[1]) - text.index(train[0]) == 3
    assert texts(Text(str(tmp_path / "f"), length=10, stride=3), "eval") == held_out


def test_the_vocabulary_is_by_frequency_and_what_it_lacks_is_unknown(tmp_path):
    (tmp_path / "f").write_text("ääää春春春bb\N{GRINNING FACE}" * 60, encoding="utf-8")
    data = Text(str(tmp_path / "f"), length=4, vocabulary_size=5)
    assert data.vocabulary == [UNKNOWN, PADDING, "ä", "春", "b"]
    assert any(UNKNOWN in window for window in texts(data)) and "% of the characters are unknown" in data.found()
    batch = data.on_after_batch_transfer([(data.reference("train").images[:2], None)], 0)[0].real
    assert batch.shape == (2, 5, 4) and batch.sum(1).eq(1).all()
    assert spelled(batch, data.vocabulary) == texts(data)[:2]


@pytest.mark.parametrize(
    ("text", "options", "shared"),
    [
        ("a line\n", {"by": "lines"}, True),
        ("one\none\none\n", {"by": "lines"}, False),
        ("ab" * 40, {"length": 32}, True),
        ("ab" * 400, {"length": 32}, False),
    ],
)
def test_a_text_that_is_too_short_to_hold_out_is_told_of(text, options, shared, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    data = Text(str(tmp_path / "a.txt"), **{"length": 4, **options})
    assert ("too short to hold out: it is measured on what it is trained on" in data.found()) == shared


def test_a_folder_is_all_its_texts(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.txt").write_text("one\n" * 9)
    (tmp_path / "deep/b.TXT").write_text("two\n" * 9)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints/a.txt").write_text("old\n" * 9)
    (tmp_path / "c.md").write_text("three\n" * 9)
    data = Text(str(tmp_path), length=3, by="lines", eval_fraction=0.5)
    assert set(texts(data) + texts(data, "eval")) == {"one", "two"}


@pytest.mark.parametrize(
    ("raw", "options", "said"),
    [
        (b"ab\n\xff\xfe", {}, "f, line 2: it is not UTF-8"),
        (b"abc", {}, "holds 3 characters, fewer than a window of data.length 32"),
        (b"", {}, "holds 0 characters"),
        (b"\n \n", {"by": "lines"}, "no line with anything on it"),
        (b"a" * 5000, {}, "has 1 kinds of characters"),
    ],
)
def test_what_is_no_text_is_one_line(tmp_path, raw, options, said):
    (tmp_path / "f").write_bytes(raw)
    with pytest.raises(ValueError) as refused:
        Text(str(tmp_path / "f"), **options).shape  # noqa: B018
    assert said in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"length": 1}, "length of Text must be at least 2"),
        ({"by": "lines", "stride": 2}, "stride 2"),
        ({"vocabulary_size": 3}, "vocabulary_size must be at least 4"),
        ({"eval_fraction": 1.0}, "eval_fraction must be above 0"),
    ],
)
def test_numbers_out_of_range(options, said):
    with pytest.raises(ValueError, match=said):
        Text("f", **options)


def test_what_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        Text(str(tmp_path / "none")).shape  # noqa: B018
    with pytest.raises(ValueError, match="there are no text files in"):
        Text(str(tmp_path)).shape  # noqa: B018


def test_divergences_by_hand():
    one, other = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 0, 0, 0]])
    # p = (1/2, 1/2), q = (1, 0), m = (3/4, 1/4)
    by_hand = 0.5 * (0.5 * torch.log2(torch.tensor(2 / 3)) + 0.5) + 0.5 * torch.log2(torch.tensor(4 / 3))
    assert_close(ngram_divergence(one, other, 1, 2), float(by_hand), rtol=1e-6, atol=0)
    assert ngram_divergence(one, one, 3, 2) == 0 and ngram_divergence(one, 1 - other, 4, 2) == pytest.approx(
        1.0, abs=1e-12
    )
    keys, counts = ngram_counts(torch.tensor([[2, 1, 0], [2, 1, 2]]), 2, 3)
    assert keys.tolist() == [3, 5, 7] and counts.tolist() == [1, 1, 2]


def test_a_chain_has_the_ngrams_of_its_text_and_no_others():
    random = torch.Generator().manual_seed(0)
    rows = torch.randint(3, (4, 50), generator=random)
    made = sampled_ngrams(rows, 3, 3, 200, random)
    assert made.shape == (200, 50)
    assert ngram_divergence(made, rows, 3, 3) < 0.01
    assert ngram_divergence(sampled_ngrams(rows, 1, 3, 200, random), rows, 1, 3) < 0.01
    walk = torch.arange(40)[None] % 4
    assert set(ngram_counts(sampled_ngrams(walk, 4, 4, 9, random), 4, 4)[0].tolist()) == set(
        ngram_counts(walk, 4, 4)[0].tolist()
    )


def test_networks_make_and_judge_probabilities():
    shape = Tokens(length=7, vocabulary=5)
    made = TextGenerator(shape, latent_dim=3, width=4, n_blocks=1)(torch.randn(2, 3))
    assert made.shape == (2, *shape.size)
    assert_close(made.sum(1), torch.ones(2, 7))
    critic = TextCritic(shape, width=4, n_blocks=1)
    assert critic(made).shape == (2,) and critic.last_layer() is critic.output
    with pytest.raises(ValueError, match="TextCritic is for text, but the data are images"):
        TextCritic(Images(8, 8, 1))


def test_a_run_on_chinese_text_from_fit_to_lines(tmp_path):
    (tmp_path / "f").write_text(CHINESE, encoding="utf-8")
    small = {"width": 4, "n_blocks": 1}
    config = {
        "name": "run",
        "data": {"class_path": "Text", "init_args": {"path": str(tmp_path / "f"), "length": 8, "batch_size": 4}},
        "model": {
            "class_path": "WGANGP",
            "init_args": {
                "n_critic": 2,
                "generator": {"class_path": "TextGenerator", "init_args": {"latent_dim": 3, **small}},
                "critic": {"class_path": "TextCritic", "init_args": small},
            },
        },
        "ngrams": {"n_samples": 70},
    }
    outcome = fit(tmp_path, config, "--checkpoints.monitor", "val/js_4")
    assert outcome.code == 0, outcome.err
    assert "26 symbols" in outcome.err and "js_4: " in outcome.out
    lines = (tmp_path / "run/samples/000006.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4 and set("".join(lines)) <= set(CHINESE) | {UNKNOWN}
    card = json.loads((tmp_path / "run/evaluation/ngrams-000006.json").read_text())
    assert card["js_of_training_text"][0] < card["js_1"] and len(card["js_of_unigrams"]) == 4
    assert card["js_of_4_grams"][3] < 0.1 < card["js_of_unigrams"][3]
    assert (tmp_path / "run/checkpoints/best.ckpt").is_file()

    moved = shutil.copy(tmp_path / "run/checkpoints/last.ckpt", tmp_path / "moved.ckpt")
    outcome = command("validate", "--ckpt_path", moved)
    assert outcome.code == 0 and "val/js_2" in outcome.out, outcome.err
    assert command("share", moved, "--out", tmp_path / "shared").code == 0
    meaning = json.loads((tmp_path / "shared/model.json").read_text())["samples"]
    assert meaning == {"vocabulary": Text(str(tmp_path / "f"), length=8).vocabulary}
    assert "- vocabulary: [" in (tmp_path / "shared/README.md").read_text(encoding="utf-8")
    (tmp_path / "f").unlink()
    outcome = command("sample", "--ckpt_path", moved, "--n", 70, "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    written = (tmp_path / "out/samples.txt").read_text(encoding="utf-8").splitlines()
    assert len(written) == 70 and "samples.txt" in outcome.err
    (tmp_path / "f").write_text(CHINESE.replace("天", "人"), encoding="utf-8")
    outcome = command("validate", "--ckpt_path", moved)
    assert outcome.code == 2 and "has another of" in outcome.err


def labelled(folder, texts=(("a", "abcabd" * 90), ("b", "xyzxyw" * 90))):
    for name, text in texts:
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "deep" / "f.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("by", ["windows", "lines"])
def test_folders_are_classes(tmp_path, by):
    labelled(tmp_path, [(name, f"{letters}\n" * 300) for name, letters in (("10", "ab"), ("9", "xy"))])
    data = Text(str(tmp_path), length=2, by=by)
    assert data.classes == ["9", "10"] and data.n_classes == 2 and "2 classes" in data.found()
    for split in ("train", "eval"):
        labels = data.reference(split).labels
        assert len(labels) == len(texts(data, split))
        for text, label in zip(texts(data, split), labels.tolist(), strict=True):
            assert set(text) - {"\n"} <= set(["xy", "ab"][label])
        assert set(labels.tolist()) == {0, 1} or split == "eval"
    (tmp_path / "loose.txt").write_text("ab" * 50)
    assert Text(str(tmp_path), length=2, by=by).n_classes == 0
    with pytest.raises(ValueError, match="every text in a class folder, but .*loose.txt is in none"):
        Text(str(tmp_path), length=2, labels="folders").classes  # noqa: B018
    assert Text(str(tmp_path), length=2, labels="none").reference("train").labels is None


def test_a_class_without_text_is_one_line(tmp_path):
    labelled(tmp_path, [("full", "ab" * 500), ("short", "abc")])
    with pytest.raises(ValueError, match="class short of .* has no text of data.length 8; remove the folder"):
        Text(str(tmp_path), length=8).shape  # noqa: B018
    with pytest.raises(ValueError, match="labels of Text must be auto, folders or none, got 'x'"):
        Text(str(tmp_path), labels="x")


def test_conditional_networks_see_the_class():
    shape, latents = Tokens(length=7, vocabulary=5), torch.randn(1, 3).expand(2, -1)
    generator, labels = TextGenerator(shape, latent_dim=3, width=4, n_blocks=1, n_classes=2), torch.tensor([0, 1])
    made = generator(latents, labels)
    assert (made[0] - made[1]).abs().max() > 1e-4
    critic = TextCritic(shape, width=4, n_blocks=1, n_classes=2)
    assert critic(made, labels)[0] != critic(made, 1 - labels)[0]
    with pytest.raises(ValueError, match="conditioned on labels and got none"):
        critic(made)


def test_a_labelled_set_is_augmented(tmp_path):
    """From folders of text to folders of lines, which are read as a labelled set again."""
    texts_of = labelled(tmp_path / "texts")
    small = {"width": 4, "n_blocks": 1, "n_classes": "auto"}
    config = {
        "name": "run",
        "data": {"class_path": "Text", "init_args": {"path": str(texts_of), "length": 6, "batch_size": 4}},
        "model": {
            "class_path": "WGANGP",
            "init_args": {
                "n_critic": 1,
                "generator": {"class_path": "TextGenerator", "init_args": {"latent_dim": 3, **small}},
                "critic": {"class_path": "TextCritic", "init_args": small},
            },
        },
        "ngrams": {"n_samples": 64},
    }
    outcome = fit(tmp_path, config)
    assert outcome.code == 0 and "2 classes" in outcome.err, outcome.err
    checkpoint = tmp_path / "run/checkpoints/last.ckpt"
    words = ["augment", "--ckpt_path", checkpoint, "--per_class", 70, "--out"]
    outcome = command(*words, tmp_path / "more")
    assert outcome.code == 0 and "140 samples of 2 classes" in outcome.err, outcome.err
    manifest = json.loads((tmp_path / "more/manifest.json").read_text())
    assert manifest["classes"] == {name: {"kept": 70, "drawn": 128} for name in ("a", "b")}
    lines = {name: (tmp_path / "more" / name / "samples.txt").read_text().splitlines() for name in ("a", "b")}
    assert [len(of) for of in lines.values()] == [70, 70] and lines["a"] != lines["b"]
    again = Text(str(tmp_path / "more"), length=6, by="lines")
    assert again.classes == ["a", "b"] and again.reference("train").labels is not None
    outcome = command(*words, tmp_path / "sure", "--keep_confident", 0.9)
    assert outcome.code == 2 and "classifier of images" in outcome.err and not (tmp_path / "sure").exists()
