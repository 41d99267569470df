"""Contract 7: every YAML under configs/ parses, builds and trains two rounds, on synthetic data of its shape.

What `--print_config` prints of it trains to the same numbers.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from jsonargparse import ArgumentParser, Namespace
from lightning.pytorch import Trainer
from PIL import Image

from gan_lightning.cli import training as lightning_cli
from gan_lightning.cli.config_files import read_config
from gan_lightning.data import (
    AudioFolder,
    ImplicitFeedback,
    Melodies,
    QueryDocuments,
    RealData,
    Rolls,
    SyntheticFeedback,
    Text,
)
from gan_lightning.evaluation.midi import midi_bytes
from gan_lightning.metrics import DigitsClassifier
from gan_lightning.protocols import Styled
from gan_lightning.shapes import Images, Pair, Shape
from tests.training import assert_same, command

CONFIGS = Path(__file__).parents[2] / "configs"
LAYERS = sorted([*CONFIGS.glob("hardware/*.yaml"), *CONFIGS.glob("loggers/*.yaml")])
EXPERIMENTS = sorted({*CONFIGS.rglob("*.yaml")} - {*LAYERS, *CONFIGS.glob("base*.yaml")})
LONGEST = {"ring": 18, "ring_notebook": 18, "digits": 22}
"""Lines that a config may have beside its header, by the data it is for: what all of them say stands in a base."""
BATCH_SIZE = 4
LARGEST_PLAYED = 64
"""Images above this size are built, not played: two rounds of them take many seconds. Of the own pictures' configs, which
differ in size alone, those above 32 are built only."""

SMALL = [
    "--trainer.accelerator=cpu",
    "--trainer.devices=1",
    "--trainer.strategy=auto",
    "--trainer.max_steps=2",
    "--trainer.logger=false",
    "--trainer.num_sanity_val_steps=0",
    "--trainer.limit_val_batches=0",
    "--fidelity.enabled=false",
    "--translations.enabled=false",
    "--samples.n_rows=2",
    "--samples.n_columns=2",
]


def largest(shape: Shape) -> int:
    return max(shape.size[1:], default=0)


def name(path: Path) -> str:
    return str(path.relative_to(CONFIGS))


def shrink(value: Any, widest: int = 16) -> None:
    """Narrow every network of a parsed config, and shorten warm-ups."""
    if isinstance(value, Namespace):
        for key, inner in list(vars(value).items()):
            if key == "width":
                setattr(value, key, widest if inner is None else min(inner, widest))
            elif key == "n_critic_warm_up":
                setattr(value, key, 3)
            else:
                shrink(inner, widest)
    elif isinstance(value, list):
        for inner in value:
            shrink(inner, widest)


def build_data(config: Namespace) -> RealData:
    """Return the data that a parsed config means; nothing is read before it is used."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(RealData, "data")
    return parser.instantiate(parser.parse_object({"data": config.clone()}))["data"]


