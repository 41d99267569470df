import io
import multiprocessing
import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lightning.data import ImageFolder, packing
from gan_lightning.data import image_folder as module
from gan_lightning.errors import RunFailed
from gan_lightning.runs import files


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home / "gan_lightning"


@pytest.fixture
def decoded(monkeypatch):
    """The number of images decoded so far, as a list to look into."""
    count = []
    original = module.decode
    monkeypatch.setattr(module, "decode", lambda *a: count.append(1) or original(*a))
    return count


def save(path, value=0, size=(10, 10), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def flat(root, n=6):
    for i in range(n):
        save(root / f"{i}.png", i)
    return root


def packs(folder):
    return sorted(folder.glob("*.npy"))


def values(samples):
    return samples.images[:, 0, 0, 0].tolist()


def test_a_flat_folder_has_no_labels(tmp_path):
    source = ImageFolder(str(flat(tmp_path)), 8)
    assert (source.image_size, source.channels, source.n_classes) == (8, 3, 0)
    source.prepare_data()
    real = source.reference("train")
    assert values(real) == list(range(6)) and real.labels is None
    assert real.images.shape == (6, 3, 8, 8) and real.images.dtype == torch.uint8
    assert values(source.reference("eval")) == values(real)  # nothing else to compare with
    assert str(tmp_path) in real.description


def test_sub_folders_are_classes(tmp_path):
    save(tmp_path / "dog/a.png", 1)
    save(tmp_path / "cat/b.JPG", 2)
    save(tmp_path / "cat/deep/c.png", 3)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("not an image")
    source = ImageFolder(str(tmp_path), 8)
    assert source.classes == ["cat", "dog"] and source.n_classes == 2
    assert source.reference("train").labels.tolist() == [0, 0, 1]
    assert source.reference("train").labels.dtype == torch.int64
    none = ImageFolder(str(tmp_path), 8, labels="none")
    assert none.n_classes == 0 and none.reference("train").labels is None


def test_images_outside_the_classes_mean_no_labels(tmp_path):
    save(tmp_path / "dog/a.png")
    save(tmp_path / "cat/b.png")
    save(tmp_path / "c.png")
    assert ImageFolder(str(tmp_path), 8).n_classes == 0
    with pytest.raises(ValueError, match=r"every image in a class folder, but .* has c\.png"):
        ImageFolder(str(tmp_path), 8, labels="folders")


def test_a_common_top_folder_is_looked_through(tmp_path):
    for name in ("data/set/cat/a.png", "data/set/dog/b.png"):
        save(tmp_path / name)
    assert ImageFolder(str(tmp_path), 8).classes == ["cat", "dog"]
    flat(tmp_path / "other/only")
    assert ImageFolder(str(tmp_path / "other"), 8).n_classes == 0
    assert ImageFolder(str(tmp_path / "other"), 8, labels="folders").classes == ["only"]


@pytest.mark.parametrize("evaluation", ["test", "val", "Validation"])
def test_splits_from_sub_folders(tmp_path, evaluation):
    for i, name in enumerate(["train/cat/a", "train/cat/b", "train/dog/c", f"{evaluation}/dog/d"]):
        save(tmp_path / f"{name}.png", i)
    source = ImageFolder(str(tmp_path), 8)
    source.prepare_data()
    assert source.classes == ["cat", "dog"]
    assert values(source.reference("train")) == [0, 1, 2] and source.reference("train").labels.tolist() == [0, 0, 1]
    assert values(source.reference("eval")) == [3] and source.reference("eval").labels.tolist() == [1]


def test_test_is_preferred_to_val_and_a_third_folder_is_asked_about(tmp_path):
    for i, name in enumerate(["train", "val", "test"]):
        save(tmp_path / name / "a.png", i)
    source = ImageFolder(str(tmp_path), 8)
    assert values(source.reference("eval")) == [2] and source.n_classes == 0
    assert source.left_out == {"in val/": 1}
    save(tmp_path / "cat/a.png")
    with pytest.raises(ValueError, match=r"has a folder test beside cat: .*eval_root; .*labels=folders"):
        ImageFolder(str(tmp_path), 8)
    assert ImageFolder(str(tmp_path), 8, labels="folders").classes == ["cat", "test", "train", "val"]


def test_a_class_in_the_evaluation_split_only_is_refused(tmp_path):
    for name in ["train/cat/a", "train/dog/b", "test/cow/c"]:
        save(tmp_path / f"{name}.png")
    with pytest.raises(ValueError, match=r"test/cow/c\.png is not in the training split; use labels=none"):
        ImageFolder(str(tmp_path), 8)


def test_a_held_out_fraction(tmp_path):
    source = ImageFolder(str(flat(tmp_path, 20)), 8, eval_fraction=0.25)
    source.prepare_data()
    train, held_out = values(source.reference("train")), values(source.reference("eval"))
    assert len(train) == 15 and len(held_out) == 5
    assert sorted(train + held_out) == list(range(20))
    assert held_out != list(range(5)) and held_out != list(range(15, 20))
    again = ImageFolder(str(tmp_path), 8, eval_fraction=0.25)
    assert values(again.reference("eval")) == held_out
    for fraction in (1.0, -0.1, 0.001):
        with pytest.raises(ValueError, match=f"got {fraction} of 20 images"):
            ImageFolder(str(tmp_path), 8, eval_fraction=fraction)


def test_another_folder_for_evaluation(tmp_path):
    for name in ("a/cat/0", "a/dog/1", "b/dog/2", "b/cat/3"):
        save(tmp_path / f"{name}.png", int(name[-1]))
    source = ImageFolder(str(tmp_path / "a"), 8, eval_root=str(tmp_path / "b"))
    source.prepare_data()
    assert values(source.reference("train")) == [0, 1]
    assert values(source.reference("eval")) == [3, 2] and source.reference("eval").labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="is an evaluation split already; set it to 0"):
        ImageFolder(str(tmp_path / "a"), 8, eval_root=str(tmp_path / "b"), eval_fraction=0.5)
    save(tmp_path / "b/cow/4.png")
    with pytest.raises(ValueError, match=r"\['cat', 'cow', 'dog'\], but the training images have \['cat', 'dog'\]"):
        ImageFolder(str(tmp_path / "a"), 8, eval_root=str(tmp_path / "b"))


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in members.items():
            if not isinstance(value, bytes):
                buffer = io.BytesIO()
                Image.new("L", (10, 10), value).save(buffer, "PNG")
                value = buffer.getvalue()
            archive.writestr(zipfile.ZipInfo(name), value)  # keeps the name as it is
    return path


