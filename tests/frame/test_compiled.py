"""`model.compile`: the same weights as without, one graph for each kind of turn, and refusals of what a graph cannot hold.

The graphs run as they were traced but in one test, where inductor compiles them: what it makes is torch's affair, half a
minute for each, and tested there.
"""

from __future__ import annotations

from functools import partial
from unittest import mock

import pytest
import torch
from lightning.pytorch import Trainer
from torch._dynamo.utils import counters
from torch.nn.functional import pad

from gan_lightning.errors import UserError
from gan_lightning.execution.compiled import OPTIONS
from gan_lightning.families import WGANGP, NonSaturatingGAN
from gan_lightning.games.divergence import DivergenceWatch
from gan_lightning.networks import MLPCritic
from gan_lightning.networks.layers import winograd
from gan_lightning.observations import Geometric, InstanceNoise, Packing, Translation
from gan_lightning.stabilizers import (
    R1,
    ConsistencyRegularization,
    CriticPenalty,
    LatentReconstruction,
    LeCam,
    WeightClipping,
)
from tests.cases import CASES, COLOUR, VECTORS, Case
from tests.training import SaveAt, assert_same, command, fit, networks, train

REFUSED = {
    "NonSaturatingGAN-with-memory": "it looks at critic_updates_done",  # adaptive augmentation
    "NonSaturatingGAN-packed": "something of it is annealed over the updates",
    "UnrolledGAN": "the generator's turn is not one graph",
    "R3GAN-labels": "something of it is annealed over the updates",
    "SRGAN-esrgan": "perceptual",
    "StyleTransfer": "turn is not one graph",
    "StyleTransfer-two": "turn is not one graph",
    "CycleGAN": "turn is not one graph",  # its buffer
    "CycleGAN-resnet": "turn is not one graph",
    "SeqGAN": "it looks at updates_done",
    "SeqGAN-accumulated": "LSTM",
    "IRGAN": "it looks at updates_done",
    "IRGAN-pretrained-sampled": "it looks at updates_done",
}
PARTS = {
    "lecam": {"critic_penalties": lambda: [LeCam()]},
    "consistency": {"critic_penalties": lambda: [ConsistencyRegularization(Translation())]},
    "lazy": {"critic_penalties": lambda: [R1(interval=4)]},
    "clipping": {"critic_constraint": lambda: WeightClipping(0.1)},
    "term": {"generator_terms": lambda: [LatentReconstruction(partial(MLPCritic, width=4, n_layers=1))]},
    "warped": {"observation": Geometric},
    "noise": {"observation": lambda: InstanceNoise(0.1)},
    "packs": {"observation": lambda: Packing(2)},
}


@pytest.fixture
def as_traced():
    """Run graphs as they were traced."""
    with mock.patch("torch.compile", lambda graph, **_: graph):
        yield


def played(case, folder, updates=3, compiled=True, **options):
    torch.manual_seed(0)
    game = case.game(compile=True) if compiled else case.game()
    rows = train(game, case.data(), folder, updates, **options).rows
    return game, [{name: value for name, value in row.items() if "seconds" not in name} for _, row in rows]


@pytest.mark.parametrize("case", [case for case in CASES if str(case) not in REFUSED], ids=repr)
def test_weights_and_logs_are_those_without(case, tmp_path, as_traced):
    (plain, rows), (compiled, found) = (
        played(case, tmp_path, compiled=how, precision="64-true") for how in (False, True)
    )
    assert_same(plain.state_dict(), compiled.state_dict())
    assert found == rows


@pytest.mark.parametrize("parts", PARTS)
def test_so_are_they_with_parts(parts, tmp_path, as_traced):
    made = [
        Case(NonSaturatingGAN, data=COLOUR, **{name: make() for name, make in PARTS[parts].items()}) for _ in range(2)
    ]
    games = [
        played(case, tmp_path, 6, compiled=how, precision="64-true")[0]
        for case, how in zip(made, (False, True), strict=True)
    ]
    assert_same(*(game.state_dict() for game in games))
    assert len(games[1]._compiled.graphs) == (3 if parts == "lazy" else 2)


@pytest.mark.parametrize("name", ["SNGAN", "BigGAN"])
def test_so_are_they_with_convolutions_of_fewer_products(name, tmp_path, as_traced, monkeypatch):
    monkeypatch.setattr(winograd, "LEAST_CHANNELS", dict.fromkeys(winograd.LEAST_CHANNELS, 1))
    monkeypatch.setattr(winograd, "LEAST_TILES", 1)
    calls = mock.Mock(wraps=winograd.convolve)
    monkeypatch.setattr(winograd, "convolve", calls)
    case = next(case for case in CASES if str(case).startswith(name))
    plain, compiled = (played(case, tmp_path, compiled=how, precision="64-true")[0] for how in (False, True))
    assert calls.call_count
    assert_same(plain.state_dict(), compiled.state_dict())


