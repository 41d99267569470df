"""SeqGAN's experiment with an oracle (Yu et al. 2017, section 4.1), smaller: likelihood, then the game, judged by the truth.

The paper's oracle has 5,000 symbols in sequences of 20, and its generator is as large as the oracle. Here there are 20
symbols in sequences of 8, so that it takes minutes, and the generator has 8 hidden units against the oracle's 32, so that
likelihood alone cannot reach it.
"""

from __future__ import annotations

from functools import partial
from math import log, sqrt
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from gan_lightning.data import RealData, RealSamples
from gan_lightning.data.text import Symbols, probabilities
from gan_lightning.families import SeqGAN
from gan_lightning.lab.experiment import Experiment, Found, Row
from gan_lightning.lab.figures import axes_of, colors
from gan_lightning.lab.playing import play
from gan_lightning.networks import LSTMGenerator, TextCNNCritic
from gan_lightning.optimizers import Adam, LinearDecay
from gan_lightning.shapes import Tokens

SHAPE = Tokens(length=8, vocabulary=20)
WIDTH_OF_ORACLE, WIDTH = 32, 8
_TRAINING, _MEASURED = 10_000, 10_000
_LIKELIHOOD, _GAME = 2000, 300


def oracle_of(seed: int) -> LSTMGenerator:
    """Return an LSTM whose weights are N(0, 1) draws, as the paper's; one of its two biases is 0."""
    oracle = LSTMGenerator(SHAPE, width=WIDTH_OF_ORACLE)
    random = torch.Generator().manual_seed(500 + seed)
    with torch.no_grad():
        for parameter in oracle.parameters():
            parameter.normal_(generator=random)
        dict(oracle.lstm.named_parameters())["bias_hh_l0"].zero_()
    return oracle.requires_grad_(False).eval()


@torch.no_grad()
def written(generator: LSTMGenerator, n: int, seed: int) -> Tensor:
    """Return n sequences `(n, L)` that a generator writes."""
    latents = 2 * torch.rand(n, SHAPE.length, generator=torch.Generator().manual_seed(seed)) - 1
    return generator(latents).argmax(1)


@torch.no_grad()
def costs(generator: LSTMGenerator, symbols: Tensor) -> Tensor:
    """Return -log p `(N,)` of sequences `(N, L)` under a generator, in nats, a mean over positions."""
    return -generator.log_probabilities(symbols).gather(2, symbols[:, :, None]).mean((1, 2))


@torch.no_grad()
def conditional_entropies(generator: LSTMGenerator, symbols: Tensor) -> Tensor:
    """Return the entropy `(N,)` of what may stand at each position behind what does, in nats, a mean over positions."""
    log_p = generator.log_probabilities(symbols)
    return -(log_p.exp() * log_p).sum(2).mean(1)


class Sequences(RealData):
    """Sequences `(N, L)` of the oracle's."""

    def __init__(self, symbols: Tensor) -> None:
        super().__init__(64, None)
        self.symbols = symbols

    @property
    def shape(self) -> Tokens:
        """Length and vocabulary."""
        return SHAPE

    @property
    def stored_size(self) -> tuple[int, ...]:
        """Symbols are kept by their places."""
        return (SHAPE.length,)

    def load_split(self, split: Any) -> RealSamples:
        """Return all of them."""
        return Symbols(self.symbols.to(torch.uint8), None, "the oracle's sequences")

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Turn symbols into probabilities of 0 and 1."""
        return [part._replace(real=probabilities(part.real, SHAPE.vocabulary)) for part in batch]


class Curve(Callback):
    """Measures the generator now and then.

    Attributes:
        updates: When.
        of_oracle: NLL_oracle then: -log p of its sequences under the oracle.
        held_out: -log p of the oracle's held-out sequences under it.
    """

    def __init__(self, oracle: LSTMGenerator, held_out: Tensor, every_n_updates: int) -> None:
        self.oracle, self.sequences, self.every_n_updates = oracle, held_out, every_n_updates
        self.updates: list[int] = []
        self.of_oracle: list[float] = []
        self.held_out: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Measure."""
        game: Any = pl_module
        if game.updates_done % self.every_n_updates == 0:
            self.updates.append(game.updates_done)
            self.of_oracle.append(costs(self.oracle, written(game.generator, 4000, 7)).mean().item())
            self.held_out.append(costs(game.generator, self.sequences[:4000]).mean().item())


