"""The one table of families: each row is a game small enough to be played in milliseconds.

A new family adds a row (or a few) to `CASES`; every test of the contracts runs over all of them.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from gan_lightning.data import RandomImages, RandomPairs, RandomStyled, RealData, RealSamples, Ring, SyntheticFeedback
from gan_lightning.data.text import Symbols, probabilities
from gan_lightning.families import (
    ACGAN,
    ALI,
    DCGAN,
    DRAGAN,
    FGAN,
    IRGAN,
    LSGAN,
    MMDGAN,
    R3GAN,
    SAGAN,
    SNGAN,
    SRGAN,
    WGAN,
    WGANGP,
    BiGAN,
    BigGAN,
    ConditionalGAN,
    CycleGAN,
    GeometricGAN,
    McGAN,
    MinimaxGAN,
    NonSaturatingGAN,
    Pix2Pix,
    ProjectionGAN,
    SeqGAN,
    StyleTransfer,
    UnrolledGAN,
    WGANDiv,
)
from gan_lightning.families.f_gan import VariationalBound
from gan_lightning.games.game import Game
from gan_lightning.games.gan import GAN
from gan_lightning.games.joint import JointGAN
from gan_lightning.games.retrieval import RetrievalGame
from gan_lightning.games.translation import TranslationGame
from gan_lightning.losses.divergences import Jeffrey, TotalVariation
from gan_lightning.losses.kernels import UStatistic
from gan_lightning.losses.matching import CovarianceMatching, MeanMatching
from gan_lightning.losses.objectives import NonSaturating, RelativisticPairing, Wasserstein
from gan_lightning.losses.policy import Pairwise, SoftplusReward
from gan_lightning.networks import (
    BigGANCritic,
    BigGANGenerator,
    ClassifyingCritic,
    ConcatenatingCritic,
    ConcatenatingGenerator,
    ConvEncoder,
    ConvJointCritic,
    DCGANCritic,
    DCGANGenerator,
    InstanceNorm,
    LSTMGenerator,
    MatrixFactorization,
    MLPCritic,
    MLPEncoder,
    MLPGenerator,
    MLPJointCritic,
    PatchCritic,
    R3GANCritic,
    R3GANGenerator,
    RandomFilters,
    ResNetTranslator,
    RRDBNet,
    SAGANCritic,
    SAGANGenerator,
    SNGANCNNCritic,
    SNGANCNNGenerator,
    SNGANResNetCritic,
    SNGANResNetGenerator,
    SRResNet,
    Stylizer,
    TextCNNCritic,
    UNetTranslator,
    WaveGANCritic,
    WaveGANGenerator,
    WGANGPCNNCritic,
    WGANGPCNNGenerator,
)
from gan_lightning.observations.adaptive import AdaptiveAugment
from gan_lightning.observations.augmentations import ColorJitter, Cutout, Translation
from gan_lightning.observations.base import Compose
from gan_lightning.observations.instance_noise import InstanceNoise
from gan_lightning.observations.packing import Packing
from gan_lightning.optimizers import SGD
from gan_lightning.optimizers.schedules import CosineDecay, LinearDecay
from gan_lightning.protocols import Batch
from gan_lightning.shapes import Signals, Tokens
from gan_lightning.stabilizers.base import GeneratorTerm
from gan_lightning.stabilizers.consistency import ConsistencyRegularization
from gan_lightning.stabilizers.generator_terms import (
    EntropyRegularization,
    FeatureMatching,
    LatentReconstruction,
    ModeSeeking,
)
from gan_lightning.stabilizers.generator_terms import HistoricalAveraging as GeneratorHistory
from gan_lightning.stabilizers.gradient_penalties import R1, R2
from gan_lightning.stabilizers.historical_averaging import HistoricalAveraging
from gan_lightning.stabilizers.lecam import LeCam
from gan_lightning.stabilizers.slopes import couples_batch

N_CLASSES = 3


class Waves(RealData):
    """Sine waves of a frequency for each class, as 16-bit sound."""

    def __init__(self, length: int = 64, n: int = 48, batch_size: int = 4, seed: int | None = None) -> None:
        super().__init__(batch_size, seed)
        self.length, self.n, self.n_classes = length, n, N_CLASSES
        self.save_hyperparameters(logger=False)

    @property
    def shape(self) -> Signals:
        return Signals(self.length, 1)

    def load_split(self, split: Any) -> RealSamples:
        labels = torch.arange(self.n) % self.n_classes
        phases = (0.3 + 0.2 * labels[:, None]) * torch.arange(self.length) + torch.arange(self.n)[:, None]
        return RealSamples((20_000 * torch.sin(phases)).to(torch.int16)[:, None], labels, "sine waves")


class Letters(RealData):
    """Sequences in which each of five symbols follows the one before it."""

    def __init__(self, length: int = 6, n: int = 48, batch_size: int = 4, seed: int | None = None) -> None:
        super().__init__(batch_size, seed)
        self.length, self.n = length, n
        self.save_hyperparameters(logger=False)

    @property
    def shape(self) -> Tokens:
        return Tokens(self.length, 5)

    @property
    def stored_size(self) -> tuple[int, ...]:
        return (self.length,)

    def load_split(self, split: Any) -> RealSamples:
        rows = (torch.arange(self.n)[:, None] + torch.arange(self.length)) % 5
        return Symbols(rows.to(torch.uint8), None, "letters")

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        dtype: Any = self.trainer.lightning_module.dtype if self.trainer is not None else torch.float32
        return [Batch(probabilities(real, 5, dtype), labels) for real, labels, *_ in batch]


GREY = partial(RandomImages, image_size=8, channels=1, n=48, batch_size=4)
COLOUR = partial(RandomImages, image_size=8, channels=3, n=48, batch_size=4, flip=True)
LABELLED = partial(RandomImages, image_size=8, channels=1, n_classes=N_CLASSES, n=48, batch_size=4)
FEEDBACK = partial(SyntheticFeedback, n_users=9, n_items=12, n_liked=4, n_held_out=3, batch_size=4)
SMALL_AND_LARGE = partial(RandomPairs, image_size=8, factor=2, n=48, batch_size=4, flip=True)
STYLED = partial(RandomStyled, image_size=16, n_styles=1, n=48, batch_size=4, flip=True)
PAIRS = partial(RandomPairs, image_size=8, channels=3, source_channels=1, n=48, batch_size=4, flip=True)
UNPAIRED = partial(RandomPairs, image_size=8, channels=1, source_channels=1, paired=False, n=9, batch_size=4)
SIGNALS = Waves
SEQUENCES = Letters
VECTORS = partial(Ring, n_modes=4, n=48, batch_size=4)


class Case:
    """A family with tiny networks and data.

    Args:
        family: The class under test.
        data: Builds the data; `batch_size` can be overridden.
        name: Distinguishes rows of one family.
        arguments: The family's arguments; a GAN's networks are small MLPs unless they are given.
    """

    def __init__(
        self,
        family: type[Game],
        *,
        data: Callable[..., RealData] = GREY,
        name: str = "",
        **arguments: Any,
    ) -> None:
        self.family, self.make_data, self.arguments = family, data, arguments
        self.name = "-".join(filter(None, [family.__name__, name]))

    def data(self, **overrides: Any) -> RealData:
        return self.make_data(**overrides)

    def game(self, **overrides: Any) -> Any:
        """Return a new game with the same initial weights each time."""
        data = self.data()
        arguments = copy.deepcopy({**self.arguments, **overrides})
        if issubclass(self.family, RetrievalGame):
            arguments = {**factorization(), "shape": data.shape, **arguments}
        if issubclass(self.family, SRGAN | StyleTransfer):
            arguments = {"shape": data.shape, "critic": partial(MLPCritic, width=6, n_layers=1), **arguments}
        if issubclass(self.family, SeqGAN):
            arguments = {**sequences(), "shape": data.shape, **arguments}
        if issubclass(self.family, TranslationGame):
            arguments = {**translators(), "shape": data.shape, **arguments}
        if issubclass(self.family, GAN | JointGAN):
            networks = mlp() if issubclass(self.family, GAN) else joint_mlp()
            arguments = {**networks, "shape": data.shape, **arguments}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.family(**arguments)

    @property
    def is_coupled(self) -> bool:
        """Whether a layer lets the samples of a process's batch influence each other, so that two ranks differ from one."""
        return bool(couples_batch(self.game()))

    def __repr__(self) -> str:
        return self.name


