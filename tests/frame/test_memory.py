"""Freed memory is kept for the next tensor, unless the user has told the C library otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from gan_lightning.runs.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(20):  # until what has been freed has room for one more, aligned
    torch.ones(16 * 2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(16 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str, **variables: str) -> int:
    """Return how many pages the kernel had to find for five tensors of 64 MiB, one after another."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))}
    found = subprocess.run(
        [sys.executable, "-c", FAULTS, how], env=environment | variables, capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc")
def test_a_tensor_takes_the_pages_of_the_one_before():
    usual = faults("given back")
    if usual < 100:
        pytest.skip("pages of this machine are large, or its malloc is another one")
    assert faults("kept") < 0.1 * usual
    assert faults("kept", MALLOC_MMAP_THRESHOLD_="65536") > 0.5 * usual
