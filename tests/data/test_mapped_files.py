"""A large file that is mapped into memory is read row by row, as a random order wants it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from gan_lightning.data import data_of
from gan_lightning.data.samples import advise


def advice_at(array: np.ndarray) -> list[str]:
    """Return the kernel's flags of the mapping that an array lies in: rr for random, sr for sequential reading."""
    with open("/proc/self/smaps") as file:
        inside = False
        for line in file:
            if "-" in (first := line.split()[0]) and not first.endswith(":"):
                start, end = (int(word, 16) for word in first.split("-"))
                inside = start <= array.ctypes.data < end
            elif inside and line.startswith("VmFlags"):
                return line.split()[1:]
    raise AssertionError("not mapped")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_mapped_file_is_read_at_random(tmp_path):
    for n, is_large in ((400_000, True), (1_000, False)):
        path = tmp_path / f"{n}.u8"
        with path.open("wb") as file:
            file.truncate(n * 3 * 32 * 32)  # sparse: it takes no room
        images = np.memmap(path, np.uint8, "r+", shape=(n, 3, 32, 32))
        data = data_of(images, batch_size=8)
        mapped = data.reference("train").images.numpy()
        assert mapped.ctypes.data == images.ctypes.data  # nothing was copied
        assert ("rr" in advice_at(mapped)) == is_large
        advise(mapped, "sequential")
        assert ("sr" in advice_at(mapped)) == is_large
        assert torch.equal(data.reference("train").images[7], torch.zeros(3, 32, 32, dtype=torch.uint8))
