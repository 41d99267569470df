"""Numbers out of range, and what a config says twice, in vain or of the wrong kind, is refused before anything is built."""

from __future__ import annotations

import inspect
import math

import pytest
import yaml

import gan_lightning.cli.training  # noqa: F401  every part that a config can set
from gan_lightning.cli.names import named_classes
from gan_lightning.cli.parser import one_line
from gan_lightning.errors import ANY, RANGES, UserError, check_tree, require
from gan_lightning.optimizers import SGD, Adam, RMSprop
from gan_lightning.stabilizers import R1
from tests.frame.test_mistakes import CONFIG, assert_one_line, changed
from tests.training import command, fit

EMPTY_CONTAINERS = {"n"}  # of Moments, which starts empty


def constructors():
    """Yield each class and parameter of its own and its bases' constructors."""
    for cls in named_classes():
        for base in cls.__mro__:
            if "__init__" in vars(base) and base.__module__.startswith("gan_lightning."):
                yield from ((base, p) for p in inspect.signature(base.__init__).parameters.values())


def test_every_default_is_in_its_range():
    for cls, parameter in constructors():
        default = parameter.default
        for value in default if isinstance(default, list | tuple) else [default]:
            if isinstance(value, int | float) and parameter.name not in EMPTY_CONTAINERS:
                assert value in RANGES.get(parameter.name, ANY), (cls, parameter)


def test_every_name_of_the_table_is_used():
    lightnings = {"log_every_n_steps", "num_nodes", "accumulate_grad_batches", "val_check_interval", "seed_everything"}
    assert RANGES.keys() - {parameter.name for _, parameter in constructors()} == lightnings


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0])
@pytest.mark.parametrize("name", ["lr", "weight", "std", "width", "betas", "share", "limit"])
def test_no_name_takes_nonsense(name, value):
    with pytest.raises(UserError, match=rf"{name} of X .*got {value}"):
        require("X", **{name: value})
    with pytest.raises(UserError, match=rf"^model\.part\.{name} .*got {value}"):
        check_tree(
            {"model": {"class_path": "C", "init_args": {"part": {"class_path": "D", "init_args": {name: value}}}}}
        )


def test_values_of_python_are_checked_where_they_arrive():
    for make in (
        lambda: Adam(math.nan),
        lambda: Adam(0.1, betas=(0.5, 1.0)),
        lambda: RMSprop(math.inf),
        lambda: R1(math.inf),
    ):
        with pytest.raises(UserError, match="got"):
            make()
    with pytest.raises(UserError, match="momentum of SGD must be in"):
        SGD(0.1, momentum=1.0)


def part(cls, **init_args):
    return {"class_path": cls, "init_args": init_args}


