"""`gan-lightning stylize` and `upscale`: pictures of all kinds, what is refused, and that a checkpoint alone is enough."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lightning.games.stylizing import stylized
from gan_lightning.networks import RandomFilters
from tests.training import command, fit

QUICK = ["--network", "random_filters", "--steps", 2]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Return a folder of pictures of all kinds, 40x48, and another file."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 4), dtype=np.uint8)
    Image.fromarray(pixels[..., :3]).save(folder / "colour.jpg")
    Image.fromarray(pixels).save(folder / "clear.png")
    Image.fromarray(pixels[..., 0]).save(folder / "grey.png")
    Image.fromarray(pixels[..., :3]).quantize(16).save(folder / "palette.gif")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(folder / "deep.png")
    (folder / "sub").mkdir()
    Image.fromarray(pixels[:, :33, :3]).save(folder / "sub" / "narrow.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def style(tmp_path_factory):
    path = tmp_path_factory.mktemp("style") / "dots.png"
    pixels = np.random.default_rng(1).integers(0, 256, (6, 7, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(path)
    return path


def read(path):
    return np.asarray(Image.open(path))


def test_pictures_of_all_kinds_keep_their_names_sizes_and_transparency(pictures, style, tmp_path):
    done = command("stylize", pictures, "--style", style, "--out", tmp_path / "out", *QUICK)
    assert done.code == 0, done.err
    assert "1 other file left alone, such as notes.txt" in done.err
    found = {str(path.relative_to(tmp_path / "out")): read(path) for path in sorted((tmp_path / "out").rglob("*.png"))}
    assert {name: pixels.shape for name, pixels in found.items()} == {
        "clear.png": (40, 48, 4),
        "colour.png": (40, 48, 3),
        "deep.png": (40, 48, 3),
        "grey.png": (40, 48, 3),
        "palette.png": (40, 48, 3),
        "sub/narrow.png": (40, 33, 3),
    }
    assert np.array_equal(found["clear.png"][..., 3], read(pictures / "clear.png")[..., 3])
    assert np.array_equal(found["deep.png"], found["grey.png"])  # the same picture with 16 bits
    card = json.loads((tmp_path / "out" / "stylize.json").read_text())
    assert card["network"] == "random_filters" and len(card["pictures"]) == 6


def test_the_style_loss_falls_to_a_tenth_and_the_strength_counts():
    random = torch.Generator().manual_seed(0)
    content = torch.rand(1, 3, 48, 48, generator=random) * 0.2
    style = (torch.rand(1, 3, 8, 8, generator=random) * 2 - 1).repeat_interleave(6, 2).repeat_interleave(6, 3)
    network = RandomFilters(n_filters=8, n_scales=2, kernel=5)
    strong, weak = (stylized(content, style, network, steps=60, strength=s) for s in (1.0, 1e-5))
    assert strong.style < 0.1 * strong.own
    assert strong.style < weak.style and strong.content > weak.content
    assert strong.picture.abs().max() <= 1


def test_a_critic_of_patches_can_be_added_and_large_pictures_keep_their_size(style, tmp_path):
    Image.effect_noise((140, 100), 60).save(tmp_path / "in.png")
    Image.effect_noise((100, 100), 60).save(tmp_path / "style.png")
    words = ["--style", tmp_path / "style.png", "--critic_weight", 2, "--size", 80, *QUICK]
    done = command("stylize", tmp_path / "in.png", "--out", tmp_path / "out", *words)
    assert done.code == 0, done.err
    assert read(tmp_path / "out" / "in.png").shape == (100, 140, 3)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["{in}", "--out", "{new}"], "needs --style"),
        (["nowhere", "--style", "{style}", "--out", "{new}"], "there is no folder or zip file"),
        (["{in}", "--style", "nowhere.png", "--out", "{new}"], "nowhere.png"),
        (["{in}", "--style", "{in}", "--out", "{new}"], "is a folder; give a picture"),
        (["{in}", "--style", "{style}", "--out", "{in}"], "holds .* already; give an empty folder"),
        (["{in}", "--style", "{style}", "--out", "{new}", "--strength", "0"], "must be a number above 0, got '0'"),
        (["{in}", "--style", "{style}", "--out", "{new}", "--strength", "nan"], "must be a number above 0, got 'nan'"),
        (["{in}", "--style", "{style}", "--out", "{new}", "--steps", "0"], "at least 1, got '0'"),
        (["{in}", "--style", "{style}", "--out", "{new}", "--size", "8"], "size must be at least 32, got 8"),
        (["{in}", "--style", "{style}", "--out", "{new}", "--network", "vgg"], "invalid choice: 'vgg'"),
        (["{in}", "--style", "{style}", "--out", "{new}", "--weights", "no.pth"], "there is none at no.pth"),
        (["{broken}", "--style", "{style}", "--out", "{new}"], "cannot read .*torn.png"),
        (["{small}", "--style", "{style}", "--out", "{new}"], "has 20x40 pixels"),
        (["{twice}", "--style", "{style}", "--out", "{new}"], "would both be written as a.png"),
        (["{float}", "--style", "{style}", "--out", "{new}"], "floating-point.*--value_range"),
        (["{in}", "--style", "{style}", "--out", "{new}", "--value_range", "5,5"], "two increasing numbers, got '5,5'"),
        (["{flat}", "--style", "{style}", "--out", "{new}", "--value_range", "0,9"], "no picture of .*flat has such"),
        (
            ["{flat}", "--style", "{style}", "--out", "{new}", "--critic_weight", "1"],
            "at least 64 on each side, as the patch",
        ),
        (
            ["{flat}", "--style", "{style}", "--out", "{new}", "--critic_weight", "1", "--size", "40"],
            "--size must be at least",
        ),
        (
            ["{flat}", "--style", "{style}", "--out", "{new}", "--seed", "3", "--network", "vgg19"],
            "--seed 3 decides nothing",
        ),
    ],
)
def test_what_stylize_refuses(words, line, pictures, style, tmp_path):
    for folder in ("broken", "small", "twice", "float", "flat"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "broken" / "a.png")
    (tmp_path / "broken" / "torn.png").write_bytes((pictures / "clear.png").read_bytes()[:200])
    Image.new("RGB", (20, 40)).save(tmp_path / "small" / "a.png")
    Image.new("RGB", (40, 40)).save(tmp_path / "twice" / "a.png")
    Image.new("RGB", (40, 40)).save(tmp_path / "twice" / "a.jpg")
    Image.fromarray(np.zeros((40, 40), np.float32)).save(tmp_path / "float" / "a.tif")
    Image.new("RGB", (40, 40)).save(tmp_path / "flat" / "a.png")
    places = {"in": pictures, "style": style, "new": tmp_path / "new"}
    places |= {name: tmp_path / name for name in ("broken", "small", "twice", "float", "flat")}
    network = [] if {"--network", "--weights"} & set(words) else ["--network", "random_filters"]
    done = command("stylize", *(word.format(**places) for word in words), *network)
    assert done.code == 2
    assert re.search(line, done.err), done.err
    assert len(done.err.strip().splitlines()) <= 2  # other files are told of
    assert not list((tmp_path / "new").glob("*")) if (tmp_path / "new").exists() else True


STYLED = {
    "name": "styles",
    "data": {"class_path": "RandomStyled", "init_args": {"image_size": 16, "n_styles": 2, "n": 8, "batch_size": 2}},
    "model": {
        "class_path": "StyleTransfer",
        "init_args": {
            "generator": {"class_path": "Stylizer", "init_args": {"width": 2, "n_blocks": 1}},
            "critic": {"class_path": "MLPCritic", "init_args": {"width": 4, "n_layers": 1}},
            "perceptual": {"class_path": "RandomFilters", "init_args": {"n_filters": 4, "n_scales": 2, "kernel": 3}},
            "patch_size": 8,
        },
    },
}
SMALL_AND_LARGE = {
    "name": "large",
    "data": {"class_path": "RandomPairs", "init_args": {"image_size": 32, "factor": 2, "n": 8, "batch_size": 2}},
    "model": {
        "class_path": "SRGAN",
        "init_args": {
            "generator": {
                "class_path": "SRResNet",
                "init_args": {"width": 4, "n_blocks": 1, "norm": "torch.nn.Identity"},
            },
            "critic": {"class_path": "MLPCritic", "init_args": {"width": 4, "n_layers": 1}},
            "n_pretraining": 3,
        },
    },
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Return checkpoints of both families, trained by the command line."""
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for config in (STYLED, SMALL_AND_LARGE):
        done = fit(folder, config)
        assert done.code == 0, done.err
        found[config["name"]] = folder / str(config["name"]) / "checkpoints" / "last.ckpt"
    return found


