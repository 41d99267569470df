"""Render notes of several instruments as WAV files, a folder for each pitch: an NSynth in small, of recorded instruments.

    apt-get install fluidsynth fluid-soundfont-gm
    python scripts/render_notes.py notes

The sound font holds recordings of instruments. Each note is played at several loudnesses, for `--seconds`, at `--rate`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gan_lightning.data.music_files import Note
from gan_lightning.evaluation.midi import midi_bytes

NAMES = ("C", "Cs", "D", "Ds", "E", "F", "Fs", "G", "Gs", "A", "As", "B")
INSTRUMENTS = {
    "piano": 0,
    "vibraphone": 11,
    "organ": 19,
    "guitar": 24,
    "violin": 40,
    "cello": 42,
    "trumpet": 56,
    "horn": 60,
    "oboe": 68,
    "bassoon": 70,
    "clarinet": 71,
    "flute": 73,
}
"""Numbers of General MIDI, from 0."""


def main() -> None:
    """Render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a folder that is not there yet")
    parser.add_argument("--rate", type=int, default=16000, help="samples of a second")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--low", type=int, default=60, help="MIDI number of the lowest pitch")
    parser.add_argument("--n_pitches", type=int, default=12)
    parser.add_argument("--velocities", type=int, nargs="+", default=[60, 75, 90, 105, 120])
    parser.add_argument("--font", default="/usr/share/sounds/sf2/FluidR3_GM.sf2")
    given = parser.parse_args()
    if shutil.which("fluidsynth") is None:
        sys.exit("there is no fluidsynth; apt-get install fluidsynth fluid-soundfont-gm")
    if given.out.exists():
        sys.exit(f"{given.out} is there already; give a new folder")
    pitches = range(given.low, given.low + given.n_pitches)
    for name, program in INSTRUMENTS.items():
        for velocity in given.velocities:
            render(given, name, program, velocity, pitches)
    print(f"{len(INSTRUMENTS) * len(given.velocities) * given.n_pitches} notes in {given.out}")


def render(given: argparse.Namespace, name: str, program: int, velocity: int, pitches: range) -> None:
    """Play all pitches one after another, and cut the recording at the pauses."""
    import soundfile

    between = given.seconds + 1.5  # a note dies away before the next
    beats_per_minute = 120
    in_quarters = [round(seconds * beats_per_minute / 60 * 100) for seconds in (between, given.seconds)]
    notes = [Note(place * in_quarters[0], in_quarters[1], pitch) for place, pitch in enumerate(pitches)]
    with tempfile.TemporaryDirectory() as folder:
        midi, wave = Path(folder) / "notes.mid", Path(folder) / "notes.wav"
        midi.write_bytes(midi_bytes([notes], 100, beats_per_minute, program, velocity))
        options = ["-ni", "-q", "-R", "0", "-C", "0", "-g", "0.8", "-r", str(given.rate), "-F", str(wave)]
        subprocess.run(["fluidsynth", *options, given.font, str(midi)], check=True, stdout=subprocess.DEVNULL)
        samples, rate = soundfile.read(wave)
    for place, pitch in enumerate(pitches):
        start = round(place * in_quarters[0] / 100 * 60 / beats_per_minute * rate)
        label = f"{pitch}-{NAMES[pitch % 12]}{pitch // 12 - 1}"
        path = given.out / label / f"{name}_{velocity}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples[start : start + round(given.seconds * rate)], rate, subtype="PCM_16")


if __name__ == "__main__":
    main()
