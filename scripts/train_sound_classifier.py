"""Train a small classifier of the classes of a folder of recordings, for the Fréchet distance of sounds.

    python scripts/train_sound_classifier.py notes --length 1024 --rate 4000 --normalize --out notes.pt
    gan-lightning fit --config r3gan/sound --data.root notes --sound.classifier notes.pt

The options are those of the data that will be generated. It prints how often it is right on the held-out tenth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gan_lightning.cli.mistakes import verb_errors
from gan_lightning.data import AudioFolder
from gan_lightning.evaluation.sound_classifier import train_sound_classifier


def main() -> None:
    """Train and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="folder or zip of recordings, a sub-folder for each class")
    parser.add_argument("--length", type=int, required=True, help="samples of a recording")
    parser.add_argument("--rate", type=int, required=True, help="samples of a second")
    parser.add_argument("--normalize", action="store_true", help="scale each recording to a peak of 1")
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--n_updates", type=int, default=400)
    parser.add_argument("--eval_fraction", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with verb_errors():
        data = AudioFolder(
            given.root,
            length=given.length,
            rate=given.rate,
            normalize=given.normalize,
            labels="folders",
            eval_fraction=given.eval_fraction,
        )
        classifier = train_sound_classifier(data, given.seed, given.n_updates)
        classifier.save(given.out)
    facts = classifier.facts
    print(f"right on {facts['accuracy']:.1%} of {facts['accuracy_on']}; {given.out}")


if __name__ == "__main__":
    main()
