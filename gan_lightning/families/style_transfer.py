"""Johnson, Alahi & Fei-Fei, "Perceptual Losses for Real-Time Style Transfer", ECCV 2016, https://arxiv.org/abs/1603.08155."""

from __future__ import annotations

import warnings
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from gan_lightning.errors import UserError
from gan_lightning.games.game import Game, Terms
from gan_lightning.losses.objectives import NonSaturating, Objective
from gan_lightning.losses.perceptual import content_loss, gram_matrix, style_loss, total_variation
from gan_lightning.networks.base import Critic, CriticFactory, require_images, with_classes
from gan_lightning.networks.perceptual import PerceptualNetwork
from gan_lightning.networks.stylizer import StyleNetwork, StyleNetworkFactory
from gan_lightning.optimizers.specs import Adam, OptimizerSpec
from gan_lightning.protocols import Styled
from gan_lightning.shapes import Shape
from gan_lightning.stabilizers.slopes import judged_both


@final
class StyleTransfer(Game):
    r"""One network that brings any picture x into a style s: the content of x and the style's Gram matrices, in one pass.

    L_G = w_c E content(G(x, s), x) + w_s E style(G(x, s), s) + w_tv E variation(G(x, s)) - w_adv E log D(patch of G(x, s))

    L_D = -E log D(patch of s) - E log(1 - D(patch of G(x, s)))

    `losses.content_loss`, `style_loss` and `total_variation` are the first three terms. With `adversarial_weight` 0, the
    default, the critic rests: it is the option of a critic that tells patches of the style's pictures from patches of ours.
    A share of the pictures is drawn with strength 0, for which the network is to leave the picture as it is, so that strengths
    between are something between (as in Babaeizadeh & Ghiasi 2018, arXiv:1811.08560). `style/share` is logged: the style loss of
    stylized pictures as a share of what it was before.

    Args:
        generator: Builds the network, such as `Stylizer`.
        critic: Builds the critic of patches; of one style only.
        shape: Shape of the images, the data's.
        perceptual: The network whose activations are compared.
        content_weight: w_c.
        style_weight: w_s.
        tv_weight: w_tv.
        adversarial_weight: w_adv.
        patch_size: Side of the patches that the critic sees.
        unchanged_share: Share of the pictures whose strength is 0.
        objective: The adversarial losses.
        critic_optimizer: Optimizer of the critic.
        generator_optimizer: Optimizer of the generator (the paper's).
        **kwargs: Those of `Game`.

    Raises:
        UserError: A weight is negative, or a share or size is out of its range.
    """

    generator: StyleNetwork
    critic: Critic
    generator_average: StyleNetwork

    def __init__(
        self,
        generator: StyleNetworkFactory,
        critic: CriticFactory,
        shape: Shape,
        perceptual: PerceptualNetwork,
        content_weight: float = 1.0,
        style_weight: float = 30.0,
        tv_weight: float = 1.0,
        adversarial_weight: float = 0.0,
        patch_size: int = 64,
        unchanged_share: float = 0.1,
        objective: Objective = NonSaturating(),
        critic_optimizer: OptimizerSpec = Adam(lr=2e-4, betas=(0.5, 0.999)),
        generator_optimizer: OptimizerSpec = Adam(lr=1e-3, betas=(0.9, 0.999)),
        **kwargs: Any,
    ) -> None:
        images = require_images(shape)
        if not 1 <= patch_size <= min(images.height, images.width):
            raise UserError(
                f"patch_size must be in [1, {min(images.height, images.width)}], the images' side, got {patch_size}"
            )
        weights = {
            "content_weight": content_weight,
            "style_weight": style_weight,
            "tv_weight": tv_weight,
            "adversarial_weight": adversarial_weight,
        }
        for name, weight in weights.items():
            if weight < 0:
                raise UserError(f"{name} must not be negative, got {weight}")
        if not 0 <= unchanged_share < 1:
            raise UserError(f"unchanged_share must be in [0, 1), got {unchanged_share}")
        classes = kwargs.get("classes")
        patch = type(images)(patch_size, patch_size, images.channels)
        super().__init__(
            with_classes(generator, len(classes or []))(shape),
            critic(patch),
            critic_optimizer=critic_optimizer,
            generator_optimizer=generator_optimizer,
            **kwargs,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attribute .* is an instance of .nn.Module.")
            self.save_hyperparameters(logger=False)
        self.shape, self.perceptual, self.objective = shape, perceptual, objective
        self.patch_size, self.unchanged_share, self.weights = patch_size, unchanged_share, weights
        self.n_styles = self.generator.n_classes
        self.watch.vanishing_term = objective.name
        self._pictures: list[Tensor] = []
        self._targets: dict[str, Tensor] = {}

    def critic_updates_in_round(self, update: int) -> int:
        """Return 0 where no adversarial term asks for a critic."""
        return self.n_critic if self.weights["adversarial_weight"] else 0

    def check(self) -> None:
        """Refuse data without the styles that the network was built for, and load the perceptual network."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, Styled):
            raise UserError(
                f"StyleTransfer needs pictures of styles, and {type(data).__name__} has none; take StyledFolder"
            )
        if len(data.styles()) != self.n_styles:
            raise UserError(
                f"the network has n_classes {self.n_styles} styles and the data have {len(data.styles())}; set "
                "model.generator.n_classes to auto"
            )
        if self.weights["adversarial_weight"] and self.n_styles > 1:
            raise UserError(
                f"adversarial_weight {self.weights['adversarial_weight']} trains a critic of one style's patches, and there are "
                f"{self.n_styles} styles; give one, or adversarial_weight 0"
            )
        smallest = min(min(picture.shape[1:]) for picture in data.styles())
        if smallest < self.patch_size and self.weights["adversarial_weight"]:
            raise UserError(f"a style's picture has a side of {smallest}, below patch_size {self.patch_size}; lower it")
        if self.trainer.state.fn == "fit":
            self.perceptual.load()

    def setup(self, stage: str) -> None:
        """Look at the styles."""
        super().setup(stage)
        if stage == "fit":
            self._pictures = [picture[None] / 127.5 - 1 for picture in self.trainer.datamodule.styles()]  # type: ignore[attr-defined]
            self._targets = {}

    def critic_turn(self, batch: Any) -> Terms:
        """Return the objective's loss on patches of the style and of stylized pictures."""
        images = batch.real
        with torch.no_grad():
            fake = self.generator(images, images.new_zeros(len(images), dtype=torch.long))
        picture = self._pictures[0].to(images).expand(len(images), -1, -1, -1)
        real, fake = self._patches(picture), self._patches(fake)
        return {self.objective.name: self.objective.critic_loss(*judged_both(self.critic, (real,), (fake,)))}

    def generator_turn(self, batch: Any) -> Terms:
        """Return the terms of content, style, roughness and critic on stylized pictures, and of those left as they are."""
        images = batch.real
        labels = self.noise.integers(self.n_styles, len(images))
        strength = (self.noise.uniform(len(images)) >= self.unchanged_share).to(images)
        made = self.generator(images, labels, strength)
        targets = {layer: grams[labels] for layer, grams in self._style_targets(images).items()}
        with torch.no_grad():
            before = self.perceptual(images)
        content = {layer: before[layer] for layer in self.perceptual.content_layers}
        maps, weights = self.perceptual(made), self.weights

        def mean(losses: Tensor) -> Tensor:  # over the pictures of this process
            return (strength * losses).mean()

        own, left = style_loss(before, targets), style_loss(maps, targets)
        self.record({"style/share": (strength * left / own.clamp(min=1e-12)).sum() / strength.sum().clamp(min=1)})
        terms = {
            "content": weights["content_weight"] * mean(content_loss(maps, content)),
            "style": weights["style_weight"] * mean(left),
            "variation": weights["tv_weight"] * mean(total_variation(made)),
        }
        if self.unchanged_share:
            apart = l1_loss(made, images, reduction="none").mean((1, 2, 3))
            terms["unchanged"] = weights["content_weight"] * ((1 - strength) * apart).mean()
        if weights["adversarial_weight"]:
            loss = self.objective.generator_loss(self.critic(self._patches(made)))
            terms[self.objective.name] = weights["adversarial_weight"] * loss
        return terms

    def _style_targets(self, images: Tensor) -> dict[str, Tensor]:
        """Return each layer's Gram matrices of all styles, `(n_styles, C, C)`."""
        if not self._targets:
            with torch.no_grad():
                found = [
                    self.perceptual(picture.to(images), self.perceptual.style_layers) for picture in self._pictures
                ]
                self._targets = {
                    layer: torch.cat([gram_matrix(maps[layer]) for maps in found])
                    for layer in self.perceptual.style_layers
                }
        return self._targets

    def _patches(self, images: Tensor) -> Tensor:
        """Return a random patch of each image."""
        side = self.patch_size
        places = self.noise.uniform(len(images), 2)
        rows = ((places[:, 0] * (images.shape[2] - side + 1)).long()).tolist()
        columns = ((places[:, 1] * (images.shape[3] - side + 1)).long()).tolist()
        cut = [image[:, y : y + side, x : x + side] for image, y, x in zip(images, rows, columns, strict=True)]
        return torch.stack(cut)

    @torch.no_grad()
    def stylize(self, images: Tensor, style: int = 0, strength: float = 1.0) -> Tensor:
        """Return images `(N, C, H, W)` in [-1, 1], of any size, in a style, by the averaged network.

        Args:
            images: The images.
            style: Index of the style.
            strength: 0 for the picture as it is, 1 for the style.
        """
        images = images.to(self.device, self.dtype_of_samples)
        labels = torch.full((len(images),), style, device=self.device)
        return self.generator_average(images, labels, images.new_full((len(images),), strength))
