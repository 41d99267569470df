"""What one room may ask of another without importing it: contracts between a game, its parts, its watchers and its data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from gan_lightning.errors import UserError
from gan_lightning.shapes import Shape

PlayerName = Literal["critic", "generator"]
PLAYERS: tuple[PlayerName, PlayerName] = ("critic", "generator")


class Batch(NamedTuple):
    """Real samples with their labels.

    Example:
        >>> Batch(real=torch.zeros(4, 2), labels=None).real.shape
        torch.Size([4, 2])

    Attributes:
        real: Images `(N, C, H, W)` or vectors `(N, D)`; what `Rounds` yields is raw (uint8 images), what the game
            receives is floating point, images in [-1, 1].
        labels: Class indices `(N,)`, int64, or None.
        source: What the real samples are to be made from, `(N, ...)`, raw or scaled as they are; None of data that are
            no pairs.
    """

    real: Tensor
    labels: Tensor | None
    source: Tensor | None = None


class Share(NamedTuple):
    """How the global batch is cut for a player's turn.

    Attributes:
        batch_size: Samples in the global batch.
        n_shares: Into how many equal parts it is cut: processes times micro-batches.
    """

    batch_size: int
    n_shares: int

    @property
    def rows(self) -> int:
        """Samples that a process sees at a time."""
        return self.batch_size // self.n_shares


def check_shares(batch_size: int, n_shares: int, what: str = "processes") -> None:
    """Raise a UserError unless a batch can be cut into so many equal shares.

    Example:
        >>> check_shares(batch_size=64, n_shares=4)
    """
    if batch_size < 1 or batch_size % n_shares:
        near = max(batch_size // n_shares, 1) * n_shares
        raise UserError(
            f"batch_size is the global one and must be a multiple of the number of {what} ({n_shares}), "
            f"got {batch_size}; take {near} or {near + n_shares}"
        )


class Host(Protocol):
    """What a part (a penalty, a term, an observation, a constraint) may ask of the game that it is part of.

    Attributes:
        critic: The critic's network, a `networks.base.Critic`, or one of pairs where `judges_pairs`.
        generator: The generator player's network; where `judges_pairs`, generator and encoder.
        shape: Shape of a sample.
        critic_updates_done: Critic updates so far.
        judges_pairs: Whether the critic judges pairs of a sample and its latents, not samples.
        shift_invariant: Whether the losses stay the same if one constant is added to all logits.
    """

    critic: Any
    generator: Any
    shape: Shape
    critic_updates_done: int
    judges_pairs: bool
    shift_invariant: bool

    @property
    def pack(self) -> int:
        """How many samples the critic is shown as one."""

    def latents(self, n: int) -> Tensor:
        """Return this turn's latents `(n, latent_dim)` for this process's n rows."""

    def verdicts(self, logits: Tensor) -> Tensor:
        """Return 1 where the critic's logits `(N,)` take a sample for real, -1 where for generated."""

    def record(self, values: Mapping[str, Tensor]) -> None:
        """Log these numbers with those of this round."""

    def share(self, player: PlayerName) -> Share | None:
        """Return how the batch is cut in a player's turn, None if the batch size is not known."""


@runtime_checkable
class Sampler(Protocol):
    """What a watcher may ask of a game that draws samples from latents.

    Attributes:
        shape: Shape of a sample.
        n_classes: Number of classes, 0 for an unconditional generator.
        updates_done: Generator updates so far.
        samples_seen: Real samples shown to the critic so far.
        ema_decay: Decay of the running average that samples are taken from.
    """

    shape: Shape
    n_classes: int
    updates_done: int
    samples_seen: int
    ema_decay: float

    def sample(
        self, n: int, labels: Sequence[int | str] | Tensor | None = None, seed: int = 0, truncation: float | None = None
    ) -> Tensor:
        """Return `n` samples of the averaged generator."""

    def sample_chunks(
        self,
        chunks: Iterable[int],
        labels: Sequence[int | str] | Tensor | None = None,
        seed: int = 0,
        truncation: float | None = None,
    ) -> Iterator[Tensor]:
        """Yield the chunks of samples with these indices; a chunk is the same wherever it is drawn."""

    def sample_latents(self, n: int, generator: torch.Generator) -> Tensor:
        """Return latents `(n, latent_dim)` on the CPU, drawn from `generator`."""


