"""WaveGAN's networks: sizes, the phase shuffle by hand, and what is refused."""

from __future__ import annotations

import pytest
import torch

from gan_lightning.networks import PhaseShuffle, WaveGANCritic, WaveGANGenerator
from gan_lightning.networks.wavegan import n_layers, shifted
from gan_lightning.randomness import Noise, Shard
from gan_lightning.shapes import Images, Signals


@pytest.mark.parametrize("length", [16, 17, 63, 64, 100, 1000, 1024])
@pytest.mark.parametrize("n_classes", [0, 3])
def test_any_length(length, n_classes):
    shape = Signals(length, 2)
    labels = torch.tensor([2, 0]) if n_classes else None
    made = WaveGANGenerator(shape, latent_dim=3, width=2, n_classes=n_classes)(torch.randn(2, 3), labels)
    assert made.shape == (2, 2, length) and made.abs().max() <= 1
    critic = WaveGANCritic(shape, width=2, phase_shuffle=1, n_classes=n_classes)
    assert critic(made, labels).shape == (2,) and critic.last_layer() is critic.output
    assert critic.features(made).shape == (2, critic.n_features)


def test_the_papers_sizes():
    shape = Signals(16_384, 1)
    assert n_layers(16_384) == 5
    generator, critic = WaveGANGenerator(shape), WaveGANCritic(shape)
    assert generator.first.out_features == 16 * 1024 and critic.n_features == 16 * 1024
    # the paper's appendix D, table 3 and 4: weights and biases of its layers at d = 64, c = 1
    widths = [1024, 512, 256, 128, 64, 1]
    convolutions = sum(25 * a * b + b for a, b in zip(widths, widths[1:], strict=False))
    assert sum(p.numel() for p in generator.parameters()) == 100 * 16_384 + 16_384 + convolutions


def test_the_shuffle_mirrors_at_the_ends():
    row = torch.arange(6.0).expand(3, 2, 6)
    found = shifted(row, torch.tensor([[2], [-2], [0]]))
    assert found[0, 0].tolist() == [2, 1, 0, 1, 2, 3]
    assert found[1, 1].tolist() == [2, 3, 4, 5, 4, 3]
    assert found[2].equal(row[2])


def test_the_shuffle_is_of_training_and_within_its_range():
    shuffle = PhaseShuffle(2)
    ramp = torch.arange(20.0).expand(400, 1, 20)
    moved = ramp[:, 0, 10] - shuffle(ramp)[:, 0, 10]
    assert set(moved.tolist()) == {-2, -1, 0, 1, 2}
    assert shuffle.eval()(ramp) is ramp


def test_the_shuffle_of_a_share_is_that_of_its_rows_of_the_whole_batch():
    """Two sets of rows at once, as a critic is shown real and generated ones."""
    ramp = torch.arange(20.0).expand(12, 1, 20)

    def shuffled(rank: int, n_ranks: int) -> torch.Tensor:
        shuffle = PhaseShuffle(2)
        shuffle.noise = Noise(5, torch.device("cpu"), torch.float32, Shard(rank, n_ranks))
        shuffle.n_rows = 6 // n_ranks
        return shuffle(ramp[: 12 // n_ranks])

    whole = shuffled(0, 1)
    parts = [shuffled(rank, 3) for rank in range(3)]
    assert torch.cat([part[:2] for part in parts] + [part[2:] for part in parts]).equal(whole)
    assert len(whole[:, 0, 10].unique()) > 2


def test_what_is_refused():
    with pytest.raises(ValueError, match="WaveGANGenerator is for sound, but the data are images; take AudioFolder"):
        WaveGANGenerator(Images(8, 8, 1))
    with pytest.raises(ValueError, match="WaveGANCritic needs at least 16 samples, got 8"):
        WaveGANCritic(Signals(8, 1))
    with pytest.raises(ValueError, match="phase_shuffle of WaveGANCritic must be below 4"):
        WaveGANCritic(Signals(16, 1), phase_shuffle=4)
    with pytest.raises(ValueError, match="phase_shuffle of WaveGANCritic must not be negative, got -1"):
        WaveGANCritic(Signals(64, 1), phase_shuffle=-1)