@pytest.fixture
def synthetic(monkeypatch, tmp_path):
    """Replace what a config takes from the disk by random images of its shape, and return what was trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seen: dict[str, Any] = {}
    before, fit = lightning_cli.GanLightningCLI.before_instantiate_classes, Trainer.fit

    def smaller(cli):
        config = cli.config[cli.subcommand]
        if config.data.class_path.endswith("AudioFolder"):  # it looks at its files at once
            for place in range(BATCH_SIZE):
                path = Path(f"notes/{place % 2}/{place}.wav")
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, np.sin(np.arange(90) / (place + 2)), 4000)
            config.data.init_args.root, config.data.init_args.eval_fraction = "notes", 0.0
            config.data.init_args.length, config.data.init_args.batch_size = 64, BATCH_SIZE
            config.sound.n_samples = 64
        data = build_data(config.data)
        seen["data"], seen["max_steps"] = data, config.trainer.max_steps
        if isinstance(data, ImplicitFeedback):
            few = {"n_users": 9, "n_items": 40, "n_liked": 4, "n_held_out": 3, "n_factors": 4, "sharpness": 1.0}
            seen["data"] = SyntheticFeedback(**few, batch_size=BATCH_SIZE)  # type: ignore[arg-type]
            given = {**few, "sample_seed": 0, "batch_size": BATCH_SIZE, "seed": None}
            config.data = Namespace(class_path="gan_lightning.data.SyntheticFeedback", init_args=Namespace(**given))
        elif isinstance(data, Text):
            Path("book.txt").write_text("to be or not to be " * 40)
            config.data.init_args.path, config.data.init_args.batch_size = "book.txt", BATCH_SIZE
            config.ngrams.n_samples = 64
            seen["data"] = build_data(config.data)
        elif isinstance(data, Melodies):
            for place in range(3):
                Path(f"{place}.abc").write_text("X:1\nM:4/4\nL:1/4\nK:G\nG A B c | d2 B2 | d c B A | G4 |\n")
            config.data.init_args.path, config.data.init_args.batch_size = ".", BATCH_SIZE
            config.music.n_samples = 64
            seen["data"] = build_data(config.data)
        elif isinstance(data, Rolls):
            for place in range(2):
                upper = [(2 * i, 2, 60 + i) for i in range(8)]
                Path(f"{place}.mid").write_bytes(midi_bytes([upper, *[[(0, 16, 48 + place)]] * 3], 2))
            config.data.init_args.path, config.data.init_args.batch_size = ".", BATCH_SIZE
            config.music.n_samples = 64
            seen["data"] = build_data(config.data)
        elif isinstance(data, AudioFolder):
            pass
        elif isinstance(data, QueryDocuments):
            rows = [f"{d % 3} qid:{q} 1:{d / 7} 2:{q + d}" for q in range(8) for d in range(7)]
            Path("documents.txt").write_text("\n".join(rows))
            config.data.init_args.path, config.data.init_args.batch_size = "documents.txt", BATCH_SIZE
            seen["data"] = build_data(config.data)
        elif isinstance(data, Styled):
            given = {"image_size": data.image_size, "n_styles": data.n_classes, "n": 8, "batch_size": BATCH_SIZE}
            config.data = Namespace(class_path="gan_lightning.data.RandomStyled", init_args=Namespace(**given))
        elif isinstance(data.shape, Pair):
            source, target = data.shape.source, data.shape.target
            sizes = {"source_channels": source.size[0], "factor": target.size[1] // source.size[1]}
            kinds = {"image_size": data.image_size, "channels": data.channels, "paired": data.is_paired}
            given = {**kinds, **sizes, "n": 8, "batch_size": BATCH_SIZE}
            config.data = Namespace(class_path="gan_lightning.data.RandomPairs", init_args=Namespace(**given))
        elif isinstance(data.shape, Images):
            shape = {"image_size": data.image_size, "channels": data.channels, "n_classes": data.n_classes}
            options = {"n": 8, "batch_size": BATCH_SIZE, "flip": data.flip, "dequantize": data.dequantize}
            given = {"sample_seed": 0, "seed": None, **shape, **options}
            config.data = Namespace(class_path="gan_lightning.data.RandomImages", init_args=Namespace(**given))
        elif isinstance(data, SyntheticFeedback):
            config.data.init_args.batch_size = BATCH_SIZE
        else:
            config.data.init_args.n, config.data.init_args.batch_size = 64, BATCH_SIZE
        shrink(config.model, 16 if largest(seen["data"].shape) <= LARGEST_PLAYED else 32)
        before(cli)

    def watched(trainer, model, *args, **kwargs):
        seen["game"], seen["trainer"] = model, trainer
        if largest(model.shape) <= seen.get("largest", LARGEST_PLAYED):
            fit(trainer, model, *args, **kwargs)

    monkeypatch.setattr(lightning_cli.GanLightningCLI, "before_instantiate_classes", smaller)
    monkeypatch.setattr(Trainer, "fit", watched)
    return seen


def test_there_are_configs():
    assert len(EXPERIMENTS) > 10 and len(LAYERS) >= 3


def own_pictures(path: Path, folder: Path) -> list[str]:
    """Return what a config for one's own pictures needs beside it: where they are."""
    if path.parent.name == "cycle_gan":
        for kind in ("horse", "deer"):
            (folder / "mine" / kind).mkdir(parents=True)
            Image.new("RGB", (9, 8)).save(folder / "mine" / kind / "one.png")
        return ["--data.source", str(folder / "mine"), "--data.target", str(folder / "mine")]
    if path.parent.name in ("srgan", "style_transfer"):
        (folder / "mine").mkdir()
        for file in ("mine/one.png", "style.png"):
            Image.effect_noise((160, 160), 64).save(folder / file)
        filters = '{"class_path": "RandomFilters", "init_args": {"content_layers": null}}'
        perceptual = "null" if path.parent.name == "srgan" else filters  # which need no wheel
        words = ["--data.root", str(folder / "mine"), "--model.perceptual", perceptual]
        styles = ["--data.styles", f"[{folder / 'style.png'}]"] if path.parent.name == "style_transfer" else []
        return [*words, *styles]
    if path.stem == "stacked_mnist":
        torch.save(DigitsClassifier(28).state_dict(), folder / "mnist.pt")
        return ["--coverage.classifier.init_args.weights_path", str(folder / "mnist.pt")]
    if path.parent.name not in ("pictures", "pix2pix"):
        return []
    (folder / "mine").mkdir()
    Image.new("RGB", (9, 8)).save(folder / "mine" / "one.png")
    return ["--data.root", str(folder / "mine")]


