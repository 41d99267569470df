"""The notes that scripts/render_notes.py renders have the pitches of their folders."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gan_lightning.data import AudioFolder
from gan_lightning.data.base import scale
from gan_lightning.metrics.sound import pitches

SCRIPT = Path(__file__).parents[2] / "scripts" / "render_notes.py"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fluidsynth") is None, reason="needs fluidsynth and a sound font")
def test_rendered_notes_have_the_pitches_of_their_folders(tmp_path):
    words = ["notes", "--n_pitches", "2", "--low", "57", "--velocities", "100", "--seconds", "0.5"]
    subprocess.run([sys.executable, SCRIPT, *words], cwd=tmp_path, check=True, timeout=300)
    data = AudioFolder(str(tmp_path / "notes"), length=4000, rate=8000, cache_dir=str(tmp_path / "cache"))
    assert data.classes == ["57-A3", "58-As3"]
    found = data.reference("train")
    assert len(found) == 24 and found.labels is not None
    heard = pitches(scale(found.images[:, 0], torch.float32), 8000)
    assert ((heard - 57 - found.labels).abs() < 0.5).float().mean() > 0.9
