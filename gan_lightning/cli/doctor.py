"""`gan-lightning doctor`: what this machine has, in a form that can be pasted into an issue."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import gan_lightning
from gan_lightning.data.packing import cache_home
from gan_lightning.errors import UserError, in_one_line
from gan_lightning.execution.precision import lacks_bfloat16

NEEDED = (
    "torch",
    "torchvision",
    "lightning",
    "jsonargparse",
    "torch-fidelity",
    "scikit-learn",
    "numpy",
    "pillow",
    "PyYAML",
    "filelock",
    "matplotlib",
    "tensorboard",
    "tqdm",
    "wandb",
)
"""Distributions of the plain installation."""

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"


def tell() -> None:
    """Print versions, devices, precisions, caches and what FID lacks, one line each."""
    for name, value in found():
        print(f"{name:16} {value}")


def found() -> list[tuple[str, str]]:
    """Return what there is to tell, by name; nothing is downloaded, and paths under the home folder begin with `~`."""
    return [
        ("gan-lightning", f"{gan_lightning.__version__} in {_short(Path(gan_lightning.__file__).parent)}"),
        ("python", f"{platform.python_version()} in {_short(Path(sys.prefix))}"),
        ("machine", f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPU cores"),
        *((name, _version(name)) for name in NEEDED),
        ("devices", _devices()),
        ("precision", _precision()),
        ("threads", str(torch.get_num_threads())),
        ("cache", _cache()),
        ("FID", _inception()),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing: pip install gan-lightning"


def _devices() -> str:
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        return ", ".join(f"cuda:{i} {one.name} {one.total_memory / 2**30:.0f} GiB" for i, one in enumerate(names))
    if torch.backends.mps.is_available():
        return "mps"
    built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built without CUDA"
    return f"cpu only ({built})"


def _precision() -> str:
    if torch.cuda.is_available():
        fast = "fast" if torch.cuda.is_bf16_supported(including_emulation=False) else "slow: not in this GPU's hardware"
        return f"32-true, 64-true, bf16-mixed ({fast}); 16-mixed is refused"
    slow = " (slow: not in this processor)" if lacks_bfloat16(torch.device("cpu")) else ""
    return f"32-true, 64-true, bf16-mixed{slow}; 16-mixed is refused"


def _cache() -> str:
    try:
        home = cache_home()
        sizes = [path.stat().st_size for path in home.rglob("*") if path.is_file()]
    except (OSError, UserError) as error:
        return in_one_line(error)
    return f"{_short(home)}, {sum(sizes) / 1e6:,.1f} MB; gan-lightning cache tells and clears"


def _inception() -> str:
    path = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION
    if path.is_file():
        return f"Inception's weights are in {_short(path)}"
    return (
        f"Inception's weights are missing: {_short(path)}; they are downloaded at the first FID, or given as "
        "--fidelity.extractor.weights_path FILE; digits need none"
    )


def _short(path: Path) -> str:
    home = os.path.expanduser("~")
    text = str(path)
    return f"~{text[len(home) :]}" if home not in ("/", "~") and text.startswith(home + os.sep) else text
