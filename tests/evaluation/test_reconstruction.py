from __future__ import annotations

import json

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from gan_lightning.cli.main import main
from gan_lightning.evaluation.reconstruction import reconstruction_errors
from gan_lightning.families import BiGAN
from gan_lightning.games.restore import load_game
from tests.cases import Case

CONFIG = """
trainer: {max_steps: 2, val_check_interval: 2, accelerator: cpu}
data: {class_path: Digits, init_args: {batch_size: 8}}
model:
  class_path: %s
  init_args:
    generator: {class_path: MLPGenerator, init_args: {width: 8, n_layers: 1, latent_dim: 3}}
    critic: {class_path: %s, init_args: {width: 8, n_layers: 1}}
%s
fidelity: {enabled: false}
"""
ENCODER = "    encoder: {class_path: MLPEncoder, init_args: {width: 8, n_layers: 1}}"


def checkpoint(folder, family, critic, encoder=""):
    (folder / "config.yaml").write_text(CONFIG % (family, critic, encoder))
    main(["fit", "--config", str(folder / "config.yaml"), "--runs_dir", str(folder), "--name", "run"])
    return folder / "run" / "checkpoints" / "last.ckpt"


def test_a_checkpoint_alone_samples_exports_and_reconstructs(tmp_path, capsys):
    path = checkpoint(tmp_path, "ALI", "MLPJointCritic", ENCODER)
    main(["sample", "--ckpt_path", str(path), "--n", "3", "--out", str(tmp_path / "samples"), "--device", "cpu"])
    assert len(list((tmp_path / "samples").glob("*.png"))) == 3
    main(["export", "--ckpt_path", str(path), "--out", str(tmp_path / "generator.pt2")])
    program = torch.export.load(tmp_path / "generator.pt2").module()
    game, latents = load_game(path), torch.randn(5, 3)
    assert_close(program(latents), game.generator_average(latents))

    capsys.readouterr()
    for out in ("one", "two"):
        main(["reconstruct", "--ckpt_path", str(path), "--n", "20", "--out", str(tmp_path / out)])
    card = json.loads((tmp_path / "one" / "reconstructions.json").read_text())
    assert card["n"] == 360 and card["update"] == 2
    assert f"per pixel of images in [-1, 1]: {card['sample_error']:.4f}" in capsys.readouterr().out
    main(["reconstruct", "--ckpt_path", str(path), "--n", "400", "--out", str(tmp_path / "all")])
    assert "--n 400: there are 360 held-out samples, and all are shown" in capsys.readouterr().err
    pictures = [Image.open(tmp_path / out / "reconstructions.png") for out in ("one", "two")]
    assert pictures[0].tobytes() == pictures[1].tobytes()
    width, height = pictures[0].size
    assert (width - 2) * 4 == (height - 2) * 16  # originals and reconstructions of 16, then of 4


def test_a_family_without_encoder_is_refused(tmp_path, capsys):
    path = checkpoint(tmp_path, "NonSaturatingGAN", "MLPCritic")
    with pytest.raises(SystemExit) as stop:
        main(["reconstruct", "--ckpt_path", str(path), "--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert "NonSaturatingGAN has no encoder" in capsys.readouterr().err.splitlines()[-1]


def test_the_errors_of_an_encoder_that_inverts_the_generator_and_of_one_that_does_not():
    game = Case(BiGAN).game().eval()

    class Map(torch.nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = torch.nn.Parameter(torch.tensor(factor))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.factor * inputs

    game.generator_average.generator, game.generator_average.encoder = Map(4.0), Map(0.25)
    samples = torch.randn(200, 3)
    errors = reconstruction_errors(game, samples, samples)
    assert errors["sample_error"] == errors["latent_error"] == 0
    assert_close(errors["mean_sample_error"], samples.var(0, correction=0).mean().item())
    assert_close(errors["mean_latent_error"], 1 / 3, rtol=0.1, atol=0)
    game.generator_average.encoder = Map(0.5)  # then G(E(x)) = 2 x and E(G(z)) = 2 z
    errors = reconstruction_errors(game, samples, samples)
    assert_close(errors["sample_error"], samples.square().mean().item())
    assert_close(errors["latent_error"], 1 / 3, rtol=0.1, atol=0)
