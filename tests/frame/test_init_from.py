"""`--init_from`: weights of another run, as far as they fit, under a new clock; FreezeD."""

from __future__ import annotations

import copy
import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import gan_lightning as gl
from gan_lightning.games.restore import load_game, read_start
from gan_lightning.networks import (
    DCGANCritic,
    FrozenCritic,
    MLPCritic,
    R3GANCritic,
    SNGANCNNCritic,
    SNGANResNetCritic,
    WGANGPGoodCritic,
)
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.shapes import Images
from gan_lightning.stabilizers import WeightClipping
from tests.training import command, fit


def small(n_classes: int, frozen: int = 0) -> dict[str, Any]:
    """Return the networks of `image_run`'s kind, for so many classes."""
    generator = {
        "class_path": "SNGANResNetGenerator",
        "init_args": {"width": 4, "latent_dim": 4, "n_classes": n_classes},
    }
    critic: dict[str, Any] = {"class_path": "SNGANResNetCritic", "init_args": {"width": 4, "n_classes": n_classes}}
    if frozen:
        critic = {"class_path": "FrozenCritic", "init_args": {"n_layers": frozen, "network": critic}}
    return {"generator": generator, "critic": critic}


def config(name: str, n_classes: int, size: int = 8, frozen: int = 0) -> dict[str, Any]:
    data = {"image_size": size, "channels": 1, "n_classes": n_classes, "n": 32, "batch_size": 8}
    return {
        "name": name,
        "data": {"class_path": "RandomImages", "init_args": data},
        "model": {"class_path": "SNGAN", "init_args": {"n_critic": 1, "ema_decay": 0.5, **small(n_classes, frozen)}},
        "fidelity": {"enabled": False},
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    done = fit(folder, config("source", 3))
    assert done.code == 0, done.err
    return folder / "source"


def test_what_fits_is_taken_under_a_new_clock_and_what_does_not_is_told(source: Path, tmp_path: Path) -> None:
    done = fit(tmp_path, config("tuned", 2), "--init_from", source, "--trainer.max_steps", 1)
    assert done.code == 0, done.err
    embedding = "critic.embedding.parametrizations.weight.original"
    assert f"as new in the critic: {embedding} 2x4" in done.err and f"left there: {embedding} 3x4" in done.err
    assert "tensors of the generator are those of" in done.err and "(update 6)" in done.err
    tuned = read_checkpoint(tmp_path / "tuned/checkpoints/last.ckpt")
    assert tuned["clock"]["updates_done"] == 1 and tuned["clock"]["samples_seen"] == 8
    state = tuned["optimizer_states"][1]["state"]
    assert all(int(one["step"]) == 1 for one in state.values())
    assert (tmp_path / "tuned/samples/000000.png").is_file()


def test_the_average_starts_from_theirs_in_python_too(source: Path, tmp_path: Path) -> None:
    theirs = load_game(source / "checkpoints/last.ckpt")
    torch.manual_seed(0)
    game = copy.deepcopy(theirs)
    for parameter in game.parameters():
        torch.nn.init.normal_(parameter)
    game.updates_done = 0
    gl.start_from(game, source)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(game.state_dict()[name], value, rtol=0, atol=0)
    assert game.updates_done == 0
    assert any(
        not torch.equal(mean, value)
        for mean, value in zip(game.generator_average.parameters(), game.generator.parameters(), strict=True)
    )


def test_numbers_that_mean_something_else_are_told_of(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    game, start = load_game(source / "checkpoints/last.ckpt"), read_start(source)
    assert start.meaning["classes"] == ["0", "1", "2"] == list(game.classes)
    texts = SimpleNamespace(vocabulary=["?", "", "a", "b"])
    for meaning, told in [
        ({"classes": ["0", "1"]}, None),
        (
            {"classes": ["1", "0", "2"]},
            "classes are .* learned of '1', number 0, goes to '0' here, and so for 2 of 3",
        ),
        ({"vocabulary": ["?", "", "a", "b", "c"]}, None),
        (
            {"vocabulary": ["?", "", "b", "a"]},
            "vocabulary are .* learned of 'b', number 2, goes to 'a' here",
        ),
    ]:
        gl.start_from(game, start._replace(meaning=meaning), texts)
        said = capsys.readouterr().err
        assert re.search(told, said) if told else "in another order" not in said, said


def test_a_shared_folder_gives_the_generator_alone(source: Path, tmp_path: Path) -> None:
    assert command("share", source / "checkpoints/last.ckpt", "--out", tmp_path / "shared").code == 0
    theirs = load_game(source / "checkpoints/last.ckpt")
    for path in (tmp_path / "shared", tmp_path / "shared/generator.safetensors"):
        game = copy.deepcopy(theirs)
        for network in (game.generator, game.generator_average):
            for parameter in network.parameters():
                torch.nn.init.normal_(parameter)
        gl.start_from(game, path)
        for name, value in theirs.generator_average.state_dict().items():
            assert torch.equal(game.generator.state_dict()[name], value)
            assert torch.equal(game.generator_average.state_dict()[name], value)


def test_it_is_of_a_start(source: Path, tmp_path: Path) -> None:
    last = source / "checkpoints/last.ckpt"
    for words in (["--resume", source], ["--ckpt_path", last]):
        done = fit(tmp_path, config("a", 3), "--init_from", last, *words)
        assert done.code == 2 and "--init_from starts a new run" in done.err, done.err
    done = command("validate", "--ckpt_path", last, "--init_from", last)
    assert done.code == 2 and "--init_from is of fit" in done.err
    done = fit(tmp_path, config("a", 3), "--init_from", tmp_path / "none.ckpt")
    assert done.code == 2 and "no checkpoint at" in done.err and not (tmp_path / "a").exists()
    wide = config("a", 3)
    for player in ("Generator", "Critic"):
        wide["model"]["init_args"][player.lower()] = {"class_path": f"DCGAN{player}", "init_args": {"width": 2}}
    wide["data"]["init_args"]["n_classes"] = 0
    done = fit(tmp_path, wide, "--init_from", last)
    assert done.code == 2 and "nothing of" in done.err and "Traceback" not in done.err, done.err


@pytest.mark.parametrize("typed", [False, True], ids=["config", "typed"])
def test_the_same_command_goes_on_with_the_run(source: Path, tmp_path: Path, typed: bool) -> None:
    again = {**config("a", 3), **({} if typed else {"init_from": str(source)})}
    words = ["--resume", "auto", *(["--init_from", source] if typed else [])]
    done = fit(tmp_path, again, *words, "--trainer.max_steps", 2)
    assert done.code == 0 and "are those of" in done.err, done.err
    done = fit(tmp_path, again, *words, "--trainer.max_steps", 4)
    assert done.code == 0 and "are those of" not in done.err, done.err
    assert read_checkpoint(tmp_path / "a/checkpoints/last.ckpt")["clock"]["updates_done"] == 4


def test_frozen_layers_stay_and_a_resumed_run_is_the_same_to_the_bit(source: Path, tmp_path: Path) -> None:
    tuned = config("whole", 2, frozen=2)
    assert fit(tmp_path, tuned, "--init_from", source, "--trainer.max_steps", 4).code == 0
    parts = {**tuned, "name": "parts"}
    assert fit(tmp_path, parts, "--init_from", source, "--trainer.max_steps", 2).code == 0
    assert fit(tmp_path, parts, "--resume", "auto", "--trainer.max_steps", 4).code == 0
    before, whole, resumed = (
        read_checkpoint(path / "checkpoints/last.ckpt")["state_dict"]
        for path in (source, tmp_path / "whole", tmp_path / "parts")
    )
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    frozen = [name for name in whole if name.startswith(("critic.layers.0.", "critic.layers.1."))]
    assert any(name.endswith("._u") for name in frozen)  # the singular vectors too
    assert all(torch.equal(whole[name], before[name]) for name in frozen)
    assert not torch.equal(
        *(state["critic.layers.2.conv1.parametrizations.weight.original"] for state in (whole, before))
    )
    assert load_game(tmp_path / "whole/checkpoints/last.ckpt").updates_done == 4


@pytest.mark.parametrize(
    ("network", "n", "first"),
    [
        (partial(SNGANCNNCritic, width=2), 7, "layers.0"),
        (partial(SNGANResNetCritic, width=2), 4, "layers.0"),
        (partial(DCGANCritic, width=2), None, "layers.0"),
        (partial(WGANGPGoodCritic, width=2), 4, "input"),
        (partial(R3GANCritic, width=8, n_blocks=1), None, "layers.0"),
        (partial(MLPCritic, width=2), 3, "hidden.0"),
    ],
)
def test_any_critic_can_be_frozen_up_to_its_last_layer(network: Any, n: int | None, first: str) -> None:
    shape = Images(32, 32, 3)
    build: Any = FrozenCritic  # whose __new__ returns what it is given
    critic = build(shape, network, 1)
    still = {name for name, parameter in critic.named_parameters() if not parameter.requires_grad}
    assert still and all(name.startswith(first) for name in still)
    assert critic.state_dict().keys() == network(shape).state_dict().keys()
    critic.train()
    assert not dict(critic.named_modules())[first].training and critic.training
    with pytest.raises(ValueError, match=rf"n_layers of FrozenCritic must be between 1 and {n or ''}"):
        build(shape, network, 99)
    with torch.no_grad():
        before = {name: parameter.clone() for name, parameter in critic.named_parameters()}
        WeightClipping(1e-6)(critic)
    assert {name for name, value in critic.named_parameters() if torch.equal(value, before[name])} >= still
