"""Sounds: the pitch of each, and how far the average spectra of two sets are apart."""

from __future__ import annotations

import torch
from torch import Tensor

_VOICED = 0.2
"""Aperiodicity below which a sound has a pitch; 0.1 to 0.2 in the literature."""

_QUIET = 0.01
"""Share of the loudest frame's energy below which a frame is not looked at."""


_RATE = 16_000


def oversampled(waves: Tensor, factor: int) -> Tensor:
    """Return sounds `(N, L)` with factor times as many samples, `(N, factor L)`, and no frequency that was not there.

    Example:
        >>> oversampled(torch.tensor([[0.0, 1.0, 0.0, -1.0]]), 2)[0, ::2].abs().round()
        tensor([0., 1., 0., 1.])

    Args:
        waves: Sounds; the end is taken for continuing at the beginning.
        factor: A whole number.
    """
    if factor == 1:
        return waves
    length = waves.shape[1]
    spectrum = torch.fft.rfft(waves.float())
    if length % 2 == 0:
        spectrum[:, -1] /= 2  # the highest frequency stands for two
    return factor * torch.fft.irfft(spectrum, length * factor)


def difference(frames: Tensor, n_lags: int) -> Tensor:
    """Return YIN's cumulative mean normalized difference `(N, n_lags)` of frames `(N, W)`, 1 at lag 0.

    De Cheveigné & Kawahara 2002, doi:10.1121/1.1458024, equations 6 and 8: d(t) = sum_j (x_j - x_(j+t))^2 over the
    W - n_lags first samples, divided by its mean over the lags up to t.

    Example:
        >>> difference(torch.tensor([[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0]]), n_lags=3).round(decimals=6)
        tensor([[1., 1., 0.]])
    """
    frames = frames.double()
    window = frames.shape[1] - n_lags
    size = 2 * frames.shape[1]
    spectra = torch.fft.rfft(frames[:, :window], size).conj() * torch.fft.rfft(frames, size)
    products = torch.fft.irfft(spectra, size)[:, :n_lags]
    energies = torch.nn.functional.pad(frames.square().cumsum(1), (1, 0))
    energies = (energies[:, window:] - energies[:, :-window])[:, :n_lags]  # of the samples that stand over each other
    d = (energies[:, :1] + energies - 2 * products).clamp(min=0)
    lags = torch.arange(n_lags, dtype=d.dtype)
    normalized = d * lags / d.cumsum(1).clamp(min=1e-30)
    normalized[:, 0] = 1
    return normalized.float()


