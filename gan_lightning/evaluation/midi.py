"""Standard MIDI files of notes on a grid (MIDI 1.0, RP-001)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from gan_lightning.errors import say

_TICKS = 480
"""Ticks of a quarter note."""

_CHANNELS = [channel for channel in range(16) if channel != 9]
"""The tenth is for drums."""


FONT_FOLDERS = (
    "/usr/share/sounds/sf2",
    "/usr/share/sounds/sf3",
    "/usr/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
)
"""Where systems keep sound fonts."""


def sound_font() -> Path | None:
    """Return the font that fluidsynth plays with, None where there is no fluidsynth or no font."""
    if shutil.which("fluidsynth") is None:
        return None
    found = (font for folder in FONT_FOLDERS for font in sorted(Path(folder).glob("*.sf[23]")))
    return next(found, None)


def play(midi: Path, font: Path) -> bool:
    """Write a MIDI file as WAV beside it, 44.1 kHz stereo, through fluidsynth; say it and return False if that fails."""
    command = ["fluidsynth", "-ni", "-q", "-g", "0.6", "-F", str(midi.with_suffix(".wav")), str(font), str(midi)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        say(f"fluidsynth could not play {midi}, so there is no WAV: {error}")
        return False
    return True


def midi_bytes(
    parts: Sequence[Iterable[tuple[int, int, int]]],
    per_quarter: int,
    beats_per_minute: int = 96,
    program: int = 0,
    velocity: int = 80,
) -> bytes:
    """Return the bytes of a MIDI file with a track for each part.

    Args:
        parts: Of each part, where each note begins and how long it is, in positions, and its MIDI number.
        per_quarter: Positions in a quarter note.
        beats_per_minute: Quarter notes in a minute.
        program: Instrument, 0 to 127 of General MIDI; 0 is a piano.
        velocity: How loud each note is, 1 to 127.
    """
    tempo = b"\x00\xff\x51\x03" + round(6e7 / beats_per_minute).to_bytes(3, "big")
    tracks = []
    for number, notes in enumerate(parts):
        channel = _CHANNELS[number % len(_CHANNELS)]
        events: list[tuple[int, int, int]] = []  # tick, 0 for an end before 1 for a beginning, pitch
        for start, length, pitch in notes:
            events += [(_tick(start, per_quarter), 1, pitch), (_tick(start + length, per_quarter), 0, pitch)]
        track = (b"" if number else tempo) + bytes((0, 0xC0 | channel, program))
        now = 0
        for tick, is_begun, pitch in sorted(events):
            status = (0x90 if is_begun else 0x80) | channel
            track += _variable(tick - now) + bytes((status, pitch, velocity if is_begun else 0))
            now = tick
        track += b"\x00\xff\x2f\x00"
        tracks.append(b"MTrk" + len(track).to_bytes(4, "big") + track)
    numbers = (1, len(tracks), _TICKS)
    header = b"MThd" + (6).to_bytes(4, "big") + b"".join(number.to_bytes(2, "big") for number in numbers)
    return header + b"".join(tracks)


def _tick(position: int, per_quarter: int) -> int:
    return round(position * _TICKS / per_quarter)


def _variable(number: int) -> bytes:
    """Return a number in groups of seven bits, the highest first, each but the last with the eighth bit set."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))
