"""Generators and critics, one file per architecture, and the layers they are made of."""

from gan_lightning.networks.base import (
    Critic,
    CriticFactory,
    Generator,
    GeneratorFactory,
    Ranker,
    RankerFactory,
    SequenceGenerator,
    Translator,
    TranslatorFactory,
)
from gan_lightning.networks.biggan import BigGANCritic, BigGANGenerator
from gan_lightning.networks.dcgan import DCGANCritic, DCGANGenerator
from gan_lightning.networks.encoders import (
    ConvEncoder,
    Encoder,
    EncoderFactory,
    MLPEncoder,
    SpectrallyNormalizedEncoder,
)
from gan_lightning.networks.joint_critic import (
    ConvJointCritic,
    JointCritic,
    JointCriticFactory,
    MLPJointCritic,
    SpectrallyNormalizedJointCritic,
)
from gan_lightning.networks.layers.activations import (
    Activation,
    LeakyReLU,
    LeakyReLUTenth,
    Maxout,
    ShiftedSoftplus,
)
from gan_lightning.networks.layers.attention import SelfAttention
from gan_lightning.networks.layers.conditional import (
    ChannelLayerNorm,
    ConditionalBatchNorm2d,
    InstanceNorm,
    Normalisation,
)
from gan_lightning.networks.layers.initialization import He, Initialization, Normal, Orthogonal, Xavier
from gan_lightning.networks.layers.spectral_norm import spectrally_normalize
from gan_lightning.networks.mlp import MLPCritic, MLPGenerator
from gan_lightning.networks.patch import MultiScaleCritic, PatchCritic
from gan_lightning.networks.perceptual import EfficientNetPerceptual, PerceptualNetwork, RandomFilters, VGGPerceptual
from gan_lightning.networks.projected import ProjectedCritic
from gan_lightning.networks.r3gan import R3GANCritic, R3GANGenerator
from gan_lightning.networks.rankers import MatrixFactorization, MLPRanker, Popularity
from gan_lightning.networks.sagan import SAGANCritic, SAGANGenerator
from gan_lightning.networks.seq_gan import LSTMGenerator, TextCNNCritic
from gan_lightning.networks.sngan import SNGANCNNCritic, SNGANCNNGenerator, SNGANResNetCritic, SNGANResNetGenerator
from gan_lightning.networks.stylizer import StyleNetwork, StyleNetworkFactory, Stylizer
from gan_lightning.networks.super_resolution import RRDBNet, SRResNet, Upscaler, UpscalerFactory
from gan_lightning.networks.text import TextCritic, TextGenerator
from gan_lightning.networks.translation import ResNetTranslator, UNetTranslator
from gan_lightning.networks.wavegan import PhaseShuffle, WaveGANCritic, WaveGANGenerator
from gan_lightning.networks.wgan_gp import (
    WGANGPCNNCritic,
    WGANGPCNNGenerator,
    WGANGPGoodCritic,
    WGANGPGoodGenerator,
    WGANGPResNetCritic,
    WGANGPResNetGenerator,
)
from gan_lightning.networks.wrappers import (
    InitializedCritic,
    InitializedGenerator,
    SpectrallyNormalizedCritic,
    SpectrallyNormalizedGenerator,
)
from gan_lightning.networks.wrappers.classifying import ClassifyingCritic
from gan_lightning.networks.wrappers.concatenation import ConcatenatingCritic, ConcatenatingGenerator
from gan_lightning.networks.wrappers.frozen import FrozenCritic
from gan_lightning.networks.wrappers.minibatch_discrimination import (
    MinibatchDiscrimination,
    MinibatchDiscriminationCritic,
)
from gan_lightning.networks.wrappers.recomputed import RecomputedCritic, RecomputedGenerator
from gan_lightning.networks.wrappers.virtual_batch_norm import VirtualBatchNorm, VirtualBatchNormGenerator

# their names in 0.1.0
Initialisation = Initialization
InitialisedCritic = InitializedCritic
InitialisedGenerator = InitializedGenerator
SpectrallyNormalisedCritic = SpectrallyNormalizedCritic
SpectrallyNormalisedEncoder = SpectrallyNormalizedEncoder
SpectrallyNormalisedGenerator = SpectrallyNormalizedGenerator
SpectrallyNormalisedJointCritic = SpectrallyNormalizedJointCritic
spectrally_normalise = spectrally_normalize

__all__ = [
    "Activation",
    "BigGANCritic",
    "BigGANGenerator",
    "ChannelLayerNorm",
    "ClassifyingCritic",
    "ConcatenatingCritic",
    "ConcatenatingGenerator",
    "ConditionalBatchNorm2d",
    "ConvEncoder",
    "ConvJointCritic",
    "Critic",
    "CriticFactory",
    "DCGANCritic",
    "DCGANGenerator",
    "Encoder",
    "EncoderFactory",
    "FrozenCritic",
    "Generator",
    "GeneratorFactory",
    "He",
    "Initialization",
    "InitializedCritic",
    "InitializedGenerator",
    "JointCritic",
    "JointCriticFactory",
    "InstanceNorm",
    "LSTMGenerator",
    "LeakyReLU",
    "LeakyReLUTenth",
    "Maxout",
    "MLPCritic",
    "MLPEncoder",
    "MLPGenerator",
    "MLPJointCritic",
    "MLPRanker",
    "MatrixFactorization",
    "MinibatchDiscrimination",
    "MinibatchDiscriminationCritic",
    "MultiScaleCritic",
    "Normal",
    "Normalisation",
    "Orthogonal",
    "PatchCritic",
    "PhaseShuffle",
    "Popularity",
    "ProjectedCritic",
    "R3GANCritic",
    "R3GANGenerator",
    "Ranker",
    "RankerFactory",
    "RecomputedCritic",
    "RecomputedGenerator",
    "ResNetTranslator",
    "SAGANCritic",
    "SAGANGenerator",
    "SNGANCNNCritic",
    "SNGANCNNGenerator",
    "SNGANResNetCritic",
    "SNGANResNetGenerator",
    "SelfAttention",
    "SequenceGenerator",
    "ShiftedSoftplus",
    "SpectrallyNormalizedCritic",
    "SpectrallyNormalizedEncoder",
    "SpectrallyNormalizedGenerator",
    "SpectrallyNormalizedJointCritic",
    "TextCNNCritic",
    "TextCritic",
    "TextGenerator",
    "Translator",
    "TranslatorFactory",
    "UNetTranslator",
    "VirtualBatchNorm",
    "VirtualBatchNormGenerator",
    "WGANGPCNNCritic",
    "WGANGPCNNGenerator",
    "WGANGPGoodCritic",
    "WGANGPGoodGenerator",
    "WGANGPResNetCritic",
    "WGANGPResNetGenerator",
    "WaveGANCritic",
    "WaveGANGenerator",
    "Xavier",
    "spectrally_normalize",
    "EfficientNetPerceptual",
    "PerceptualNetwork",
    "RandomFilters",
    "VGGPerceptual",
    "Stylizer",
    "StyleNetwork",
    "StyleNetworkFactory",
    "RRDBNet",
    "SRResNet",
    "Upscaler",
    "UpscalerFactory",
]
