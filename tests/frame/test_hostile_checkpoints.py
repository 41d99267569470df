"""A checkpoint runs no code: classes that it names are found in this package, torch and torchvision, or not at all."""

from __future__ import annotations

import io
import pickle
import sys

import numpy as np
import pytest
import torch
from torchvision.datasets import lsun

from gan_lightning.data.torchvision_images import _plain_pickles
from gan_lightning.description import find_class, known_classes_only
from gan_lightning.errors import UserError
from gan_lightning.games.restore import load_game
from gan_lightning.runs.checkpoint_files import read_checkpoint
from tests.frame.test_mistakes import assert_one_line
from tests.training import command, fit, networks

MARK = "the_mark"
OWN_MODULE = '''
import pathlib
from gan_lightning.families import SNGAN
from gan_lightning.networks import MLPGenerator
pathlib.Path({mark!r}).touch()
class Own(SNGAN):
    """An own family."""
class OwnGenerator(MLPGenerator):
    """An own network."""
def ReLU():
    raise AssertionError
'''


@pytest.fixture
def mark(tmp_path, monkeypatch):
    """A file that exists once the module `evil_module` was imported or a command was run."""
    path = tmp_path / MARK
    (tmp_path / "evil_module.py").write_text(OWN_MODULE.format(mark=str(path)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield path
    sys.modules.pop("evil_module", None)


def written(run, tmp_path, change):
    """Return the path of a run's checkpoint after `change` has changed its config and hyper-parameters."""
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    change(checkpoint)
    path = tmp_path / "hostile.ckpt"
    torch.save(checkpoint, path)
    return path


def popen(mark):
    return {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", str(mark)]}}


def set_data(mark, **init_args):
    def change(checkpoint):
        checkpoint["config"]["data"] = {"class_path": "TorchvisionImages", "init_args": init_args}

    return change


def generator_of(checkpoint):
    """Return the config of the generator in a checkpoint."""
    return checkpoint["config"]["model"]["init_args"]["generator"]


CONFIGS = {
    "popen": lambda mark: set_data(mark, dataset="subprocess.Popen", image_size=8, dataset_kwargs={"args": ["touch", str(mark)]}),
    "rmtree": lambda mark: set_data(mark, dataset="shutil.rmtree", image_size=8, dataset_kwargs={"path": str(mark.parent)}),
    "through-us": lambda mark: set_data(mark, dataset="gan_lightning.errors.os.system", image_size=8),
    "own-data-set": lambda mark: set_data(mark, dataset="evil_module.Own", image_size=8),
    "data": lambda mark: lambda c: c["config"].update(data=popen(mark)),
    "data-as-text": lambda mark: lambda c: c["config"].update(data=str(popen(mark))),
    "any": lambda mark: set_data(mark, dataset="FakeData", image_size=8, dataset_kwargs={"transform": popen(mark)}),
    "model": lambda mark: lambda c: c["config"]["model"].update(class_path="evil_module.Own"),
    "generator": lambda mark: lambda c: generator_of(c).update(class_path="evil_module.OwnGenerator"),
    "activation": lambda mark: lambda c: generator_of(c)["init_args"].update(activation="os.getcwd"),
    "extractor": lambda mark: lambda c: c["config"]["fidelity"].update(
        extractor={"class_path": "torch_fidelity.feature_extractor_vgg16.FeatureExtractorVGG16", "init_args": {}}
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "verb"), [*((name, "validate") for name in CONFIGS), ("popen", "test")])
def test_a_hostile_config_is_refused(name, verb, image_run, tmp_path, mark):
    path = written(image_run, tmp_path, CONFIGS[name](mark))
    outcome = command(verb, "--ckpt_path", path)
    assert not mark.exists()
    assert (tmp_path / "evil_module.py").exists()
    assert "evil_module" not in sys.modules
    assert_one_line(outcome, "--trust" if name != "any" else "")


def test_keys_that_we_do_not_write_are_not_read(image_run, tmp_path, mark):
    def change(checkpoint):
        checkpoint["config"]["trainer"] = {"callbacks": [popen(mark)], "max_steps": 1}
        checkpoint["config"]["runs_dir"] = str(tmp_path / "elsewhere")

    outcome = command("validate", "--ckpt_path", written(image_run, tmp_path, change))
    assert outcome.code == 0, outcome.err
    assert "runs_dir, trainer" in outcome.err
    assert not mark.exists() and not (tmp_path / "elsewhere").exists()


DESCRIPTIONS = {
    "module": lambda mark: lambda h: h.update(_class_path="evil_module.Own"),
    "nested": lambda mark: lambda h: h["generator"].update(class_path="evil_module.OwnGenerator"),
    "nested-text": lambda mark: lambda h: h.update(generator="{class_path: evil_module.OwnGenerator}"),
    "popen": lambda mark: lambda h: h.update(critic_penalties=[popen(mark)]),
    "within": lambda mark: lambda h: h["generator"]["init_args"].update(activation=popen(mark)),
    "function": lambda mark: lambda h: h["generator"]["init_args"].update(activation="evil_module.ReLU"),
    "our-function": lambda mark: lambda h: h["generator"]["init_args"].update(activation="gan_lightning.games.restore.load_game"),
    "builtin": lambda mark: lambda h: h["generator"]["init_args"].update(activation="builtins.breakpoint"),
    "not-a-game": lambda mark: lambda h: h.update(_class_path="torch.nn.ReLU"),
}  # fmt: skip


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_a_hostile_description_is_refused(name, image_run, tmp_path, mark):
    path = written(image_run, tmp_path, lambda c: DESCRIPTIONS[name](mark)(c["hyper_parameters"]))
    with pytest.raises(UserError):
        load_game(path)
    for verb in ("sample", "export", "reconstruct"):
        outcome = command(verb, "--ckpt_path", path, "--out", tmp_path / "out")
        assert_one_line(outcome)
    assert not mark.exists()
    assert "evil_module" not in sys.modules
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need")
def test_resuming_runs_nothing_that_the_file_names(image_run, tmp_path, mark):
    def change(checkpoint):
        for key in ("hyper_parameters", "datamodule_hyper_parameters"):
            checkpoint[key].update(_class_path="evil_module.Own", _instantiator="evil_module.Own")
        checkpoint["config"]["trainer"] = {"callbacks": [popen(mark)]}
        checkpoint["callbacks"]["evil_module.Own"] = {"state": 1}

    path = written(image_run, tmp_path, change)
    words = ["--config", image_run / "config.yaml", "--trainer.max_steps=7", "--runs_dir", tmp_path / "runs"]
    for option in ("--ckpt_path", "--resume"):
        outcome = command("fit", *words, "--name", option.strip("-"), option, path, "--fidelity.enabled=false")
        assert outcome.code == 0, outcome.err
        assert not mark.exists() and "evil_module" not in sys.modules


def test_an_own_family_is_trusted_by_the_user_alone(tmp_path, mark):
    config = {
        "name": "own",
        "data": {"class_path": "RandomImages", "init_args": {"image_size": 8, "channels": 1, "n": 16, "batch_size": 4}},
        "model": {"class_path": "evil_module.Own", "init_args": {"n_critic": 1, **networks()}},
        "trainer": {"max_steps": 1, "accelerator": "cpu", "logger": False, "limit_val_batches": 0},
    }
    assert fit(tmp_path, config).code == 0
    path = tmp_path / "own" / "checkpoints" / "last.ckpt"
    words = [
        ["sample", "--n", "2", "--out", tmp_path / "samples"],
        ["export", "--out", tmp_path / "g.pt2"],
        ["validate", "--fidelity.enabled=true", "--fidelity.extractor=Digits", "--fidelity.n_samples=16"],
    ]
    sys.modules.pop("evil_module")
    mark.unlink()
    with pytest.raises(UserError, match=r"evil_module\.Own.*trust=True"):
        load_game(path)
    for verb, *rest in words:
        assert_one_line(command(verb, "--ckpt_path", path, *rest), "evil_module.Own", "--trust")
    assert not mark.exists() and "evil_module" not in sys.modules
    for verb, *rest in words[::2]:
        outcome = command(verb, "--ckpt_path", path, *rest, "--trust")
        assert outcome.code == 0, outcome.err
    assert mark.exists()
    assert type(load_game(path, trust=True)).__name__ == "Own"


def test_what_the_user_types_is_trusted(image_run, tmp_path, mark):
    path = image_run / "checkpoints" / "last.ckpt"
    outcome = command("validate", "--ckpt_path", path, "--data", "evil_module.Own")
    assert outcome.code == 2 and "--trust" not in outcome.err  # it is no data module
    assert mark.exists()


@pytest.mark.parametrize("name", ["evil_module.Own", "evil_module.ckpt"])
def test_the_name_of_the_file_is_no_trust(name, image_run, tmp_path, mark):
    path = written(image_run, tmp_path, set_data(mark, dataset="evil_module.Own", image_size=8))
    path.rename(tmp_path / name)
    for words in (["--ckpt_path", name], [f"--ckpt_path={name}"]):
        assert_one_line(command("validate", *words), "--trust")
    assert not mark.exists()


def test_the_policy_is_put_back():
    with pytest.raises(UserError, match="os.getcwd"), known_classes_only():
        find_class("os.getcwd")
    assert find_class("collections.OrderedDict")
    with known_classes_only(trust=True):
        assert find_class("collections.OrderedDict")


@pytest.mark.parametrize("key", ["clock", "state_dict", "optimizers", "config", "hyper_parameters"])
def test_parts_of_a_checkpoint_of_the_wrong_kind(key, image_run, tmp_path):
    path = written(image_run, tmp_path, lambda c: c.update({key: "text"}))
    with pytest.raises(UserError, match=key):
        read_checkpoint(path)


class Boom:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_torchvision_unpickles_plain_values_only(capsys):
    values = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2], "keys": [b"a", b"b"]}
    for protocol in (2, 4, 5):
        with _plain_pickles():
            again = lsun.pickle.load(io.BytesIO(pickle.dumps(values, protocol)))
        assert again["labels"] == [1, 2] and (again["data"] == values["data"]).all()
        with _plain_pickles(), pytest.raises(pickle.UnpicklingError, match="holds code"):
            lsun.pickle.load(io.BytesIO(pickle.dumps([Boom()], protocol)))
    assert lsun.pickle is pickle
    assert capsys.readouterr().out == ""