def test_a_zip(tmp_path):
    members = {"top/train/cat/a.png": 1, "top/train/dog/b.png": 2, "top/test/cat/c.png": 3}
    junk = {"__MACOSX/top/train/cat/._a.png": b"x", "top/.DS_Store": b"x", "top/train/cat/Thumbs.db": b"x"}
    path = write_zip(tmp_path / "set.zip", {**members, **junk})
    source = ImageFolder(str(path), 8)
    source.prepare_data()
    assert source.classes == ["cat", "dog"]
    assert values(source.reference("train")) == [1, 2] and values(source.reference("eval")) == [3]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.zip"]


def test_members_that_leave_the_zip_are_ignored_and_nothing_is_extracted(tmp_path):
    inner = tmp_path / "deep/er"
    inner.mkdir(parents=True)
    evil = {"../evil.png": 9, "a/../../evil2.png": 9, "/abs.png": 9, "..\\win.png": 9, "C:/drive.png": 9}
    path = write_zip(inner / "set.zip", {"ok/0.png": 0, "ok\\1.png": 1, **evil})
    with pytest.warns(UserWarning, match="ignored 5 members whose path leaves the archive"):
        source = ImageFolder(str(path), 8)
        source.prepare_data()
    assert values(source.reference("train")) == [0, 1]
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    assert left == {"deep", "deep/er", "deep/er/set.zip"}