def mlp(n_classes: int = 0) -> dict[str, Any]:
    """Return the smallest pair of networks."""
    return {
        "generator": partial(MLPGenerator, latent_dim=3, width=6, n_layers=1, n_classes=n_classes),
        "critic": partial(MLPCritic, width=6, n_layers=1, n_classes=n_classes),
    }


def resnet(n_classes: int = 0) -> dict[str, Any]:
    """Return SNGAN's residual networks, conditional if there are classes."""
    return {
        "generator": partial(SNGANResNetGenerator, width=4, latent_dim=3, n_classes=n_classes),
        "critic": partial(SNGANResNetCritic, width=4, n_classes=n_classes),
    }


def joint_mlp() -> dict[str, Any]:
    """Return the smallest networks of joint inference."""
    return {
        "generator": partial(MLPGenerator, latent_dim=3, width=6, n_layers=1),
        "encoder": partial(MLPEncoder, width=6, n_layers=1),
        "critic": partial(MLPJointCritic, width=6, n_layers=1),
    }


def factorization() -> dict[str, Any]:
    """Return the smallest players of retrieval."""
    tiny = partial(MatrixFactorization, embedding_dim=3, bound=0.5)
    return {"generator": tiny, "critic": tiny}


def sequences() -> dict[str, Any]:
    """Return the smallest networks of sequences; without dropout, whose draws are each process's own."""
    return {
        "generator": partial(LSTMGenerator, embedding_dim=3, width=4),
        "critic": partial(TextCNNCritic, embedding_dim=3, n_filters=2, kernel_widths=[1, 2], dropout=0.0),
    }


