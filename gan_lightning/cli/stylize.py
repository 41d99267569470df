"""`gan-lightning stylize`: pictures in another one's style, by changing each step by step, or by a trained network."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from gan_lightning import __version__
from gan_lightning.cli.devices import chosen_device
from gan_lightning.data.base import scale
from gan_lightning.errors import UserError, nearest
from gan_lightning.evaluation.cards import file_hash
from gan_lightning.evaluation.picture_files import (
    Opened,
    PictureFiles,
    as_taken,
    empty_folder,
    refuse_idle_range,
    write_card,
    write_picture,
)
from gan_lightning.evaluation.pictures import to_uint8
from gan_lightning.families.style_transfer import StyleTransfer
from gan_lightning.games.restore import load_finite_game
from gan_lightning.games.stylizing import SMALLEST, smallest_side, stylized
from gan_lightning.networks.patch import PatchCritic
from gan_lightning.networks.perceptual import EfficientNetPerceptual, PerceptualNetwork, RandomFilters, VGGPerceptual

CARD = "stylize.json"


@dataclass(frozen=True)
class Options:
    """What the command was given; None where it was left out."""

    source: str
    out: str
    style: str | None
    ckpt_path: str | None
    strength: float
    steps: int | None
    size: int | None
    network: str | None
    weights: str | None
    critic_weight: float | None
    seed: int | None
    value_range: list[float] | None
    device: str
    trust: bool


def stylize(options: Options) -> None:
    """Write `out/<name>.png` of each picture, and `out/stylize.json`, which says how they were made.

    Raises:
        UserError: A picture, the style, the checkpoint, an option or the folder cannot be used.
        RunFailed: The disk is full.
    """
    pictures = PictureFiles(options.source, options.value_range)
    device = chosen_device(options.device)
    if options.ckpt_path is not None:
        refuse_idle_range(options.value_range, pictures)
        apply, facts = _by_checkpoint(options, device)
    else:
        apply, facts = _by_steps(options, device, pictures)
    folder = empty_folder(options.out)
    found: dict[str, Any] = {}
    for name, picture in pictures:
        begun = time.perf_counter()
        made, numbers = apply(picture)
        path = write_picture(folder, name, to_uint8(made.cpu())[0], picture.alpha)
        found[name] = {"file": path.name, "seconds": round(time.perf_counter() - begun, 2), **numbers}
        if numbers:
            print(
                f"{name}: style loss {numbers['own_style_loss']:.4f} -> {numbers['style_loss']:.4f} "
                f"({numbers['style_loss'] / max(numbers['own_style_loss'], 1e-12):.1%}), content loss "
                f"{numbers['content_loss']:.3f}, {found[name]['seconds']} s",
                file=sys.stderr,
            )
    card = {"schema": 1, **facts, "strength": options.strength, "pictures": found, "gan_lightning": __version__}
    write_card(folder / CARD, card)
    print(f"{len(found)} pictures in {folder}", file=sys.stderr)


def _by_steps(options: Options, device: torch.device, pictures: PictureFiles) -> tuple[Any, dict[str, Any]]:
    """Return what makes a picture by changing it step by step, and the card's facts of it."""
    if options.style is None:
        raise UserError("stylize needs --style PICTURE, or --ckpt_path of a network that was trained for styles")
    if options.seed is not None and options.critic_weight is None and options.network != "random_filters":
        raise UserError(
            f"--seed {options.seed} decides nothing here: it is of --critic_weight and of --network random_filters; leave "
            "it out"
        )
    least = smallest_side(options.critic_weight is not None)
    why = "" if least == SMALLEST else f", as the patches of --critic_weight {options.critic_weight:g}"
    if options.size is not None and options.size < least:
        raise UserError(f"--size must be at least {least}{why}, got {options.size}")
    style = _style(options, pictures, least, why)
    for name, sides in pictures.sizes.items():
        if min(sides) < least:
            raise UserError(
                f"{pictures.files.describe(name)} has {sides[1]}x{sides[0]} pixels; a picture to stylize has at least "
                f"{least} on each side{why}; leave it out, or enlarge it"
            )
    seed = options.seed or 0
    network = _network(options, seed).load()
    critic = None
    if options.critic_weight is not None:
        critic = partial(PatchCritic, width=32, n_layers=2, norm=nn.Identity)
    steps, size = options.steps or 300, options.size or 512

    def apply(picture: Opened) -> tuple[Tensor, dict[str, float]]:
        with tqdm(total=steps, desc="stylizing", unit="step", disable=None, leave=False) as bar:
            made = stylized(
                scale(picture.colours[None], torch.float32).to(device),
                scale(style.colours[None], torch.float32).to(device),
                network,
                steps,
                options.strength,
                critic=critic,
                critic_weight=options.critic_weight or 0.0,
                size=size,
                seed=seed,
                progress=lambda step, loss: bar.update() and None,
            )
        return made.picture, {
            "own_style_loss": made.own,
            "style_loss": made.style,
            "content_loss": made.content,
        }

    facts = {
        "method": "Gatys et al. 2015: one picture, changed step by step",
        "style": options.style,
        "network": network.name,
        "style_layers": list(network.style_layers),
        "content_layers": list(network.content_layers),
        "losses": "gan_lightning.losses.style_loss and content_loss: Gram matrices over C H W, relative to the style's",
        "steps": steps,
        "size": size,
        "critic_weight": options.critic_weight,
        "seed": seed,
    }
    return apply, facts