def within(network, **init_args):
    return changed("model", **{network: {**CONFIG["model"]["init_args"][network], "init_args": init_args}})


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        (within("critic", width=0), ["model.critic.width", "at least 1", "0"]),
        (within("generator", latent_dim=0), ["model.generator.latent_dim", "0"]),
        (within("generator", width=None), ["model.generator.width", "must be a number, got null"]),
        (changed("model", ema_decay=None), ["model.ema_decay", "null"]),
        ({"samples": {"n_columns": None}}, ["samples.n_columns", "must be a number, got null"]),
        ({"checkpoints": {"every_n_minutes": None}}, ["checkpoints.every_n_minutes", "must be a number, got null"]),
        ({"fidelity": {"n_samples": None}}, ["fidelity.n_samples", "must be a number, got null"]),
        (changed("model", gp_weight=float("nan")), ["model.gp_weight", "nan"]),
        (changed("model", critic_penalties=[part("R1", weight=-2)]), ["critic_penalties[0].weight", "-2"]),
        (changed("model", critic_constraint=part("WeightClipping", clip_value=float("inf"))), ["clip_value", "inf"]),
        (changed("model", critic_optimizer=part("Adam", lr=0.1, betas=[1, 0.9])), ["betas[0]", "[0, 1)"]),
        ({"fidelity": {"metrics": []}}, ["fidelity.metrics", "empty list"]),
        ({"trainer": {"log_every_n_steps": 0}}, ["trainer.log_every_n_steps", "at least 1", "0"]),
        ({"seed_everything": -1}, ["seed_everything", "-1"]),
        ({"trainer": {**CONFIG["trainer"], "accelerator": "tpux"}}, ["tpux", "cpu"]),
        ({"trainer": {**CONFIG["trainer"], "devices": None}}, ["devices"]),
        ({"trainer": 5}, ["trainer", "5"]),
        (changed("model", seed=5), ["config.yaml", "model.init_args.seed", "--seed_everything"]),
        (changed("model", image_size=5), ["model.init_args.image_size", "--data.image_size"]),
        (within("critic", widht={}), ["model.critic.widht", "did you mean width?"]),
        ({"smaples": {}}, ["smaples", "did you mean samples?"]),
        (changed("data", bach_size={"a": {}}), ["data.bach_size", "did you mean batch_size?"]),
    ],
    ids=str,
)  # fmt: skip
def test_nonsense_in_a_file(config, parts, tmp_path):
    assert_one_line(fit(tmp_path, {**CONFIG, **config}), *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    "word", ["--model.seed=5", "--model.init_args.seed=5", "--model.shape=3", "--model.image_size=8"]
)
def test_options_that_follow_from_others(word, tmp_path):
    assert_one_line(
        fit(tmp_path, CONFIG, word), word.partition("=")[0], "--seed_everything" if "seed" in word else "--data"
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["empty"]),
        ("# nothing\n", ["empty"]),
        ("[1, 2]", ["key: value"]),
        ("name: a\nname: b\n", ["name", "twice", "lines 1 and 2"]),
        ("trainer:\n  max_steps: 1\n  max_steps: 2\n", ["max_steps", "lines 2 and 3"]),
    ],
    ids=repr,
)
def test_files_that_say_nothing_or_a_thing_twice(text, parts, tmp_path):
    (tmp_path / "odd.yaml").write_text(text)
    assert_one_line(command("fit", "--config", tmp_path / "odd.yaml"), "odd.yaml", *parts)


def test_a_part_in_a_file_of_its_own_is_read_as_strictly(tmp_path):
    (tmp_path / "ring.yaml").write_text("class_path: Ring\ninit_args:\n  n: 3\n  n: 4\n")
    (tmp_path / "all.yaml").write_text(yaml.safe_dump({**CONFIG, "data": "ring.yaml"}))
    for words in (["--config", tmp_path / "all.yaml"], ["--data", tmp_path / "ring.yaml"]):
        assert_one_line(command("fit", *words), "ring.yaml", "twice")


WRONG_KIND = {
    "--model.critic=MLPGenerator": ["model.critic: MLPGenerator is no Critic", "MLPCritic", "DCGANCritic"],
    "--model.critic=torch.nn.ReLU": ["model.critic: ReLU is no Critic", "MLPCritic"],
    "--model=Ring": ["model: Ring is no Game", "ACGAN"],
    "--data=WGANGP": ["data: WGANGP is no", "Digits"],
    "--model.critic_penalties=[Adam]": ["model.critic_penalties: Adam is no CriticPenalty", "GradientPenalty"],
    "--model.critic_optimizer=R1": ["model.critic_optimizer: R1 is no OptimizerSpec", "Adam, RMSprop, SGD"],
    "--fidelity.extractor=MLPCritic": ["fidelity.extractor: MLPCritic is no FeatureExtractor", "Digits"],
    "--model.generator.width=abc": ["model.generator.width: must be a whole number, got abc"],
    "--model.critic_penalties=[{class_path: R1, init_args: {weight: x}}]": ["model.critic_penalties.weight", "got x"],
    "--fidelity.metrics=[foo]": ["fidelity.metrics: must be one of fid, isc, kid, prc, dc, "],
    "--data=nomodule.Data": ["data: there is no module nomodule", "current folder"],
    "--model.critic=torch.nn.Foo": ["there is no class Foo"],
}


@pytest.mark.parametrize("word", WRONG_KIND)
def test_a_message_has_path_value_and_what_there_is(word, tmp_path):
    outcome = fit(tmp_path, CONFIG, word)
    assert_one_line(outcome, *WRONG_KIND[word])
    assert "config.yaml" not in outcome.err


def test_a_message_names_the_file(tmp_path):
    for config in (within("generator", widht=4), changed("model", gp_weight=[1]), {"fidelity": {"n_smaples": 3}}):
        assert_one_line(fit(tmp_path, {**CONFIG, **config}), "(in ", "config.yaml)")


def test_what_is_not_understood_is_passed_on():
    assert one_line("something new", set()) == "something new"
