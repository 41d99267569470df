import inspect

import jsonargparse
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

import gan_lightning.data as data
from gan_lightning.data import Digits, GaussianMixture, Grid, ImageFolder, RandomImages, RealData, Ring, SwissRoll
from gan_lightning.data.base import scale
from gan_lightning.data.stream import Batch, RealSamples


class Listener(LightningModule):
    """A module with the game's clock that keeps what it is given."""

    def __init__(self, n_critic=2, seed=5):
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.n_critic, self.seed = n_critic, seed
        self.done = (0, 0)
        self.heard = []
        self.ticks = 0

    def clock(self):
        return self.done

    def batches_in_round(self, update):
        return self.n_critic

    def training_step(self, batch, batch_idx):
        self.heard.append(batch)
        self.done = (self.done[0] + 1, self.done[1] + len(batch))
        self.optimizers().step()

    def validation_step(self, batch, batch_idx):
        self.ticks += 1

    test_step = predict_step = validation_step

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def trainer(**options):
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(accelerator="cpu", devices=1, **quiet, **options)


def test_lightning_hands_rounds_to_the_module_and_resumes_by_the_clock():
    module = Listener()
    trainer(max_steps=10, limit_val_batches=0).fit(module, datamodule=RandomImages(8, n=20, batch_size=4))
    assert len(module.heard) == 10  # 2 rounds make an epoch, so this crosses several
    for batches in module.heard:
        assert isinstance(batches, list) and len(batches) == 2
        for batch in batches:
            assert isinstance(batch, Batch) and batch.labels is None
            assert batch.real.shape == (4, 3, 8, 8) and batch.real.dtype == torch.float32
            assert batch.real.min() >= -1 and batch.real.max() <= 1
    resumed = Listener()
    resumed.done = (7, 14)
    trainer(max_steps=3, limit_val_batches=0).fit(resumed, datamodule=RandomImages(8, n=20, batch_size=4))
    for mine, theirs in zip(resumed.heard, module.heard[7:], strict=True):
        assert all(torch.equal(a.real, b.real) for a, b in zip(mine, theirs, strict=True))


def test_validation_is_one_tick():
    module, source = Listener(), Ring(n=100)
    trainer(max_steps=2, val_check_interval=1).fit(module, datamodule=source)
    assert module.ticks >= 2
    for run in ("validate", "test", "predict"):
        module.ticks = 0
        getattr(trainer(), run)(module, datamodule=source)
        assert module.ticks == 1


def test_an_epoch_is_about_one_pass():
    source = RandomImages(8, n=100, batch_size=7)
    source.trainer = trainer(max_steps=1)
    source.trainer.strategy.connect(Listener(n_critic=3))
    assert len(source.train_dataloader()) == 4
    source = RandomImages(8, n=5, batch_size=64)
    source.trainer = trainer(max_steps=1)
    source.trainer.strategy.connect(Listener(n_critic=3))
    assert len(source.train_dataloader()) == 1