def test_a_trained_network_stylizes_by_name_and_strength(checkpoints, pictures, tmp_path):
    for strength in ("1", "0.3"):
        words = ["--ckpt_path", checkpoints["styles"], "--style", "1", "--strength", strength]
        done = command("stylize", pictures, *words, "--out", tmp_path / strength)
        assert done.code == 0, done.err
    full, less = (read(tmp_path / strength / "clear.png") for strength in ("1", "0.3"))
    assert full.shape == (40, 48, 4) and np.array_equal(full[..., 3], less[..., 3])
    assert not np.array_equal(full, less)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--ckpt_path", "{styles}"], "has the styles 0, 1; give one as --style"),
        (["--ckpt_path", "{styles}", "--style", "7"], "--style 7 is no style of"),
        (["--ckpt_path", "{styles}", "--style", "1", "--steps", "5"], "--steps 5 is of pictures changed step by step"),
        (["--ckpt_path", "{styles}", "--style", "1", "--seed", "0"], "--seed 0 is of pictures changed step by step"),
        (["--ckpt_path", "{styles}", "--style", "1", "--strength", "2"], r"must be in \(0, 1\], got 2"),
        (["--ckpt_path", "{large}"], "is of SRGAN; stylize takes a checkpoint of StyleTransfer"),
    ],
)
def test_what_is_refused_beside_a_checkpoint(words, line, checkpoints, pictures, tmp_path):
    done = command("stylize", pictures, *(word.format(**checkpoints) for word in words), "--out", tmp_path / "out")
    assert done.code == 2 and re.search(line, done.err), done.err
    assert not (tmp_path / "out").exists()


