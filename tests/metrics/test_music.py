"""Numbers of melodies against what is counted by hand, and MIDI files against music21."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from gan_lightning.callbacks.music import statistics
from gan_lightning.evaluation.midi import midi_bytes
from gan_lightning.metrics.music import (
    durations,
    interval_ngrams,
    jensen_shannon,
    melodies_of,
    pitch_classes,
    share_in_key,
    shuffled,
    total_variation,
)
from gan_lightning.metrics.text import ngram_divergence

SCALE = [(i, 1, 60 + step) for i, step in enumerate((0, 2, 4, 5, 7, 9, 11, 12))]


def test_symbols_are_notes():
    rows = torch.tensor([[1, 3, 1, 1, 0, 1, 2, 5], [0, 0, 0, 1, 1, 0, 0, 0]])
    assert melodies_of(rows, low=50) == [[(1, 3, 51), (6, 1, 50), (7, 1, 53)], []]


def test_histograms_and_ngrams_by_hand():
    melody = [(0, 2, 60), (2, 1, 64), (4, 1, 60), (5, 4, 72)]
    assert pitch_classes([melody]) == {0: 3, 4: 1}
    assert durations([melody, melody]) == {2: 2, 1: 4, 4: 2}
    assert interval_ngrams([melody], 1) == {(4,): 1, (-4,): 1, (12,): 1}
    assert interval_ngrams([melody], 2) == {(4, -4): 1, (-4, 12): 1}
    assert not interval_ngrams([melody], 4) and not interval_ngrams([[]], 1)
    assert total_variation(Counter({0: 3, 4: 1}), Counter({0: 1, 7: 1})) == pytest.approx((0.25 + 0.25 + 0.5) / 2)


def test_the_divergence_is_that_of_text():
    """Intervals of 0 to 3 as symbols of a text: another implementation of the same formula."""
    random = torch.Generator().manual_seed(0)
    steps = [torch.randint(4, (6, 9), generator=random) for _ in range(2)]
    melodies = [[[(i, 1, int(p)) for i, p in enumerate(row)] for row in torch.cumsum(s, 1)] for s in steps]
    for n in (1, 2, 3):
        one, other = (interval_ngrams(m, n) for m in melodies)
        # the first step leads to the first note, so it is no interval
        expected = ngram_divergence(steps[0][:, 1:], steps[1][:, 1:], n, 4)
        assert jensen_shannon(one, other) == pytest.approx(expected, abs=1e-12)


def test_notes_in_key():
    sharp = [(start, length, pitch + 1) for start, length, pitch in SCALE]
    assert share_in_key([SCALE], in_c=True) == 1
    assert share_in_key([sharp], in_c=True) == pytest.approx(2 / 8)  # of C sharp major's notes, F and C alone
    assert share_in_key([SCALE, sharp], in_c=False) == 1
    assert share_in_key([[]], in_c=True) != share_in_key([[]], in_c=True)  # nan


def test_shuffled_notes_keep_pitches_and_rhythm():
    made = shuffled([SCALE * 1], torch.Generator().manual_seed(1))[0]
    assert [note[:2] for note in made] == [note[:2] for note in SCALE] and made != SCALE
    assert sorted(note[2] for note in made) == sorted(note[2] for note in SCALE)


def test_melodies_without_notes_are_as_far_as_can_be():
    found = statistics([[], []], [SCALE], in_c=True)
    assert found["interval_js_2"] == found["pitch_class_tv"] == found["duration_tv"] == 1


def test_a_midi_file_says_what_was_written(tmp_path):
    music21 = pytest.importorskip("music21")
    parts = [[(0, 1, 60), (1, 3, 64), (8, 16, 30), (300, 2, 100), (300, 1, 40)], [(0, 2, 60), (2, 2, 60)]]
    path = tmp_path / "a.mid"
    path.write_bytes(midi_bytes(parts, per_quarter=4, beats_per_minute=90))
    score = music21.converter.parse(path, forceSource=True, quantizePost=False)
    found = [
        sorted(
            (round(float(element.offset) * 4), round(float(element.duration.quarterLength) * 4), pitch.midi)
            for element in part.stripTies().flatten().notes  # it cuts notes at bar lines
            for pitch in element.pitches
        )
        for part in score.parts
    ]
    assert found == [sorted(notes) for notes in parts]
    assert score.flatten().getElementsByClass(music21.tempo.MetronomeMark)[0].number == 90