def translators() -> dict[str, Any]:
    """Return the smallest networks of translation; the generator drops values."""
    return {
        "generator": partial(UNetTranslator, width=2, n_halvings=2),
        "critic": partial(PatchCritic, width=2, n_layers=1, norm=InstanceNorm),
    }


def joint_cnn() -> dict[str, Any]:
    """Return convolutional networks of joint inference, narrowed."""
    return {
        "generator": partial(DCGANGenerator, width=4, latent_dim=3),
        "encoder": partial(ConvEncoder, width=4, hidden_width=6),
        "critic": partial(ConvJointCritic, width=4, latent_width=6, joint_width=6),
    }


def stylizing(n_styles: int = 1) -> dict[str, Any]:
    """Return the smallest style network, and random filters to compare by."""
    return {
        "generator": partial(Stylizer, width=2, n_blocks=1, n_classes=n_styles),
        "perceptual": RandomFilters(n_filters=4, n_scales=2, kernel=3),
        "patch_size": 8,
        "generator_optimizer": SGD(lr=0.01),  # Adam enlarges what is left of gradients that a normalisation cancels
        "unchanged_share": 0.3,
    }


def cnn(generator: Any, critic: Any) -> dict[str, Any]:
    """Return a pair of convolutional networks, narrowed."""
    return {"generator": partial(generator, width=4, latent_dim=3), "critic": partial(critic, width=4)}


def with_memory() -> dict[str, Any]:
    """Return stabilizers that keep a state, which resuming and sharing over ranks must not change."""
    return {
        "critic_penalties": [LeCam(), HistoricalAveraging(), ConsistencyRegularization(Translation())],
        "generator_terms": [GeneratorHistory(), LatentReconstruction(partial(MLPCritic, width=4, n_layers=1))],
        "observation": AdaptiveAugment([ColorJitter(), Cutout()], interval=2, kimg=0.05),
    }


def coupling_terms() -> list[GeneratorTerm]:
    """Return the terms that couple the samples of a batch beyond a mean over them."""
    return [FeatureMatching(), ModeSeeking(), EntropyRegularization(0.1)]


def concatenated(n_classes: int) -> dict[str, Any]:
    """Return convolutional networks that see the label's code."""
    generator = partial(DCGANGenerator, latent_dim=3 + n_classes, width=4)
    critic = partial(DCGANCritic, width=4)
    return {
        "generator": partial(ConcatenatingGenerator, generator=generator, n_classes=n_classes),
        "critic": partial(ConcatenatingCritic, critic=critic, n_classes=n_classes),
    }


def classifying(n_classes: int) -> dict[str, Any]:
    """Return a conditional generator and a critic that tells the class."""
    critic = partial(MLPCritic, width=6, n_layers=1)
    return {**mlp(n_classes), "critic": partial(ClassifyingCritic, critic=critic, n_classes=n_classes)}


def sagan(n_classes: int) -> dict[str, Any]:
    """Return SAGAN's networks, narrowed."""
    return {
        "generator": partial(SAGANGenerator, width=4, latent_dim=3, attention_size=8, n_classes=n_classes),
        "critic": partial(SAGANCritic, width=4, attention_size=4, n_classes=n_classes),
    }


