import os
import re

import pytest
import torch
from PIL import Image

from gan_lightning.callbacks.sample_grid import draw_samples
from gan_lightning.cli.sample import class_indices
from gan_lightning.data import ImageFolder
from gan_lightning.data.packing import cache_home
from gan_lightning.errors import RunFailed, UserError
from gan_lightning.evaluation.moments import keep_moments, moments_file, read_moments
from gan_lightning.evaluation.output import output_folder, write_whole
from gan_lightning.evaluation.pictures import LARGEST_SIDE, grid
from gan_lightning.games.restore import load_game
from gan_lightning.metrics.fidelity import Moments
from tests.training import command, fit, networks


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/gan_lightning"


def test_names_of_classes_follow_the_data_everywhere(tmp_path, cache, capsys):
    for name in ("cat", "dog", "10", "9"):
        for i in range(4):
            path = tmp_path / "set" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8), 20 * i).save(path)
    data = {"class_path": "ImageFolder", "init_args": {"root": str(tmp_path / "set"), "image_size": 8, "channels": 1}}
    data["init_args"]["batch_size"] = 4
    config = {"name": "a", "data": data, "model": {"class_path": "ConditionalGAN", "init_args": networks("auto")}}
    config["fidelity"] = {"extractor": "gan_lightning.metrics.Digits", "n_samples": 16}
    outcome = fit(tmp_path / "runs", config, "--trainer.max_steps", 2)
    assert outcome.code == 0, outcome.err
    assert "16 images of 8 px, 4 classes: 9 4, 10 4, cat 4, dog 4\n" in outcome.err
    run = tmp_path / "runs/a"
    names = ["9", "10", "cat", "dog"]
    assert load_game(run / "checkpoints/last.ckpt").classes == names
    card = next((run / "evaluation").glob("*2.json")).read_text()
    assert '"cat"' in card and "classes:\n    - '9'\n    - '10'\n    - cat" in (run / "config.yaml").read_text()
    assert '"cat"' in next((cache / "packs").glob("*.json")).read_text()

    words = ["--ckpt_path", run / "checkpoints/last.ckpt", "--n", 2]
    assert command("sample", *words, "--out", tmp_path / "s", "--labels", "dog,9").code == 0
    assert command("sample", *words, "--out", tmp_path / "t", "--labels", "dog, 9").code == 0
    for file in ("000000.png", "000001.png"):
        assert (tmp_path / "s" / file).read_bytes() == (tmp_path / "t" / file).read_bytes()
    wrong = command("sample", *words, "--out", tmp_path / "u", "--labels", "dgo")
    assert wrong.code == 2 and "there is no class 'dgo' (did you mean dog?)" in wrong.err
    assert not (tmp_path / "u").exists()
    used = command("sample", *words, "--out", tmp_path / "s")
    assert used.code == 2 and "holds 000000.png already" in used.err

    (tmp_path / "set/cat").rename(tmp_path / "set/zebra")
    again = fit(tmp_path / "runs", config, "--resume", "auto", "--trainer.max_steps", 3)
    assert again.code == 2 and "dog would be number 2 instead of 3" in again.err
    with pytest.raises(UserError, match="classes are 9, 10, cat, dog, but .* has zebra"):
        ImageFolder(str(tmp_path / "set"), 8, classes=names)


def test_moments_that_are_damaged_or_foreign_are_made_anew(cache, capsys):
    moments = Moments(3, torch.arange(2.0).double(), torch.eye(2).double())
    keep_moments("key", moments)
    path = moments_file("key")
    assert path.is_relative_to(cache_home()) and torch.equal(read_moments("key", 3).outer, moments.outer)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(moments.outer.numpy().tobytes())] ^= 1
    foreign = moments_file("other")
    keep_moments("other", moments)
    for content, n in [(bytes(flipped), 3), (whole[:-9], 3), (b"", 3), (foreign.read_bytes(), 3), (whole, 4)]:
        path.write_bytes(content)
        assert read_moments("key", n) is None
        told = capsys.readouterr().err.splitlines()
        assert len(told) == 1 and str(path) in told[0] and "made anew" in told[0]
    assert read_moments("nothing", 3) is None and not capsys.readouterr().err