def test_mixed_formats_make_one_set(tmp_path):
    grey = np.full((12, 20), 90, np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(grey).save(tmp_path / "b.jpg")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "c.png")
    Image.fromarray(grey).convert("RGBA").save(tmp_path / "d.webp", lossless=True)
    Image.fromarray(grey).convert("P").save(tmp_path / "e.gif")
    Image.fromarray(grey).convert("CMYK").save(tmp_path / "f.jpeg", quality=95)
    Image.fromarray(grey).convert("LA").save(tmp_path / "g.png")
    Image.fromarray(grey).save(tmp_path / "h.TIFF")
    with pytest.raises(ValueError, match=r"c\.png: its pixels are 16-bit, from 23130 to 23130"):
        ImageFolder(str(tmp_path), 8, on_error="skip").prepare_data()  # not even with "skip"
    real = ImageFolder(str(tmp_path), 8, value_range=[0, 65535]).reference("train")
    assert len(real) == 8
    assert (real.images.int() - 90).abs().max() <= 2


def broken(root):
    flat(root)
    content = (root / "0.png").read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(root / "truncated.png")
    (root / "truncated.png").write_bytes((root / "truncated.png").read_bytes()[:3000])
    (root / "zero.jpg").write_bytes(b"")
    (root / "text.gif").write_text("this is a text")
    (root / "notes.txt").write_bytes(content)
    return root


@pytest.mark.parametrize("name", ["truncated.png", "zero.jpg", "text.gif"])
def test_an_unreadable_image_is_named(tmp_path, name, cache):
    broken(tmp_path)
    for other in {"truncated.png", "zero.jpg", "text.gif"} - {name}:
        (tmp_path / other).unlink()
    with pytest.raises(ValueError, match=rf"cannot read the image {tmp_path}/{name}: .*on_error=skip") as caught:
        ImageFolder(str(tmp_path), 8).prepare_data()
    assert "\n" not in str(caught.value)
    assert not list((cache / "packs").iterdir())  # not even a temporary file


def test_unreadable_images_are_skipped_and_counted(tmp_path, decoded):
    for i, name in enumerate(["cat", "dog"]):
        broken(tmp_path / name)
        save(tmp_path / name / "zz.png", 100 + i)
    with pytest.warns(
        UserWarning, match=r"6 of 20 images could not be read and are left out, the first is .*text\.gif"
    ):
        source = ImageFolder(str(tmp_path), 8, on_error="skip")
        source.prepare_data()
    real = source.reference("train")
    assert values(real) == [0, 1, 2, 3, 4, 5, 100, 0, 1, 2, 3, 4, 5, 101]
    assert real.labels.tolist() == [0] * 7 + [1] * 7
    assert len(decoded) == 20
    with pytest.warns(UserWarning, match="6 of 20"):
        ImageFolder(str(tmp_path), 8, on_error="skip").prepare_data()
    with pytest.raises(ValueError, match=r"cannot read the image .*text\.gif"):
        ImageFolder(str(tmp_path), 8, on_error="raise").prepare_data()
    assert len(decoded) == 20


