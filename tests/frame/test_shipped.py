"""Configs by name, and a run folder that is resumed without a config."""

from __future__ import annotations

import pytest

from gan_lightning.cli.shipped import find_config, names, with_files
from gan_lightning.errors import UserError
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
