"""The families: one file each, named after its paper."""

from gan_lightning.families.dcgan import DCGAN
from gan_lightning.families.minimax_gan import MinimaxGAN
from gan_lightning.families.non_saturating_gan import NonSaturatingGAN
from gan_lightning.families.sngan import SNGAN
from gan_lightning.families.wgan import WGAN
from gan_lightning.families.wgan_gp import WGANGP

__all__ = ["DCGAN", "SNGAN", "WGAN", "WGANGP", "MinimaxGAN", "NonSaturatingGAN"]
