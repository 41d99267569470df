"""The spellings of release 0.1.0 still mean what they meant: in Python, in YAML, on the command line, in checkpoints."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

from gan_lightning.description import rebuild
from gan_lightning.games.game import Game
from gan_lightning.runs.old_names import OPTIONS, RENAMED, option_with_new_names, with_new_names
from tests.training import command

CONFIGS = Path(__file__).parents[2] / "configs"
OLD = {
    "critic": {
        "class_path": "gan_lightning.networks.wrappers.InitialisedCritic",
        "init_args": {
            "network": {"class_path": "gan_lightning.networks.mlp.MLPCritic", "init_args": {"width": 8}},
            "initialisation": {"class_path": "Orthogonal"},
        },
    },
    "generator": {
        "class_path": "SpectrallyNormalisedGenerator",
        "init_args": {"network": {"class_path": "MLPGenerator", "init_args": {"latent_dim": 2, "width": 8}}},
    },
    "generator_terms": [{"class_path": "gan_lightning.generator_terms.OrthogonalRegularisation"}],
}


def test_every_old_class_is_found_in_python() -> None:
    faces = [importlib.import_module(f"gan_lightning.{room}") for room in ("networks", "observations", "stabilizers")]
    for old, new in RENAMED.items():
        (found,) = (vars(face)[old] for face in faces if old in vars(face))
        assert found.__name__ == new


def test_old_names_in_a_file_and_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(yaml.safe_dump({"base": "base_ring.yaml", "name": "ColourJitter"}))
    model = {"class_path": "WGANGP", "init_args": OLD}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump({"model": model}))
    files = ["--config", tmp_path / "old.yaml", "--config", tmp_path / "model.yaml"]
    words = ["--model.critic_penalties+=ConsistencyRegularisation"]
    words += ["--model.critic_penalties.transformation", "gan_lightning.augmentation.ColourJitter"]
    words += ["--model.critic.initialisation.gain=1.5"]
    outcome = command("fit", *files, *words, "--print_config")
    assert outcome.code == 0, outcome.err
    config = yaml.safe_load(outcome.out)
    found = config["model"]["init_args"]
    assert config["name"] == "ColourJitter"
    assert found["critic"]["class_path"] == "gan_lightning.networks.InitializedCritic"
    assert found["critic"]["init_args"]["initialization"]["init_args"] == {"gain": 1.5}
    assert found["generator"]["class_path"] == "gan_lightning.networks.SpectrallyNormalizedGenerator"
    assert found["generator_terms"][0]["class_path"].endswith(".OrthogonalRegularization")
    (penalty,) = found["critic_penalties"]
    assert penalty["class_path"].endswith(".ConsistencyRegularization")
    assert penalty["init_args"]["transformation"]["class_path"] == "gan_lightning.observations.ColorJitter"


def test_an_old_description_is_rebuilt() -> None:
    hyper_parameters = {"_class_path": "gan_lightning.families.wgan_gp.WGANGP", "image_size": 0, "channels": 2, **OLD}
    game = rebuild(Game, with_new_names(hyper_parameters))
    assert type(game.critic).__name__ == "InitializedCritic"
    assert [type(term).__name__ for term in game.generator_terms] == ["OrthogonalRegularization"]


@pytest.mark.parametrize("old", [*RENAMED, *OPTIONS])
def test_new_names_are_left_alone(old: str) -> None:
    new = {**RENAMED, **OPTIONS}[old]
    assert with_new_names({"class_path": new, "x": [f"gan_lightning.networks.{new}"]}) == {
        "class_path": new,
        "x": [f"gan_lightning.networks.{new}"],
    }
    assert option_with_new_names("--runs_dir", old) == ("--runs_dir", old)
