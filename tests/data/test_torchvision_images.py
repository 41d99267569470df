import gzip
import pickle
import struct
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision import datasets

from gan_lightning.data import TorchvisionImages
from gan_lightning.data import torchvision_images as module


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home / "gan_lightning"


def write_mnist(root, name="MNIST", zipped=False, n_train=30, n_test=10, real=None):
    """Write the four files in the IDX format, as on LeCun's page: magic number, sizes, bytes; big-endian.

    `real` has images and labels for each prefix, train and t10k, in place of random ones.
    """
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    arrays = {}
    for prefix, n in (("train", n_train), ("t10k", n_test)):
        images = random.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        if real is not None:
            images, labels = real[prefix]
            n = len(images)
        files = {
            f"{prefix}-images-idx3-ubyte": struct.pack(">IIII", 0x803, n, 28, 28) + images.tobytes(),
            f"{prefix}-labels-idx1-ubyte": struct.pack(">II", 0x801, n) + labels.tobytes(),
        }
        for file, content in files.items():
            if zipped:
                with gzip.open(raw / f"{file}.gz", "wb") as sink:
                    sink.write(content)
            else:
                (raw / file).write_bytes(content)
        arrays[prefix] = (images, labels)
    return arrays


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "torchvision.datasets.MNIST"])
def test_mnist_in_its_own_layout(tmp_path, zipped, name):
    arrays = write_mnist(tmp_path, name.rpartition(".")[2], zipped)
    source = TorchvisionImages(name, str(tmp_path))
    assert (source.image_size, source.channels, source.n_classes) == (28, 1, 10)
    source.prepare_data()
    source.setup("fit")
    for split, prefix in (("train", "train"), ("eval", "t10k")):
        real = source.reference(split)
        assert np.array_equal(real.images[:, 0].numpy(), arrays[prefix][0])
        assert np.array_equal(real.labels.numpy(), arrays[prefix][1])
        assert real.images.is_contiguous() and real.labels.dtype == torch.int64


def test_mnist_resized_and_in_colour(tmp_path):
    write_mnist(tmp_path)
    real = TorchvisionImages("MNIST", str(tmp_path), image_size=32, channels=3).reference("train")
    assert real.images.shape == (30, 3, 32, 32) and real.images.dtype == torch.uint8
    assert torch.equal(real.images[:, 0], real.images[:, 2])


def test_gzipped_files_in_a_read_only_folder(tmp_path, cache):
    arrays = write_mnist(tmp_path, zipped=True)
    raw = tmp_path / "MNIST/raw"
    raw.chmod(0o555)
    try:
        source = TorchvisionImages("MNIST", str(tmp_path))
        source.prepare_data()
        assert np.array_equal(source.reference("train").images[:, 0].numpy(), arrays["train"][0])
    finally:
        raw.chmod(0o755)
    assert len(list(raw.iterdir())) == 4 and len(list(cache.rglob("*-ubyte"))) == 4


def test_missing_files_are_one_line_that_names_them(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(
        ValueError, match=r"missing: MNIST/raw/t10k-labels-idx1-ubyte\).*--data.download true"
    ) as caught:
        TorchvisionImages("MNIST", str(tmp_path)).prepare_data()
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    with pytest.raises(ValueError, match=r"CIFAR10 cannot be read from .*cifar-10-batches-py.*--data.download true"):
        TorchvisionImages("CIFAR10", str(tmp_path)).prepare_data()


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"])
def test_cut_files_are_one_line(tmp_path, file):
    write_mnist(tmp_path, zipped=file.endswith("gz"))
    path = tmp_path / "MNIST/raw" / file
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(ValueError, match="cannot be read from|cannot unpack") as caught:
        TorchvisionImages("MNIST", str(tmp_path)).prepare_data()
    assert "\n" not in str(caught.value)


def test_an_unreachable_download_is_one_line(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise URLError("[Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr(datasets.mnist, "download_and_extract_archive", fail)
    with pytest.raises(ValueError, match=r"could not be downloaded: .*name resolution.*put its files under") as caught:
        TorchvisionImages("MNIST", str(tmp_path), download=True).prepare_data()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [False, True])
def test_files_that_are_there_are_not_downloaded(tmp_path, monkeypatch, zipped):
    write_mnist(tmp_path, zipped=zipped)
    monkeypatch.setattr(datasets.mnist, "download_and_extract_archive", lambda *a, **k: pytest.fail("downloaded"))
    TorchvisionImages("MNIST", str(tmp_path), download=True).prepare_data()


def test_cifar10_in_its_own_layout(tmp_path, monkeypatch):
    base = tmp_path / "cifar-10-batches-py"
    base.mkdir()
    random = np.random.default_rng(0)
    written = {}
    for name in ("data_batch_1", "test_batch"):
        written[name] = random.integers(0, 256, (12, 3072), dtype=np.uint8)
        with (base / name).open("wb") as sink:
            pickle.dump({"data": written[name], "labels": [i % 10 for i in range(12)]}, sink)
    with (base / "batches.meta").open("wb") as sink:
        pickle.dump({"label_names": list("abcdefghij")}, sink)
    # the real files' checksums cannot be met
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None})
    source = TorchvisionImages("CIFAR10", str(tmp_path))
    assert (source.image_size, source.channels, source.n_classes) == (32, 3, 10)
    source.prepare_data()
    for split, name in (("train", "data_batch_1"), ("eval", "test_batch")):
        real = source.reference(split)
        assert np.array_equal(real.images.numpy(), written[name].reshape(-1, 3, 32, 32))
        assert real.labels.tolist() == [i % 10 for i in range(12)]