def test_if_none_can_be_read_it_says_so(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of 1 images can be read; .*a\.png: the file is empty"):
        ImageFolder(str(tmp_path), 8, on_error="skip").prepare_data()


def test_nothing_is_decoded_twice(tmp_path, decoded, cache):
    source = ImageFolder(str(flat(tmp_path)), 8)
    source.prepare_data()
    source.setup("fit")
    source.reference("eval")
    (pack,) = packs(cache / "packs")
    written = pack.stat().st_mtime_ns
    again = ImageFolder(str(tmp_path), 8, batch_size=2, flip=True, seed=4)
    again.prepare_data()
    assert values(again.reference("train")) == list(range(6))
    assert len(decoded) == 6
    assert packs(cache / "packs") == [pack] and pack.stat().st_mtime_ns == written
    assert again.reference("train").fingerprint == source.reference("train").fingerprint


def test_a_changed_file_or_option_makes_a_new_pack(tmp_path, decoded, cache):
    ImageFolder(str(flat(tmp_path)), 8).prepare_data()
    save(tmp_path / "3.png", 77)
    os.utime(tmp_path / "3.png", ns=(1, 1))
    changed = ImageFolder(str(tmp_path), 8)
    changed.prepare_data()
    assert values(changed.reference("train")) == [0, 1, 2, 77, 4, 5] and len(decoded) == 12
    assert len(packs(cache / "packs")) == 1  # the old one is gone
    save(tmp_path / "6.png", 6)
    assert len(ImageFolder(str(tmp_path), 8).reference("train")) == 7
    for options in ({"image_size": 4}, {"image_size": 8, "channels": 1}, {"image_size": 8, "crop": "none"}):
        before = len(decoded)
        ImageFolder(str(tmp_path), **options).prepare_data()
        assert len(decoded) == before + 7
    assert len(packs(cache / "packs")) == 4  # each set of options keeps its own


def test_files_that_change_places_make_a_new_pack(tmp_path):
    for name, value in (("black", 0), ("white", 255)):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("L", (8, 8), value).save(tmp_path / name / f"{i}.bmp")
            os.utime(tmp_path / name / f"{i}.bmp", ns=(1, 1))  # as all files of some archives
    before = ImageFolder(str(tmp_path), 8).reference("train")
    one, other = (tmp_path / name / "0.bmp" for name in ("black", "white"))
    one.rename(tmp_path / "moved")
    other.rename(one)
    (tmp_path / "moved").rename(other)
    after = ImageFolder(str(tmp_path), 8).reference("train")
    assert [values(before), values(after)] == [[0, 0, 255, 255], [255, 0, 0, 255]]
    assert before.fingerprint != after.fingerprint


def test_the_fingerprint_does_not_depend_on_where_the_images_lie(tmp_path):
    one = ImageFolder(str(flat(tmp_path / "a")), 8).reference("train")
    other = ImageFolder(str(flat(tmp_path / "b")), 8).reference("train")
    assert one.fingerprint == other.fingerprint
    fresh = type(one)(one.images, None, "")
    assert fresh.fingerprint == one.fingerprint  # the stored one is the content's


def test_nothing_is_written_beside_the_pictures(tmp_path, cache):
    root = flat(tmp_path / "set")
    before = sorted(root.iterdir())
    ImageFolder(str(root), 8).prepare_data()
    assert len(packs(cache / "packs")) == 1 and sorted(root.iterdir()) == before


def test_a_named_cache_folder_serves_several_sets(tmp_path):
    for name in ("a", "b"):
        source = ImageFolder(str(flat(tmp_path / name)), 8, cache_dir=str(tmp_path / "packs"))
        source.prepare_data()
        assert not (tmp_path / name / ".gan_lightning").exists()
    assert len(packs(tmp_path / "packs")) == 2


def test_no_place_to_write_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="no folder to keep prepared data in"):
        packing.writable([tmp_path / "file/below"])


def _prepare(root):
    ImageFolder(root, 8).prepare_data()


def test_processes_that_pack_at_once_agree(tmp_path, cache):
    flat(tmp_path, 200)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_prepare, args=(str(tmp_path),)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(values(ImageFolder(str(tmp_path), 8).reference("train"))) == list(range(200))
    assert sorted(p.suffix for p in (cache / "packs").iterdir()) == [".json", ".npy"]


def test_links_are_followed_once(tmp_path):
    flat(tmp_path / "elsewhere", 3)
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root)
    assert len(ImageFolder(str(root), 8).reference("train")) == 3


@pytest.mark.parametrize("make", ["nothing", "empty", "texts", "not a zip"])
def test_no_images_is_one_line(tmp_path, make):
    root = tmp_path / "set"
    if make != "nothing":
        root.mkdir()
    if make == "texts":
        (root / "a.txt").write_text("")
        (root / ".hidden.png").write_text("")
    if make == "not a zip":
        root = tmp_path / "set.zip"
        root.write_text("hello")
    message = {"nothing": "no folder or zip file", "not a zip": "not a readable zip"}.get(
        make, "there are no images in"
    )
    with pytest.raises(ValueError, match=message) as caught:
        ImageFolder(str(root), 8)
    assert str(root) in str(caught.value) and "\n" not in str(caught.value)


