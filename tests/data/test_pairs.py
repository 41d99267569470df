"""Pairs: what a source is, that it stays with its target, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lightning.data import (
    DegradedFolder,
    Edges,
    Grey,
    ImagePairs,
    LowResolution,
    Masked,
    RandomPairs,
    Rounds,
    SideBySide,
    StyledFolder,
    TwoFolders,
    UnpairedFolders,
)
from gan_lightning.errors import UserError


def pictures(
    folder: Path, n: int, size: tuple[int, int] = (12, 10), mode: str = "RGB", start: int = 0
) -> list[np.ndarray]:
    """Write n pictures of noise, `0.png`, ..., of (width, height), and return their pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(start + size[0])
    found = []
    for index in range(n):
        pixels = random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        image = Image.fromarray(pixels).convert(mode)
        image.save(folder / f"{start + index}.png")
        found.append(np.asarray(image))
    return found


def rounds(data: ImagePairs, rank: int = 0, world_size: int = 1, flip: bool = False) -> Rounds:
    return Rounds(
        data.reference("train"),
        batch_size=data.batch_size,
        seed=3,
        rank=rank,
        world_size=world_size,
        clock=lambda: (0, 0),
        batches_in_round=lambda update: 1,
        rounds_per_epoch=1,
        flip=flip,
    )


