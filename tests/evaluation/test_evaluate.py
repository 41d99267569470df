"""`gan-lightning evaluate`: any pair of sides, exact numbers, and one line for what cannot be compared."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from gan_lightning.data.decoding import decode
from gan_lightning.evaluation import sides
from gan_lightning.evaluation.moments import moments_file, statistics_key
from gan_lightning.evaluation.sides import Reading, image_side
from gan_lightning.metrics import Digits
from gan_lightning.metrics.fidelity import Moments, frechet_distance
from gan_lightning.shapes import Images
from tests.training import command


def write_images(folder: Path, n: int, seed: int, size: int = 8) -> torch.Tensor:
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (n, 3, size, size), generator=generator, dtype=torch.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{index:03d}.png")
    return pixels


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    write_images(folder / "real", 40, 0)
    write_images(folder / "fake", 30, 1)
    return folder / "real", folder / "fake"


def card_of(*words: Any) -> dict[str, Any]:
    done = command("evaluate", *words, "--json")
    assert done.code == 0, done.err
    card: dict[str, Any] = json.loads(done.out, parse_constant=pytest.fail)
    return card


def moments_of(pixels: torch.Tensor) -> Moments:
    moments = Moments()
    moments.update(Digits()(pixels)[0])
    return moments


def test_two_folders(pair: tuple[Path, Path], tmp_path: Path) -> None:
    real, fake = pair
    words = [real, fake, "--extractor", "digits", "--metrics", "fid,isc,prc,dc,vendi", "--out", tmp_path]
    done = command("evaluate", *words)
    assert done.code == 0, done.err
    rows = dict(line.split() for line in done.out.splitlines()[4:] if line)
    card = card_of(*words)
    assert set(rows) == set(card["metrics"]) and float(rows["fid"]) == pytest.approx(card["fid"], rel=1e-5)
    pixels = [torch.stack([torch.from_numpy(np.array(Image.open(p))) for p in sorted(f.glob("*.png"))]) for f in pair]
    a, b = (moments_of(side.permute(0, 3, 1, 2)) for side in pixels)
    assert card["fid"] == pytest.approx(frechet_distance(a, b), rel=1e-12)
    assert card["schema"] == 1 and card["n_real"] == 40 and card["n_generated"] == 30
    assert card["extractor_fingerprint"] == Digits().fingerprint()
    assert "40 real and 30 generated samples" in done.err
    (written,) = tmp_path.glob("evaluate-digits-*.json")  # the same comparison has the same file
    assert json.loads(written.read_text())["fid"] == card["fid"]


def test_statistics_of_all_kinds_give_the_same(pair: tuple[Path, Path], tmp_path: Path) -> None:
    real, fake = pair
    common = [fake, "--extractor", "digits", "--out", tmp_path]
    card = card_of(real, *common, "--save_real", tmp_path / "ours.npz")
    again = command("evaluate", real, *common, "--save_real", tmp_path / "ours.npz")
    assert again.code == 2 and "ours.npz is there already; give another name, or remove it" in again.err
    side = image_side(str(real), Reading())
    assert side.fingerprint is not None and side.n is not None
    kept = tmp_path / "kept.pt"
    kept.write_bytes(moments_file(statistics_key(side.fingerprint, side.n, Digits())).read_bytes())
    with np.load(tmp_path / "ours.npz") as arrays:
        np.savez(tmp_path / "theirs.npz", mu=arrays["mu"], sigma=arrays["sigma"])
    for name in ("ours.npz", "theirs.npz", "kept.pt"):
        assert card_of(tmp_path / name, *common)["fid"] == pytest.approx(card["fid"], rel=1e-6), name
    assert card_of(tmp_path / "theirs.npz", *common)["n_real"] is None
    other = command("evaluate", tmp_path / "ours.npz", fake, "--extractor", "raw", "--out", tmp_path)
    assert other.code == 2 and "REAL holds statistics of the extractor digits" in other.err
    other = command("evaluate", tmp_path / "theirs.npz", fake, "--extractor", "raw", "--out", tmp_path)
    assert other.code == 2 and "REAL has 64 features and FAKE 192" in other.err
    other = command("evaluate", tmp_path / "ours.npz", *common, "--metrics", "fid,kid")
    assert other.code == 2 and "kid cannot be had of it" in other.err
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    other = command("evaluate", tmp_path / "bad.npz", *common)
    assert other.code == 2 and "holds no statistics" in other.err and other.err.count("\n") == 1


def test_statistics_by_clean_fids_names(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fake = pair
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(sides, "CLEAN_FID", site.as_uri())
    common = [fake, "--extractor", "digits", "--out", tmp_path]
    card = card_of(real, *common, "--save_real", tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz") as arrays:
        np.savez(site / "mine_legacy_tensorflow_train_8.npz", mu=arrays["mu"], sigma=arrays["sigma"])
    assert card_of("cleanfid:MINE_train_8", *common)["fid"] == pytest.approx(card["fid"], rel=1e-6)
    (site / "mine_legacy_tensorflow_train_8.npz").unlink()
    assert card_of("cleanfid:mine_train_8", *common)["fid"] == pytest.approx(card["fid"], rel=1e-6)  # kept
    for name, said in (
        ("cleanfid:mine", "such as cleanfid:cifar10_train_32"),
        ("cleanfid:other_train_8", "put the file in"),
    ):
        done = command("evaluate", name, *common)
        assert done.code == 2 and said in done.err and done.err.count("\n") == 1, done.err


def test_a_checkpoint_against_its_data_is_what_validate_says(image_run: Path, tmp_path: Path) -> None:
    checkpoint = image_run / "checkpoints" / "last.ckpt"
    words = ["--extractor", "digits", "--metrics", "fid,isc", "--n", 64, "--out", tmp_path]
    card = card_of(image_run / "config.yaml", checkpoint, *words)
    (cards,) = (sorted((image_run / "evaluation").glob("000006.json")),)
    said = json.loads(cards[0].read_text())
    assert_close([card["fid"], card["isc_mean"]], [said["fid"], said["isc_mean"]], rtol=1e-9, atol=0)
    assert card["real_fingerprint"] == said["real_fingerprint"] and card["update"] == 6 and card["weights"] == "average"
    spread = card_of(image_run / "config.yaml", checkpoint, *words, "--n_seeds", 2)
    assert spread["spread_fid"] > 0 and spread["seeds"] == [0, 1]
    classes = card_of(image_run / "config.yaml", checkpoint, *words[:2], "--metrics", "class_fid", *words[4:])
    assert set(classes["fid_of_classes"]) == {"0", "1", "2"}
    folder = command("evaluate", image_run, checkpoint, *words)
    assert folder.code == 2 and "is a run folder; give one of" in folder.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["real", "fake", "--metrics", "fidd"], "there is no metric fidd (did you mean fid?)"),
        (["real", "none"], "is no folder, zip, checkpoint"),
        (["real", "fake", "--extractor", "digit"], "there is no digit"),
        (["real", "fake", "--filter", "box"], "--filter says how images are brought to --size"),
        (["real", "fake", "--metrics", "class_fid"], "class_fid is of classes, and real has none"),
        (["real", "fake", "--metrics", "memorization"], "give them with --training"),
        (["real", "fake", "--metrics", "isc", "--isc_splits", "31"], "n_samples 30 is below isc_splits 31"),
        (["real", "fake", "--n", "20"], "--n is of a checkpoint, and REAL and FAKE are none"),
        (["real", "fake", "--n_seeds=3"], "--n_seeds is of a checkpoint, and FAKE is none"),
        (["real", "fake", "--labels", "uniform"], "--labels is of a checkpoint with classes, and FAKE is none"),
        (["real", "fake", "--split", "train"], "--split is of a config of data, and REAL and FAKE are none"),
        (
            ["quickstart", "quickstart", "--size", "16"],
            "--size is of a folder or zip of images, and REAL and FAKE are none",
        ),
        (["real", "fake", "--isc_splits", "3"], "--isc_splits is of the Inception score; add isc to --metrics fid"),
        (["real", "small"], "REAL has images of 8x8, FAKE of 6x6"),
        (["real", "mixed"], "images in mixed have 2 sizes: most are 8x8, but b/odd.png (6x6)"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    words: list[str], message: str, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side, name in zip(pair, ("real", "fake"), strict=True):
        os.symlink(side, tmp_path / name)
    write_images(tmp_path / "small", 3, 2, size=6)
    write_images(tmp_path / "mixed", 3, 2)
    write_images(tmp_path / "mixed" / "b", 1, 2, size=6)
    (tmp_path / "mixed" / "b" / "000.png").rename(tmp_path / "mixed" / "b" / "odd.png")
    monkeypatch.chdir(tmp_path)
    extractor = [] if "--extractor" in words else ["--extractor", "digits"]
    done = command("evaluate", *words, *extractor)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1, done.err


def test_a_named_filter_brings_all_to_one_size(pair: tuple[Path, Path], tmp_path: Path) -> None:
    write_images(tmp_path / "mixed", 8, 2, size=12)
    write_images(tmp_path / "mixed" / "b", 8, 3, size=20)
    for name in ("box", "lanczos"):
        card = card_of(
            pair[0], tmp_path / "mixed", "--extractor=digits", "--size=8", "--filter", name, "--out", tmp_path
        )
        assert card["fake_resize"] == f"{name} to 8x8, crop center"
        side = image_side(str(tmp_path / "mixed"), Reading(8, name))  # type: ignore[arg-type]
        assert side.draw is not None
        first = next(iter(side.draw(None, 0)([0])))[0]
        with Image.open(tmp_path / "mixed" / "000.png") as image:
            expected = np.asarray(image.resize((8, 8), Image.Resampling[name.upper()]))
        assert torch.equal(first, torch.from_numpy(expected.copy()).permute(2, 0, 1))


def odd_files(folder: Path) -> tuple[set[str], set[str]]:
    """Write 60 odd files, all of 8x8 pixels if any; return the names that must be read, and that must be named."""
    folder.mkdir()
    colours = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    read: set[str] = set()
    saved: dict[str, dict[str, Any]] = {
        "png": {}, "jpg": {"quality": 90}, "bmp": {}, "gif": {}, "webp": {"lossless": True}, "tif": {}, "ppm": {},
        "jp2": {}, "tga": {},
    }  # fmt: skip
    for mode in ("RGB", "L", "P", "RGBA", "LA", "1", "CMYK"):
        for suffix, options in saved.items():
            name = f"{mode}.{suffix}"
            try:
                colours.convert(mode).save(folder / name, **options)
                read.add(name)
            except (OSError, KeyError, ValueError):  # this format has no such pixels
                (folder / name).unlink(missing_ok=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    colours.save(folder / "turned.jpg", exif=exif)
    colours.save(folder / "animated.gif", save_all=True, append_images=[colours.rotate(90)])
    colours.save(folder / "UPPER.PNG")
    read |= {"turned.jpg", "animated.gif", "UPPER.PNG"}
    whole = (folder / "RGB.png").read_bytes()
    jpeg = (folder / "RGB.jpg").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    broken = {
        "empty.png": b"", "text.png": b"no picture", "half.png": whole[: len(whole) // 2], "half.jpg": jpeg[: len(jpeg) // 2],
        "magic.png": whole[:8], "flipped.png": bytes(flipped), "zeros.jpg": bytes(200), "html.jpg": b"<html></html>",
        "gzip.png": b"\x1f\x8b" + whole, "riff.webp": b"RIFF\x00\x00\x00\x00WEBP", "bm.bmp": b"BM" + bytes(30),
        "huge.png": whole[:16] + (50_000).to_bytes(4, "big") * 2 + whole[24:], "short.tif": b"II*\x00\x08\x00\x00\x00",
    }  # fmt: skip
    for name, content in broken.items():
        (folder / name).write_bytes(content)
    os.symlink(folder / "nowhere", folder / "link.png")
    os.mkfifo(folder / "pipe.png")
    return read, set(broken) | {"link.png", "pipe.png"}


def test_odd_and_damaged_files_are_read_or_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    read, named = odd_files(tmp_path / "odd")
    assert len(read) + len(named) >= 60, (len(read), len(named))
    words = [pair[0], tmp_path / "odd", "--extractor", "digits", "--out", tmp_path]
    refused = command("evaluate", *words)
    assert refused.code == 2 and "Traceback" not in refused.err
    assert f"{len(named)} of {len(read) + len(named)} images in" in refused.err and "--on_error skip" in refused.err
    card = card_of(*words, "--on_error", "skip")
    assert set(card["fake_skipped"]) == named and card["n_generated"] == len(read)
    assert not any("<" in reason for reason in card["fake_skipped"].values())
    names = sorted(read)
    pixels = [decode((tmp_path / "odd" / name).read_bytes(), Images(8, 8, 3), "none").pixels for name in names]
    fake = moments_of(torch.from_numpy(np.stack(pixels).copy()))
    real = moments_of(torch.cat(list(image_side(str(pair[0]), Reading()).draw(None, 0)(range(1)))))  # type: ignore[misc]
    assert card["fid"] == pytest.approx(frechet_distance(real, fake), rel=1e-9)


def test_deep_pixels_need_their_range(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    Image.fromarray(np.full((8, 8), 3000, dtype=np.uint16)).save(tmp_path / "deep" / "a.png")
    write_images(tmp_path / "deep", 3, 5)
    words = [pair[0], tmp_path / "deep", "--extractor", "digits", "--out", tmp_path]
    refused = command("evaluate", *words)
    assert refused.code == 2 and "(--value_range [0,4095])" in refused.err, refused.err
    assert card_of(*words, "--value_range", "[0,4095]")["n_generated"] == 4