def trained(symbols: Tensor, n_likelihood: int, n_game: int, seed: int, curve: Curve) -> LSTMGenerator:
    """Train by likelihood, then as a game, and return the generator."""
    game = SeqGAN(
        partial(LSTMGenerator, embedding_dim=8, width=WIDTH),
        partial(TextCNNCritic, embedding_dim=24, n_filters=32, kernel_widths=(1, 2, 3, 4)),
        SHAPE,
        n_pretraining=n_likelihood,
        n_critic_pretraining=500,
        n_rollouts=8,
        n_critic=10,
        critic_optimizer=Adam(lr=2e-3, betas=(0.9, 0.999)),
        generator_schedule=LinearDecay(start=n_likelihood // 2, end=n_likelihood, final=0.5),
        seed=seed,
    )
    play(game, Sequences(symbols), n_likelihood + n_game, [curve])
    return game.generator.eval()  # type: ignore[return-value]


def play_oracle(seed: int) -> Found:
    """Train by likelihood, and by likelihood and the game, for as many updates."""
    oracle = oracle_of(seed)
    own = written(oracle, _MEASURED, 1)
    held_out = written(oracle, _MEASURED, 2)
    symbols = written(oracle, _TRAINING, 3)
    entropies = conditional_entropies(oracle, held_out)
    entropy, error = entropies.mean().item(), (costs(oracle, held_out) - entropies).std().item() / sqrt(_MEASURED)
    rows = [
        Row("the oracle's sequences: NLL_oracle, its entropy", costs(oracle, own).mean().item(), entropy, 5 * error),
    ]
    untrained = torch.randint(SHAPE.vocabulary, own.shape, generator=torch.Generator().manual_seed(4))
    table = [["", "NLL_oracle", "own entropy", "NLL of the oracle's sequences"]]
    table.append(["random symbols", f"{costs(oracle, untrained).mean():.3f}"] + 2 * [f"{log(SHAPE.vocabulary):.3f}"])
    found, curves = {}, {}
    for name, n_likelihood, n_game in (
        ("likelihood", _LIKELIHOOD + _GAME, 0),
        ("SeqGAN", _LIKELIHOOD, _GAME),
    ):
        curves[name] = curve = Curve(oracle, held_out, 50)
        generator = trained(symbols, n_likelihood, n_game, seed, curve)
        sequences = written(generator, _MEASURED, 5)
        nll, spread = costs(oracle, sequences).mean().item(), conditional_entropies(generator, sequences).mean().item()
        missed = costs(generator, held_out).mean().item()
        found[name] = nll
        table.append([name, f"{nll:.3f}", f"{spread:.3f}", f"{missed:.3f}"])
        rows += [
            Row(f"{name}: NLL_oracle, its own entropy", nll, spread, 5 * error, bound="at least"),
            Row(f"{name}: NLL of the oracle's sequences, their entropy", missed, entropy, 5 * error, bound="at least"),
        ]
    rows.append(
        Row(
            "SeqGAN: NLL_oracle, that of likelihood",
            found["SeqGAN"],
            found["likelihood"],
            0.0,
            "Yu 2017",
            bound="at most",
        )
    )
    table.append(["the oracle", f"{rows[0].ours:.3f}", f"{entropy:.3f}", f"{entropy:.3f}"])
    return Found(rows, _figure(curves, entropy), _NOTES, table)


_NOTES = [
    "NLL_oracle is -log p under the oracle of what a generator writes, in nats for each symbol. By Gibbs' inequality it is "
    "at least the generator's own entropy, and the generator's -log p of the oracle's sequences at least the oracle's.",
    "NLL_oracle alone is no proof of a better generator: one that writes only the oracle's likeliest sequences has less than "
    "the oracle. The last column of the first table says what is missed.",
    f"{SHAPE.vocabulary} symbols in sequences of {SHAPE.length}, {_TRAINING:,} sequences, {_LIKELIHOOD:,} updates of likelihood "
    f"and {_GAME} of the game, or as many of likelihood alone; the paper has 5,000 symbols in sequences of 20.",
]


def _figure(curves: dict[str, Curve], entropy: float) -> Any:
    figure, axes = axes_of(1, 2, 3.2, 4.2)
    for axis, key, title in (
        (axes[0], "of_oracle", "what the oracle thinks of the generator's sequences"),
        (axes[1], "held_out", "what the generator thinks of the oracle's sequences"),
    ):
        for color, (name, curve) in zip(colors, curves.items(), strict=False):
            axis.plot(curve.updates, getattr(curve, key), color=color, label=name)
        axis.axhline(entropy, color="k", linewidth=0.8, linestyle="--", label="the oracle's entropy")
        axis.axvline(_LIKELIHOOD, color="k", linewidth=0.8, linestyle=":", label="the game begins")
        axis.set(xlabel="generator updates", ylabel="-log p, nats for each symbol")
        axis.set_title(title, fontsize=8)
    axes[0].legend(fontsize=7)
    return figure


EXPERIMENTS = [
    Experiment(
        "seq_gan",
        "an LSTM as the truth, learned by likelihood and by SeqGAN, each judged by the other",
        240,
        play_oracle,
    )
]
