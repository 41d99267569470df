"""The user's mistakes: each ends with exit code 2 and one line that names the value and, for names, the nearest one."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pytest
import torch
import yaml

from tests.training import command, fit, networks

CONFIG: dict[str, Any] = {
    "data": {"class_path": "RandomImages", "init_args": {"image_size": 8, "channels": 1, "n": 16, "batch_size": 4}},
    "model": {"class_path": "WGANGP", "init_args": {"n_critic": 1, **networks()}},
    "trainer": {"max_steps": 1, "accelerator": "cpu", "logger": False, "limit_val_batches": 0},
}
DATA, MODEL = CONFIG["data"], CONFIG["model"]


def assert_one_line(outcome, *parts):
    assert outcome.code == 2, f"code {outcome.code}\n{outcome.out}\n{outcome.err}"
    lines = outcome.err.strip().splitlines()
    assert len(lines) == 1, outcome.err
    assert lines[0].startswith("gan-lightning: ")
    for part in parts:
        assert part in lines[0], lines[0]
    assert len(lines[0]) < 700


def changed(part, **init_args):
    """Return one part of the config with other arguments."""
    base = CONFIG[part]
    return {part: {**base, "init_args": {**base["init_args"], **init_args}}}


def labelled(n_classes=3):
    return changed("data", n_classes=n_classes)


def test_the_config_of_these_tests_trains(tmp_path):
    outcome = fit(tmp_path, CONFIG)
    assert outcome.code == 0, outcome.err


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["fitt"], ["fitt", "did you mean fit?"]),
        (["smaple", "--n", "3"], ["smaple", "did you mean sample?"]),
        (["predict", "--ckpt_path", "x"], ["no predict", "sample"]),
        (["trian"], ["trian", "fit, validate"]),
        (["sample", "--out", "x"], ["sample", "--ckpt_path"]),
        (["sample", "--ckpt_pth", "a", "--out", "x"], ["--ckpt_path"]),
        (["sample", "--ckpt_path", "a", "--out", "x", "--gird"], ["--gird", "did you mean --grid?"]),
        (["sample", "--ckpt_path", "a", "--out", "x", "--n", "0"], ["--n", "at least 1", "'0'"]),
        (["sample", "--ckpt_path", "a", "--out", "x", "--n", "many"], ["--n", "'many'"]),
        (["sample", "--ckpt_path", "a", "--out", "x", "--labels", "1,,2"], ["--labels", "'1,,2'"]),
        (["sample", "--ckpt_path", "nowhere.ckpt", "--out", "x"], ["nowhere.ckpt"]),
        (["export", "--ckpt_path", "nowhere.ckpt", "--out", "x.pt2"], ["nowhere.ckpt"]),
        (["validate", "--ckpt_path", "nowhere.ckpt"], ["nowhere.ckpt"]),
    ],
    ids=" ".join,
)
def test_words(words, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_one_line(command(*words), *parts)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--trainr.max_steps=3"], ["trainr.max_steps", "did you mean trainer.max_steps?"]),
        (["--trainer.max_step=3"], ["trainer.max_step", "did you mean trainer.max_steps?"]),
        (["--model.gp_wieght=5"], ["gp_wieght", "did you mean", "gp_weight"]),
        (["--model.gp_wieght", "5"], ["gp_wieght", "did you mean", "gp_weight"]),
        (["--model.critic.widht=5"], ["widht", "did you mean", "width"]),
        (["--data.bach_size=5"], ["bach_size", "did you mean", "batch_size"]),
        (["--data.batch_size=many"], ["batch_size", "many"]),
        (["--model.n_critic=two"], ["n_critic", "two"]),
        (["--model.real_target=0.9"], ["real_target is not accepted here", "DCGAN", "take it"]),
        (["--model.n_critic=0"], ["n_critic must be at least 1, got 0"]),
        (["--model=WGANPG"], ["WGANPG", "did you mean WGANGP?"]),
        (["--model.critic=MLPCrtic"], ["MLPCrtic", "did you mean MLPCritic?"]),
        (["--data=RandomImage"], ["RandomImage", "did you mean RandomImages?"]),
        (["--model.critic_optimizer=Adma"], ["Adma", "did you mean", "Adam"]),
        (["--fidelity.n_sample=5"], ["fidelity.n_sample", "did you mean fidelity.n_samples?"]),
        (["--nmae=x"], ["nmae", "did you mean name?"]),
        (["--name", "a/b"], ["a/b", "name"]),
        (["--config", "nowhere.yaml"], ["nowhere.yaml"]),
        (["--ckpt_path", "nowhere.ckpt"], ["nowhere.ckpt"]),
        (["--resume", "nowhere"], ["nowhere", "--resume takes auto"]),
        (["--resume", "auto", "--ckpt_path", "x"], ["--resume and --ckpt_path"]),
        (["--trainer.strategy=gan_dpd"], ["gan_dpd", "did you mean gan_ddp?"]),
        (["--trainer.precision=16-mixed"], ["16-mixed", "bf16-mixed"]),
        (["--trainer.accumulate_grad_batches=2"], ["accumulate"]),
    ],
    ids=" ".join,
)
def test_options_of_fit(words, parts, tmp_path):
    assert_one_line(fit(tmp_path, CONFIG, *words), *parts)


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"trainer": {**CONFIG["trainer"], "max_step": 3}}, ["max_step", "did you mean", "max_steps"]),
        (changed("model", gp_wieght=5), ["gp_wieght", "did you mean", "gp_weight"]),
        (changed("data", bach_size=5), ["bach_size", "did you mean", "batch_size"]),
        ({"modle": MODEL}, ["modle", "did you mean model?"]),
        ({"model": {**MODEL, "class_path": "WGANPG"}}, ["WGANPG", "did you mean WGANGP?"]),
        ({"model": {**MODEL, "init_arg": {}}}, ["init_arg"]),
        (changed("model", critic={"class_path": "MLPCrtic"}), ["MLPCrtic", "did you mean MLPCritic?"]),
        (
            changed("model", critic={"class_path": "MLPCritic", "init_args": {"widht": 3}}),
            ["widht", "did you mean", "width"],
        ),
        (changed("data", batch_size=0), ["batch_size must be at least 1, got 0"]),
    ],
    ids=str,
)
def test_keys_of_a_file(config, parts, tmp_path):
    assert_one_line(fit(tmp_path, {**CONFIG, **config}), *parts)


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        (
            changed("model", critic=networks(3)["critic"]),
            ["MLPGenerator has n_classes 0", "MLPCritic has 3", "set n_classes alike"],
        ),
        (changed("model", **networks(3)), ["n_classes 3", "RandomImages has 0"]),
        (
            changed("model", critic={"class_path": "DCGANCritic", "init_args": {"width": 4}})
            | changed("data", image_size=16),
            ["GradientPenalty", "DCGANCritic", "norm"],
        ),
        (
            changed("model", critic_penalties=[{"class_path": "R1"}, {"class_path": "R1"}]),
            ["two of one kind"],
        ),
        (changed("model", critic_accumulation=3), ["critic_accumulation (3)", "got 4"]),
        (changed("model", critic={"class_path": "DCGANCritic"}) | changed("data", image_size=9), ["image_size", "9"]),
    ],
    ids=["other-classes", "unlabelled", "batch-norm", "twice", "accumulation", "size"],
)
def test_parts_that_do_not_go_together(config, parts, tmp_path):
    assert_one_line(fit(tmp_path, {**CONFIG, **config}), *parts)


def test_a_conditional_gan_of_another_number_of_classes(tmp_path):
    config = {**CONFIG, **labelled(4), **changed("model", **networks(3))}
    assert_one_line(fit(tmp_path, config), "n_classes 3", "RandomImages has 4")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--data.batch_size=5"], ["batch_size", "number of processes (2)", "got 5; take 4 or 6"]),
        (["--model.critic_penalties=[R1,R1]"], ["two of one kind"]),
    ],
    ids=["batch", "parts"],
)
def test_mistakes_are_told_before_a_second_process_is_started(words, parts, tmp_path, monkeypatch):
    """Lightning starts this command again for the second rank, and kills the first if the second ends with an error."""

    def started(*args, **kwargs):
        raise AssertionError("the launcher was reached")

    monkeypatch.setattr("lightning.pytorch.Trainer.fit", started)
    two = ["--trainer.devices=2", "--trainer.strategy=gan_ddp"]
    assert_one_line(fit(tmp_path, CONFIG, *two, *words), *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_file_that_is_no_yaml(tmp_path):
    (tmp_path / "bad.yaml").write_text("model: [unclosed\n")
    assert_one_line(command("fit", "--config", tmp_path / "bad.yaml"), "bad.yaml")


def test_a_config_without_model_or_data(tmp_path):
    (tmp_path / "empty.yaml").write_text(yaml.safe_dump({"name": "x"}))
    assert_one_line(command("fit", "--config", tmp_path / "empty.yaml"), "model")


def test_labels_that_the_generator_does_not_know(image_run, vector_run, tmp_path):
    images, vectors = (run / "checkpoints" / "last.ckpt" for run in (image_run, vector_run))
    common = ["--out", tmp_path, "--n", 4]
    assert_one_line(
        command("sample", "--ckpt_path", images, "--labels", "1,3", *common), "labels must be among 0 ... 2", "3"
    )
    assert_one_line(command("sample", "--ckpt_path", vectors, "--labels", "1", *common), "not conditional")


def test_an_out_that_is_a_file(image_run, tmp_path):
    (tmp_path / "file").write_text("")
    words = ["sample", "--ckpt_path", image_run / "checkpoints" / "last.ckpt", "--n", 1, "--out", tmp_path / "file"]
    assert_one_line(command(*words), str(tmp_path / "file"), "folder")


def test_an_unknown_device(image_run, tmp_path):
    words = ["sample", "--ckpt_path", image_run / "checkpoints" / "last.ckpt", "--n", 1, "--out", tmp_path]
    assert_one_line(command(*words, "--device", "gpu"), "gpu")


class Boom:
    def __reduce__(self):
        return (print, ("this code must not run",))


@pytest.mark.parametrize("verb", ["fit", "sample", "validate", "export"])
def test_checkpoints_that_are_not(verb, image_run, tmp_path):
    whole = (image_run / "checkpoints" / "last.ckpt").read_bytes()
    truncated, code, foreign, text = (
        tmp_path / name for name in ("truncated.ckpt", "code.ckpt", "foreign.ckpt", "text.ckpt")
    )
    truncated.write_bytes(whole[: len(whole) // 2])
    torch.save({"state_dict": {}, "x": Boom()}, code)
    torch.save({"state_dict": {}}, foreign)
    text.write_text("hello")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Boom()))
    for path, parts in (
        (truncated, ["truncated"]),
        (code, ["refused"]),
        (foreign, ["not a checkpoint of gan-lightning"]),
        (text, []),
        (tmp_path / "plain.ckpt", []),
        (tmp_path, []),
    ):
        words = [] if verb in ("fit", "validate") else ["--out", tmp_path / "out.pt2"]
        if verb == "fit":
            outcome = fit(tmp_path, CONFIG, "--ckpt_path", path)
        else:
            outcome = command(verb, "--ckpt_path", path, *words)
        assert_one_line(outcome, str(path), *parts)
        assert "must not run" not in outcome.out
    assert not (tmp_path / "out").exists()


def test_no_run_folder_is_left_by_a_mistake(tmp_path):
    for words in (["--model.gp_wieght=5"], ["--model.n_critic=0"], ["--trainer.precision=16-mixed"]):
        fit(tmp_path, {**CONFIG, "name": "mistaken"}, *words)
    assert not (tmp_path / "mistaken").exists() and not (tmp_path / "mistaken-2").exists()


def test_programming_errors_keep_their_traceback(tmp_path, monkeypatch):
    """A ValueError from another library is no mistake of the user's: it is not cut to one line."""
    import gan_lightning.cli.training as lightning_cli

    def broken(args, files):
        raise ValueError("not ours")

    monkeypatch.setattr(lightning_cli, "GanLightningCLI", broken)
    (tmp_path / "x.yaml").write_text("name: x")
    with pytest.raises(ValueError, match="not ours"):
        command("fit", "--config", tmp_path / "x.yaml")


