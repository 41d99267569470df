"""From any audio file to 16-bit mono of one rate and length."""

from __future__ import annotations

import io
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from gan_lightning.data.decoding import Decoded
from gan_lightning.errors import UserError

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".mp3")


_LOUDEST = 2.0
"""Peaks above it are no overshoot of a codec, but other units."""


class Form(NamedTuple):
    """What recordings are brought to.

    Attributes:
        rate: Samples of a second.
        length: Samples in all.
        trim: Level in decibels below the loudest sample under which beginning and end are taken for silence; None keeps
            them.
        normalize: Whether to scale each to a peak of 1.
    """

    rate: int
    length: int
    trim: float | None = None
    normalize: bool = False


def decode_audio(content: bytes, form: Form) -> Decoded:
    """Return a recording as int16 `(1, length)`: the mean of its channels, resampled, cut or padded with silence at its end.

    Also returned is how long it was, in samples at the new rate and without its silence.

    Raises:
        UserError: It is empty, truncated, has values that are not finite or, unless `normalize`, far outside of [-1, 1], or
            nothing but silence under `trim`.
        RuntimeError: It is no audio file that libsndfile reads.
    """
    from scipy.signal import resample_poly

    soundfile = soundfile_library()
    if not content:
        raise UserError("it is empty")
    if (lacking := _lacking(content)) is not None:
        raise UserError(f"it is truncated: {lacking}")
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        declared, rate = file.frames, file.samplerate
        samples = file.read(dtype="float32", always_2d=True)
    if len(samples) < declared:
        raise UserError(f"it is truncated: {len(samples):,} of {declared:,} samples are there")
    if not len(samples):
        raise UserError("it has no samples")
    if not np.isfinite(samples).all():
        raise UserError("it has values that are not finite")
    peak = float(np.abs(samples).max())
    if peak > _LOUDEST and not form.normalize:
        raise UserError(
            f"its values reach {peak:g}, far outside of [-1, 1]; set data.normalize true to scale each recording"
        )
    wave = samples.mean(axis=1)
    if rate != form.rate:
        common = gcd(rate, form.rate)
        wave = resample_poly(wave, form.rate // common, rate // common)
    if form.trim is not None:
        loud = np.flatnonzero(np.abs(wave) > np.abs(wave).max() * 10 ** (-form.trim / 20))
        if not len(loud):
            raise UserError("it is nothing but silence")
        wave = wave[loud[0] : loud[-1] + 1]
    if form.normalize:
        wave = wave / max(float(np.abs(wave).max()), 1e-9)
    n = len(wave)
    wave = np.pad(wave[: form.length], (0, max(form.length - n, 0)))
    return Decoded(to_int16(wave)[None], (n, n))


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Return samples in [-1, 1], others clipped, as 16-bit integers: x times 32768.

    Example:
        >>> to_int16(np.array([-1.0, 0.5, 2.0]))
        array([-32768,  16384,  32767], dtype=int16)
    """
    return np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)


def _lacking(content: bytes) -> str | None:
    """Return what says that a file was cut off, None if nothing does: libsndfile reads what is there without a word."""
    kind, order = content[:4], "big" if content[:4] in (b"FORM", b"RIFX") else "little"
    if kind in (b"RIFF", b"RIFX", b"FORM"):
        size = int.from_bytes(content[4:8], order)  # type: ignore[arg-type]
        if size + 8 > len(content) and size < 0x7FFFFF00:  # a stream that was written on the way has no size
            return f"its header promises {size + 8:,} bytes, {len(content):,} are there"
    if kind in (b".snd", b"dns."):
        start, size = (int.from_bytes(content[at : at + 4], "big" if kind == b".snd" else "little") for at in (4, 8))
        if size != 0xFFFFFFFF and start + size > len(content):
            return f"its header promises {start + size:,} bytes, {len(content):,} are there"
    if kind == b"OggS":
        last = content.rfind(b"OggS")
        if not content[last + 5] & 4:
            return "its last page is missing"
    return None


def soundfile_library() -> Any:
    """Return the module soundfile.

    Raises:
        UserError: It is not installed.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: libsndfile itself is missing
        raise UserError("audio files are read by soundfile: pip install 'gan-lightning[sound]'") from error
    return soundfile