def test_mixed_precision_is_that_of_the_plain_turn(tmp_path, as_traced):
    case = Case(WGANGP, data=COLOUR)
    games = [played(case, tmp_path, compiled=how, precision="bf16-mixed")[0] for how in (False, True)]
    assert_same(*(game.state_dict() for game in games))
    assert any(
        node.target is torch.ops.aten._to_copy.default and node.kwargs.get("dtype") == torch.bfloat16
        for graph in games[1]._compiled.graphs.values()
        for node in graph.call.graph.nodes
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_one_graph_is_refused(name, tmp_path, as_traced):
    (case,) = [case for case in CASES if str(case) == name]
    with pytest.raises(UserError, match=REFUSED[name]) as refusal:
        played(case, tmp_path)
    assert "leave model.compile out" in str(refusal.value)


class _Growing(CriticPenalty):
    name = "growing"

    def penalty(self, critic, real, fake, labels, noise):
        return critic(real, labels).square().mean()

    def after_update(self, game):
        self.weight += 1.0


class _Remembering(CriticPenalty):
    name = "remembering"

    def penalty(self, critic, real, fake, labels, noise):
        self.last = critic(real, labels).mean()
        return self.last


class _OfItsOwn(CriticPenalty):
    name = "of_its_own"

    def penalty(self, critic, real, fake, labels, noise):
        draws = torch.rand(real.shape, generator=torch.Generator().manual_seed(0))
        return critic(draws.to(real.dtype), labels).square().mean()


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (_Growing(1.0), "_Growing.weight changes"),
        (_Remembering(1.0), "_Remembering.last keeps"),
        (_OfItsOwn(1.0), "generator"),
    ],
)
def test_a_part_whose_numbers_a_graph_would_freeze_is_refused(penalty, message, tmp_path, as_traced):
    with pytest.raises(UserError, match=message):
        played(Case(NonSaturatingGAN, data=VECTORS, critic_penalties=[penalty]), tmp_path, 12)


def test_a_compiled_run_resumes_to_the_bit(tmp_path, as_traced):
    case = Case(WGANGP, data=VECTORS, n_critic=2, critic_penalties=[R1(interval=3)])
    save, again = SaveAt(tmp_path, {2, 4}), SaveAt(tmp_path / "again", {4})
    train(case.game(compile=True), case.data(), tmp_path, 4, callbacks=[save])
    train(case.game(compile=True), case.data(), tmp_path, 4, tmp_path / "2.ckpt", callbacks=[again])
    states = (torch.load(folder / "4.ckpt", weights_only=True) for folder in (tmp_path, tmp_path / "again"))
    assert_same(*({key: state[key] for key in ("state_dict", "optimizer_states", "clock")} for state in states))


def test_the_spread_of_samples_is_still_watched(tmp_path, as_traced):
    noted = []
    with mock.patch.object(DivergenceWatch, "note_spread", lambda self, *what: noted.append(what)):
        for how in (False, True):
            _, rows = played(Case(WGANGP, data=VECTORS, n_critic=1), tmp_path, 51, compiled=how, precision="64-true")
            assert not any("spread" in row for row in rows)
    assert len(noted) == 2 and noted[0] == noted[1] and noted[0][0] == 49


def test_ranks_that_sum_gradients_in_backward_are_refused():
    game = Case(WGANGP, data=VECTORS).game(compile=True)
    game.trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp_find_unused_parameters_true", logger=False)
    game.trainer.datamodule = VECTORS()
    with pytest.raises(UserError, match="gan_ddp"):
        game.preflight("fit")


def test_a_wrong_graph_is_not_trained_on(tmp_path):
    def wrong(graph, **_):
        return lambda *inputs: ([2 * term for term in graph(*inputs)[0]], *graph(*inputs)[1:])

    with mock.patch("torch.compile", wrong), pytest.raises(UserError, match="the compiled critic/.* without; leave"):
        played(Case(WGANGP, data=VECTORS), tmp_path)


def test_inductor_makes_the_same_numbers_and_compiles_each_turn_once(tmp_path):
    case = Case(NonSaturatingGAN, data=VECTORS, n_critic=2, critic_penalties=[R1()])
    (plain, _), _ = played(case, tmp_path, 6, compiled=False, precision="64-true"), counters.clear()
    compiled, _ = played(case, tmp_path, 6, precision="64-true")
    assert counters["stats"]["unique_graphs"] == 2 and not counters["graph_break"]
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-9, atol=1e-12, msg=name)


def test_from_the_command_line(tmp_path, as_traced):
    config = {
        "name": "run",
        "trainer": {"max_steps": 2},
        "data": {"class_path": "Ring", "init_args": {"n": 64, "batch_size": 8}},
        "model": {"class_path": "R3GAN", "init_args": {"compile": True, **networks()}},
    }
    assert fit(tmp_path, config).code == 0
    assert command("validate", "--ckpt_path", tmp_path / "run" / "checkpoints" / "last.ckpt").code == 0
    config["name"] = "refused"
    config["model"] = {"class_path": "UnrolledGAN", "init_args": {"compile": True, **networks()}}
    outcome = fit(tmp_path, config)
    assert outcome.code == 2 and "leave model.compile out" in outcome.err


def test_a_graph_does_not_depend_on_memory_beyond_its_tensors():
    """With the settings of torch 2.14.1, 38 of all these numbers change with what lies behind `angles`."""
    compiled = torch.compile(lambda angles: pad(angles.cos(), (66, 0)), dynamic=False, options=OPTIONS)
    memory = torch.zeros(256 * 64 + 64)
    angles, behind = memory[: 256 * 64].view(256, 64), memory[256 * 64 :]
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        angles.normal_(generator=generator)
        found = []
        for there in (0.0, 1e30):
            behind.fill_(there)
            found.append(compiled(angles).clone())
        assert_same(*found)