def test_messages_have_no_line_breaks():
    assert not re.search(r"\n.", command("fitt").err)


@pytest.mark.parametrize(("batch_size", "accumulation"), [(1, 1), (4, 4)])
def test_statistics_of_a_batch_need_two_samples(batch_size, accumulation, tmp_path):
    parts = networks()
    parts["generator"]["init_args"]["batch_norm"] = True
    model = {"class_path": "NonSaturatingGAN", "init_args": {**parts, "critic_accumulation": accumulation}}
    outcome = fit(tmp_path, {**CONFIG, "model": model, **changed("data", batch_size=batch_size)})
    assert_one_line(outcome, "of the generator (MLPGenerator)", "at least 2 samples", "got 1", "batch_size")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--trainer.logger", "lightning.pytorch.loggers.MLFlowLogger"], ["MLFlowLogger", "mlflow", "pip install"]),
        (["--trainer.callbacks+=RichProgressBar"], ["RichProgressBar", "pip install"]),
        (["--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.every_n_train_steps=-3"], ["-3", ">= 0"]),
    ],
    ids=["logger", "callback", "argument"],
)
def test_what_other_packages_refuse_is_one_line(words, parts, tmp_path):
    assert_one_line(fit(tmp_path, CONFIG, *words), *parts)
    assert not (tmp_path / "runs").exists()


def test_wandb_that_is_not_installed(tmp_path, monkeypatch):
    class Missing:
        def __bool__(self):
            return False

        def __str__(self):
            return "Requirement 'wandb>=0.12.10' not met. HINT: Try running `pip install -U 'wandb>=0.12.10'`"

    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", Missing())
    logger = {"class_path": "RunWandbLogger", "init_args": {"offline": True}}
    config = {**CONFIG, "trainer": {**CONFIG["trainer"], "logger": [logger]}}
    assert_one_line(fit(tmp_path, config), "RunWandbLogger", "pip install")