FIRST = {path.parent: path for path in reversed(EXPERIMENTS)}
"""Of each folder the first config: what is asked once of every family."""


def fast(path: Path) -> Any:
    """Return a config; those of `compare`, which differ by a stabilizer alone, are slow but for one."""
    later = path.parent.name == "compare" and path.stem != "gp"
    return pytest.param(path, marks=[pytest.mark.slow] if later else [], id=name(path))


@pytest.mark.parametrize("path", [fast(path) for path in EXPERIMENTS])
def test_experiments_train(path, synthetic, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("runs")
    root = own_pictures(path, tmp_path_factory.mktemp("data"))
    synthetic["largest"] = 32 if root else LARGEST_PLAYED
    outcome = command("fit", "--config", path, "--runs_dir", tmp_path, *root, *SMALL)
    assert outcome.code == 0, outcome.err[-3000:]
    game = synthetic["game"]
    assert game.shape == synthetic["data"].shape
    if largest(game.shape) > synthetic["largest"]:
        return
    assert game.updates_done == 2
    metrics = synthetic["trainer"].callback_metrics
    losses = {key: float(value) for key, value in metrics.items() if key.startswith("loss/")}
    assert len(losses) == 1 + bool(game.critic_updates_in_round(1)) and all(
        math.isfinite(loss) for loss in losses.values()
    ), losses
    (folder,) = (entry for entry in tmp_path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    assert (folder / "checkpoints" / "last.ckpt").is_file()

    if path not in FIRST.values() and path.parent.name not in ("configs", "wgan_gp", "acgan"):
        return
    printed = command("fit", "--config", path, *root, "--print_config")
    assert printed.code == 0, printed.err[-3000:]
    (tmp_path / "printed.yaml").write_text(printed.out)
    again = command("fit", "--config", tmp_path / "printed.yaml", "--print_config")
    assert again.out == printed.out
    if path.parent.name not in ("configs", "wgan_gp", "acgan"):  # the same config trains to the same numbers
        return
    outcome = command("fit", "--config", tmp_path / "printed.yaml", "--runs_dir", tmp_path / "again", *SMALL)
    assert outcome.code == 0, outcome.err[-3000:]
    assert synthetic["game"] is not game
    assert_same(game.state_dict(), synthetic["game"].state_dict())
    again = {key: float(value) for key, value in synthetic["trainer"].callback_metrics.items() if key in losses}
    assert again == losses


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name)
def test_experiments_say_how_to_run_them_and_where_they_come_from(path):
    text = path.read_text()
    header = "\n".join(line for line in text.splitlines() if line.startswith("#"))
    assert f"configs/{name(path)}" in header
    assert "arXiv:" in header or "http" in header
    assert sum(not line.startswith("#") for line in text.splitlines()) <= LONGEST.get(path.stem, 40)


def test_experiments_have_names_of_their_own():
    names = [read_config(path)["name"] for path in EXPERIMENTS]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)


