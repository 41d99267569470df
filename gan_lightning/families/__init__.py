"""The families: one file each, named after its paper."""

from gan_lightning.families.acgan import ACGAN
from gan_lightning.families.ali import ALI
from gan_lightning.families.bigan import BiGAN
from gan_lightning.families.biggan import BigGAN
from gan_lightning.families.conditional_gan import ConditionalGAN
from gan_lightning.families.cycle_gan import CycleGAN
from gan_lightning.families.dcgan import DCGAN
from gan_lightning.families.dragan import DRAGAN
from gan_lightning.families.f_gan import FGAN
from gan_lightning.families.geometric_gan import GeometricGAN
from gan_lightning.families.irgan import IRGAN
from gan_lightning.families.lsgan import LSGAN
from gan_lightning.families.mcgan import McGAN
from gan_lightning.families.minimax_gan import MinimaxGAN
from gan_lightning.families.mmd_gan import MMDGAN
from gan_lightning.families.non_saturating_gan import NonSaturatingGAN
from gan_lightning.families.pix2pix import Pix2Pix
from gan_lightning.families.projection_gan import ProjectionGAN
from gan_lightning.families.r3gan import R3GAN
from gan_lightning.families.sagan import SAGAN
from gan_lightning.families.seq_gan import SeqGAN
from gan_lightning.families.sngan import SNGAN
from gan_lightning.families.srgan import SRGAN
from gan_lightning.families.style_transfer import StyleTransfer
from gan_lightning.families.unrolled_gan import UnrolledGAN
from gan_lightning.families.wgan import WGAN
from gan_lightning.families.wgan_div import WGANDiv
from gan_lightning.families.wgan_gp import WGANGP

__all__ = [
    "ACGAN",
    "ALI",
    "DCGAN",
    "DRAGAN",
    "FGAN",
    "IRGAN",
    "LSGAN",
    "MMDGAN",
    "R3GAN",
    "SAGAN",
    "SNGAN",
    "SRGAN",
    "WGAN",
    "WGANGP",
    "BiGAN",
    "BigGAN",
    "ConditionalGAN",
    "CycleGAN",
    "GeometricGAN",
    "McGAN",
    "MinimaxGAN",
    "NonSaturatingGAN",
    "Pix2Pix",
    "ProjectionGAN",
    "SeqGAN",
    "StyleTransfer",
    "UnrolledGAN",
    "WGANDiv",
]
