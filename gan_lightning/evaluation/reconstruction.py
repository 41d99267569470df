"""What a checkpoint with an encoder makes of held-out data: pictures beside their originals, and the errors."""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from torch import Tensor

from gan_lightning.data.base import RealData, scale
from gan_lightning.description import rebuild
from gan_lightning.errors import UserError, say
from gan_lightning.evaluation.output import output_folder
from gan_lightning.evaluation.pictures import grid, scatter, to_uint8
from gan_lightning.games.joint import JointGAN
from gan_lightning.games.restore import load_finite_game
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.shapes import Images

_CHUNK, _AT_MOST = 64, 10_000


def reconstruction_errors(game: JointGAN, samples: Tensor, baseline: Tensor, seed: int = 0) -> dict[str, float]:
    """Return the mean squared errors per coordinate of x -> z -> x and z -> x -> z.

    `sample_error` is that of G(E(x)) on `samples` `(n, ...)`, `latent_error` that of E(G(z)) on as many drawn latents;
    `mean_sample_error` and `mean_latent_error` are what answering with the mean would give: the one of `baseline`
    `(m, ...)`, and the drawn latents' own.
    """
    n = len(samples)
    parts = [game.reconstruct(part, seed + i).cpu() for i, part in enumerate(samples.split(_CHUNK))]
    latents = game.sample_latents(n, torch.Generator().manual_seed(seed)).to(game.device, game.dtype_of_samples)
    with torch.no_grad():
        again = [game.encode(game.generator_average(part), seed + i) for i, part in enumerate(latents.split(_CHUNK))]
    return {
        "sample_error": (torch.cat(parts) - samples).square().mean().item(),
        "mean_sample_error": (baseline.mean(0) - samples).square().mean().item(),
        "latent_error": (torch.cat(again) - latents).square().mean().item(),
        "mean_latent_error": (latents.mean(0) - latents).square().mean().item(),
    }


def held_out(checkpoint: dict[str, Any], path: str, trust: bool = False) -> RealData:
    """Return the data module of a checkpoint's config; `trust` as in `load_finite_game`.

    Raises:
        UserError: The checkpoint carries no config.
    """
    if "config" not in checkpoint:
        raise UserError(f"{path} carries no config (it was not written by gan-lightning fit), so its data are unknown")
    config = checkpoint["config"]["data"]
    data: RealData = rebuild(RealData, {"_class_path": config["class_path"], **config.get("init_args", {})}, trust)
    if state := checkpoint.get(type(data).__qualname__):
        data.load_state_dict(state)  # other data at the same place are told of
    return data


def write_reconstructions(ckpt_path: str, out: str, n: int, seed: int, trust: bool = False) -> None:
    """Write the picture of n held-out samples and their reconstructions, and the errors over the held-out split.

    `reconstructions.png` has originals and reconstructions in alternating rows (vectors: a scatter plot of both),
    `reconstructions.json` the errors, in squared units of images in [-1, 1] per pixel, or of the vectors per
    coordinate, over the first 10,000 held-out samples; they are printed too.

    Raises:
        UserError: The checkpoint has no encoder or no config, or the folder cannot be used.
    """
    checkpoint = read_checkpoint(ckpt_path, hold=True)
    game = load_finite_game(ckpt_path, trust)
    if not isinstance(game, JointGAN):
        raise UserError(f"{type(game).__name__} has no encoder to reconstruct with; ALI and BiGAN have one")
    data = held_out(checkpoint, ckpt_path, trust)
    reference = data.reference("eval")
    dtype = game.dtype_of_samples
    samples, baseline = (scale(split.images[:_AT_MOST], dtype) for split in (reference, data.reference("train")))
    folder = output_folder(out, "reconstructions.png", "reconstructions.json")
    if n > len(samples):
        say(f"--n {n}: there are {len(samples):,} held-out samples, and all are shown")
    shown = samples[:n]
    reconstructions = game.reconstruct(shown, seed).cpu()
    if isinstance(game.shape, Images):
        n_columns = min(len(shown), 16)
        rows = [
            row
            for pair in zip(shown.split(n_columns), reconstructions.split(n_columns), strict=True)
            for row in (torch.cat([part, part.new_ones(n_columns - len(part), *part.shape[1:])]) for part in pair)
        ]
        image = grid(to_uint8(torch.cat(rows)), n_columns)
    else:
        image = scatter(reconstructions, shown)
    image.save(folder / "reconstructions.png")
    errors = reconstruction_errors(game, samples, baseline, seed)
    card = {**errors, "update": game.updates_done, "n": len(samples), "seed": seed, "real": reference.description}
    (folder / "reconstructions.json").write_text(json.dumps(card, indent=2) + "\n")
    what = "pixel of images in [-1, 1]" if isinstance(game.shape, Images) else "coordinate"
    print(f"{reference.description}, update {game.updates_done}, in {folder}", file=sys.stderr)
    print(
        f"mean squared error per {what}: {errors['sample_error']:.4f} "
        f"(answering with the training mean: {errors['mean_sample_error']:.4f})\n"
        f"mean squared error per latent coordinate of E(G(z)): {errors['latent_error']:.4f} "
        f"(answering with the mean: {errors['mean_latent_error']:.4f})"
    )
