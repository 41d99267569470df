"""`import gan_lightning as gl`: loading, data sets as they come, and Lightning's trainer with its own callbacks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.profilers import SimpleProfiler
from PIL import Image
from torch.utils.data import Dataset

import gan_lightning as gl
from gan_lightning.execution.ranks import close_process_group
from gan_lightning.families import NonSaturatingGAN
from tests.cases import GREY, LABELLED, N_CLASSES, VECTORS, Case, mlp
from tests.training import SaveAt, train, trainer

CASE = Case(gl.families.SNGAN, data=LABELLED, n_critic=1, **mlp(N_CLASSES), classes=["cat", "dog", "owl"])


def test_names_are_there_and_wrong_ones_are_not():
    for name in gl.__all__:
        assert getattr(gl, name) is not None and name in dir(gl)
    with pytest.raises(AttributeError, match="no attribute 'famlies'"):
        gl.famlies  # noqa: B018


def test_the_import_is_light():
    code = "import sys, gan_lightning; assert not {'torch', 'lightning', 'numpy', 'jsonargparse'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    trainer(folder, 2, [SaveAt(folder, {2})]).fit(CASE.game(), datamodule=CASE.data())
    return folder / "2.ckpt"


def test_load_is_ready_to_sample(checkpoint, image_run):
    game = gl.load(checkpoint)
    assert not game.training and game.updates_done == 2 and game.classes == ["0", "1", "2"]
    assert gl.load(image_run).updates_done == 6
    assert game.sample(5, labels=["2", 0]).equal(game.sample(5, labels=[2, 0]))
    assert game.sample(2, labels="1").equal(game.sample(2, labels=torch.tensor([1])))
    with pytest.raises(gl.UserError, match=r"there is no class 'cta'; the classes are 0, 1, 2"):
        game.sample(1, labels=["cta"])
    with pytest.raises(gl.UserError, match="no checkpoint in .*give a checkpoint, a run folder, or a shared one"):
        gl.load(checkpoint.parent)
    with pytest.raises(gl.UserError, match="no checkpoint at"):
        gl.load("nothing.ckpt")


def test_load_encodes(tmp_path):
    case = Case(gl.families.ALI, data=VECTORS)
    trainer(tmp_path, 1, [SaveAt(tmp_path, {1})]).fit(case.game(), datamodule=case.data())
    game, real = gl.load(tmp_path / "1.ckpt"), case.data().reference().images[:4]
    assert game.encode(real).shape == (4, 3) and game.reconstruct(real).shape == real.shape


def test_load_from_checkpoint_is_as_lightnings(checkpoint):
    game = gl.families.SNGAN.load_from_checkpoint(checkpoint)
    assert game.training and game.updates_done == 2 and game.n_critic == 1
    assert game.sample(3).equal(gl.load(checkpoint).sample(3))
    other = gl.Game.load_from_checkpoint(
        checkpoint, map_location="cpu", strict=True, weights_only=False, n_critic=3, critic_optimizer=gl.SGD(lr=0.5)
    )
    assert type(other) is gl.families.SNGAN and other.n_critic == 3 and other.players[0].spec == gl.SGD(lr=0.5)
    with pytest.raises(gl.UserError, match="is a checkpoint of SNGAN, not of WGANGP; call SNGAN.load_from_checkpoint"):
        gl.families.WGANGP.load_from_checkpoint(checkpoint)
    with pytest.raises(gl.UserError, match="hparams_file"):
        gl.families.SNGAN.load_from_checkpoint(checkpoint, hparams_file="hparams.yaml")
    with pytest.raises(gl.UserError, match="map_location must be a device"):
        gl.families.SNGAN.load_from_checkpoint(checkpoint, map_location=lambda storage, place: storage)
    with pytest.raises(gl.UserError, match="n_critc"):
        gl.families.SNGAN.load_from_checkpoint(checkpoint, n_critc=3)
    with pytest.raises(TypeError, match="load_from_checkpoint"):
        game.load_from_checkpoint(checkpoint)


class OwnGAN(gl.GAN):
    """A family of a user's module."""

    def critic_loss(self, real, fake, labels):
        return {"hinge": gl.losses.hinge_critic_loss(self.critic(real, labels), self.critic(fake, labels))}

    def generator_loss(self, real, fake, labels):
        return {"hinge": gl.losses.hinge_generator_loss(self.critic(fake, labels))}