@pytest.mark.parametrize("path", LAYERS, ids=name)
def test_layers_go_on_top_of_an_experiment(path, synthetic, tmp_path, monkeypatch):
    """The layer is parsed and built with the rest; what needs its hardware or a login is overridden."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    words = ["--config", CONFIGS / "quickstart.yaml", "--config", path, "--runs_dir", tmp_path]
    outcome = command("fit", *words, *SMALL)
    assert outcome.code == 0, outcome.err[-3000:]
    assert synthetic["game"].updates_done == 2


def test_the_layer_in_the_readme_goes_on_top_of_an_experiment(synthetic, tmp_path):
    found = re.search(r"```yaml\n(# calmer.yaml: .*?)```", (CONFIGS.parent / "README.md").read_text(), re.DOTALL)
    assert found is not None
    (tmp_path / "calmer.yaml").write_text(found.group(1))
    files = ["--config", CONFIGS / "sngan/cifar10.yaml", "--config", tmp_path / "calmer.yaml"]
    outcome = command("fit", *files, "--runs_dir", tmp_path, *SMALL)
    assert outcome.code == 0, outcome.err[-3000:]
    assert {"critic/lecam", "generator/mode_seeking"} <= set(synthetic["trainer"].callback_metrics)


def test_later_files_and_options_override_earlier_ones(synthetic, tmp_path):
    (tmp_path / "layer.yaml").write_text("seed_everything: 5\nmodel: {init_args: {gp_weight: 3.0, n_critic: 2}}\n")
    files = [
        "--config",
        CONFIGS / "base.yaml",
        "--config",
        CONFIGS / "wgan_gp/ring.yaml",
        "--config",
        tmp_path / "layer.yaml",
    ]
    outcome = command("fit", *files, "--runs_dir", tmp_path / "runs", *SMALL, "--model.gp_weight=5")
    assert outcome.code == 0, outcome.err
    game = synthetic["game"]
    assert (game.critic_penalties[0].weight, game.n_critic, game.seed) == (5.0, 2, 5)
    (folder,) = (tmp_path / "runs").glob("wgan_gp-ring*")
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert saved["model"]["init_args"]["gp_weight"] == 5.0
    assert saved["seed_everything"] == 5


def test_the_base_is_read_even_if_it_is_not_named(synthetic, tmp_path):
    base = yaml.safe_load((CONFIGS / "base.yaml").read_text())
    words = [word for word in SMALL if "max_steps" not in word]
    (tmp_path / "layer.yaml").write_text("trainer: {max_time: '00:00:00:01'}\n")
    files = ["--config", CONFIGS / "wgan_gp/ring.yaml", "--config", tmp_path / "layer.yaml"]
    command("fit", *files, "--runs_dir", tmp_path / "runs", *words)
    trainer = synthetic["trainer"]
    assert trainer.log_every_n_steps == base["trainer"]["log_every_n_steps"]
    own = read_config(CONFIGS / "wgan_gp/ring.yaml")["trainer"]
    assert synthetic["max_steps"] == own.get("max_steps", base["trainer"]["max_steps"])


def test_the_digits_protocol_stands_in_one_file():
    said = [path for path in CONFIGS.rglob("*.yaml") if re.search(r"metrics\.Digits\b", path.read_text())]
    assert said == [CONFIGS / "base_digits.yaml"]


def test_a_copied_config_still_finds_the_bases_that_ship(tmp_path):
    (tmp_path / "ring.yaml").write_text((CONFIGS / "wgan_gp/ring.yaml").read_text())
    copied, shipped = read_config(tmp_path / "ring.yaml"), read_config(CONFIGS / "wgan_gp/ring.yaml")
    assert (copied.pop("name"), shipped.pop("name")) == (f"{tmp_path.name}-ring", "wgan_gp-ring")
    assert copied == shipped and copied["data"]["init_args"] == {"batch_size": 256}


def test_a_name_that_a_config_says_is_kept_beside_a_config_that_says_none(synthetic, tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    files = ["--config", tmp_path / "mine.yaml", "--config", CONFIGS / "wgan_gp/ring.yaml"]
    for configs in (files, files[2:] + files[:2]):
        command("fit", *configs, "--runs_dir", tmp_path / "runs", *SMALL)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()) == ["mine", "mine-2"]


def test_bases_override_each_other_in_order_and_a_part_of_another_class_is_replaced(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {class_path: Ring, init_args: {std: 1.0}}\ntrainer: {max_steps: 1}\n")
    (tmp_path / "b.yaml").write_text("trainer: {max_steps: 2, accelerator: cpu}\nname: b\n")
    (tmp_path / "c.yaml").write_text("base: [a.yaml, b.yaml]\ndata: {class_path: my.Grid}\nname: c\n")
    own = {"data": {"class_path": "my.Grid"}, "trainer": {"max_steps": 2, "accelerator": "cpu"}, "name": "c"}
    assert read_config(tmp_path / "c.yaml") == own
    (tmp_path / "d.yaml").write_text("base: a.yaml\ndata: {class_path: gan_lightning.data.Ring, init_args: {n: 8}}\n")
    assert read_config(tmp_path / "d.yaml")["data"]["init_args"] == {"std": 1.0, "n": 8}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("base: base_rings.yaml", ["base_rings.yaml", "did you mean base_ring.yaml?"]),
        ("base: 3", ["base must be a file", "3"]),
        ("base: bad.yaml", ["bad.yaml", "leads back"]),
        ("base: broken.yaml", ["broken.yaml", "not valid YAML"]),
        ("- a list", ["bad.yaml", "key: value"]),
    ],
)
@pytest.mark.parametrize("form", ["{} {}", "{}={}"])
def test_a_base_that_cannot_be_read_is_one_line(text, words, form, tmp_path):
    (tmp_path / "bad.yaml").write_text(text + "\n")
    (tmp_path / "broken.yaml").write_text("a: [unclosed\n")
    outcome = command("fit", *form.format("--config", tmp_path / "bad.yaml").split())
    assert outcome.code == 2 and len(outcome.err.splitlines()) == 1, outcome.err
    assert all(word in outcome.err for word in words), outcome.err


def test_pictures_are_drawn_at_every_validation_if_no_interval_is_given(tmp_path):
    words = ["--trainer.max_steps=4", "--trainer.val_check_interval=2", "--trainer.logger=false"]
    outcome = command("fit", "--config", CONFIGS / "lsgan/ring.yaml", "--runs_dir", tmp_path, *words)
    assert outcome.code == 0, outcome.err
    drawn = sorted(path.stem for path in (tmp_path / "lsgan-ring" / "samples").iterdir())
    assert drawn == ["000000", "000002", "000004"]