def _by_checkpoint(options: Options, device: torch.device) -> tuple[Any, dict[str, Any]]:
    """Return what makes a picture by one pass of a trained network, and the card's facts of it."""
    given = {
        "--steps": options.steps,
        "--size": options.size,
        "--network": options.network,
        "--weights": options.weights,
        "--critic_weight": options.critic_weight,
        "--seed": options.seed,
    }
    for name, value in given.items():
        if value is not None:
            raise UserError(f"{name} {value} is of pictures changed step by step; leave it out with --ckpt_path")
    if not options.strength <= 1:
        raise UserError(f"--strength of a trained network must be in (0, 1], got {options.strength}")
    assert options.ckpt_path is not None
    game = load_finite_game(options.ckpt_path, options.trust)
    if not isinstance(game, StyleTransfer):
        raise UserError(f"{options.ckpt_path} is of {type(game).__name__}; stylize takes a checkpoint of StyleTransfer")
    names = game.classes or [str(number) for number in range(game.n_styles)]
    style = options.style
    if style is None:
        if len(names) > 1:
            raise UserError(f"{options.ckpt_path} has the styles {', '.join(names)}; give one as --style")
        style = names[0]
    if style not in names:
        raise UserError(
            f"--style {style} is no style of {options.ckpt_path}{nearest(style, names)}; it has {', '.join(names)}"
        )
    game.to(device)

    def apply(picture: Opened) -> tuple[Tensor, dict[str, float]]:
        taken = scale(as_taken(picture.colours, picture.alpha, game.shape.size[0]), torch.float32).to(device)
        made = game.stylize(taken, names.index(style), options.strength)
        return made[:, :3].expand(-1, 3, -1, -1), {}

    facts = {
        "method": "Johnson et al. 2016: one pass of a trained network",
        "style": style,
        "checkpoint": options.ckpt_path,
        "checkpoint_sha256": file_hash(Path(options.ckpt_path)),
        "update": game.updates_done,
        "weights": "average" if game.ema_decay else "latest",
    }
    return apply, facts


def _style(options: Options, pictures: PictureFiles, least: int, why: str) -> Opened:
    """Return the style's picture; refuse one with a side below `least`, and a range that neither it nor the pictures need."""
    assert options.style is not None
    if Path(options.style).expanduser().is_dir():
        raise UserError(f"--style {options.style} is a folder; give a picture")
    files = PictureFiles(options.style, options.value_range)
    if len(files.names) > 1:
        raise UserError(f"--style {options.style} has {len(files.names)} pictures; give one")
    refuse_idle_range(options.value_range, pictures, files)
    height, width = files.sizes[files.names[0]]
    if min(height, width) < least:
        raise UserError(
            f"--style {options.style} has {width}x{height} pixels; it needs at least {least} on each side{why}"
        )
    return files.open(files.names[0])


def _network(options: Options, seed: int) -> PerceptualNetwork:
    match options.network:
        case None | "efficientnet_lite0":
            return EfficientNetPerceptual(weights_path=options.weights)
        case "vgg16":
            return VGGPerceptual(16, weights_path=options.weights)
        case "vgg19":
            return VGGPerceptual(19, weights_path=options.weights)
        case _:
            if options.weights is not None:
                raise UserError(f"--weights {options.weights} are of no use to random_filters; leave them out")
            return RandomFilters(seed=seed)