class Clocked(Protocol):
    """What data ask of the game that is trained on them.

    Attributes:
        seed: Every random number of the training is a function of it.
        n_critic: Critic updates in a usual round.
    """

    seed: int
    n_critic: int

    def clock(self) -> tuple[int, int]:
        """Return generator updates done and batches consumed so far."""

    def batches_in_round(self, update: int) -> int:
        """Return the number of batches that generator update `update` consumes."""


@runtime_checkable
class Data(Protocol):
    """What a game may ask of its data; data of somebody else's making need not answer.

    Attributes:
        batch_size: Samples in the global batch, summed over processes.
        n_classes: Number of classes, 0 for data without labels.
    """

    batch_size: int
    n_classes: int


class Candidates(NamedTuple):
    """What a policy chooses from, for each of N queries.

    Attributes:
        documents: Indices `(N, M)`, int64; None means all documents in their order, M of them.
        valid: Whether there is such a document, `(N, M)`; None where all are.
        positive: Whether it is known to be relevant, `(N, M)`.
    """

    documents: Tensor | None
    valid: Tensor | None
    positive: Tensor


@runtime_checkable
class Judgements(Protocol):
    """Data of queries whose relevant documents are known: what a game of retrieval asks of them.

    Attributes:
        features: What describes each document, `(documents, F)`, None where indices do.
        counts: How many queries each document is relevant to in the training data, `(documents,)`.
        users: Names of the queries in the order of their indices.
    """

    features: Tensor | None
    counts: Tensor
    users: list[str]

    def candidates(self, queries: Tensor) -> Candidates:
        """Return all documents of these queries `(N,)`."""

    def is_positive(self, queries: Tensor, documents: Tensor) -> Tensor:
        """Tell which of documents `(N, M)` are known to be relevant to queries `(N,)`."""

    def ranked_queries(self) -> Tensor:
        """Return the queries `(Q,)` on which a ranking is measured, on held-out judgements."""

    def relevance(self, queries: Tensor) -> tuple[Candidates, Tensor, Tensor]:
        """Return what is ranked for each query, which of it is relevant `(N, M)`, and how many relevant ones are missing."""


