"""How a player's update is made: warm-up, schedules, averages, clipping, accumulation."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import Callback
from torch.testing import assert_close

from gan_lightning.families import WGAN, WGANGP, MinimaxGAN, NonSaturatingGAN
from gan_lightning.networks import MLPGenerator
from gan_lightning.optimizers.schedules import LinearDecay
from gan_lightning.optimizers.specs import SGD, Adam, RMSprop
from gan_lightning.stabilizers import R1
from gan_lightning.stabilizers.slopes import squared_gradient_norms
from tests.cases import GREY, LABELLED, VECTORS, Case, mlp
from tests.training import fit, train, trainer


class AtSteps(Callback):
    """Calls a function with (player, optimizer) just before each optimizer step."""

    def __init__(self, watch):
        self.watch = watch

    def on_train_start(self, trainer, pl_module):
        for player, optimizer in zip(("critic", "generator"), trainer.optimizers, strict=True):
            optimizer.register_step_pre_hook(lambda o, a, k, player=player: self.watch(player, o))


class AfterRounds(Callback):
    """Calls a function with the game after each round."""

    def __init__(self, watch):
        self.watch = watch

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.watch(pl_module)


def weights(network):
    return {name: p.detach().double().clone() for name, p in network.named_parameters()}


def test_wgan_warms_up_as_its_authors_code_does():
    game = Case(WGAN).game()
    rounds = [game.critic_updates_in_round(update) for update in range(1001)]
    assert rounds[:25] == [100] * 25
    assert [update for update in range(25, 1001) if rounds[update] == 100] == [500, 1000]
    assert {rounds[update] for update in range(25, 1001) if update % 500} == {5}
    plain = Case(WGAN, n_warm_up=0, n_critic=3).game()
    assert {plain.critic_updates_in_round(update) for update in range(1001)} == {3}


def test_the_warm_up_is_played(tmp_path):
    """Rounds 23 to 26 of the paper's schedule, each critic update on a batch of its own."""
    case, steps = Case(WGAN, data=VECTORS), []
    game = case.game()
    game.updates_done, game.critic_updates_done = 23, 2300
    watch = AtSteps(lambda player, optimizer: steps.append(player[0]))
    trainer(tmp_path, 4, callbacks=[watch]).fit(game, datamodule=case.data())
    assert [len(run) for run in "".join(steps).split("g")] == [100, 100, 5, 5, 0]
    assert game.clock() == (27, 2510)


def test_wgan_clips_every_weight_after_each_step(tmp_path):
    game = Case(WGAN, clip_value=0.02, critic_optimizer=RMSprop(lr=0.1), n_critic=2, n_warm_up=0).game()
    peaks = []
    after = game.after_critic_update

    def watched():
        before = max(float(p.abs().max()) for p in game.critic.parameters())
        after()
        peaks.append((before, max(float(p.abs().max()) for p in game.critic.parameters())))

    game.after_critic_update = watched
    train(game, GREY(), tmp_path, 2)
    assert len(peaks) == 4
    assert all(before > 0.02 and after == pytest.approx(0.02) for before, after in peaks)


def test_learning_rates_follow_their_schedules(tmp_path):
    case = Case(
        MinimaxGAN,
        n_critic=2,
        critic_optimizer=SGD(lr=0.8),
        generator_optimizer=SGD(lr=0.4),
        critic_schedule=LinearDecay(start=2, end=6, final=0.5),
        generator_schedule=LinearDecay(end=4),
    )
    rates = {"critic": [], "generator": []}
    watch = AtSteps(lambda player, optimizer: rates[player].append(optimizer.param_groups[0]["lr"]))
    logged = train(case.game(), case.data(), tmp_path, 8, callbacks=[watch])
    critic = [0.8, 0.8, 0.8, 0.7, 0.6, 0.5, 0.4, 0.4]
    generator = [0.4, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0, 0.0]
    assert rates["critic"] == pytest.approx([rate for rate in critic for _ in range(2)])
    assert rates["generator"] == pytest.approx(generator)
    assert logged.column("lr/critic") == pytest.approx(critic)
    assert logged.column("lr/critic") == pytest.approx(critic, rel=1e-12)  # not rounded to float32
    assert logged.column("lr/generator") == pytest.approx(generator)