def test_the_mapped_file_is_never_written(tmp_path):
    source = ImageFolder(str(flat(tmp_path)), 8, flip=True)
    real = source.reference("train")
    real.images[0] = 99
    assert values(ImageFolder(str(tmp_path), 8).reference("train"))[0] == 0


def test_a_damaged_pack_is_made_anew(tmp_path, cache, capsys, decoded):
    ImageFolder(str(flat(tmp_path)), 8).prepare_data()
    (pack,) = packs(cache / "packs")
    card = pack.with_suffix(".json")
    sound, sound_card = pack.read_bytes(), card.read_text()
    flipped = bytearray(sound)
    flipped[-70] ^= 1
    foreign = io.BytesIO()
    np.save(foreign, np.zeros((6, 3, 8, 4), np.uint8))
    harms = [
        (pack, sound[:-1]),
        (pack, sound + b"x"),
        (pack, bytes(flipped)),
        (pack, foreign.getvalue()),
        (pack, b""),
        (pack, None),
        (card, b"{"),
        (card, sound_card.replace('"sample"', '"other"').encode()),
    ]
    for file, content in harms:
        file.unlink() if content is None else file.write_bytes(content)
        before = len(decoded)
        source = ImageFolder(str(tmp_path), 8)
        source.prepare_data()
        assert values(source.reference("train")) == list(range(6)) and len(decoded) == before + 6
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gan-lightning")]
        assert len(told) == 1 and "are damaged" in told[0] and str(pack) in told[0]
        assert pack.read_bytes() == sound and card.read_text() == sound_card


def test_measuring_compares_every_byte(tmp_path, cache, capsys, monkeypatch):
    monkeypatch.setattr(packing, "_PIECES", 2)
    monkeypatch.setattr(packing, "_PIECE", 8)
    source = ImageFolder(str(flat(tmp_path)), 8)
    source.prepare_data()
    (pack,) = packs(cache / "packs")
    content = bytearray(pack.read_bytes())
    content[-500] ^= 1
    pack.write_bytes(content)
    source = ImageFolder(str(tmp_path), 8)
    assert values(source.reference("train")) == list(range(6)) and not source.reference("train").is_whole()
    assert source.reference("train", whole=True).is_whole()
    assert "damaged and is made anew" in capsys.readouterr().err
    assert ImageFolder(str(tmp_path), 8).reference("train").is_whole()


def test_what_dead_processes_left_is_swept(tmp_path, cache):
    folder = cache / "packs"
    folder.mkdir(parents=True)
    host = files.socket.gethostname()
    dead = next(pid for pid in range(400_000, 10**7) if not files._is_alive(pid))
    (folder / f".a.npy.{host}.{dead}.x.part").touch()
    (folder / f".a.npy.{host}.{os.getpid()}.x.part").touch()
    (folder / f".a.npy.elsewhere.{dead}.x.part").touch()
    ImageFolder(str(flat(tmp_path)), 8).prepare_data()
    assert [p.name for p in folder.glob(".*")] == [
        p.name for p in folder.glob(".*") if host not in p.name or str(os.getpid()) in p.name
    ]
    assert len(list(folder.glob(".*.part"))) == 2


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, cache, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RunFailed, match=r"has no room for the packed data: No space left .*data.cache_dir"):
        ImageFolder(str(flat(tmp_path)), 8).prepare_data()
    assert not list((cache / "packs").iterdir())


def test_a_limit_packs_no_more(tmp_path, decoded, cache):
    flat(tmp_path, 20)
    whole = ImageFolder(str(tmp_path), 8)
    whole.prepare_data()
    some = ImageFolder(str(tmp_path), 8, limit=5)
    some.prepare_data()
    assert len(decoded) == 25 and len(packs(cache / "packs")) == 2
    rows = torch.randperm(20, generator=torch.Generator().manual_seed(0))[:5].sort().values.tolist()
    in_order = values(whole.reference("train"))
    assert values(some.reference("train")) == [in_order[row] for row in rows]
    assert "5 images" in some.found()