def test_an_own_familys_module_is_trusted_when_it_is_asked(tmp_path):
    case = Case(OwnGAN, data=VECTORS, critic_optimizer=gl.Adam(lr=1e-3), generator_optimizer=gl.Adam(lr=1e-3))
    trainer(tmp_path, 1, [SaveAt(tmp_path, {1})]).fit(case.game(), datamodule=case.data())
    assert type(OwnGAN.load_from_checkpoint(tmp_path / "1.ckpt")) is OwnGAN
    assert type(gl.load(tmp_path / "1.ckpt", trust=True)) is OwnGAN
    with pytest.raises(gl.UserError, match="trust=True"):
        gl.load(tmp_path / "1.ckpt")


def test_lightnings_callbacks_and_profiler_work(tmp_path, request):
    request.addfinalizer(close_process_group)  # Lightning leaves it open, and warns the next run as a rank of several
    stop = EarlyStopping("loss/critic", min_delta=100.0, patience=1, check_on_train_epoch_end=True)
    best = ModelCheckpoint(tmp_path, monitor="loss/critic", save_last=True)
    profiler = SimpleProfiler(tmp_path, "profile")
    fitter = gl.Trainer(
        strategy="gan_ddp",
        accelerator="cpu",
        devices=1,
        max_epochs=5,
        logger=gl.loggers.RunCSVLogger(tmp_path),
        log_every_n_steps=1,
        callbacks=[stop, best, LearningRateMonitor("step")],
        profiler=profiler,
        default_root_dir=tmp_path,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    game = CASE.game(critic_optimizer=gl.TorchOptimizer("AdamW", lr=1e-3))
    fitter.fit(game, datamodule=CASE.data())
    assert stop.stopped_epoch == 1 and game.updates_done == fitter.global_step == 24
    assert gl.load(best.last_model_path).updates_done == 24
    table = (tmp_path / "metrics.csv").read_text()
    assert "lr-AdamW" in table and "loss/critic" in table
    assert "run_training_batch" in next(tmp_path.glob("*profile*")).read_text()


class Faces(Dataset):
    """Pictures of Pillow and names, as torchvision's data sets without a transform."""

    classes = ["cat", "dog"]

    def __init__(self, sizes=((20, 12), (12, 20))):
        self.sizes = sizes

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return Image.new("RGB", self.sizes[i % 2], (255 * (i % 2), 0, 0)), i % 2


class ClassLabel:
    names = ["cat", "dog"]


class HuggingFace:
    """What a Hugging Face data set answers: rows by number, and features."""

    features = {"image": object(), "label": ClassLabel()}

    def __len__(self):
        return 4

    def __getitem__(self, i):
        return {"image": Image.new("L", (8, 8), 10 * i), "label": i % 2}


def test_pictures_of_any_data_set_become_uint8_images():
    data = gl.data.from_dataset(Faces(), image_size=8)
    assert data.found() == "4 images of 3x8x8, 2 classes: cat 2, dog 2"
    assert data.reference().images[:, 0, 0, 0].tolist() == [0, 255, 0, 255]
    data = gl.data.from_dataset(HuggingFace(), batch_size=2)
    assert data.found() == "4 images of 1x8x8, 2 classes: cat 2, dog 2" and data.batch_size == 2
    assert data.reference().images[:, 0, 0, 0].tolist() == [0, 10, 20, 30]
    with pytest.raises(gl.UserError, match="picture 1 is 12x20 and the first one 20x12; give image_size"):
        gl.data.from_dataset(Faces())


@pytest.mark.parametrize(
    ("samples", "options", "shape", "dtype", "ends"),
    [
        (np.zeros((4, 8, 8, 3), np.uint8), {}, (3, 8, 8), torch.uint8, (0, 0)),
        (np.full((4, 8, 8), 255, np.uint8), {}, (1, 8, 8), torch.uint8, (255, 255)),
        (torch.full((4, 3, 8, 8), 7), {}, (3, 8, 8), torch.uint8, (7, 7)),
        (torch.tensor([0.0, 1.0]).repeat(4, 1, 4, 2), {}, (1, 4, 4), torch.float32, (-1, 1)),
        (torch.tensor([-1.0, 0.5]).repeat(4, 1, 4, 2), {}, (1, 4, 4), torch.float32, (-1, 0.5)),
        (torch.tensor([0.0, 16.0]).repeat(4, 4, 2), {"value_range": (0, 16)}, (1, 4, 4), torch.float32, (-1, 1)),
        (torch.tensor([0.0, 255.0]).repeat(4, 1, 4, 2), {"value_range": (0, 255)}, (1, 4, 4), torch.float32, (-1, 1)),
        (np.ones((4, 2)), {}, (2,), torch.float32, (1, 1)),
        (np.arange(8).reshape(4, 2), {}, (2,), torch.float32, (0, 7)),
        (
            torch.zeros(4, 3, 16, 16, dtype=torch.uint8),
            {"image_size": 8, "channels": 1},
            (1, 8, 8),
            torch.uint8,
            (0, 0),
        ),
    ],
)
def test_arrays_and_tensors(samples, options, shape, dtype, ends):
    images = gl.data.from_dataset(samples, **options).reference().images
    assert images.shape[1:] == shape and images.dtype == dtype
    assert tuple(value.item() for value in images.aminmax()) == ends


@pytest.mark.parametrize(
    ("dataset", "options", "line"),
    [
        ({"train": Faces(), "test": Faces()}, {}, r"has the parts train, test; give one, such as dataset\['train'\]"),
        (3, {}, "a data set, an array or a tensor is wanted, got int"),
        ([], {}, "no samples"),
        ([(1, 2, 3)], {}, "3 parts"),
        (torch.rand(4, 1, 8, 8) * 255, {}, r"got \[.*give value_range=\(0, 255\)"),
        (torch.rand(4, 1, 8, 8), {"value_range": (1, 0)}, "two increasing numbers"),
        (torch.rand(4, 1, 8, 8) * 9, {"value_range": (0, 1)}, r"value_range is \(0, 1\), but the samples lie in"),
        ([torch.zeros(2), torch.zeros(3)], {}, r"sample 1 is of shape \(3,\) and the first one of \(2,\)"),
        ([(torch.zeros(2), 1), torch.zeros(2)], {}, "1 of the 2 samples have no label"),
        ([(torch.zeros(2), "a")], {"classes": ["b"]}, "there is no class 'a'; the classes are b"),
        (torch.full((4, 1, 8, 8), 300), {}, r"must lie in 0..255, got 300..300"),
    ],
)
def test_what_is_no_data_set_is_one_line(dataset, options, line):
    with pytest.raises(gl.UserError, match=line):
        gl.data.from_dataset(dataset, **options)


def test_an_evaluation_set_is_read_alike():
    data = gl.data.from_dataset(Faces(), image_size=8, evaluation=Faces(((9, 9), (9, 9))))
    assert data.reference("eval").images.shape == (4, 3, 8, 8) and data.reference("eval").labels.tolist() == [
        0,
        1,
        0,
        1,
    ]


def test_a_game_that_goes_on_without_its_checkpoint_is_told_of(tmp_path, capsys):
    game = Case(NonSaturatingGAN).game()
    train(game, GREY(), tmp_path, 2)
    assert "updates, and the trainer begins at 0" not in capsys.readouterr().err
    trainer(tmp_path, 2).fit(game, datamodule=GREY())
    assert "this game has made 2 updates, and the trainer begins at 0" in capsys.readouterr().err


def test_a_subset_that_would_not_be_one_is_refused(tmp_path):
    with pytest.raises(gl.UserError, match=r"overfit_batches=2.* data.limit N trains on a fixed subset"):
        train(Case(NonSaturatingGAN).game(), GREY(), tmp_path, 2, overfit_batches=2)


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
def test_grey_images_without_a_channel_axis_are_asked_for_another_way(dtype):
    with pytest.raises(
        gl.UserError, match=r"samples of shape \(8, 8\) may be many things; give grey images as \(N, 1, H, W\)"
    ):
        gl.data.from_dataset(np.zeros((12, 8, 8), dtype))


@pytest.mark.parametrize(("most", "told"), [(16, True), (200, False)])
def test_nearly_black_images_are_told_of(most, told, capsys):
    images = np.linspace(0, most, 768).round().astype("uint8").reshape(12, 8, 8)
    gl.data.from_dataset(images)
    assert (f"the largest here is {most}: nearly black; value_range=(0, {most})" in capsys.readouterr().err) == told
    gl.data.from_dataset(images, value_range=(0, most))
    assert not capsys.readouterr().err
