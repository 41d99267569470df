"""Recordings: how they are brought to one form, what is refused or counted, and runs from a folder to WAV files."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from gan_lightning.data import AudioFolder
from gan_lightning.data.audio_files import Form, decode_audio
from gan_lightning.data.base import scale
from gan_lightning.errors import UserError
from gan_lightning.evaluation.sound_classifier import images_of, load_sound_classifier, train_sound_classifier
from gan_lightning.metrics.sound import pitches
from tests.training import command, fit

soundfile = pytest.importorskip("soundfile")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def sine(rate: int, seconds: float = 0.25, frequency: float = 440.0, channels: int = 1) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)
    return np.repeat(wave[:, None], channels, axis=1)


def written(path, samples, rate, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.fixture
def notes(tmp_path):
    for name, frequency in (("a", 440), ("c", 262)):
        for place in range(4):
            written(tmp_path / f"notes/{name}/{place}.wav", sine(8000, 0.1 + 0.05 * place, frequency), 8000)
    return tmp_path / "notes"


@pytest.mark.parametrize(
    ("name", "rate", "channels", "options"),
    [
        ("a.wav", 192_000, 8, {"subtype": "PCM_24"}),
        ("a.wav", 44_100, 2, {"subtype": "FLOAT"}),
        ("a.wav", 8_000, 1, {"subtype": "PCM_U8"}),
        ("a.flac", 48_000, 2, {"subtype": "PCM_24"}),
        ("a.ogg", 22_050, 1, {}),
        ("a.aiff", 4_000, 1, {}),
    ],
)
def test_any_rate_depth_and_number_of_channels(tmp_path, name, rate, channels, options):
    path = written(tmp_path / name, sine(rate, channels=channels), rate, **options)
    samples, sides = decode_audio(path.read_bytes(), Form(4000, 800))
    assert samples.shape == (1, 800) and samples.dtype == np.int16 and abs(sides[0] - 1000) <= 1
    middle = slice(100, 700)
    expected = sine(4000)[:800, 0]
    assert np.abs(samples[0, middle] / 32768 - expected[middle]).max() < (
        0.02 if channels != 1 or rate != 8000 else 0.03
    )


def test_padding_trimming_and_scaling(tmp_path):
    rate, quiet = 4000, np.zeros((400, 1))
    path = written(tmp_path / "a.wav", np.concatenate([quiet, 0.5 * sine(rate), quiet]), rate)
    kept, _ = decode_audio(path.read_bytes(), Form(rate, 2000))
    assert np.flatnonzero(kept[0])[0] == 401 and not kept[0, 1801:].any()
    trimmed, sides = decode_audio(path.read_bytes(), Form(rate, 1200, trim=40.0, normalize=True))
    assert np.flatnonzero(trimmed[0])[0] == 0 and not trimmed[0, 1000:].any() and sides == (999, 999)
    assert trimmed.max() >= 32766


def test_classes_are_folders_and_the_recordings_are_packed_once(notes, monkeypatch, tmp_path):
    data = AudioFolder(str(notes), length=1000, rate=4000, eval_fraction=0.25)
    train, held_out = data.reference("train"), data.reference("eval")
    assert data.classes == ["a", "c"] and len(train) == 6 and len(held_out) == 2
    assert "6 signals of 1x1000, 2 classes" in data.found() and "cut or padded to 0.25 s" in data.found()
    found = pitches(scale(train.images[:, 0], torch.float32), 4000).round()
    assert found.tolist() == [69 if label == 0 else 60 for label in train.labels.tolist()]
    monkeypatch.setattr("gan_lightning.data.audio_folder.decode_audio", lambda *_: 1 / 0)
    again = AudioFolder(str(notes), length=1000, rate=4000, eval_fraction=0.25)
    assert again.reference("train").images.equal(train.images) and again.reference("train").is_whole()
    pack = data._pack("train").path
    pack.write_bytes(pack.read_bytes()[:-2])
    with pytest.raises(ValueError, match="cannot read the recording .*division by zero"):
        AudioFolder(str(notes), length=1000, rate=4000, eval_fraction=0.25).reference("train")


def test_splits_and_zips(notes, tmp_path):
    archive = tmp_path / "notes.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in notes.rglob("*.wav"):
            split = "test" if path.stem == "3" else "train"
            file.write(path, f"{split}/{path.relative_to(notes)}")
    data = AudioFolder(str(archive), length=100, rate=1000)
    assert len(data.reference("train")) == 6 and len(data.reference("eval")) == 2 and data.n_classes == 2
    with pytest.raises(ValueError, match="has an evaluation split already"):
        AudioFolder(str(archive), length=100, rate=1000, eval_fraction=0.5)


def bad_files(folder):
    good = written(folder / "whole.wav", sine(8000), 8000).read_bytes()
    flac = written(folder / "whole.flac", np.random.default_rng(0).uniform(-1, 1, 40_000), 8000).read_bytes()
    ogg = written(folder / "whole.ogg", sine(8000, 2.0), 8000).read_bytes()
    none = written(folder / "none.wav", np.zeros((0, 1)), 8000).read_bytes()
    broken = written(folder / "nan.wav", np.full((10, 1), np.nan), 8000, subtype="FLOAT").read_bytes()
    au = written(folder / "whole.au", sine(8000), 8000).read_bytes()
    loud = written(folder / "loud.wav", np.array([[20000.0], [-20000.0]]), 8000, subtype="FLOAT").read_bytes()
    return {
        "cut.wav": (good[:-100], "it is truncated: its header promises"),
        "cut.flac": (flac[: len(flac) // 2], ""),
        "cut.ogg": (ogg[: len(ogg) // 2], "it is truncated: its last page is missing"),
        "cut.au": (au[: len(au) // 2], "it is truncated: its header promises"),
        "loud.wav": (loud, "its values reach 20000, far outside of [-1, 1]; set data.normalize true"),
        "empty.wav": (b"", "it is empty"),
        "none.wav": (none, "it has no samples"),
        "nan.wav": (broken, "it has values that are not finite"),
        "text.wav": (b"no sound at all, but long enough to look like a header of one" * 3, ""),
    }


@pytest.mark.parametrize(
    "name", ["cut.wav", "cut.flac", "cut.ogg", "cut.au", "loud.wav", "empty.wav", "none.wav", "nan.wav", "text.wav"]
)
def test_what_cannot_be_read_is_named_or_counted(notes, tmp_path, name):
    content, reason = bad_files(tmp_path / "made")[name]
    (notes / "a" / name).write_bytes(content)
    with pytest.raises(ValueError) as refused:
        AudioFolder(str(notes), length=100, rate=4000).reference("train")
    said = str(refused.value)
    assert f"cannot read the recording {notes}/a/{name}: {reason}" in said and "\n" not in said
    with pytest.warns(UserWarning, match="1 of 9 recordings could not be read and are left out"):
        data = AudioFolder(str(notes), length=100, rate=4000, on_error="skip")
        assert len(data.reference("train")) == 8 == len(data.reference("train").labels)
    assert "1 file left out: 1 unreadable" in data.found()


def test_silence_alone_is_refused_where_silence_is_removed(tmp_path):
    path = written(tmp_path / "a.wav", np.zeros((100, 1)), 4000)
    assert not decode_audio(path.read_bytes(), Form(4000, 100))[0].any()
    with pytest.raises(ValueError, match="nothing but silence"):
        decode_audio(path.read_bytes(), Form(4000, 100, trim=60.0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"length": 0}, "length of AudioFolder must be at least 1 sample, got 0"),
        ({"rate": 10}, "rate must be 100 to 768000 samples of a second, got 10"),
        ({"trim": 0.0}, "trim must be above 0 decibels"),
        ({"root": "nowhere"}, "no folder or zip file 'nowhere'"),
        ({"eval_fraction": 0.01}, "leave recordings on both sides, got 0.01 of 8 recordings"),
    ],
)
def test_numbers_out_of_range(notes, options, said):
    with pytest.raises(ValueError, match=said):
        AudioFolder(**{"root": str(notes), "length": 100, "rate": 4000, **options})


def test_a_folder_without_sound(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ValueError, match="there are no recordings in .*it has 1 .txt"):
        AudioFolder(str(tmp_path), length=100)


def config(notes, family="WGANGP", n_classes="auto", **arguments):
    return {
        "name": "run",
        "data": {"class_path": "AudioFolder", "init_args": {
            "root": str(notes), "length": 256, "rate": 4000, "eval_fraction": 0.25, "batch_size": 4}},
        "model": {"class_path": family, "init_args": {
            "generator": {"class_path": "WaveGANGenerator", "init_args": {"latent_dim": 3, "width": 2, "n_classes": n_classes}},
            "critic": {"class_path": "WaveGANCritic", "init_args": {"width": 2, "n_classes": n_classes}},
            **arguments}},
        "sound": {"n_samples": 70},
        "checkpoints": {"every_n_updates": 3, "monitor": "val/spectral_distance"},
    }  # fmt: skip


def test_a_run_from_a_folder_to_wav(notes, tmp_path):
    outcome = fit(tmp_path, config(notes, n_critic=2))
    assert outcome.code == 0, outcome.err
    run = tmp_path / "run"
    card = json.loads((run / "evaluation/sound-000006.json").read_text())
    assert 0 <= card["pitch_agreement"] <= 1 and card["of_training_sounds"]["pitch_agreement"] == 1
    assert (run / "samples/000006.png").is_file() and "val/spectral_distance" in (run / "metrics.csv").read_text()

    notes.rename(tmp_path / "elsewhere")  # a checkpoint alone is enough for samples
    out = tmp_path / "out"
    words = ["--ckpt_path", run / "checkpoints/last.ckpt", "--out", out]
    outcome = command("sample", *words, "--n", 3, "--grid", "--labels", "c")
    assert outcome.code == 0 and "3 sounds of 4000 Hz of" in outcome.err, outcome.err
    samples, rate = soundfile.read(out / "000002.wav")
    assert samples.shape == (256,) and rate == 4000 and samples.std() > 0 and (out / "grid.png").is_file()
    (tmp_path / "elsewhere").rename(notes)
    outcome = command("validate", "--ckpt_path", run / "checkpoints/last.ckpt", "--data.rate", 2000)
    assert outcome.code == 2 and "trained on sound of 4000 Hz, and data.rate is 2000" in outcome.err


def two_pitches(folder):
    for place in range(24):
        name, frequency = (("low", 300.0), ("high", 900.0))[place % 2]
        written(folder / name / f"{place}.wav", sine(4000, 0.1, frequency + place), 4000)
    return folder


def test_a_classifiers_features_have_the_moments_of_each_row_and_it_is_of_one_kind_of_sound(tmp_path):
    data = AudioFolder(str(two_pitches(tmp_path / "notes")), length=128, rate=4000, eval_fraction=0.25)
    judge = train_sound_classifier(data, n_updates=1)
    file = tmp_path / "notes.pt"
    judge.save(file)
    again = load_sound_classifier(file)
    waves = torch.randn(9, 128)
    moments, features = again.moments(waves), judge.network.features(images_of(waves) / 127.5 - 1).detach().double()
    assert_close(moments.mean, features.mean(0))
    assert_close(moments.covariance, features.T.cov(), atol=1e-7, rtol=1e-5)
    assert (
        again.facts["classes"] == ["high", "low"] and len(again.facts["sha256"]) == 16 and again.facts["n_updates"] == 1
    )
    with pytest.raises(
        UserError, match="trained on sounds of 128 samples at 4000 Hz, and the data have 300 at 4000 Hz"
    ):
        again.check(file, 4000, 300)
    file.write_bytes(b"no archive")
    with pytest.raises(UserError, match="holds no classifier of sounds") as refused:
        load_sound_classifier(file)
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="a classifier needs classes"):
        train_sound_classifier(AudioFolder(str(tmp_path / "notes"), length=128, rate=4000, labels="none"))


@pytest.mark.slow  # 20 s: it trains until the pitches are told apart
def test_a_classifier_of_the_recordings_gives_a_frechet_distance(tmp_path):
    two_pitches(tmp_path / "notes")
    script = Path(__file__).parents[2] / "scripts/train_sound_classifier.py"
    words = [sys.executable, script, "notes", "--length", 256, "--rate", 4000, "--n_updates", 60, "--out", "notes.pt"]
    words += ["--eval_fraction", 0.25]
    done = subprocess.run([*map(str, words)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "right on 100.0%" in done.stdout, done.stderr
    file = tmp_path / "notes.pt"
    outcome = fit(tmp_path, config(tmp_path / "notes"), "--sound.classifier", file, "--trainer.max_steps", 3,
                  "--checkpoints.monitor", "val/frechet_sound")  # fmt: skip
    assert outcome.code == 0, outcome.err
    card = json.loads((tmp_path / "run/evaluation/sound-000003.json").read_text())
    assert card["frechet_sound"] > 3 * card["of_training_sounds"]["frechet_sound"] >= 0
    assert card["classifier"]["accuracy"] == 1 and card["classifier"]["file"] == "notes.pt"
    outcome = fit(tmp_path / "b", config(tmp_path / "notes"), "--sound.classifier", file, "--data.length", 300)
    assert outcome.code == 2 and "256 samples at 4000 Hz, and the data have 300 at 4000 Hz" in outcome.err


def test_a_run_with_phase_shuffle_goes_on_as_if_it_had_not_stopped(notes, tmp_path):
    outcome = fit(tmp_path / "whole", config(notes, n_critic=2))
    assert outcome.code == 0, outcome.err
    outcome = fit(tmp_path / "half", config(notes, n_critic=2), "--trainer.max_steps", 3)
    assert outcome.code == 0, outcome.err
    outcome = fit(tmp_path / "half", config(notes, n_critic=2), "--resume", tmp_path / "half/run")
    assert outcome.code == 0, outcome.err
    one, other = (torch.load(tmp_path / which / "run/checkpoints/last.ckpt", weights_only=False)["state_dict"]
                  for which in ("whole", "half"))  # fmt: skip
    assert all(one[key].equal(other[key]) for key in one)


@pytest.mark.parametrize("family", ["LSGAN", "SNGAN", "R3GAN", "DRAGAN"])
def test_other_families_on_sound(notes, tmp_path, family):
    outcome = fit(tmp_path, config(notes, family, n_classes=0), "--trainer.max_steps", 2)
    assert outcome.code == 0, outcome.err


def test_classes_that_look_like_numbers_are_names(notes, tmp_path):
    (notes / "a").rename(notes / "69_E4")  # 690000 to jsonargparse
    (notes / "c").rename(notes / "1e3")
    outcome = fit(tmp_path, config(notes, n_critic=1), "--trainer.max_steps", 1)
    assert outcome.code == 0, outcome.err
    outcome = command("validate", "--ckpt_path", tmp_path / "run/checkpoints/last.ckpt")
    assert outcome.code == 0, outcome.err
    outcome = command("fit", "--config", tmp_path / "run/config.yaml", "--runs_dir", tmp_path / "again")
    assert outcome.code == 0, outcome.err
