from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gan_lightning.runs.launch import RUN_FOLDER_VARIABLE
from tests.training import fit, networks


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks are slower on several threads than on one."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Leave the user's cache alone."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def _own_seed() -> None:
    """Let no test depend on what the tests before it drew."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_run_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let each test choose its run folder: a run leaves its name behind for the processes it starts."""
    monkeypatch.delenv(RUN_FOLDER_VARIABLE, raising=False)
    yield


@pytest.fixture(autouse=True)
def _no_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out `curves.png` and `film.gif`, a fifth of the time of a tiny run, where nobody looks at them."""
    if request.path.name != "test_report.py":
        monkeypatch.setattr("gan_lightning.cli.training.write_run_pictures", lambda folder: [])


@pytest.fixture(scope="session")
def image_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a conditional GAN on grey 8x8 images of three classes, six updates old."""
    folder = tmp_path_factory.mktemp("image-run")
    data = {"image_size": 8, "channels": 1, "n_classes": 3, "n": 64, "batch_size": 8}
    config = {
        "name": "images",
        "data": {"class_path": "RandomImages", "init_args": data},
        "model": {"class_path": "SNGAN", "init_args": {"n_critic": 1, "ema_decay": 0.5, **networks(3)}},
        "fidelity": {"extractor": "gan_lightning.metrics.Digits", "n_samples": 64},
        "diagnostics": {"every_n_updates": 3},
    }
    outcome = fit(folder, config)
    assert outcome.code == 0, outcome.err
    return folder / "images"


@pytest.fixture(scope="session")
def vector_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a GAN on vectors of two coordinates, six updates old."""
    folder = tmp_path_factory.mktemp("vector-run")
    config = {
        "name": "vectors",
        "data": {"class_path": "Ring", "init_args": {"n": 64, "batch_size": 8}},
        "model": {"class_path": "WGANGP", "init_args": {"n_critic": 2, **networks()}},
    }
    outcome = fit(folder, config)
    assert outcome.code == 0, outcome.err
    return folder / "vectors"