def test_stl10_arrays_and_its_unlabelled_part(tmp_path, monkeypatch):
    base = tmp_path / "stl10_binary"
    base.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 96, 96), dtype=np.uint8)
    for name in ("train_X.bin", "test_X.bin", "unlabeled_X.bin"):
        images.tofile(base / name)
    for name in ("train_y.bin", "test_y.bin"):
        np.arange(1, 7, dtype=np.uint8).tofile(base / name)
    (base / "class_names.txt").write_text("\n".join("abcdefghij"))
    monkeypatch.setattr(datasets.STL10, "_check_integrity", lambda self: True)
    labelled = TorchvisionImages("STL10", str(tmp_path), image_size=48)
    assert labelled.reference("train").images.shape == (6, 3, 48, 48)
    assert labelled.reference("train").labels.tolist() == [0, 1, 2, 3, 4, 5]
    native = TorchvisionImages("STL10", str(tmp_path), dataset_kwargs={"split": "unlabeled"})
    assert native.n_classes == 0 and native.reference("train").labels is None
    assert np.array_equal(
        native.reference("train").images.numpy(), images.transpose(0, 1, 3, 2)
    )  # files are column-major


def fake(tmp_path, **options):
    kwargs = {"size": 9, "image_size": [3, 20, 30], "num_classes": 4}
    return TorchvisionImages("FakeData", str(tmp_path), image_size=16, dataset_kwargs=kwargs, **options)


def test_sets_without_an_array_are_packed_once(tmp_path, monkeypatch, cache):
    count = []
    original = module.to_pixels
    monkeypatch.setattr(module, "to_pixels", lambda *a: count.append(1) or original(*a))
    source = fake(tmp_path)
    assert source.n_classes == 0
    source.prepare_data()
    source.setup("fit")
    assert source.reference("train").images.shape == (9, 3, 16, 16) and len(count) == 9
    assert fake(tmp_path).reference("eval").fingerprint == source.reference("train").fingerprint
    assert len(count) == 9
    assert len(list((cache / "packs").glob("*.npy"))) == 1


class Labelled(datasets.FakeData):
    """A set of one's own, with a split argument and labels."""

    def __init__(self, root, train):
        super().__init__(size=8 if train else 4, image_size=(3, 10, 10), random_offset=int(train))
        self.targets = [i % 3 for i in range(len(self))]


def test_a_class_path_of_ones_own(tmp_path):
    source = TorchvisionImages(f"{__name__}.Labelled", str(tmp_path), image_size=8, n_classes=3)
    source.prepare_data()
    assert len(source.reference("train")) == 8 and len(source.reference("eval")) == 4
    assert source.reference("eval").labels.tolist() == [0, 1, 2, 0]
    with pytest.raises(ValueError, match=r"lie in 0\.\.2, not in 0\.\.1; set n_classes"):
        TorchvisionImages(f"{__name__}.Labelled", str(tmp_path), image_size=8, n_classes=2).reference()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": "MNITS"}, "torchvision.datasets has no 'MNITS'; did you mean MNIST?"),
        ({"dataset": "no.such.Thing"}, "there is no data set class 'no.such.Thing'"),
        ({"dataset": "Flowers102"}, "native size of Flowers102 is not known here; set image_size"),
        ({"dataset": "MNIST", "image_size": 0}, "image_size must be at least 1, got 0"),
        (
            {"dataset": "MNIST", "channels": 2},
            r"channels must be 1 \(grey\), 3 \(RGB\) or 4 \(RGBA\) for image files, got 2",
        ),
    ],
)
def test_mistakes_are_named_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        TorchvisionImages(**arguments)


@pytest.mark.parametrize("name", sorted(module.KNOWN))
def test_the_table_agrees_with_torchvision(name):
    import inspect

    accepted = inspect.signature(getattr(datasets, name).__init__).parameters
    facts = module.KNOWN[name]
    assert {"root", *facts.train, *(facts.evaluation or {})} <= set(accepted)
