"""The class names that are enough in YAML: removing one breaks somebody's config, so the list is committed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gan_lightning.runs.old_names import RENAMED

LIST = Path(__file__).with_name("short_names.txt")


def test_every_short_name_of_before_is_still_there():
    code = "import gan_lightning.cli.training, gan_lightning.cli.names as n; print(*(c.__name__ for c in n.named_classes()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    missing = {RENAMED.get(name, name) for name in LIST.read_text().split()} - set(done.stdout.split())
    assert not missing
