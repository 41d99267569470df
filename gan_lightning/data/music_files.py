"""Notes of MusicXML, MIDI and ABC files on a grid, read by music21 once and kept for the next run."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gan_lightning.data.image_files import files_in
from gan_lightning.data.packing import pack_home, writable
from gan_lightning.errors import UserError, in_one_line, say
from gan_lightning.runs.files import replacing

SUFFIXES = (".mid", ".midi", ".mxl", ".musicxml", ".xml", ".abc", ".krn")
FORMAT = 2  # raise it when a file's notes would come out differently
CORPUS = "music21:"
"""What a path starts with that means a folder of music21's own corpus."""

_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""How well each pitch class fits a key on the first of them (Krumhansl & Kessler 1982, doi:10.1037/0033-295X.89.4.334)."""


class Note(NamedTuple):
    """A note on a grid.

    Attributes:
        start: The position where it begins.
        length: How many positions it sounds.
        pitch: Its MIDI number, 60 for the C in the middle.
    """

    start: int
    length: int
    pitch: int


class Piece(NamedTuple):
    """A piece, or a tune of a book of them.

    Attributes:
        name: Its file, with the tune's number behind.
        parts: The notes of each part by their beginnings, chords as several notes.
        n_moved: Notes that began or ended beside the grid.
        n_graces: Notes without a length, which are left out.
    """

    name: str
    parts: list[list[Note]]
    n_moved: int
    n_graces: int


def music_files(path: str) -> list[Path]:
    """Return a file, or all music files of a folder, or of a folder of music21's corpus, such as `music21:bach`.

    Raises:
        UserError: There are none.
    """
    if path.startswith(CORPUS):
        place = Path(_music21().__file__).parent / "corpus" / path.removeprefix(CORPUS)
    else:
        place = Path(path).expanduser()
    if place.is_file():
        if place.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path} is no music file that can be read: give one of {', '.join(SUFFIXES)}")
        return [place]
    if not place.is_dir():
        raise UserError(f"{path} is not there; give a music file, a folder of them, or {CORPUS}bach")
    return files_in(place, SUFFIXES, "music file")


def read_pieces(files: Sequence[Path], per_quarter: int, cache_dir: str | None) -> tuple[list[Piece], dict[str, str]]:
    """Return the pieces of all files, and the reason for each file or tune without notes that can be read.

    What was read is kept in the folder of packs, under a key of the names, dates and sizes of the files.

    Args:
        files: The files.
        per_quarter: Positions of the grid in a quarter note.
        cache_dir: Folder to keep them in, instead of the user's cache folder.
    """
    stats = [(file, file.stat()) for file in files]
    stamps = [[str(file.resolve()), one.st_size, one.st_mtime_ns, one.st_ctime_ns] for file, one in stats]
    owner = _hash([str(files[0].resolve().parent), per_quarter])
    folder = Path(cache_dir).expanduser() if cache_dir else pack_home()
    kept = folder / f"{owner}-{_hash([FORMAT, per_quarter, stamps])}.notes"
    found = _kept(kept)
    if found is None:
        found = _parse_all(files, per_quarter)
        name = f"notes of {len(files)} files in {files[0].parent.name}"
        with replacing(writable([folder]) / kept.name) as part:
            part.write_text(json.dumps({"name": name, "found": found}), encoding="utf-8")
        for old in folder.glob(f"{owner}-*.notes"):
            if old != kept:
                old.unlink(missing_ok=True)
    pieces = [
        Piece(name, [[Note(*note) for note in part] for part in parts], n_moved, n_graces)
        for name, parts, n_moved, n_graces in found["pieces"]
    ]
    return pieces, dict(found["bad"])


def key_shift(notes: Sequence[Note]) -> int:
    """Return by how many semitones, -6 to 5, notes are moved to stand in C major or A minor.

    The key is the one whose profile correlates most with how long each pitch class sounds (Krumhansl & Schmuckler).

    Example:
        >>> key_shift([Note(i, 1, 62 + step) for i, step in enumerate((0, 2, 4, 5, 7, 9, 11, 0, 4, 7, 0))])  # D major
        -2
    """
    import numpy as np

    sounding = np.zeros(12)
    for note in notes:
        sounding[note.pitch % 12] += note.length
    if np.ptp(sounding) == 0:
        return 0
    fits = {
        (kind, tonic): float(np.corrcoef(sounding, np.roll(profile, tonic))[0, 1])
        for kind, profile in enumerate((_MAJOR, _MINOR))
        for tonic in range(12)
    }
    kind, tonic = max(fits, key=lambda key: fits[key])
    return (-tonic + (9 if kind else 0) + 6) % 12 - 6


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:20]


def _kept(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["found"]
        return {"pieces": found["pieces"], "bad": found["bad"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        say(f"what was kept of music in {path} is damaged ({in_one_line(error)}); the files are read anew")
        return None


def _parse_all(files: Sequence[Path], per_quarter: int) -> dict[str, Any]:
    from tqdm import tqdm

    pieces, bad = [], {}
    for file in tqdm(files, desc="reading music", unit="file", disable=None):
        try:
            scores = _scores(file)
        except Exception as error:  # music21 raises anything at all on what it cannot read
            bad[str(file)] = in_one_line(error) or type(error).__name__
            continue
        for number, score in enumerate(scores, 1):
            piece = _piece(f"{file}{f', tune {number}' if len(scores) > 1 else ''}", score, per_quarter)
            if any(piece.parts):
                pieces.append(piece)
            else:
                bad[piece.name] = "it has no notes"
    return {"pieces": pieces, "bad": bad}


def _music21() -> Any:
    try:
        import music21
    except ImportError as error:
        raise UserError("music files are read by music21: pip install 'gan-lightning[music]'") from error
    return music21


def _scores(file: Path) -> list[Any]:
    if not file.stat().st_size:
        raise ValueError("it is empty")
    music21 = _music21()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it makes of odd notation; a note that is lost would be no warning
        # MIDI as it is written: by itself music21 moves all to sixteenths and triplets, and nobody would count it
        as_written = {"quantizePost": False} if file.suffix.lower() in (".mid", ".midi") else {}
        score = music21.converter.parse(file, forceSource=True, storePickle=False, **as_written)
    return list(score.scores) if isinstance(score, music21.stream.Opus) else [score]


def _piece(name: str, score: Any, per_quarter: int) -> Piece:
    music21 = _music21()
    parts, n_moved, n_graces = [], 0, 0
    for part in list(score.parts) if isinstance(score, music21.stream.Score) and score.parts else [score]:
        notes: list[Note] = []
        sounding: dict[int, int] = {}  # pitch: place of its tied note
        for element in part.flatten().notes:
            is_chord = isinstance(element, music21.chord.Chord)
            if isinstance(element, music21.harmony.Harmony) or not (is_chord or isinstance(element, music21.note.Note)):
                continue  # the name of a chord above the staff, a drum
            if not element.duration.quarterLength:
                n_graces += 1
                continue
            begin, end = (
                float(at) * per_quarter for at in (element.offset, element.offset + element.duration.quarterLength)
            )
            start, stop = round(begin), max(round(end), round(begin) + 1)
            for note in element.notes if is_chord else [element]:
                pitch = int(note.pitch.midi)
                tied = sounding.pop(pitch, None)
                tie = note.tie.type if note.tie is not None else ""
                if tie in ("stop", "continue") and tied is not None and sum(notes[tied][:2]) == start:
                    notes[tied] = Note(notes[tied].start, stop - notes[tied].start, pitch)
                else:
                    tied = len(notes)
                    notes.append(Note(start, stop - start, pitch))
                    n_moved += abs(begin - start) > 1e-6 or abs(end - stop) > 1e-6
                if tie in ("start", "continue"):
                    sounding[pitch] = tied
        parts.append(sorted(notes))
    return Piece(name, parts, n_moved, n_graces)