def test_what_was_found_is_one_line(tmp_path):
    for i in range(3):
        save(tmp_path / f"cat/{i}.png", i, (30 + i, 4000))
    save(tmp_path / "dog/a.png", 9)
    (tmp_path / "dog/b.png").write_bytes(b"")
    for name in ("cat/x.heic", "cat/y.HEIC", "notes.txt", ".hidden", "cat/Thumbs.db"):
        (tmp_path / name).write_text("")
    with pytest.warns(UserWarning, match="1 of 5"):
        found = ImageFolder(str(tmp_path), 8, on_error="skip").found()
    assert found == (
        "4 images of 10 to 4,000 px, 2 classes: cat 3, dog 1; 4 files left out: 2 .heic, 1 .txt, 1 unreadable"
    )


def test_a_class_keeps_a_training_image(tmp_path):
    for name in ("cat", "dog", "eel"):
        save(tmp_path / name / "one.png")
    for i in range(17):
        save(tmp_path / "cat" / f"{i}.png")
    for fraction in (0.1, 0.5, 0.9):
        source = ImageFolder(str(tmp_path), 8, eval_fraction=fraction)
        assert source.reference("train").labels.unique().tolist() == [0, 1, 2]
        assert len(source.reference("train")) + len(source.reference("eval")) == 20
    found = ImageFolder(str(tmp_path), 8, limit=1).found()
    assert found.endswith("; no training images of 2 classes: dog, eel")


def test_a_link_to_nowhere_and_a_pipe_obey_on_error(tmp_path):
    flat(tmp_path, 3)
    (tmp_path / "9.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "8.png")
    with pytest.raises(ValueError, match=r"cannot read the image .*8\.png: it is not a regular file"):
        ImageFolder(str(tmp_path), 8).prepare_data()
    with pytest.warns(UserWarning, match="2 of 5"):
        assert len(ImageFolder(str(tmp_path), 8, on_error="skip").reference("train")) == 3


def test_a_folder_that_cannot_be_listed_obeys_on_error(tmp_path, monkeypatch, capsys):
    flat(tmp_path, 3)
    flat(tmp_path / "closed")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ValueError, match=r"cannot list .*/closed: Permission denied; .*on_error=skip"):
        ImageFolder(str(tmp_path), 8)
    assert len(ImageFolder(str(tmp_path), 8, on_error="skip").reference("train")) == 3
    assert "1 folders cannot be listed" in capsys.readouterr().err


def test_other_training_data_are_said(tmp_path, capsys):
    for name in ("cat", "dog", "eel"):
        flat(tmp_path / name, 2)

    def said(state):
        capsys.readouterr()
        source = ImageFolder(str(tmp_path), 8)
        source.setup("fit")
        source.load_state_dict(state)
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gan-lightning")]
        assert len(told) <= 1
        return told[0].partition("those of the checkpoint: ")[2] if told else ""

    source = ImageFolder(str(tmp_path), 8)
    assert source.state_dict() == {}  # nothing is known before it is loaded
    source.setup("fit")
    state = source.state_dict()
    assert said(state) == ""
    save(tmp_path / "cat/0.png", 200)
    assert said(state) == "other images, or in another order"
    save(tmp_path / "cat/0.png", 0)
    (tmp_path / "dog/0.png").rename(tmp_path / "cat/z.png")
    assert said(state) == "other labels"
    (tmp_path / "cat/z.png").rename(tmp_path / "dog/0.png")
    save(tmp_path / "eel/x.png")
    assert said(state) == "6 -> 7 images"
    (tmp_path / "eel/x.png").unlink()
    (tmp_path / "cat").rename(tmp_path / "cow")
    assert said(state) == "classes cat, dog, eel -> cow, dog, eel"
    (tmp_path / "cow").rename(tmp_path / "zebra")
    with pytest.raises(ValueError, match="dog would be number 0 instead of 1"):
        said(state)
    source = ImageFolder(str(tmp_path), 8, classes=["zebra", "dog", "eel"])  # the way out
    source.setup("fit")
    source.load_state_dict(state)
