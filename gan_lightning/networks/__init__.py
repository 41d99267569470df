"""Generators and critics, one file per architecture, and the layers they are made of."""

from gan_lightning.networks.activations import Activation, LeakyReLU, LeakyReLUTenth, ShiftedSoftplus
from gan_lightning.networks.base import Critic, CriticFactory, Generator, GeneratorFactory
from gan_lightning.networks.conditional import ChannelLayerNorm, ConditionalBatchNorm2d, Normalisation
from gan_lightning.networks.dcgan import DCGANCritic, DCGANGenerator
from gan_lightning.networks.mlp import MLPCritic, MLPGenerator
from gan_lightning.networks.sngan import SNGANCNNCritic, SNGANCNNGenerator, SNGANResNetCritic, SNGANResNetGenerator
from gan_lightning.networks.spectral_norm import spectrally_normalise
from gan_lightning.networks.wgan_gp import (
    WGANGPCNNCritic,
    WGANGPCNNGenerator,
    WGANGPGoodCritic,
    WGANGPGoodGenerator,
    WGANGPResNetCritic,
    WGANGPResNetGenerator,
)

__all__ = [
    "Activation",
    "ChannelLayerNorm",
    "ConditionalBatchNorm2d",
    "Critic",
    "CriticFactory",
    "DCGANCritic",
    "DCGANGenerator",
    "Generator",
    "GeneratorFactory",
    "LeakyReLU",
    "LeakyReLUTenth",
    "MLPCritic",
    "MLPGenerator",
    "Normalisation",
    "SNGANCNNCritic",
    "SNGANCNNGenerator",
    "SNGANResNetCritic",
    "SNGANResNetGenerator",
    "ShiftedSoftplus",
    "WGANGPCNNCritic",
    "WGANGPCNNGenerator",
    "WGANGPGoodCritic",
    "WGANGPGoodGenerator",
    "WGANGPResNetCritic",
    "WGANGPResNetGenerator",
    "spectrally_normalise",
]