def pitches(waves: Tensor, rate: int, lowest: float = 60.0, highest: float | None = None) -> Tensor:
    """Return the pitch of each sound `(N, L)` as a MIDI number with its fraction `(N,)`, nan of a sound without one.

    YIN on frames of four of the longest periods, of sounds brought to 16 kHz or more: with few samples a period, harmonics
    hide the first minimum. Each frame's period is the first minimum below 0.2 of the normalized
    difference, refined by a parabola; the sound's is the median over the frames that have one and are loud enough, where
    these are half of the loud frames or more.

    Example:
        >>> a4 = torch.sin(2 * torch.pi * 440 * torch.arange(4000) / 8000)
        >>> pitches(a4[None], rate=8000).round(decimals=1)
        tensor([69.])

    Args:
        waves: Sounds, on the CPU.
        rate: Samples of a second.
        lowest: Lowest frequency in Hz that is looked for.
        highest: Highest frequency in Hz; a quarter of the rate if None.
    """
    highest = highest or rate / 4
    factor = -(-_RATE // rate)
    waves, rate = oversampled(waves, factor), rate * factor
    n_lags = int(rate / lowest) + 2
    shortest = max(int(rate / highest), 2)
    size = min(4 * n_lags, waves.shape[1])
    if size <= n_lags + 1:
        return torch.full((len(waves),), float("nan"))
    frames = waves.float().unfold(1, size, size // 2)
    n, n_frames = frames.shape[:2]
    frames = frames.flatten(0, 1)
    frames = frames - frames.mean(1, keepdim=True)
    energy = frames.square().mean(1).view(n, n_frames)
    is_loud = (energy > _QUIET * energy.amax(1, keepdim=True)) & (energy > 1e-10)
    d = difference(frames, n_lags)
    middle = d[:, shortest:-1]
    is_minimum = (middle < _VOICED) & (middle <= d[:, shortest - 1 : -2]) & (middle < d[:, shortest + 1 :])
    has_one = is_minimum.any(1)
    lag = is_minimum.int().argmax(1) + shortest
    before, at, after = (d.gather(1, (lag + step)[:, None]).squeeze(1) for step in (-1, 0, 1))
    curve = before - 2 * at + after
    period = lag + torch.where(curve > 0, (before - after) / (2 * curve.clamp(min=1e-12)), 0)
    found = 69 + 12 * torch.log2(rate / period / 440)
    is_used = is_loud & has_one.view(n, n_frames)
    found = torch.where(is_used, found.view(n, n_frames), torch.nan)
    is_pitched = is_used.sum(1) * 2 >= is_loud.sum(1).clamp(min=1)
    return torch.where(is_pitched, found.nanmedian(1).values, torch.nan)


def pitch_histogram(found: Tensor) -> dict[int | None, int]:
    """Return how many pitches `(N,)` lie nearest to each semitone; None is the key of sounds without one.

    Example:
        >>> pitch_histogram(torch.tensor([60.2, 59.9, torch.nan]))
        {60: 2, None: 1}
    """
    counts: dict[int | None, int] = {}
    for pitch in found.tolist():
        key = None if pitch != pitch else round(pitch)
        counts[key] = counts.get(key, 0) + 1
    return counts


def power_spectrum(waves: Tensor, size: int = 256) -> Tensor:
    """Return the power spectrum `(size // 2 + 1,)` of sounds `(N, L)`, averaged over frames under Hann's window and sounds.

    Example:
        >>> power_spectrum(torch.cos(torch.pi / 2 * torch.arange(64.0))[None], size=16).argmax()
        tensor(4)
    """
    size = min(size, waves.shape[1])
    frames = waves.double().unfold(1, size, max(size // 2, 1))
    spectrum = torch.fft.rfft(frames * torch.hann_window(size, dtype=torch.float64)).abs().square()
    return spectrum.mean((0, 1))


def log_spectral_distance(one: Tensor, other: Tensor) -> float:
    """Return the root mean square difference in decibels of two power spectra `(F,)` (Gray & Markel 1976).

    What is 80 dB below the loudest of both counts as that level.

    Example:
        >>> log_spectral_distance(torch.ones(3), torch.full((3,), 10.0))
        10.0
    """
    floor = max(float(one.max()), float(other.max())) * 1e-8
    decibels = [10 * spectrum.double().clamp(min=max(floor, 1e-30)).log10() for spectrum in (one, other)]
    return float((decibels[0] - decibels[1]).square().mean().sqrt())


def usual_pitches(found: Tensor, labels: Tensor, n_classes: int) -> list[int | None]:
    """Return the most frequent semitone of each class, of pitches `(N,)` with labels `(N,)`; None where most have none.

    Example:
        >>> usual_pitches(torch.tensor([60.1, 59.8, 64.0]), torch.tensor([0, 0, 1]), 3)
        [60, 64, None]
    """
    usual = []
    for label in range(n_classes):
        counts = pitch_histogram(found[labels == label])
        usual.append(max(counts, key=lambda key: counts[key]) if counts else None)
    return usual


def pitch_agreement(found: Tensor, labels: Tensor, usual: list[int | None]) -> float:
    """Return the share of sounds whose pitch `(N,)` is nearest to the semitone of their class.

    Classes without a semitone are left out; nan if all are.

    Example:
        >>> pitch_agreement(torch.tensor([60.1, 62.0]), torch.tensor([0, 0]), [60])
        0.5
    """
    pairs = [(pitch, usual[label]) for pitch, label in zip(found.tolist(), labels.tolist(), strict=True)]
    hits = [pitch == pitch and round(pitch) == expected for pitch, expected in pairs if expected is not None]
    return sum(hits) / len(hits) if hits else float("nan")