def test_upscale_keeps_grey_and_transparency_and_shows_no_seam(checkpoints, pictures, tmp_path):
    words = ["upscale", pictures, "--ckpt_path", checkpoints["large"]]
    assert command(*words, "--out", tmp_path / "whole").code == 0
    assert command(*words, "--out", tmp_path / "pieces", "--tile", 16).code == 0
    shapes = {"clear": (80, 96, 4), "colour": (80, 96, 3), "deep": (80, 96), "grey": (80, 96), "palette": (80, 96, 3)}
    for name, shape in shapes.items():
        whole, pieces = (read(tmp_path / kind / f"{name}.png") for kind in ("whole", "pieces"))
        assert whole.shape == shape
        assert np.abs(whole.astype(int) - pieces).max() <= 1
    opaque = Image.open(pictures / "clear.png").getchannel("A").resize((96, 80), Image.Resampling.BICUBIC)
    assert np.array_equal(read(tmp_path / "whole" / "clear.png")[..., 3], np.asarray(opaque))
    assert json.loads((tmp_path / "pieces" / "upscale.json").read_text())["factor"] == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["{in}", "--ckpt_path", "{styles}", "--out", "{new}"],
            "is of StyleTransfer; upscale takes a checkpoint of SRGAN",
        ),
        (["{in}", "--ckpt_path", "{large}", "--out", "{in}"], "give an empty folder"),
        (["{in}", "--ckpt_path", "nowhere.ckpt", "--out", "{new}"], "nowhere.ckpt"),
        (["{in}/notes.txt", "--ckpt_path", "{large}", "--out", "{new}"], "cannot read .*notes.txt"),
        (["{in}", "--ckpt_path", "{large}", "--out", "{new}", "--tile", "0"], "at least 1, got '0'"),
        (
            ["{in}", "--ckpt_path", "{large}", "--out", "{new}", "--device", "nowhere"],
            "device 'nowhere' cannot be used",
        ),
    ],
)
def test_what_upscale_refuses(words, line, checkpoints, pictures, tmp_path):
    places = {"in": pictures, "new": tmp_path / "new", **checkpoints}
    done = command("upscale", *(word.format(**places) for word in words))
    assert done.code == 2 and re.search(line, done.err), done.err
    assert not (tmp_path / "new").exists()


def test_weights_that_are_not_finite_make_no_pictures(checkpoints, pictures, tmp_path):
    for name, words in (("large", ["upscale", pictures]), ("styles", ["stylize", pictures, "--style", "1"])):
        checkpoint = torch.load(checkpoints[name], weights_only=False)
        key = next(key for key in checkpoint["state_dict"] if key.startswith("generator_average."))
        checkpoint["state_dict"][key].fill_(float("nan"))
        torch.save(checkpoint, tmp_path / "diverged.ckpt")
        done = command(*words, "--ckpt_path", tmp_path / "diverged.ckpt", "--out", tmp_path / "out")
        assert done.code == 2 and "weights are not finite" in done.err, done.err
        assert not (tmp_path / "out").exists()


def test_of_an_animation_the_first_picture_is_taken_and_said(checkpoints, tmp_path):
    first, second = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    words = ["--ckpt_path", checkpoints["large"], "--out", tmp_path / "out"]
    done = command("upscale", tmp_path / "moving.gif", *words)
    assert done.code == 0 and "moving.gif is an animation or has pages: the first one alone is taken" in done.err


def test_psnr_and_ssim_are_measured_beside_bicubics_in_both_phases(checkpoints):
    run = checkpoints["large"].parents[1]
    cards = [json.loads(path.read_text()) for path in sorted((run / "evaluation").glob("upscaling-*.json"))]
    assert {card["update"] for card in cards} >= {3, 6}
    assert all({"psnr", "ssim", "psnr_bicubic", "ssim_bicubic"} <= card.keys() for card in cards)
    assert len({card["psnr_bicubic"] for card in cards}) == 1
    assert all(len(card["real_fingerprint"]) == 64 and card["sources_fingerprint"] for card in cards)
    assert sorted(path.name for path in (run / "samples").glob("*.png"))[-1] == "000006.png"
    done = command("validate", "--ckpt_path", checkpoints["large"])
    assert done.code == 0 and "val/psnr_bicubic" in done.out, done.err
