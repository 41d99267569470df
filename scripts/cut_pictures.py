"""Cut the photographs that scikit-learn and scikit-image ship into square pieces: a folder of train/ and test/.

    pip install scikit-image
    python scripts/cut_pictures.py photographs 128

Each photograph is cut at its own size, at two thirds and at a half, into overlapping pieces; those held out, rocket and
coffee, at their own size alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_image

TRAIN = ("astronaut", "chelsea", "hubble_deep_field", "immunohistochemistry")
HELD_OUT = ("rocket", "coffee")


def pieces(picture: Image.Image, side: int, step: int) -> Iterator[Image.Image]:
    """Yield the squares of a picture, `step` pixels apart."""
    for y in range(0, picture.height - side + 1, step):
        for x in range(0, picture.width - side + 1, step):
            yield picture.crop((x, y, x + side, y + side))


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("side", type=int)
    options = parser.parse_args()
    photographs = {name: Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in (*TRAIN, *HELD_OUT)}
    photographs["motorcycle"] = Image.fromarray(skimage.data.stereo_motorcycle()[0])
    photographs |= {name: Image.fromarray(load_sample_image(f"{name}.jpg")) for name in ("china", "flower")}
    for split in ("train", "test"):
        (options.out / split).mkdir(parents=True, exist_ok=True)
    for name, photograph in photographs.items():
        is_held_out = name in HELD_OUT
        n = 0
        for scale in (1.0,) if is_held_out else (1.0, 2 / 3, 0.5):
            size = (round(scale * photograph.width), round(scale * photograph.height))
            shown = photograph if scale == 1 else photograph.resize(size, Image.Resampling.BICUBIC)
            for piece in pieces(shown, options.side, options.side if is_held_out else options.side * 3 // 4):
                piece.save(options.out / ("test" if is_held_out else "train") / f"{name}_{n:03d}.png")
                n += 1
        print(f"{name}: {n} pieces of {options.side}x{options.side}")


if __name__ == "__main__":
    main()