@pytest.mark.parametrize("decay", [0.999, 0.2, 0.0])
def test_the_average_has_its_closed_form(decay, tmp_path):
    """A_t = d_t A_{t-1} + (1 - d_t) W_t with d_t = min(decay, (1 + t) / (10 + t)), t from 0, or the weights for 0."""
    game = Case(NonSaturatingGAN, generator_optimizer=Adam(lr=0.1), ema_decay=decay).game()
    history = [weights(game.generator)]
    train(game, GREY(), tmp_path, 5, callbacks=[AfterRounds(lambda game: history.append(weights(game.generator)))])
    mean = history[0]
    for t, new in enumerate(history[1:]):
        d = 0.0 if decay == 0 else min(decay, (1 + t) / (10 + t))
        mean = {name: d * mean[name] + (1 - d) * new[name] for name in mean}
    assert_close(weights(game.generator_average), mean, rtol=1e-5, atol=1e-6)
    moved = max(float((history[0][name] - history[-1][name]).abs().max()) for name in mean)
    assert moved > 0.1


def test_samples_come_from_the_average():
    game = Case(NonSaturatingGAN, data=VECTORS).game().eval()
    before = game.sample(3)
    with torch.no_grad():
        for parameter in game.generator.parameters():
            parameter.zero_()
    assert torch.equal(game.sample(3), before)
    with torch.no_grad():
        for parameter in game.generator_average.parameters():
            parameter.zero_()
    assert not game.sample(3).any()


def test_gradients_are_clipped_to_their_norm_and_the_norm_before_is_logged(tmp_path):
    norms = {"critic": [], "generator": []}

    def watch(player, optimizer):
        gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        norms[player].append(float(torch.cat(gradients).norm()))

    def run(folder, **options):
        for values in norms.values():
            values.clear()
        game = Case(NonSaturatingGAN, **options).game()
        return train(game, GREY(), folder, 1, callbacks=[AtSteps(watch)])

    run(tmp_path)
    free = {player: values[0] for player, values in norms.items()}
    clip = free["critic"] / 3
    logged = run(tmp_path, critic_clip_norm=clip)
    assert norms["critic"] == pytest.approx([clip], rel=1e-4)
    assert logged.column("grad_norm/critic") == pytest.approx([free["critic"]], rel=1e-5)
    assert not logged.column("grad_norm/generator")
    run(tmp_path, generator_clip_norm=free["generator"] * 2)
    assert norms["generator"] == pytest.approx([free["generator"]], rel=1e-5)  # below the bound nothing changes


