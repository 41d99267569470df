"""Pitches and spectra against sounds whose pitch and spectrum are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import resample
from torch.testing import assert_close

from gan_lightning.callbacks.sound import variation
from gan_lightning.metrics.sound import (
    difference,
    log_spectral_distance,
    oversampled,
    pitch_agreement,
    pitch_histogram,
    pitches,
    power_spectrum,
    usual_pitches,
)


def tone(midi: float, rate: int, seconds: float = 0.5, harmonics: int = 4) -> torch.Tensor:
    """Return a sound of harmonics of 1, 1/2, 1/3, ..., those below half the rate."""
    frequency = 440 * 2 ** ((midi - 69) / 12)
    t = torch.arange(int(rate * seconds)) / rate
    parts = [
        torch.sin(2 * torch.pi * k * frequency * t + k) / k for k in range(1, harmonics + 1) if 2 * k * frequency < rate
    ]
    return 0.3 * torch.stack(parts).sum(0)


@pytest.mark.parametrize("rate", [4000, 16000, 44100])
def test_pitches_of_tones(rate):
    midi = torch.arange(43.0, 79.0, 2.25)
    found = pitches(torch.stack([tone(float(pitch), rate) for pitch in midi]), rate)
    assert_close(found, midi, atol=0.1, rtol=0)


def test_the_difference_is_that_of_the_paper():
    frames = torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    found = difference(frames, 10)
    for x, row in zip(frames.double(), found, strict=True):
        d = [sum((x[j] - x[j + lag]) ** 2 for j in range(30)) for lag in range(10)]
        expected = [1.0] + [float(d[lag] / (sum(d[1 : lag + 1]) / lag)) for lag in range(1, 10)]
        assert_close(row, torch.tensor(expected))


def test_noise_and_silence_have_no_pitch_and_an_attack_is_not_looked_at():
    random = torch.Generator().manual_seed(0)
    assert pitches(torch.randn(4, 4000, generator=random), 8000).isnan().all()
    assert pitches(torch.zeros(1, 4000), 8000).isnan().all()
    assert pitches(torch.zeros(1, 20), 8000).isnan().all()  # shorter than a period that is looked for
    faint = torch.cat([1e-3 * torch.randn(4000, generator=random), tone(60, 8000, 1.0)])
    assert_close(pitches(faint[None], 8000), torch.tensor([60.0]), atol=0.1, rtol=0)


@pytest.mark.slow  # librosa compiles for 20 seconds
def test_pitches_are_those_of_librosa():
    librosa = pytest.importorskip("librosa")
    waves = torch.stack([tone(pitch, 16000) for pitch in (50.3, 60.0, 71.6)])
    theirs = [np.median(librosa.yin(wave.numpy(), fmin=60, fmax=2000, sr=16000)[2:-2]) for wave in waves]
    assert_close(
        pitches(waves, 16000), torch.tensor(69 + 12 * np.log2(np.array(theirs) / 440)).float(), atol=0.1, rtol=0
    )


@pytest.mark.parametrize("length", [12, 13])
def test_oversampling_is_that_of_scipy(length):
    waves = torch.randn(3, length, generator=torch.Generator().manual_seed(1))
    assert_close(oversampled(waves, 4).double(), torch.from_numpy(resample(waves.double().numpy(), 4 * length, axis=1)),
                 atol=1e-5, rtol=1e-5)  # fmt: skip
    assert_close(oversampled(waves, 4)[:, ::4], waves, atol=1e-5, rtol=1e-5)


def test_spectra():
    t = torch.arange(4096)
    spectrum = power_spectrum(torch.cos(2 * torch.pi * t * 32 / 256)[None])
    assert spectrum.argmax() == 32
    # a cosine of amplitude 1 on a bin, under Hann's window of 256: (256 / 4)^2
    assert float(spectrum[32]) == pytest.approx(64**2, rel=1e-6)
    noise = 1 + torch.rand(9, generator=torch.Generator().manual_seed(0))
    assert log_spectral_distance(noise, 4 * noise) == pytest.approx(10 * math.log10(4), rel=1e-5)
    assert log_spectral_distance(spectrum, spectrum) == 0


def test_histograms_and_agreement_by_hand():
    found = torch.tensor([60.4, 59.6, torch.nan, 62.0, 61.0])
    labels = torch.tensor([0, 0, 0, 1, 1])
    assert pitch_histogram(found) == {60: 2, None: 1, 62: 1, 61: 1}
    assert usual_pitches(found, labels, 3)[0] == 60
    assert pitch_agreement(found, labels, [60, 62, None]) == pytest.approx(3 / 5)
    assert variation(found, found[:2]) == pytest.approx(0.6)
    assert math.isnan(pitch_agreement(found, labels, [None, None]))
