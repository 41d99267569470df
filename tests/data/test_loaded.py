from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import (
    DataLoader,
    Dataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from gan_lightning.data import data_of, from_dataset
from gan_lightning.errors import UserError
from gan_lightning.families import WGANGP
from gan_lightning.networks import MLPCritic, MLPGenerator
from tests.training import fit, networks, train, trainer

REAL = torch.rand(40, 1, 4, 4) * 2 - 1


def game(data, n_critic=5):
    small = {"width": 4, "n_layers": 1}
    generator, critic = partial(MLPGenerator, latent_dim=2, **small), partial(MLPCritic, **small)
    return WGANGP(generator, critic, shape=data.shape, n_critic=n_critic)


class Dictionaries(Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, i):
        return {"image": REAL[i], "label": i % 3, "path": str(i)}


class Stock(LightningDataModule):
    def train_dataloader(self):
        return DataLoader(TensorDataset(REAL))


@pytest.mark.parametrize(
    ("dataset", "got"),
    [
        (TensorDataset(REAL), "a list of 1 Tensor"),
        (TensorDataset(REAL, REAL > 0), "a list of 2 Tensor"),
        (REAL, "a Tensor"),
        (Dictionaries(), "a dict"),
    ],
)
def test_batches_that_are_no_rounds_are_refused(tmp_path, dataset, got):
    player = game(data_of(REAL))
    with pytest.raises(UserError, match=rf"WGANGP plays rounds, and the loader gave it {got}; .*data_of\(loader"):
        trainer(tmp_path, 2).fit(player, DataLoader(dataset, batch_size=8))
    assert player.critic_updates_done == 0


def test_a_loader_that_is_not_ours_becomes_rounds(tmp_path):
    data = data_of(DataLoader(Dictionaries(), batch_size=16, shuffle=True), batch_size=8)
    assert data.n_classes == 3 and torch.equal(data.reference("train").images, REAL)
    assert data.reference("eval").labels.tolist() == [i % 3 for i in range(40)]
    player = game(data)
    train(player, data, tmp_path, 2)
    assert player.critic_updates_done == 10
    assert torch.equal(data_of(TensorDataset(REAL, torch.arange(40) % 2)).reference().labels, torch.arange(40) % 2)
    assert data_of(np.zeros((6, 3, 4, 4), np.uint8), classes=["a"]).classes == ["a"]
    assert str(data_of(torch.zeros(6, 2)).shape) == "Vectors(dim=2)"
    with pytest.raises(UserError, match="labels must be one whole number for each of 40 samples"):
        data_of(TensorDataset(REAL, REAL > 0))
    with pytest.raises(UserError, match="the loader yields list of 3 parts"):
        data_of(TensorDataset(REAL, REAL, REAL))
    with pytest.raises(UserError, match=r"labels of _Loaded lie in 1\.\.3, but it has 3 classes, 0\.\.2; subtract 1"):
        data_of(REAL, torch.arange(40) % 3 + 1, classes=["a", "b", "c"]).reference("train")


def test_the_loaders_batch_size_is_taken_unless_another_is_given():
    loader = DataLoader(TensorDataset(REAL), batch_size=16)
    assert [data_of(loader).batch_size, data_of(loader, batch_size=8).batch_size, data_of(REAL).batch_size] == [
        16,
        8,
        64,
    ]
    assert [from_dataset(loader).batch_size, from_dataset(loader, batch_size=8).batch_size] == [16, 8]


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": SubsetRandomSampler([0, 2])},
        {"sampler": WeightedRandomSampler([1.0] * 40, 40)},
        {"sampler": RandomSampler(REAL, replacement=True)},
        {"sampler": RandomSampler(REAL, num_samples=4)},
        {"batch_sampler": [[0, 1], [1, 2]]},
    ],
    ids=["subset", "weighted", "replaced", "few", "batches"],
)
def test_a_loader_that_does_not_draw_each_sample_once_is_refused(options):
    for make in (data_of, from_dataset):
        with pytest.raises(UserError, match=r"the loader draws by \w+, and all .*Subset\(dataset, indices\)"):
            make(DataLoader(TensorDataset(REAL), **options))
    assert len(data_of(DataLoader(TensorDataset(REAL), sampler=RandomSampler(REAL))).reference()) == 40


def test_samples_of_other_kinds():
    assert data_of(REAL.bfloat16()).reference().images.dtype == torch.float32
    grey = torch.arange(32, dtype=torch.uint8).reshape(2, 4, 4, 1) * 8
    assert torch.equal(from_dataset(grey).reference().images, grey.permute(0, 3, 1, 2))  # 4 rows, not 4 channels
    masks = REAL > 0
    for given in (masks, masks.permute(0, 2, 3, 1).numpy()):
        assert torch.equal(from_dataset(given).reference().images, masks.to(torch.uint8) * 255)
    assert from_dataset(torch.eye(4) > 0).reference().images.tolist() == torch.eye(4).tolist()


def test_vectors_of_bytes_are_not_scaled(tmp_path):
    rows = np.array([[0, 1, 0, 255]] * 10, dtype=np.uint8)
    for make in (data_of, from_dataset):
        for given in (rows, torch.from_numpy(rows)):
            samples = make(given, batch_size=2).reference().images
            assert samples.dtype == torch.float32 and samples[0].tolist() == [0, 1, 0, 255]


def test_names_and_labels_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="labels must be whole numbers from 0, or texts, got NoneType"):
        from_dataset(REAL, [None] * 40)
    with pytest.raises(UserError, match="classes has 'a' twice"):
        from_dataset(REAL, [0, 1] * 20, classes=["a", "a"])
    with pytest.raises(UserError, match="classes names 2 classes, and the samples have no labels"):
        from_dataset(REAL, classes=["a", "b"])


def test_a_stock_data_module_is_refused_in_one_line(tmp_path):
    config = {"data": {"class_path": "tests.data.test_loaded.Stock"}}
    outcome = fit(tmp_path, {**config, "model": {"class_path": "WGANGP", "init_args": networks()}})
    assert outcome.code == 2
    assert "Stock does not declare the shape of its samples" in outcome.err and "data_of(loader)" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