@runtime_checkable
class Ranking(Protocol):
    """What a watcher may ask of a game that scores documents.

    Attributes:
        shape: Shape of a sample.
        updates_done: Generator updates so far.
        samples_seen: Pairs shown to the critic so far.
        ema_decay: Decay of the running average that scores are taken from.
    """

    shape: Shape
    updates_done: int
    samples_seen: int
    ema_decay: float

    def scores(self, queries: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return the averaged generator's scores `(N, M)` of documents `(N, M)`, or of all, for queries `(N,)`."""


@runtime_checkable
class Translating(Protocol):
    """What a watcher may ask of a game that makes targets from sources.

    Attributes:
        shape: Shape of a source and a target, a `shapes.Pair`.
        updates_done: Generator updates so far.
        samples_seen: Targets shown to the critic so far.
        ema_decay: Decay of the running average that translations are made by.
        directions: From sources to targets, AtoB, and perhaps back, BtoA.
    """

    shape: Shape
    updates_done: int
    samples_seen: int
    ema_decay: float
    directions: tuple[str, ...]

    def translate(self, sources: Tensor, direction: str = "AtoB", seed: int = 0) -> Tensor:
        """Return what the averaged generator makes of images `(N, c, H, W)` in [-1, 1], of any height and width."""


class Verdicts(NamedTuple):
    """What a critic makes of real samples and of as many generated ones.

    Attributes:
        real: The real samples `(N, ...)`, before any observation.
        fake: The generated ones.
        logits: All logits of the real and of the generated samples, `(N,)` or more each; None of a critic that gives none.
        features: The critic's last hidden layer of both, `(N, F)` each; None of a critic of pairs.
        higher_is_real: Whether the game takes a sample of a higher logit for the more real one.
        slopes: Norms `(M,)` of the logit's gradient at points between real and generated samples, as the critic is shown
            them, at most 64; None without logits, and where samples of a batch influence each other's.
    """

    real: Tensor
    fake: Tensor
    logits: tuple[Tensor, Tensor] | None
    features: tuple[Tensor, Tensor] | None
    higher_is_real: bool
    slopes: Tensor | None


@runtime_checkable
class Judging(Protocol):
    """What a watcher may ask of a game whose critic judges samples."""

    def judge(self, batch: Any) -> Verdicts:
        """Return what the critic makes of a batch's first micro-batch and of fresh fakes; training goes on as if not asked."""


@runtime_checkable
class Shaped(Protocol):
    """Data that declare the shape of a sample.

    Attributes:
        shape: The shape.
    """

    shape: Shape


@runtime_checkable
class Classed(Protocol):
    """Data whose classes have names.

    Attributes:
        classes: The names in the order of the indices, empty without labels.
    """

    classes: list[str]


@runtime_checkable
class Spelled(Protocol):
    """Data of text.

    Attributes:
        vocabulary: The symbols in the order of their places.
    """

    vocabulary: list[str]


class Notation(NamedTuple):
    """What the symbols of a melody mean: 0 is a rest, 1 holds what sounded before, 2 + i strikes the pitch `low` + i.

    Attributes:
        per_quarter: Positions in a quarter note.
        low: MIDI number of the lowest pitch.
        in_c: Whether melodies stand in C major or A minor.
    """

    per_quarter: int
    low: int
    in_c: bool


@runtime_checkable
class Notated(Protocol):
    """Data of melodies.

    Attributes:
        notation: What their symbols mean.
    """

    notation: Notation


@runtime_checkable
class Sounding(Protocol):
    """Data of sound.

    Attributes:
        rate: Samples of a second.
    """

    rate: int


@runtime_checkable
class ShowsText(Protocol):
    """A logger that shows tables of text, such as Lightning's for Weights & Biases."""

    def log_text(self, key: str, columns: list[str], data: list[list[str]], step: int | None = None) -> None:
        """Show a table."""


@runtime_checkable
class ShowsPictures(Protocol):
    """A logger that shows pictures, such as Lightning's for Weights & Biases."""

    def log_image(self, key: str, images: list[Any], step: int | None = None) -> None:
        """Show 8-bit pictures."""


@runtime_checkable
class RunLogger(ShowsPictures, Protocol):
    """A logger that takes all that a run has to tell."""

    def log_run(self, config: Path) -> None:
        """Record the run's config, the file in its folder, and the version of the code."""

    def log_histograms(self, histograms: Mapping[str, Tensor], step: int) -> None:
        """Record the histogram of each of some flat tensors."""


@runtime_checkable
class Paired(Protocol):
    """Data of sources and targets: what something is to be made from, and what it is to look like.

    Attributes:
        is_paired: Whether each source belongs to the target of its row; otherwise they are two sets of their own.
    """

    is_paired: bool

    def n_sources(self, split: Literal["train", "eval"]) -> int:
        """Return how many sources a split has."""

    def sources(self, split: Literal["train", "eval"], rows: Sequence[int]) -> Tensor:
        """Return the sources of these rows of a split, raw: uint8 images `(N, C, H, W)`."""


@runtime_checkable
class Mixture(Protocol):
    """What a watcher may ask of data whose modes are known.

    Attributes:
        centres: Means `(K, D)` of the modes, None where they are not known.
        std: Standard deviation of each mode, None where it is not known.
    """

    centres: Tensor | None
    std: float | None


@runtime_checkable
class Stacked(Protocol):
    """What a watcher may ask of images each of whose channels is a picture of its own, of one of some classes.

    Attributes:
        channel_classes: Number of classes of a channel.
    """

    channel_classes: int


@runtime_checkable
class NeedsClassifier(Protocol):
    """Stacked images whose channels the shipped classifier of digits has not learnt.

    Attributes:
        needs_classifier: True.
    """

    needs_classifier: bool


@runtime_checkable
class Styled(Protocol):
    """Data with pictures of styles, beside those that are to be brought into them."""

    def styles(self) -> list[Tensor]:
        """Return each style's picture, uint8 `(C, H, W)`, of sizes of their own."""


@runtime_checkable
class Upscales(Protocol):
    """What a watcher may ask of a game that makes pictures larger.

    Attributes:
        updates_done: Generator updates so far.
        samples_seen: Large pictures shown so far.
        ema_decay: Decay of the running average that is measured.
    """

    updates_done: int
    samples_seen: int
    ema_decay: float

    @property
    def factor(self) -> int:
        """By how much each side grows."""

    def upscale(self, images: Tensor) -> Tensor:
        """Return what the averaged generator makes of images `(N, C, h, w)` in [-1, 1], clamped to [-1, 1]."""