@pytest.mark.parametrize(
    "case",
    [
        Case(WGANGP, data=VECTORS, n_critic=2, name="vectors"),
        Case(NonSaturatingGAN, data=LABELLED, **mlp(3), name="conditional"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("parts", [(2, 1), (1, 4), (4, 2)], ids=str)
def test_micro_batches_equal_the_whole_batch(case, parts, tmp_path):
    states, logs = [], []
    for critic_parts, generator_parts in ((1, 1), parts):
        game = case.game(critic_accumulation=critic_parts, generator_accumulation=generator_parts)
        data = case.data(batch_size=8)
        logs.append(train(game, data, tmp_path, 3, precision="64-true").rows)
        states.append(game.state_dict())
    assert_close(states[1], states[0], rtol=1e-9, atol=1e-12)
    for (_, one), (_, other) in zip(*logs, strict=True):
        assert one.keys() == other.keys()
        assert other == pytest.approx(one, rel=1e-6, abs=1e-9)


def test_accumulation_must_divide_the_batch(tmp_path):
    game = Case(NonSaturatingGAN, critic_accumulation=3).game()
    with pytest.raises(ValueError, match="critic_accumulation \\(3\\), got 4"):
        train(game, GREY(), tmp_path, 1)


def test_bf16_mixed_trains_in_bfloat16_and_keeps_its_weights_in_single_precision(tmp_path):
    game = Case(WGANGP, data=GREY, n_critic=1).game()
    kinds = set()
    game.generator.output.register_forward_hook(lambda module, inputs, output: kinds.add(output.dtype))
    start = weights(game.generator)
    rows = train(game, GREY(), tmp_path, 2, precision="bf16-mixed").rows
    assert kinds == {torch.bfloat16}
    assert {p.dtype for p in game.parameters()} == {torch.float32}
    assert all(torch.tensor(list(row.values())).isfinite().all() for _, row in rows)
    assert not torch.equal(start["output.weight"], weights(game.generator)["output.weight"])


def test_a_penalty_has_the_gradients_of_single_precision_in_bf16_mixed(tmp_path):
    found = []
    for precision in ("32-true", "bf16-mixed"):
        game, gradients = Case(NonSaturatingGAN, data=GREY).game(), {}

        def only_the_penalty(batch, game=game):
            return {"r1": squared_gradient_norms(game.critic, batch.real.float()).mean()}

        def note(player, optimizer, game=game, into=gradients):
            if player == "critic":
                into.update({name: p.grad.clone() for name, p in game.critic.named_parameters() if p.grad is not None})

        game.critic_turn = only_the_penalty
        trainer(tmp_path, 1, callbacks=[AtSteps(note)], precision=precision).fit(game, datamodule=GREY())
        found.append(gradients)
    single, mixed = found
    assert single
    for name, gradient in single.items():
        assert (mixed[name] - gradient).abs().max() <= 1e-5 * gradient.abs().max(), name


@pytest.mark.parametrize("supported", [True, False])
@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_a_processor_without_bfloat16_is_told_of(supported, precision, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported, raising=False)
    train(Case(NonSaturatingGAN).game(), GREY(), tmp_path, 1, precision=precision)
    said = "no instructions for bfloat16: 32-true" in "".join(capfd.readouterr())
    assert said == (precision == "bf16-mixed" and not supported)


@pytest.mark.parametrize(
    ("schedule", "n_updates", "first"),
    [
        (LinearDecay(start=2, end=4), 4, None),
        (LinearDecay(start=2, end=4), 6, 4),
        (LinearDecay(start=2, end=4, final=0.1), 6, None),
        (None, 6, None),
    ],
)
def test_updates_at_rate_zero_are_told_of(schedule, n_updates, first, tmp_path, capfd):
    game = Case(NonSaturatingGAN, critic_schedule=schedule).game()
    train(game, GREY(), tmp_path, n_updates)
    said = "".join(capfd.readouterr())
    assert "the generator's learning rate is 0" not in said
    told = f"the critic's learning rate is 0 from update {first} to the last, {n_updates}"
    assert (told in said) if first else ("learning rate is 0" not in said)


@pytest.mark.parametrize(
    ("schedule", "first"),
    [
        (LinearDecay(start=2, end=4), 4),
        (LinearDecay(start=0, end=1), 1),
        (LinearDecay(start=2, end=4, final=0.1), None),
        (None, None),
    ],
)
def test_of_a_run_without_an_end_too(schedule, first):
    assert Case(NonSaturatingGAN, critic_schedule=schedule).game().players[0].rests_from(-1) == first


def test_turns_alone_are_in_tensor_float_32(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_lightning.games.game.check_tf32", lambda *_: None)
    game, found = Case(NonSaturatingGAN, tf32=True).game(), {}
    turn = game.generator_turn
    precision = torch.get_float32_matmul_precision

    class Note(Callback):
        def on_train_batch_end(self, *_):
            found["between"] = precision()

    def generator_turn(batch):
        found["turn"] = precision()
        return turn(batch)

    game.generator_turn = generator_turn
    trainer(tmp_path, 1, callbacks=[Note()]).fit(game, datamodule=GREY())
    assert (found, precision()) == ({"turn": "high", "between": "highest"}, "highest")


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
def test_tensor_float_32_is_refused_where_there_is_none(precision, tmp_path):
    told = fit(tmp_path, {}, "--config", "wgan_gp/ring", "--model.tf32", "true", "--trainer.precision", precision)
    reason = "needs an NVIDIA GPU" if precision == "32-true" else "trainer.precision is 64-true"
    assert told.code == 2 and reason in told.err and len(told.err.strip().splitlines()) == 1


def test_training_is_a_function_of_its_seed(tmp_path):
    def run(seed):
        game = Case(NonSaturatingGAN, seed=seed).game()
        torch.manual_seed(torch.seed() % 2**31)  # the global state must not matter
        return train(game, GREY(), tmp_path, 2).rows

    assert run(1) == run(1) != run(2)


def test_the_clock_counts_generator_updates_and_real_samples(tmp_path):
    game = Case(WGANGP, n_critic=3).game()
    logged = train(game, GREY(), tmp_path, 4)
    assert [step for step, _ in logged.rows] == [0, 1, 2, 3]
    assert logged.column("progress/kimg") == pytest.approx([0.012, 0.024, 0.036, 0.048])
    assert game.clock() == (4, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_critic": 0}, "n_critic must be at least 1, got 0"),
        ({"critic_accumulation": 0}, "critic_accumulation must be at least 1, got 0"),
        ({"generator_clip_norm": 0.0}, "generator_clip_norm must be above 0, got 0.0"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), got 1.0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Case(NonSaturatingGAN, **options).game()


def test_optimizers_refuse_what_cannot_train():
    for optimizer in (Adam, SGD, RMSprop):
        with pytest.raises(ValueError, match="lr of .* must be above 0, got 0"):
            optimizer(lr=0.0)
    with pytest.raises(ValueError, match="start 3 and end 2"):
        LinearDecay(start=3, end=2)
    with pytest.raises(ValueError, match="final"):
        LinearDecay(end=2, final=2.0)


def test_a_frozen_part_is_left_out(tmp_path):
    case = Case(NonSaturatingGAN, data=VECTORS)
    game = case.game()
    assert isinstance(game.generator, MLPGenerator)
    game.generator.output.requires_grad_(False)
    start = weights(game.generator)
    train(game, case.data(), tmp_path, 2)
    after = weights(game.generator)
    assert torch.equal(start["output.weight"], after["output.weight"])
    assert not torch.equal(start["hidden.0.weight"], after["hidden.0.weight"])


def test_a_lazy_term_is_logged_when_it_was_computed(tmp_path):
    """Every third update has the penalty; its rows have its value, the others none."""
    case = Case(NonSaturatingGAN, **mlp(), critic_penalties=[R1(interval=3)])
    logged = train(case.game(), case.data(), tmp_path, 7)
    rows = [row for _, row in logged.rows if "loss/critic" in row]
    assert [("critic/r1" in row) for row in rows] == [True, False, False, True, False, False, True]
    assert all(row["critic/r1"] > 0 for row in rows if "critic/r1" in row)
    assert not any("epoch" in row for row in rows)


def test_a_row_has_the_newest_value_since_the_row_before(tmp_path):
    case = Case(NonSaturatingGAN, **mlp(), critic_penalties=[R1(interval=3)])
    every = train(case.game(), case.data(), tmp_path / "a", 8).rows
    some = train(case.game(), case.data(), tmp_path / "b", 8, log_every_n_steps=2).rows
    assert [step for step, _ in some] == [1, 3, 5, 7]
    found = [row.get("critic/r1") for _, row in some]
    assert found == [every[0][1]["critic/r1"], every[3][1]["critic/r1"], None, every[6][1]["critic/r1"]]
    assert [row["loss/critic"] for _, row in some] == [row["loss/critic"] for _, row in every[1::2]]


def test_a_loss_of_one_term_is_logged_once(tmp_path):
    case = Case(NonSaturatingGAN, **mlp())
    rows = train(case.game(), case.data(), tmp_path, 2).rows
    assert not any(key.startswith(("critic/", "generator/")) for _, row in rows for key in row)