def test_folders_and_files_to_write_to(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/grid.png").write_text("")
    for out, message in [
        ("file", "is a file; give a folder"),
        ("file/below", "is a file; give a folder"),
        ("link", "is a link to nowhere"),
        ("full", "holds grid.png already"),
        ("x" * 300, "File name too long"),
    ]:
        with pytest.raises(UserError, match=message):
            output_folder(tmp_path / out, "000000.png", "grid.png")
    with pytest.raises(UserError, match="is a folder; give a file"):
        write_whole(tmp_path / "full", lambda file: None)
    write_whole(tmp_path / "new/file", lambda file: file.write(b"old"))

    def fails(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFailed, match="could not be written: No space left on device"):
        write_whole(tmp_path / "new/file", fails)
    assert (tmp_path / "new/file").read_bytes() == b"old" and os.listdir(tmp_path / "new") == ["file"]


def test_grids_have_a_largest_size_and_names(image_run, tmp_path, monkeypatch):
    game = load_game(image_run / "checkpoints/last.ckpt")
    plain = draw_samples(game, 2, 3, 0)
    game.classes = ["ant", "bee", "a class whose name is longer than it should be"]
    named = draw_samples(game, 2, 3, 0)
    assert named.height == plain.height and plain.width + 20 < named.width < plain.width + 300
    assert named.crop((named.width - plain.width, 0, named.width, named.height)).tobytes() == plain.tobytes()
    done = command(
        "sample", "--ckpt_path", image_run / "checkpoints/last.ckpt", "--n", 1100, "--out", tmp_path, "--grid"
    )
    assert done.code == 0 and "grid.png shows the first 1,024 of 1,100 samples" in done.err
    assert len(list(tmp_path.glob("0*.png"))) == 1100
    with Image.open(tmp_path / "grid.png") as image:
        assert max(image.size) <= LARGEST_SIDE
    assert grid(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), 1, ["x", "y"]).size[1] == 2 * 66 + 2


def test_classes_by_name_and_number():
    names = ["9", "10", "n01, tench", "cat"]
    assert class_indices("cat,9, 10", names) == [3, 0, 1] and class_indices("n01, tench", names) == [2]
    assert class_indices("0,cat", names[2:]) == [0, 1]
    with pytest.raises(UserError, match="there is no class '0'.*the classes are 9, 10, n01"):  # numbers are names there
        class_indices("9,0", names)


def test_the_cache_is_told_and_cleared(cache, tmp_path):
    keep_moments("key", Moments(3, torch.zeros(2).double(), torch.eye(2).double()))
    (cache / "packs").mkdir()
    (cache / "packs/a.npy").write_bytes(b"x" * 2_000_000)
    (cache / "packs/a.json").write_text('{"name": "cats (train)"}')
    told = command("cache")
    assert told.code == 0 and "2.0 MB  packs/a.npy  cats (train)" in told.out and str(cache) in told.out
    assert command("cache", "--clera").code == 2
    assert command("cache", "--clear").code == 0
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_the_end_of_a_run_on_stacked_digits_tells_its_modes(tmp_path):
    data = {"class_path": "StackedDigits", "init_args": {"n": 16, "batch_size": 4}}
    config = {"name": "a", "data": data, "model": {"class_path": "NonSaturatingGAN", "init_args": networks()}}
    config |= {"fidelity": {"enabled": False}, "coverage": {"n_samples": 16}}
    outcome = fit(tmp_path / "runs", config, "--trainer.max_steps", 2)
    assert outcome.code == 0, outcome.err
    assert "after 0 updates" in outcome.out and "of high quality" not in outcome.out
    assert (tmp_path / "runs/a/evaluation/coverage-000002.json").is_file()


def test_what_was_measured_once_is_told_once(tmp_path):
    config = {"name": "a", "data": {"class_path": "Ring", "init_args": {"n": 16, "batch_size": 4}}}
    config["model"] = {"class_path": "NonSaturatingGAN", "init_args": networks()}
    outcome = fit(tmp_path, config, "--trainer.max_steps", 2, "--trainer.num_sanity_val_steps", 0)
    assert re.search(
        r"^modes: \d after 2 updates \([\d.]+% of the samples of high quality\)$", outcome.out, re.MULTILINE
    )
