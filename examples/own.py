"""A family, a network and a data set of one's own: gan-lightning fit --config examples/own.yaml, from any folder."""

import torch
from torch import nn

import gan_lightning as gl


class SoftGAN(gl.GAN):
    """L_D = E softplus(-f(x)) + E softplus(f(G(z))) + w E f(x)^2, L_G = E softplus(-f(G(z))), minimised."""

    def __init__(self, generator: gl.networks.GeneratorFactory, critic: gl.networks.CriticFactory,
                 shape: gl.shapes.Shape, drift_weight: float = 0.001, **kwargs):  # fmt: skip
        super().__init__(generator, critic, shape, **kwargs)
        self.drift_weight = drift_weight

    def critic_loss(self, real, fake, labels):
        logits = self.critic(real, labels)
        loss = gl.losses.logistic_critic_loss(logits, self.critic(fake, labels))
        return {"logistic": loss, "drift": self.drift_weight * logits.square().mean()}

    def generator_loss(self, real, fake, labels):
        return {"logistic": gl.losses.non_saturating_generator_loss(self.critic(fake, labels))}


class SineGenerator(gl.networks.Generator):
    def __init__(self, shape: gl.shapes.Shape, latent_dim: int = 4, width: int = 64):
        super().__init__()
        self.latent_dim = latent_dim
        self.hidden, self.output = nn.Linear(latent_dim, width), nn.Linear(width, shape.n_values)

    def forward(self, latents, labels=None):
        return self.output(torch.sin(3 * self.hidden(latents)))


class Spiral(gl.data.RealData):
    def __init__(self, n: int = 2000, batch_size: int = 64):
        super().__init__(batch_size=batch_size)
        self.save_hyperparameters(logger=False)
        self.n, self.image_size, self.channels = n, 0, 2  # vectors of two numbers

    def load_split(self, split):
        t = torch.rand(self.n, generator=torch.Generator().manual_seed(len(split))) * 9
        return gl.data.RealSamples(torch.stack([t.cos(), t.sin()], 1) * t[:, None] / 9, None, "a spiral")
