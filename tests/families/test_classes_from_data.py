from functools import partial

import pytest

from gan_lightning.families import ACGAN, SNGAN, ProjectionGAN
from gan_lightning.games.restore import load_game
from gan_lightning.networks import (
    ClassifyingCritic,
    ConcatenatingCritic,
    ConcatenatingGenerator,
    MLPCritic,
    MLPGenerator,
)
from gan_lightning.networks.base import with_classes
from gan_lightning.shapes import Vectors
from tests.training import fit, networks

DATA = {
    "class_path": "RandomImages",
    "init_args": {"image_size": 8, "channels": 1, "n_classes": 3, "n": 32, "batch_size": 8},
}


def test_auto_takes_as_many_classes_as_the_data_have_at_any_depth():
    wrapped = partial(ConcatenatingCritic, critic=partial(MLPCritic, width=4, n_layers=1))
    for factory in (wrapped, partial(wrapped, n_classes="auto"), partial(MLPCritic, n_classes="auto")):
        assert with_classes(factory, 7)(Vectors(2)).n_classes == 7
    assert with_classes(partial(MLPCritic, n_classes=2), 7)(Vectors(2)).n_classes == 2
    assert with_classes(MLPCritic, 7)(Vectors(2)).n_classes == 0  # not conditional unless asked for
    assert with_classes(MLPCritic, 7, where_none=True)(Vectors(2)).n_classes == 7
    with pytest.raises(ValueError, match="n_classes auto is the data's, and they are not known here"):
        ConcatenatingGenerator(Vectors(2), MLPGenerator)
    with pytest.raises(ValueError, match="n_classes of MLPCritic must not be negative, got -1"):
        MLPCritic(Vectors(2), n_classes=-1)


def test_conditional_families_need_no_number():
    small = {"width": 4, "n_layers": 1}
    generator, critic = partial(MLPGenerator, latent_dim=2, **small), partial(MLPCritic, **small)
    names = ["ant", "bee", "cat"]
    game = ProjectionGAN(generator, critic, shape=Vectors(2), classes=names)
    assert game.n_classes == game.critic.n_classes == 3 and game.classes == names
    game = ACGAN(generator, partial(ClassifyingCritic, critic=critic), shape=Vectors(2), classes=names)
    assert game.n_classes == game.critic.n_classes == 3
    assert SNGAN(generator, critic, shape=Vectors(2), classes=names).n_classes == 0


@pytest.mark.parametrize("n_classes", ["auto", 0])
def test_n_classes_comes_from_the_data_and_the_checkpoint_knows_it(tmp_path, n_classes):
    config = {"name": "c", "data": DATA, "model": {"class_path": "ConditionalGAN", "init_args": networks(n_classes)}}
    outcome = fit(tmp_path, config, "--trainer.max_steps", 1)
    assert outcome.code == 0, outcome.err
    game = load_game(tmp_path / "c/checkpoints/last.ckpt")
    assert game.n_classes == game.critic.n_classes == 3 and game.classes == ["0", "1", "2"]