def test_another_picture_of_a_style_is_said(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    for place in (tmp_path / "photos" / "a.png", tmp_path / "photos" / "b.png", tmp_path / "one.png"):
        Image.new("RGB", (16, 16), "red").save(place)
    words = {"styles": [str(tmp_path / "one.png")], "style_size": 16, "cache_dir": str(tmp_path)}
    data = StyledFolder(str(tmp_path / "photos"), 16, **words)
    data.setup("fit")
    state = data.state_dict()
    for colour, told in (("red", False), ("blue", True)):
        Image.new("RGB", (16, 16), colour).save(tmp_path / "one.png")
        later = StyledFolder(str(tmp_path / "photos"), 16, **words)
        later.setup("fit")
        later.load_state_dict(state)
        assert ("the styles are not those of the checkpoint: other pictures of one" in capsys.readouterr().err) == told


def test_grey_is_what_pillow_makes_of_a_picture(tmp_path):
    pictures(tmp_path, 3)
    data = DegradedFolder(str(tmp_path), [10, 12], Grey())
    expected = [np.asarray(Image.open(tmp_path / f"{i}.png").convert("L")) for i in range(3)]
    np.testing.assert_array_equal(data.sources("train", range(3))[:, 0].numpy(), np.stack(expected))


def test_low_resolution_is_what_pillow_makes_of_a_picture(tmp_path):
    pictures(tmp_path, 3, (16, 8))
    data = DegradedFolder(str(tmp_path), [8, 16], LowResolution(4))
    for index, small in enumerate(data.sources("train", range(3))):
        image = Image.open(tmp_path / f"{index}.png").resize((4, 2), Image.Resampling.BICUBIC)
        difference = np.asarray(image).transpose(2, 0, 1).astype(int) - small.numpy().astype(int)
        assert abs(difference).max() <= 1


def test_an_edge_has_the_length_of_sobels_gradient():
    images = torch.zeros(1, 3, 6, 6, dtype=torch.uint8)
    images[:, :, 3:] = 100  # a horizontal step of luma 100: a gradient of 4 * 100 on both rows beside it
    rows = Edges(gain=0.25)(images, [0])[0, 0, :, 2]
    assert rows.tolist() == [255, 255, 155, 155, 255, 255]
    assert Edges(threshold=399)(images, [0])[0, 0, :, 2].tolist() == [255, 255, 0, 0, 255, 255]
    assert Edges(threshold=401)(images, [0]).eq(255).all()


def test_a_mask_hides_its_share_and_nothing_else():
    images = torch.randint(0, 100, (8, 3, 10, 20), dtype=torch.uint8)
    left = Masked(share=0.3)(images, range(8))
    hidden = left.eq(128)
    assert (hidden.sum((1, 2, 3)) == 3 * 3 * 6).all()
    assert torch.equal(left[~hidden], images[~hidden])
    assert len({tuple(one.nonzero()[0].tolist()) for one in hidden}) > 1
    assert torch.equal(Masked(share=0.3)(images, range(8)), left)


@pytest.mark.parametrize("flip", [False, True])
def test_a_source_stays_with_its_target_whatever_the_ranks(flip):
    data = RandomPairs(4, n=12, batch_size=8, sample_seed=1)
    pairs = data.pairs("train")
    known = {
        bytes(target.numpy()): source
        for target, source in zip(pairs.images, pairs.sources.take(np.arange(12), None, []), strict=True)
    }
    whole = [rounds(data, flip=flip).batch(k) for k in range(3)]
    for batch in whole:
        for target, source in zip(batch.real, batch.source, strict=True):
            same, mirrored = known.get(bytes(target.numpy())), known.get(bytes(target.flip(-1).contiguous().numpy()))
            assert torch.equal(source, same if same is not None else mirrored.flip(-1))
    parts = [rounds(data, rank, 2, flip).batch(1) for rank in range(2)]
    assert torch.equal(torch.cat([part.source for part in parts]), whole[1].source)
    assert torch.equal(torch.cat([part.real for part in parts]), whole[1].real)


def test_unpaired_sources_come_in_an_order_of_their_own_and_all_come():
    data = RandomPairs(4, n=6, batch_size=7, paired=False)
    assert data.n_sources("train") == 7
    first = rounds(data).batch(0)
    assert len({bytes(one.numpy()) for one in first.source}) == 7
    assert len({bytes(one.numpy()) for one in first.real}) == 6


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_halves_are_cut_before_they_are_resized(tmp_path, direction):
    for index in range(2):
        both = np.zeros((8, 16, 3), dtype=np.uint8)
        both[:, 8:] = 255
        Image.fromarray(both).save(tmp_path / f"{index}.png")
    data = SideBySide(str(tmp_path), 5, direction, flip=True)
    source, target = data.sources("train", [0]), data.reference("train").images[:1]
    assert (source == (0 if direction == "AtoB" else 255)).all()
    assert (target == (255 if direction == "AtoB" else 0)).all()


def test_a_picture_of_halves_that_its_camera_held_sideways_is_turned_first(tmp_path):
    both = np.zeros((16, 8, 3), dtype=np.uint8)
    both[8:] = 255  # seen from the side: white is to the left, or to the right
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(both).save(tmp_path / "0.png", exif=exif)
    data = SideBySide(str(tmp_path), 8)
    assert (data.sources("train", [0]) == 0).all() and (data.reference("train").images == 255).all()


def test_two_folders_are_paired_by_name(tmp_path):
    targets = pictures(tmp_path / "target", 4)
    sources = pictures(tmp_path / "source", 4, mode="L")
    for index in range(4):  # another suffix
        Image.open(tmp_path / "source" / f"{index}.png").save(tmp_path / "source" / f"{index}.bmp")
        (tmp_path / "source" / f"{index}.png").unlink()
    data = TwoFolders(
        str(tmp_path / "source"), str(tmp_path / "target"), [10, 12], source_channels=1, eval_fraction=0.5
    )
    for split in ("train", "eval"):
        images = data.reference(split).images
        assert len(images) == 2
        for row, image in enumerate(images):
            index = next(i for i in range(4) if np.array_equal(targets[i].transpose(2, 0, 1), image.numpy()))
            assert np.array_equal(data.sources(split, [row])[0, 0].numpy(), sources[index])


@pytest.mark.parametrize("options", [{}, {"eval_fraction": 0.5}, {"limit": 3}], ids=str)
def test_partners_are_found_where_suffixes_sort_names_in_another_order(tmp_path, options):
    for index, stem in enumerate(["photo", "photo.large", "photo.late", "photo.zoomed"]):  # .bmp < .large < .png
        for folder, suffix in (("source", ".bmp"), ("target", ".png")):
            (tmp_path / folder).mkdir(exist_ok=True)
            pixels = np.full((8, 8, 3), 10 * index, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{stem}{suffix}")
    data = TwoFolders(str(tmp_path / "source"), str(tmp_path / "target"), 8, **options)
    for split in ("train", "eval"):
        images = data.reference(split).images
        assert torch.equal(data.sources(split, range(len(images))), images)


def test_a_users_small_pictures_are_sources_of_larger_ones(tmp_path):
    pictures(tmp_path / "large", 2, (16, 8))
    small = pictures(tmp_path / "small", 2, (4, 2))
    data = TwoFolders(str(tmp_path / "small"), str(tmp_path / "large"), [8, 16], factor=4)
    assert data.shape.source.size == (3, 2, 4) and data.shape.target.size == (3, 8, 16)
    np.testing.assert_array_equal(data.sources("train", [1])[0].numpy(), small[1].transpose(2, 0, 1))
    assert data.found().startswith("2 pairs of ")


def test_classes_of_one_folder_are_two_domains(tmp_path):
    dogs = pictures(tmp_path / "train" / "dog", 3)
    pictures(tmp_path / "train" / "cat", 2, start=10)
    pictures(tmp_path / "test" / "dog", 1)
    pictures(tmp_path / "test" / "cat", 2, start=20)
    data = UnpairedFolders(str(tmp_path), str(tmp_path), [10, 12], source_class="dog", target_class="cat")
    assert (data.n_sources("train"), len(data.reference("train"))) == (3, 2)
    assert (data.n_sources("eval"), len(data.reference("eval"))) == (1, 2)
    np.testing.assert_array_equal(data.sources("train", [1])[0].numpy(), dogs[1].transpose(2, 0, 1))


def test_other_sources_are_told_from_those_of_before(tmp_path):
    pictures(tmp_path, 2)
    states = []
    for degradation in (Edges(), Edges(gain=1.0)):
        data = DegradedFolder(str(tmp_path), [10, 12], degradation)
        data.setup("fit")
        states.append(data.state_dict())
    assert states[0]["fingerprint"] == states[1]["fingerprint"]
    assert states[0]["sources"] != states[1]["sources"]


def refusals(folder: Path) -> dict[str, object]:
    """Return what must be refused, by a word of its line."""
    one, other = str(folder / "one"), str(folder / "other")

    def of_unequal_sizes() -> None:
        TwoFolders(str(folder / "large"), other, 8).reference("train")

    def of_odd_width() -> None:
        SideBySide(str(folder / "odd"), 8).reference("train")

    return {
        "2.png": lambda: TwoFolders(one, other, 8),
        "0.png is 20x24 and": of_unequal_sizes,
        "11 pixels wide": of_odd_width,
        "multiple of factor 3": lambda: TwoFolders(other, other, 8, factor=3),
        "factor 3": lambda: DegradedFolder(one, 8, LowResolution(3)),
        "channels to 3": lambda: DegradedFolder(one, 8, Grey(), channels=1),
        "direction": lambda: SideBySide(one, 8, "AtoC"),  # type: ignore[arg-type]
        "source_eval": lambda: TwoFolders(other, other, 8, source_eval=one),
        "no class 'horse'": lambda: UnpairedFolders(one, other, 8, source_class="horse"),
        "share": lambda: Masked(share=1.0),
        "at least 2": lambda: LowResolution(1),
        "threshold": lambda: Edges(threshold=0.0),
    }


@pytest.mark.parametrize("word", list(refusals(Path("."))))
def test_what_cannot_be_pairs_is_refused_by_name(tmp_path, word):
    pictures(tmp_path / "one", 3)
    pictures(tmp_path / "other", 2)
    pictures(tmp_path / "large", 2, (24, 20))
    pictures(tmp_path / "odd", 1, (11, 4))
    with pytest.raises(UserError, match=word) as found:
        refusals(tmp_path)[word]()  # type: ignore[operator]
    assert "\n" not in str(found.value)
