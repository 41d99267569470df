"""The game: two players alternate, one Lightning batch is one round, every count is in generator updates."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.utils._pytree import tree_flatten

from gan_lightning.description import check_plain, describe, describe_module, rebuild
from gan_lightning.errors import UserError, say
from gan_lightning.execution.compiled import CompiledTurns
from gan_lightning.execution.gan_ddp import GANDDPStrategy, check_compiled, check_strategy, share_buffers
from gan_lightning.execution.lightning_private import (
    ask_for_cuda_quickly,
    do_not_count,
    restricted_classmethod,
    set_logged_step,
    show_numbers,
    trainer_of,
)
from gan_lightning.execution.precision import check_precision, check_tf32, lacks_bfloat16, loss_of, tensor_float_32
from gan_lightning.execution.process_state import KeepGenerators
from gan_lightning.execution.ranks import mean_over_ranks, rows_of_all_ranks
from gan_lightning.games.divergence import EVERY, DivergenceWatch, OnDivergence
from gan_lightning.games.player import Player, Terms
from gan_lightning.loggers.rows import log_row
from gan_lightning.networks.base import DrawsByRow
from gan_lightning.optimizers.schedules import Schedule
from gan_lightning.optimizers.specs import OptimizerSpec
from gan_lightning.protocols import PLAYERS, Batch, Classed, Data, PlayerName, Share, check_shares
from gan_lightning.randomness import Noise, Shard, mix
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.runs.memory import keep_freed_memory
from gan_lightning.stabilizers.slopes import couples_batch

WEIGHTS_ONLY = (
    "{} holds weights only (save_weights_only of a ModelCheckpoint), and training cannot be resumed without the state of "
    "the optimizers; resume from checkpoints/last.ckpt, or only sample and validate from it"
)


class Game(LightningModule, ABC):
    """Two players who take turns: `n_critic` critic updates, then one generator update, make a round.

    A subclass states two losses, `critic_turn` and `generator_turn`. This class does all else: it freezes the player at
    rest, runs backward, sums gradients over ranks, clips, steps, keeps the clock, the noise, the average and the log.
    On k ranks each rank works on its rows of the global batch; what is logged is rank 0's share.

    Args:
        generator: The generator player's network.
        critic: The critic player's network.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator.
        n_critic: Critic updates in a round.
        critic_schedule: Learning-rate factor of the critic over generator updates; none keeps it constant.
        generator_schedule: Learning-rate factor of the generator over generator updates; none keeps it constant.
        critic_clip_norm: Clip the critic's gradient to this Euclidean norm.
        generator_clip_norm: Clip the generator's gradient to this Euclidean norm.
        critic_accumulation: Micro-batches whose gradients make one critic update.
        generator_accumulation: Micro-batches whose gradients make one generator update.
        ema_decay: Decay of the generator's running average, which samples and metrics are taken from; while it is
            young the decay is at most (1 + t) / (10 + t) after t updates. 0 makes the average follow at once.
        on_divergence: What to do when a loss or weight is no longer finite: stop, before it is saved or measured, or
            continue. It is looked for every 50 updates, and before each checkpoint and evaluation.
        seed: Every random number of the training is a function of it.
        compile: Compile each player's whole loss with its gradients (torch.compile, one graph). The first updates take half a
            minute longer; losses equal those without to rounding. Turns that cannot be one graph are refused.
        tf32: Take matrix products of float32 in turns, penalties among them, in TensorFloat-32 (10 bits of mantissa; inputs and
            sums stay float32), on GPUs that have it; refused elsewhere. Evaluation stays as torch is set. Convolutions of float32
            are torch's own affair: cuDNN takes TensorFloat-32 unless `torch.backends.cudnn.conv.fp32_precision` says ieee.
        classes: Names of the data's classes in the order of their indices; a network whose n_classes is auto has as many.
    """

    judges_pairs: bool = False
    """Whether the critic judges pairs of a sample and its latents."""
    shift_invariant: bool = False
    pack: int = 1
    """How many samples the critic is shown as one."""
    fresh_real: bool = False
    """Whether the generator's turn has a batch of real data of its own, not the last one that the critic was shown."""

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        critic_optimizer: OptimizerSpec,
        generator_optimizer: OptimizerSpec,
        n_critic: int = 1,
        critic_schedule: Schedule | None = None,
        generator_schedule: Schedule | None = None,
        critic_clip_norm: float | None = None,
        generator_clip_norm: float | None = None,
        critic_accumulation: int = 1,
        generator_accumulation: int = 1,
        ema_decay: float = 0.999,
        on_divergence: OnDivergence = "stop",
        seed: int = 0,
        compile: bool = False,
        tf32: bool = False,
        classes: list[str] | None = None,
    ) -> None:
        super().__init__()
        if n_critic < 1:
            raise UserError(f"n_critic must be at least 1, got {n_critic}")
        if not 0 <= ema_decay < 1:
            raise UserError(f"ema_decay must be in [0, 1), got {ema_decay}; 0 turns averaging off")
        self.automatic_optimization = False
        self.generator, self.critic = generator, critic
        self.generator_average = copy.deepcopy(generator).requires_grad_(False).eval()
        self.n_critic, self.ema_decay, self.seed = n_critic, ema_decay, seed
        self.classes = list(classes or [])
        self.players = (
            Player("critic", critic_optimizer, critic_schedule, critic_clip_norm, critic_accumulation),
            Player("generator", generator_optimizer, generator_schedule, generator_clip_norm, generator_accumulation),
        )
        self.on_divergence = on_divergence
        self.watch = DivergenceWatch(on_divergence)
        self.updates_done = 0
        self.critic_updates_done = 0
        self.fresh_batches_taken = 0
        self.samples_seen = 0
        self.noise: Noise
        self._logged: dict[str, Tensor | float] = {}
        self._by_row: list[DrawsByRow] = []
        self._compiled = CompiledTurns(self) if compile else None
        self.tf32 = tf32
        self.tracing = False
        self._passed: tuple[int, str] | None = None  # the trainer and stage in which preflight found nothing wrong

    # What a family states -------------------------------------------------------------------------------------------

    @abstractmethod
    def critic_turn(self, batch: Any) -> Terms:
        """Return the terms of one critic update's loss on one batch of real data."""

    @abstractmethod
    def generator_turn(self, batch: Any) -> Terms:
        """Return the terms of one generator update's loss; `batch` is the critic's last one unless `fresh_real`."""

    def before_critic_update(self, batch: Any) -> None:
        """Act on this process's whole batch before a critic update; nothing unless a subclass overrides it."""

    def after_critic_update(self) -> None:
        """Act after the critic optimizer's step; nothing unless a subclass overrides it (weight clipping)."""

    def after_generator_update(self) -> None:
        """Act after the generator optimizer's step; nothing unless a subclass overrides it."""

    def critic_updates_in_round(self, update: int) -> int:
        """Return how many critic updates the round has that ends in generator update `update`."""
        return self.n_critic

    def batches_in_round(self, update: int) -> int:
        """Return how many batches of real data that round takes: one for each critic update, and a `fresh_real`.

        A round without critic updates takes one, for the generator.
        """
        n_updates = self.critic_updates_in_round(update)
        return n_updates + (self.fresh_real or n_updates == 0)

    def variant(self, player: PlayerName) -> Hashable:
        """Return what a turn depends on beside tensors and its parts' settings: there is a compiled one for each."""
        return ()

    def prepare_tracing(self) -> None:
        """Look at the counts of updates for a turn that is about to be traced and may not."""

    def record(self, values: Mapping[str, Tensor]) -> None:
        """Log these numbers, without a graph, with those of this round."""
        self._logged.update({name: value.detach() for name, value in values.items()})

    def mean_over_ranks(self, values: Tensor) -> Tensor:
        """Return the mean of all ranks' values, differentiable: what couples samples is to couple the global batch's."""
        return mean_over_ranks(values)

    def rows_of_all_ranks(self, rows: Tensor) -> Tensor:
        """Return the rows `(N, ...)` of all ranks, `(k N, ...)`, differentiable."""
        return rows_of_all_ranks(rows)

    def share(self, player: PlayerName) -> Share | None:
        """Return how the batch is cut in a player's turn, None if the data do not say their batch size."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, Data):
            return None
        return Share(data.batch_size, self._world_size * self.players[PLAYERS.index(player)].accumulation)

    def critic_parameters(self) -> Iterable[Parameter]:
        """Return the parameters that the critic's optimizer moves."""
        return self.critic.parameters()

    def generator_parameters(self) -> Iterable[Parameter]:
        """Return the parameters that the generator's optimizer moves."""
        return self.generator.parameters()

    def check(self) -> None:
        """Raise a UserError that names both sides and the fix if the parts cannot go together."""

    def preflight(self, stage: str) -> None:
        """Refuse what cannot be trained or measured right: precision, strategy, shares of the batch, the game's parts.

        The command line calls it before other ranks are started, because Lightning kills rank 0 when one of them fails;
        `setup` calls it on every rank unless it has passed there. The trainer must know its data.

        Raises:
            UserError: Something is refused.
        """
        trainer = self.trainer
        if self._passed == (id(trainer), stage):
            return
        check_precision(trainer.precision)
        check_strategy(trainer.strategy, training=stage == "fit")
        if trainer.overfit_batches and stage == "fit":  # type: ignore[attr-defined]
            raise UserError(
                f"Trainer(overfit_batches={trainer.overfit_batches}) has no effect here: data.limit N trains on a fixed "  # type: ignore[attr-defined]
                "subset of N samples"
            )
        if self._compiled is not None and stage == "fit":
            check_compiled(trainer.strategy)
        if self.tf32 and stage == "fit":
            check_tf32(trainer.strategy.root_device, trainer.precision)
        data = trainer.datamodule  # type: ignore[attr-defined]
        if stage == "fit" and isinstance(data, LightningDataModule):
            check_plain(data, dict(data.hparams))
        if stage == "fit" and isinstance(data, Data):
            check_shares(data.batch_size, trainer.world_size)
            for player in self.players:
                cut = f"processes times {player.name}_accumulation"
                check_shares(data.batch_size, trainer.world_size * player.accumulation, cut)
                self._check_rows(data.batch_size // (trainer.world_size * player.accumulation), cut)
        self.check()
        self._passed = (id(trainer), stage)

    def _check_rows(self, rows: int, cut: str) -> None:
        """Refuse a single row for layers that compare the rows of a process; pixels make statistics of one image."""
        for name, network in self.named_children():
            seen = rows // self.pack if name == "critic" else rows
            coupled = couples_batch(network, of_pixels=False)
            if seen < 2 and coupled and name != "generator_average":
                raise UserError(
                    f"{coupled[0]} of the {name} ({type(network).__name__}) needs at least 2 samples at a time, got {seen} "
                    f"(batch_size over {cut}{f', in packs of {self.pack}' if seen < rows else ''}); take a larger batch_size"
                )

    # The round ------------------------------------------------------------------------------------------------------

    def training_step(self, batch: list[Any], batch_idx: int) -> None:
        """Play one round on the round's batches of real data.

        Raises:
            UserError: The batch is no round, but what somebody else's loader yields.
        """
        if not isinstance(batch, list) or not batch or not all(isinstance(part, Batch) for part in batch):
            raise UserError(
                f"{type(self).__name__} plays rounds, and the loader gave it {_kind_of(batch)}; give the trainer a data "
                "module of rounds: Trainer.fit(game, datamodule=gan_lightning.data.data_of(loader, batch_size=64)), or a "
                "subclass of gan_lightning.data.RealData"
            )
        for_critic = self.critic_updates_in_round(self.updates_done)
        if self.fresh_real and len(batch) < 2 and for_critic:
            raise UserError(
                f"{type(self).__name__} takes a batch of real data for the generator's turn beside the critic's, and the "
                "loader gave it a round of 1 batch; give batches_in_round(update) of them, as data_of and RealData do"
            )
        (critic, generator), (critic_optimizer, generator_optimizer) = self.players, cast(list[Any], self.optimizers())
        do_not_count(critic_optimizer)  # the generator's steps alone are Lightning's clock, as they are ours
        set_logged_step(self.trainer, self.updates_done)
        has_own = self.fresh_real or not for_critic  # a batch that the critic is not shown
        shown = batch[:-1] if has_own else batch
        for index, part in enumerate(shown):
            with torch.no_grad():
                self.before_critic_update(part)
            self._move(critic, critic_optimizer, self.critic_turn, part, index)
            with torch.no_grad():
                self.after_critic_update()
            self.critic_updates_done += 1
            self.samples_seen += len(tree_flatten(part)[0][0]) * self._world_size
        self._move(generator, generator_optimizer, self.generator_turn, batch[-1], 0)
        self.fresh_batches_taken += has_own
        if not for_critic:
            self.samples_seen += len(tree_flatten(batch[-1])[0][0]) * self._world_size
        with torch.no_grad():
            self.after_generator_update()
        self._update_average()
        self.updates_done += 1
        if self.updates_done % EVERY == 0:
            self.look_for_divergence()
        self._log_round(critic_optimizer, generator_optimizer)

    def _move(self, player: Player, optimizer: Any, turn: Callable[[Any], Terms], batch: Any, index: int) -> None:
        """Let one player make one update: only its parameters require gradients meanwhile."""
        self._set_moving(player.index)
        key = mix(self.seed, self.updates_done, player.index, index)
        generators = [torch.default_generator]
        if self.device.type == "cuda":
            generators.append(torch.cuda.default_generators[self.device.index or 0])
        for generator in generators:  # for dropout and third-party layers; ours draw from self.noise
            generator.manual_seed(mix(key, self._rank))

        def play(rows: Any, part: int) -> Terms:
            shard = Shard(self._rank, self._world_size, part, player.accumulation)
            sources = [
                Noise(mix(key, number), self.device, self.dtype_of_samples, shard, self.updates_done)
                for number in ((1, 2) if self._by_row else (1,))
            ]
            for layer in self._by_row:
                layer.n_rows = len(tree_flatten(rows)[0][0])
            if self._compiled is not None:
                share = 1 / player.accumulation
                return self._compiled.play(player.name, turn, rows, sources, self._draw_from, share)
            self._draw_from(sources)
            terms = turn(rows)
            loss = loss_of(terms) / player.accumulation
            with torch.autocast(self.device.type, enabled=False):  # which would take float32's derivatives in bfloat16
                self.manual_backward(loss)
            return terms

        with tensor_float_32(self.tf32):
            terms, logged = player.update(optimizer, batch, self.updates_done, play, self._reduce)
        for layer in self._by_row:
            layer.noise = None
        self._logged.update(logged)
        self.watch.note(self.updates_done + 1, player.name, terms)

    def _draw_from(self, sources: Sequence[Noise]) -> None:
        """Let the turn draw from the first source, and layers that draw by row from the second."""
        self.noise = sources[0]
        for layer in self._by_row:
            layer.noise = sources[1]

    def _reduce(self, parameters: list[Parameter]) -> None:
        """Sum gradients over ranks, where the strategy leaves that to the game."""
        strategy = self.trainer.strategy
        if isinstance(strategy, GANDDPStrategy):
            strategy.reduce_gradients(parameters)

    def look_for_divergence(self) -> None:
        """Look at the recent losses and the weights, on every rank alike.

        Raises:
            RunFailed: One is not finite, and `on_divergence` is stop.
        """
        networks = {"critic": self.critic, "generator": self.generator, "generator's average": self.generator_average}
        self.watch.look({name: network.parameters() for name, network in networks.items()})

    def _set_moving(self, player: int | None) -> None:
        for other, optimizer in enumerate(cast(list[Any], self.optimizers(use_pl_optimizer=False))):
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.requires_grad_(player is None or other == player)

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.ema_decay, (1 + self.updates_done) / (10 + self.updates_done))
        mine: list[Tensor] = list(self.generator_average.parameters())
        theirs: list[Tensor] = list(self.generator.parameters())
        if self.ema_decay == 0:
            torch._foreach_copy_(mine, theirs)
        else:
            torch._foreach_lerp_(mine, theirs, 1 - decay)
        for mean, value in zip(self.generator_average.buffers(), self.generator.buffers(), strict=True):
            mean.copy_(value)

    def _log_round(self, critic_optimizer: Any, generator_optimizer: Any) -> None:
        """Hand the numbers to Lightning's callbacks, and the newest of all to the loggers when a row is due."""
        self._set_moving(None)
        trainer = self.trainer
        self._logged["progress/kimg"] = self.samples_seen / 1000
        self._logged["lr/critic"] = critic_optimizer.param_groups[0]["lr"]
        self._logged["lr/generator"] = generator_optimizer.param_groups[0]["lr"]
        show_numbers(trainer, self._logged)
        if trainer.log_every_n_steps and self.updates_done % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            log_row(trainer, self._logged, self.updates_done - 1)
            self._logged = {}
        if 0 < trainer.max_steps <= trainer.global_step:
            trainer.should_stop = True  # lets the validation loop run at the very end, whatever its interval

    # State ----------------------------------------------------------------------------------------------------------

    def clock(self) -> tuple[int, int]:
        """Return how many generator updates are done and batches are taken, which is where the data stream stands."""
        return self.updates_done, self.critic_updates_done + self.fresh_batches_taken

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the clock, and what rebuilds this module without its config; a diverged game is not saved."""
        self.look_for_divergence()
        checkpoint["clock"] = {
            "updates_done": self.updates_done,
            "critic_updates_done": self.critic_updates_done,
            "fresh_batches_taken": self.fresh_batches_taken,
            "samples_seen": self.samples_seen,
            "seed": self.seed,
        }
        checkpoint["optimizers"] = {player.name: player.spec.kind for player in self.players}
        checkpoint["hyper_parameters"] = describe_module(self)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights and buffers.

        Raises:
            UserError: They are of networks of other sizes, or of other networks.
        """
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            own = self.state_dict()
            sizes = [
                f"{name} is {tuple(value.shape)} there and {tuple(own[name].shape)} here"
                for name, value in state_dict.items()
                if name in own and own[name].shape != value.shape
            ]
            others = [f"{name} is on one side only" for name in sorted(own.keys() ^ state_dict.keys())]
            if not sizes + others:
                raise
            raise UserError(
                f"the checkpoint does not fit this model: {(sizes + others)[0]}, and {len(sizes + others) - 1} more; build "
                "the networks and the data with the sizes and classes of its run"
            ) from error

    @restricted_classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: str | torch.device | None = None,
        hparams_file: None = None,
        strict: bool | None = None,
        weights_only: bool | None = None,
        trust: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return the game of a checkpoint with its weights and clock, as Lightning's method of the same name.

        Args:
            checkpoint_path: The file; `cls` is the family it must be of, or `Game` for any.
            map_location: The device to put it on; the CPU if None.
            hparams_file: Not taken: a checkpoint holds its own arguments.
            strict: Whether the weights must be the networks' exactly; true if None.
            weights_only: Either way nothing but tensors and plain values is read.
            trust: Import whatever classes the checkpoint names; the family's own module is trusted, since it is asked.
            **kwargs: Arguments of the family that replace the checkpoint's.

        Raises:
            UserError: There is no such checkpoint, it is of another family, or it cannot be rebuilt.
        """
        if hparams_file is not None:
            raise UserError(f"hparams_file {hparams_file} is not read: give arguments by keyword, as n_critic=2")
        if map_location is not None and not isinstance(map_location, str | torch.device):
            raise UserError(f"map_location must be a device, such as cpu or cuda:0, got {map_location!r}")
        checkpoint = read_checkpoint(Path(checkpoint_path).expanduser())
        given = {name: describe(value) for name, value in kwargs.items()}
        own = [] if cls.__module__.startswith("gan_lightning.") else [cls.__module__]
        with torch.random.fork_rng(devices=[]):
            game = rebuild(Game, {**checkpoint["hyper_parameters"], **given}, trust, own)
        if not isinstance(game, cls):
            raise UserError(
                f"{checkpoint_path} is a checkpoint of {type(game).__name__}, not of {cls.__name__}; call "
                f"{type(game).__name__}.load_from_checkpoint, or gan_lightning.load"
            )
        game.load_state_dict(checkpoint["state_dict"], strict is not False)
        game.on_load_checkpoint(checkpoint)
        return game if map_location is None else game.to(map_location)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set the clock."""
        clock = checkpoint["clock"]
        self.updates_done, self.critic_updates_done = clock["updates_done"], clock["critic_updates_done"]
        self.fresh_batches_taken = clock.get("fresh_batches_taken", 0)  # 0.1.0 took none
        self.samples_seen = clock["samples_seen"]
        if (trainer := trainer_of(self)) is not None and trainer.state.fn == "fit":
            if not checkpoint.get("optimizer_states"):
                raise UserError(WEIGHTS_ONLY.format(trainer.ckpt_path))
            kinds = checkpoint.get("optimizers", {})  # 0.1.0 did not say
            for player, state in zip(self.players, checkpoint.get("optimizer_states", []), strict=False):
                player.check_state(state, kinds.get(player.name))

    def on_train_start(self) -> None:
        """Give restored optimizers the settings that were asked for, and find the layers that draw by row."""
        self._by_row = [layer for layer in self.modules() if isinstance(layer, DrawsByRow)]
        ask_for_cuda_quickly(self.device)
        if str(self.trainer.precision).startswith("bf16") and lacks_bfloat16(self.device):
            say("this processor has no instructions for bfloat16: 32-true is many times as fast as bf16-mixed here")
        if self.updates_done and not self.trainer.global_step:
            say(
                f"this game has made {self.updates_done:,} updates, and the trainer begins at 0 with new optimizers: to go on "
                "with a run give fit its ckpt_path"
            )
        keep_freed_memory()
        last = self.trainer.max_steps
        for player in self.players:
            if (first := player.rests_from(last)) is not None:
                until = f"to the last, {last:,}" if last > 0 else "on, and trainer.max_steps sets no end"
                say(
                    f"the {player.name}'s learning rate is 0 from update {first:,} {until}, where it learns "
                    f"nothing: give model.{player.name}_schedule a later end, or trainer.max_steps {first}"
                )
        has_game = any(self.critic_updates_in_round(update) for update in range(self.updates_done, last))
        if self.updates_done < last and not has_game and self.critic_updates_in_round(10**9):
            say(
                f"the critic rests until the last update, {last:,}: raise trainer.max_steps, or shorten what is before it"
            )
        for player, optimizer in zip(
            self.players, cast(list[Any], self.optimizers(use_pl_optimizer=False)), strict=True
        ):
            player.take_settings(optimizer)

    # Lightning's side -----------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> list[Optimizer]:
        """Return the critic's and the generator's optimizer, in this order."""
        parameters = (self.critic_parameters(), self.generator_parameters())
        return [player.optimizer(own) for player, own in zip(self.players, parameters, strict=True)]

    def configure_callbacks(self) -> list[Callback]:
        """Return what puts the process's random generators back after training."""
        return [KeepGenerators()]

    def setup(self, stage: str) -> None:
        """Refuse what cannot train, before the first batch."""
        self.preflight(stage)
        if stage == "fit" and isinstance(data := self.trainer.datamodule, Classed):  # type: ignore[attr-defined]
            self.classes = list(data.classes)  # some are known only now that the data are loaded
        # Lightning converts (64-true) only after it has loaded a checkpoint, which would round what it holds.
        self.trainer.strategy.precision_plugin.convert_module(self)

    def on_validation_start(self) -> None:
        """Let every rank measure the same networks, and none that have diverged."""
        self.look_for_divergence()
        share_buffers(self.trainer.strategy, self)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Do nothing: callbacks measure at the end of the validation loop's one tick."""

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Do nothing: callbacks measure at the end of the test loop's one tick."""

    def train(self, mode: bool = True) -> Game:
        """Set the mode of both players; the average stays in evaluation mode."""
        super().train(mode)
        self.generator_average.eval()
        return self

    @property
    def dtype_of_samples(self) -> torch.dtype:
        """The floating type of latents and real samples: that of the parameters."""
        return next(iter(self.generator.parameters())).dtype

    @property
    def _rank(self) -> int:
        return 0 if (trainer := trainer_of(self)) is None else trainer.global_rank

    @property
    def _world_size(self) -> int:
        return 1 if (trainer := trainer_of(self)) is None else trainer.world_size


def _kind_of(batch: Any) -> str:
    """Return what a batch is, for people: "a list of 2 Tensor"."""
    if isinstance(batch, list | tuple) and batch:
        return f"a {type(batch).__name__} of {len(batch)} {type(batch[0]).__name__}"
    return f"a {type(batch).__name__}"
