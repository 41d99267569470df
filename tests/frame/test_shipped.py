"""Configs by name, and a run folder that is resumed without a config."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest
import yaml
from PIL import Image

import gan_lightning
from gan_lightning.cli.doctor import INCEPTION
from gan_lightning.cli.shipped import find_config, names, with_files
from gan_lightning.errors import UserError
from gan_lightning.games.restore import load
from tests.training import command, fit, networks


def test_every_shipped_config_is_listed():
    told = command("configs")
    assert told.code == 0
    assert all(f"  {name} " in told.out for name in names()) and "wgan_gp/ring" in names()


@pytest.mark.parametrize("name", ["wgan_gp/ring", "wgan_gp/ring.yaml", "configs/wgan_gp/ring.yaml"])
@pytest.mark.parametrize("joined", [True, False])
def test_a_name_stands_for_the_file_from_anywhere(name, joined, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [f"--config={name}"] if joined else ["--config", name]
    assert str(find_config("wgan_gp/ring")) in " ".join(with_files(["fit", *words]))


def test_a_path_that_exists_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wgan_gp").mkdir()
    (tmp_path / "wgan_gp" / "ring").write_text("name: mine")
    assert with_files(["fit", "--config", "wgan_gp/ring"]) == ["fit", "--config", "wgan_gp/ring"]


def test_what_is_typed_is_obeyed_before_a_file_as_behind_it(tmp_path):
    (tmp_path / "few.yaml").write_text("class_path: Grid\ninit_args: {batch_size: 8}\n")
    (tmp_path / "more.yaml").write_text("trainer: {max_steps: 7}\nname: theirs\n")
    words = ["--name=mine", "--data.batch_size", "5", "--trainer.max_steps", "3", "--config", "wgan_gp/ring"]
    told = command("fit", *words, "--data", f"{tmp_path}/few.yaml", f"-c={tmp_path}/more.yaml", "--print_config")
    assert told.code == 0, told.err
    config = yaml.safe_load(told.out)
    assert (config["name"], config["trainer"]["max_steps"]) == ("mine", 3)
    assert config["data"]["class_path"].endswith("Grid") and config["data"]["init_args"]["batch_size"] == 5


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "SNGAN"], "SNGAN does not take it: model.gp_weight"),
        (["--model.critic_optimizer", "SGD"], "SGD does not take it: model.critic_optimizer.betas"),
        ([], None),
    ],
)
def test_what_another_class_does_not_take_is_told(words, told, tmp_path):
    small = ["--trainer.max_steps=1", "--data.n=64", "--data.batch_size=8", "--trainer.limit_val_batches=0"]
    done = command("fit", "--config", "wgan_gp/ring", *words, *small, "--runs_dir", tmp_path)
    assert done.code == 0, done.err
    line = f"left out of {find_config('wgan_gp/ring')}, because {told}\n"
    assert line in done.err if told else "left out of" not in done.err, done.err


def test_nothing_to_resume_is_one_line(tmp_path):
    done = command("fit", "--resume", tmp_path / "nothing")
    assert done.code == 2 and f"nothing to resume at {tmp_path / 'nothing'}; --resume takes auto" in done.err, done.err


def test_an_unknown_name_is_one_line_with_the_nearest():
    for words in (["fit", "--config", "wgan_gp/rin"], ["configs", "show", "wgan_gp/rin"]):
        outcome = command(*words)
        assert outcome.code == 2 and "did you mean wgan_gp/ring?" in outcome.err
        assert len(outcome.err.splitlines()) == 1


def test_show_and_copy(tmp_path):
    text = find_config("wgan_gp/ring").read_text()
    assert command("configs", "show", "wgan_gp/ring").out == text
    assert command("configs", "copy", "wgan_gp/ring", tmp_path / "my.yaml").code == 0
    assert (tmp_path / "my.yaml").read_text() == text
    assert command("configs", "copy", "wgan_gp/ring", tmp_path / "my.yaml").code == 2
    assert command("configs", "copy", "wgan_gp/ring", tmp_path / "none" / "my.yaml").code == 2
    with pytest.raises(UserError, match="there is no config base"):
        find_config("base")


def test_a_run_folder_is_resumed_without_a_config(tmp_path):
    config = {
        "name": "ring",
        "model": {"class_path": "LSGAN", "init_args": networks()},
        "data": {"class_path": "Ring", "init_args": {"batch_size": 8}},
    }
    assert fit(tmp_path, config).code == 0
    outcome = command("fit", "--resume", tmp_path / "ring", "--trainer.max_steps", 9)
    assert outcome.code == 0, outcome.err
    assert "from last.ckpt" in outcome.err and (tmp_path / "ring" / "config.1.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--data", "ImageFolder"], "pictures/cpu32"),
        (["--data=gan_lightning.data.ImageFolder", "--data.image_size=64"], "pictures/cpu64"),
        (["--data", "ImageFolder", "--data.image_size", "[96, 128]"], "pictures/cpu128"),
        (["--data", "ImageFolder", "--data.image_size", "256", "--trainer.accelerator", "gpu"], "pictures/gpu128"),
        (["--data", "ImageFolder", "--trainer.accelerator=gpu"], "pictures/gpu32"),
        (["--data", "TorchvisionImages", "--trainer.accelerator", "cpu"], "pictures/cpu32"),
        (["--data", "Digits"], "quickstart"),
        (["--data", "Ring", "--resume", "auto"], "wgan_gp/ring"),
    ],
)
def test_data_alone_take_a_config_that_suits_them(words, name, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    if name == "pictures/gpu32":
        name = "pictures/gpu64"  # a GPU is asked for
    assert with_files(["fit", *words])[:3] == ["fit", "--config", str(find_config(name))]
    told = capsys.readouterr().err
    assert f"no --config: {name} is taken" in told and len(told.splitlines()) == 1


def test_own_pictures_need_a_folder_and_nothing_else(tmp_path):
    for i in range(4):
        path = tmp_path / "pets" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (60 * i, 0, 0)).save(path)
    small = ["--trainer.max_steps", 2, "--trainer.logger", "false", "--data.batch_size", 4, "--data.image_size", 8]
    small += ["--model.generator.width", 16, "--model.critic.width", 16, "--trainer.accelerator", "cpu"]
    words = ["--data", "ImageFolder", "--data.root", tmp_path / "pets", "--runs_dir", tmp_path / "runs", *small]
    outcome = command("fit", *words, "--samples.n_rows", 2, "--samples.n_columns", 2)
    assert outcome.code == 0, outcome.err
    assert "4 images of 30 to 40 px, 2 classes: cat 2, dog 2" in outcome.err
    assert load(tmp_path / "runs" / "pictures-cpu32").classes == ["cat", "dog"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "fit needs a model and data: --config NAME, such as quickstart or wgan_gp/ring"),
        (
            ["--model", "WGANGP"],
            "no data for WGANGP; --config NAME has some: wgan_gp/chorales, wgan_gp/cifar10, wgan_gp/cifar10_cnn, wgan_gp/digits",
        ),
        (["--model", "my.Family"], "gan-lightning configs lists those that ship"),
        (["--data", "my.Data"], "no model for the data Data; give --config NAME, such as pictures/cpu32"),
    ],
)
def test_what_is_missing_names_the_configs_that_ship(words, told):
    outcome = command("fit", *words)
    assert outcome.code == 2 and told in outcome.err and len(outcome.err.splitlines()) == 1


def test_help_of_fit_begins_with_examples_that_name_what_is_there():
    told = command("fit", "--help").out
    assert told.index("examples:") < told.index("--config FILE_OR_NAME      ")
    for name in re.findall(r"--config (\S+) ", told[told.index("examples:") : told.index("train a GAN")]):
        assert name.startswith("FILE") or name in names()


def test_the_doctor_tells_all_and_exits_with_0(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    outcome = command("doctor")
    assert outcome.code == 0, outcome.err
    told = dict(re.findall(r"^(\S+) +(.*)$", outcome.out, re.MULTILINE))
    assert told["torch"] == version("torch") and told["gan-lightning"].startswith(gan_lightning.__version__)
    assert "Inception's weights are missing" in told["FID"] and "bf16-mixed" in told["precision"]
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / INCEPTION).touch()
    assert "Inception's weights are in" in command("doctor").out
    assert command("doctor", "--fix").code == 2