def test_the_seed_is_the_modules_unless_given():
    def first(seed, module_seed):
        source = RandomImages(8, seed=seed, n_classes=10)
        source.trainer = trainer(max_steps=1)
        source.trainer.strategy.connect(Listener(seed=module_seed))
        return next(iter(source.train_dataloader()))[0].labels

    assert torch.equal(first(None, 1), first(1, 2))
    assert not torch.equal(first(None, 1), first(None, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_scaling(dtype):
    grey = torch.arange(256, dtype=torch.uint8)
    expected = (torch.arange(256, dtype=torch.float64) / 127.5 - 1).to(dtype)
    torch.testing.assert_close(scale(grey, dtype), expected)
    assert scale(grey, dtype)[0] == -1 and scale(grey, dtype)[-1] == 1
    vectors = torch.tensor([[300.0, -2.0]])
    assert torch.equal(scale(vectors, dtype), vectors.to(dtype))


def test_a_double_module_gets_doubles():
    module = Listener()
    trainer(max_steps=1, limit_val_batches=0, precision="64-true").fit(module, datamodule=RandomImages(8))
    assert module.heard[0][0].real.dtype == torch.float64


def test_limit_draws_the_same_subset_of_the_training_split():
    class Ordered(RealData):
        def __init__(self, limit):
            super().__init__(limit=limit)
            self.image_size, self.channels, self.n_classes = 1, 1, 2

        def load_split(self, split):
            values = torch.arange(100, dtype=torch.uint8)
            return RealSamples(values.view(-1, 1, 1, 1), torch.arange(100) // 50, "ordered")

    some = Ordered(10).reference("train")
    assert len(some) == 10 and len(some.labels.unique()) == 2
    assert torch.equal(some.images, Ordered(10).reference("train").images)
    assert torch.equal(some.images.flatten() // 50, some.labels)
    assert some.fingerprint != Ordered(None).reference("train").fingerprint
    assert len(Ordered(10).reference("eval")) == 100


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"limit": 0}])
def test_sizes_must_be_positive(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{name} must be at least 1.*got {value}"):
        Digits(**options)


def examples(folder):
    return {
        "Digits": {"image_size": 16},
        "StackedDigits": {"n": 20, "image_size": 16},
        "StackedMNIST": {"n": 20, "image_size": 32},
        "TorchvisionImages": {"dataset": "MNIST", "dataset_kwargs": {"transform": None}},
        "ImageFolder": {"root": str(folder), "image_size": 8, "labels": "none"},
        "Ring": {"n_modes": 3},
        "Grid": {"n_side": 2},
        "SwissRoll": {"noise": 0.0},
        "GaussianMixture": {"dim": 4, "means": [1.0, 2.0]},
        "RandomImages": {"image_size": 8, "n_classes": 2},
        "RandomPairs": {"image_size": 8, "source_channels": 1},
        "DegradedFolder": {
            "root": str(folder),
            "image_size": 8,
            "degradation": {
                "class_path": "gan_lightning.data.Masked",
                "init_args": {"share": 0.5, "place": "center", "seed": 0},
            },
        },
        "SideBySide": {"root": str(folder), "image_size": 8, "direction": "BtoA"},
        "TwoFolders": {"source": str(folder), "target": str(folder), "image_size": 8},
        "UnpairedFolders": {"source": str(folder), "target": str(folder), "image_size": 8},
        "StyledFolder": {"root": str(folder), "image_size": 8, "styles": [str(folder / "one.png")]},
        "RandomStyled": {"image_size": 8, "n_styles": 2},
        "ImplicitFeedback": {"path": str(folder / "ratings"), "threshold": 3.0},
        "SyntheticFeedback": {"n_users": 3},
        "QueryDocuments": {"path": str(folder / "documents"), "threshold": 2.0},
        "AudioFolder": {"root": str(folder / "sounds"), "length": 16},
        "Melodies": {"path": str(folder / "tunes"), "parts": "all"},
        "Rolls": {"path": str(folder / "tunes"), "voices": 1},
        "Text": {"path": str(folder / "text"), "length": 4},
    }


@pytest.fixture
def folder(tmp_path):
    from PIL import Image

    Image.new("RGB", (9, 9)).save(tmp_path / "one.png")
    (tmp_path / "ratings").write_text("1\t2\t3\n")
    (tmp_path / "documents").write_text("2 qid:1 1:0.5\n")
    for name in ("tunes", "sounds"):
        (tmp_path / name).mkdir()
    for name in ("one", "other"):
        (tmp_path / f"tunes/{name}.abc").write_text("X:1\nM:4/4\nL:1/4\nK:C\nC E G c |\n")
    (tmp_path / "sounds/one.wav").write_bytes(b"")
    (tmp_path / "text").write_text("to be or not to be")
    return tmp_path


CLASSES = sorted(name for name, cls in vars(data).items() if inspect.isclass(cls) and issubclass(cls, RealData))
ABSTRACT = ("RealData", "ImagePairs")


def test_every_data_module_is_listed(folder):
    assert {*examples(folder), *ABSTRACT} == set(CLASSES)


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ABSTRACT])
def test_yaml_builds_it_and_a_checkpoint_carries_its_arguments(name, folder):
    arguments = examples(folder)[name]
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(RealData, "data")
    config = parser.parse_object({"data": {"class_path": f"gan_lightning.data.{name}", "init_args": arguments}})
    again = parser.parse_string(parser.dump(config))
    module = parser.instantiate_classes(again).data
    assert type(module).__name__ == name
    if name in ("ImplicitFeedback", "SyntheticFeedback", "QueryDocuments", "Text", "Melodies", "Rolls", "AudioFolder"):
        assert module.shape.n_values >= 2 and module.n_classes == 0
    else:
        assert module.image_size >= 0 and module.channels >= 1 and module.n_classes >= 0
    for key, value in arguments.items():
        assert module.hparams[key] == value
    assert set(module.hparams) == set(inspect.signature(type(module)).parameters)
    torch.save(dict(module.hparams), folder / "hparams.pt")
    loaded = torch.load(folder / "hparams.pt", weights_only=True)
    assert dict(type(module)(**loaded).hparams) == dict(module.hparams)


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ABSTRACT])
def test_every_argument_is_documented(name):
    cls = getattr(data, name)
    lines = [line.strip() for line in cls.__doc__.splitlines()]  # Python 3.13 takes the indentation away
    for argument in inspect.signature(cls).parameters:
        assert any(line.startswith(f"{argument}: ") for line in lines)


def test_the_checkpoint_of_a_run_names_its_data(tmp_path):
    module, source = Listener(), Ring(n_modes=5, n=100)
    run = trainer(max_steps=2, limit_val_batches=0)
    run.fit(module, datamodule=source)
    run.save_checkpoint(tmp_path / "c.ckpt")
    torch.load(tmp_path / "c.ckpt", weights_only=True)
    assert Ring.load_from_checkpoint(tmp_path / "c.ckpt").n_classes == 5


def test_shapes_are_known_before_anything_is_loaded():
    for source, shape in [
        (Digits(), (8, 1, 10)),
        (Ring(), (0, 2, 8)),
        (Grid(), (0, 2, 25)),
        (SwissRoll(), (0, 2, 0)),
        (GaussianMixture(7), (0, 7, 10)),
        (RandomImages(16), (16, 3, 0)),
    ]:
        assert (source.image_size, source.channels, source.n_classes) == shape
        assert not source._splits
        assert (source.centres is None) == (source.std is None)


def test_rounds_need_a_trainer():
    with pytest.raises(ValueError, match="needs a trainer"):
        Digits().train_dataloader()


def test_final_classes_are_leaves():
    for name in CLASSES:
        cls = getattr(data, name)
        ours = [found for found in cls.__subclasses__() if found.__module__.startswith("gan_lightning.")]
        assert inspect.isabstract(cls) or not ours
    assert ImageFolder.__mro__[1] is RealData