def biggan(n_classes: int) -> dict[str, Any]:
    """Return BigGAN's networks, narrowed."""
    return {
        "generator": partial(BigGANGenerator, width=1, chunk_dim=2, embedding_dim=3, n_classes=n_classes),
        "critic": partial(BigGANCritic, width=1, n_classes=n_classes),
    }


def wavegan(n_classes: int = 0) -> dict[str, Any]:
    """Return WaveGAN's networks, narrowed."""
    return {
        "generator": partial(WaveGANGenerator, width=2, latent_dim=3, n_classes=n_classes),
        "critic": partial(WaveGANCritic, width=2, phase_shuffle=1, n_classes=n_classes),
    }


def r3gan(n_classes: int = 0) -> dict[str, Any]:
    """Return R3GAN's networks, narrowed."""
    narrow: dict[str, Any] = {"width": 4, "n_blocks": 1, "group_size": 4, "n_classes": n_classes}
    return {"generator": partial(R3GANGenerator, latent_dim=3, **narrow), "critic": partial(R3GANCritic, **narrow)}


CASES = [
    Case(MinimaxGAN),
    Case(MinimaxGAN, data=VECTORS, name="vectors"),
    Case(NonSaturatingGAN, data=COLOUR),
    Case(NonSaturatingGAN, data=LABELLED, **mlp(N_CLASSES), name="conditional"),
    Case(NonSaturatingGAN, data=VECTORS, critic_penalties=[R1(interval=2), R2()], ema_decay=0.0, name="r1-r2"),
    Case(NonSaturatingGAN, data=COLOUR, **with_memory(), name="with-memory"),
    Case(NonSaturatingGAN, data=VECTORS, observation=Compose([InstanceNoise(0.1, 4), Packing(2)]), name="packed"),
    Case(NonSaturatingGAN, data=VECTORS, generator_terms=coupling_terms(), name="coupling-terms"),
    Case(UnrolledGAN, n_unrolled=2),
    Case(DCGAN, data=COLOUR, **cnn(DCGANGenerator, DCGANCritic)),
    Case(WGAN, n_critic_warm_up=3, n_warm_up=2, n_critic=2, **cnn(DCGANGenerator, DCGANCritic)),
    Case(WGAN, data=VECTORS, n_warm_up=0, name="vectors"),
    Case(WGANGP, data=COLOUR, **cnn(WGANGPCNNGenerator, WGANGPCNNCritic)),
    Case(WGANGP, data=VECTORS, critic_accumulation=2, generator_accumulation=2, name="vectors-accumulated"),
    Case(WGANGP, data=LABELLED, **mlp(N_CLASSES), n_critic=2, critic_clip_norm=0.5, name="conditional-clipped"),
    Case(WGANGP, data=partial(SIGNALS, length=256), n_critic=2, **wavegan(N_CLASSES), name="sound"),
    Case(SNGAN, n_critic=1, **resnet()),
    Case(SNGAN, data=LABELLED, n_critic=2, **resnet(N_CLASSES), name="conditional"),
    Case(SNGAN, data=COLOUR, objective=NonSaturating(), **cnn(SNGANCNNGenerator, SNGANCNNCritic), name="cnn"),
    Case(SNGAN, data=VECTORS, generator_schedule=LinearDecay(end=20), critic_schedule=LinearDecay(end=9), name="decay"),
    Case(ALI),
    Case(ALI, data=VECTORS, n_critic=2, name="vectors"),
    Case(ALI, data=COLOUR, **joint_cnn(), name="cnn"),
    Case(BiGAN),
    Case(BiGAN, data=VECTORS, critic_accumulation=2, generator_accumulation=2, name="vectors-accumulated"),
    Case(LSGAN, **cnn(DCGANGenerator, DCGANCritic)),
    Case(LSGAN, data=VECTORS, fake_target=-1.0, generator_target=0.0, name="vectors"),
    Case(FGAN, divergence=Jeffrey()),
    Case(FGAN, data=VECTORS, divergence=TotalVariation(), generator_objective=VariationalBound(), name="vectors"),
    Case(WGANDiv, data=COLOUR, n_critic=2, **cnn(WGANGPCNNGenerator, WGANGPCNNCritic)),
    Case(WGANDiv, data=VECTORS, n_critic=1, k=1.0, p=2.0, name="vectors"),
    Case(DRAGAN, data=LABELLED, **mlp(N_CLASSES), name="conditional"),
    Case(DRAGAN, data=VECTORS, spread=0.1, critic_accumulation=2, name="vectors"),
    Case(GeometricGAN, **cnn(WGANGPCNNGenerator, WGANGPCNNCritic)),
    Case(GeometricGAN, data=VECTORS, c=0.5, critic_accumulation=2, name="vectors-accumulated"),
    Case(McGAN, matchings=[CovarianceMatching(2)], clip_value=0.5, n_critic=2),
    Case(McGAN, data=VECTORS, matchings=[MeanMatching(), CovarianceMatching(3)], clip_value=0.5, name="vectors"),
    Case(MMDGAN, clip_value=0.5, n_critic=2, n_warm_up=1, n_critic_warm_up=3),
    Case(MMDGAN, data=VECTORS, estimator=UStatistic(), clip_value=0.5, n_warm_up=0, name="vectors"),
    Case(ConditionalGAN, data=LABELLED, **mlp(N_CLASSES)),
    Case(ConditionalGAN, data=LABELLED, **concatenated(N_CLASSES), name="cnn"),
    Case(ACGAN, data=LABELLED, n_critic=2, **classifying(N_CLASSES)),
    Case(ACGAN, data=LABELLED, objective=Wasserstein(), fake_class_weight=0.0, **classifying(N_CLASSES), name="wgan"),
    Case(ACGAN, data=VECTORS, **classifying(4), name="vectors"),
    Case(ProjectionGAN, data=LABELLED, n_critic=2, **resnet(N_CLASSES)),
    Case(SAGAN, data=LABELLED, **sagan(N_CLASSES)),
    Case(BigGAN, data=LABELLED, n_critic=1, **biggan(N_CLASSES)),
    Case(R3GAN, data=COLOUR, **r3gan()),
    Case(
        R3GAN,
        data=LABELLED,
        gamma_schedule=CosineDecay(end=5),
        critic_accumulation=2,
        **r3gan(N_CLASSES),
        name="labels",
    ),
    Case(R3GAN, data=VECTORS, name="vectors"),
    Case(
        SRGAN,
        data=SMALL_AND_LARGE,
        generator=partial(SRResNet, width=2, n_blocks=1),
        n_pretraining=2,
        pixel_weight=0.1,
        name="srresnet",
    ),
    Case(
        SRGAN,
        data=SMALL_AND_LARGE,
        generator=partial(RRDBNet, width=2, growth=2, n_blocks=1),
        perceptual=RandomFilters(n_filters=4, n_scales=2, kernel=3),
        objective=RelativisticPairing(),
        pixel_weight=0.1,
        generator_accumulation=2,
        name="esrgan",
    ),
    Case(StyleTransfer, data=STYLED, **stylizing(), adversarial_weight=0.1),
    Case(StyleTransfer, data=partial(STYLED, n_styles=2), **stylizing(2), generator_accumulation=2, name="two"),
    Case(Pix2Pix, data=PAIRS, n_critic=2, critic_accumulation=2, generator_accumulation=2),
    Case(CycleGAN, data=UNPAIRED, n_buffered=6, critic_accumulation=2, generator_accumulation=2),
    Case(
        CycleGAN,
        data=PAIRS,
        identity_weight=0.0,
        n_buffered=3,
        generator=partial(ResNetTranslator, width=2, n_blocks=1, n_halvings=1),
        name="resnet",
    ),
    Case(R3GAN, data=SIGNALS, **wavegan(), name="sound"),
    Case(SeqGAN, data=SEQUENCES, n_pretraining=1, n_critic_pretraining=3, n_critic=2, n_rollouts=2),
    Case(
        SeqGAN,
        data=SEQUENCES,
        critic_penalties=[R1()],
        n_critic=1,
        n_rollouts=3,
        critic_accumulation=2,
        generator_accumulation=2,
        name="accumulated",
    ),
    Case(IRGAN, data=FEEDBACK, n_critic=2),
    Case(
        IRGAN,
        data=FEEDBACK,
        n_pretraining=1,
        n_candidates=6,
        objective=Pairwise(),
        reward=SoftplusReward(),
        critic_accumulation=2,
        generator_accumulation=2,
        name="pretrained-sampled",
    ),
]

for first, second in itertools.combinations(CASES, 2):
    assert first.name != second.name, f"two rows are called {first.name}; give one a name"
