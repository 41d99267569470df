import json

import pytest

from gan_lightning.data.arrangement import arrange, class_order
from gan_lightning.data.image_files import image_files
from gan_lightning.errors import UserError


def tree(root, *names, **texts):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def read(root, rule="auto", on_error="raise"):
    return arrange(image_files(str(root)), rule, on_error)


def labels_of(listing, classes):
    return dict(zip(listing.names, [classes[i] for i in listing.labels], strict=True))


def shards(root, **texts):
    return tree(root, *[f"{i // 4:05d}/img{i:08d}.png" for i in range(12)], **texts)


def style_gan(labels):
    return json.dumps({"labels": labels})


def test_labels_of_style_gan_are_read_and_shards_are_no_classes(tmp_path):
    entries = [[f"{i // 4:05d}/img{i:08d}.png", i % 2] for i in range(12)]
    found = read(shards(tmp_path, dataset_dot_json=style_gan(entries)))
    assert found.classes == ["0", "1"] and found.train.labels == [0, 1] * 6 and found.source == "dataset.json"
    (tmp_path / "dataset.json").write_text(style_gan([[name, [0, 1] if k else [1, 0]] for name, k in entries]))
    assert read(tmp_path).train.labels == [0, 1] * 6
    (tmp_path / "dataset.json").write_text(style_gan(None))
    assert read(tmp_path).classes == [] and read(tmp_path).train.labels is None
    (tmp_path / "dataset.json").write_text(style_gan([[name, [0.5, 2.5]] for name, _ in entries]))
    assert read(tmp_path, "folders").classes == ["00000", "00001", "00002"]
    with pytest.raises(UserError, match=r"dataset\.json: a label is \[0\.5, 2\.5\], which is no class"):
        read(tmp_path, "dataset.json")
    (tmp_path / "dataset.json").write_text("[1]")
    with pytest.raises(UserError, match=r"dataset\.json is not StyleGAN's"):
        read(tmp_path)
    (tmp_path / "dataset.json").write_text(style_gan(entries[1:]))
    with pytest.raises(UserError, match=r"no label for 1 of 12 images, such as 00000/img00000000\.png"):
        read(tmp_path)
    skipped = read(tmp_path, on_error="skip")
    assert len(skipped.train.names) == 11 and skipped.left_out == {"without a label": 1}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "file,label\na.png,cat\nb.png,dog\nc.png,cat\n"),
        ("labels.csv", "a.png;cat\nb.png;dog\nc.png;cat\n"),
        ("data.tsv", "id\tbreed\na\tcat\nb\tdog\nc\tcat\n"),
        (
            "metadata.csv",
            "split,file_name,width,class\nx,images/a.png,3,cat\ny,images/b.png,3,dog\nz,images/c.png,1,cat\n",
        ),
        ("labels.csv", "\ufeffpath,category\n./a.png,cat\n/home/me/b.png,dog\nc.png,cat\nmissing.png,eel\n"),
        (
            "metadata.jsonl",
            '{"file": "a.png", "label": "cat"}\n\n{"file": "b.png", "label": "dog"}\n{"file": "c.png", "label": "cat"}\n',
        ),
    ],
)
def test_tables_of_labels(tmp_path, name, text):
    tree(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / name).write_text(text)
    found = read(tmp_path)
    assert labels_of(found.train, found.classes) == {"a.png": "cat", "b.png": "dog", "c.png": "cat"}
    assert read(tmp_path, "none").classes == []


def test_a_table_of_several_columns_is_asked_about(tmp_path, capsys):
    tree(tmp_path, "a.png", "b.png", t_dot_csv="file,colour,size\na.png,red,1\nb.png,red,2\n")
    assert read(tmp_path).classes == []
    assert "t.csv is not used: it has the columns colour, size; say which" in capsys.readouterr().err
    assert read(tmp_path, "t.csv:size").classes == ["1", "2"]
    with pytest.raises(UserError, match=r"no column siez \(did you mean size\?\); it has colour, size"):
        read(tmp_path, "t.csv:siez")
    with pytest.raises(UserError, match=r"there is no file u\.csv in"):
        read(tmp_path, "u.csv")
    with pytest.raises(UserError, match=r"labels must be auto, folders, none, or a \.json, .*got fodlers"):
        read(tmp_path, "fodlers")
    (tmp_path / "t.csv").write_text("file,text\na.png,a red car\nb.png,a blue car\n")
    assert read(tmp_path).classes == []
    assert "text differs for every image, so it is no class" in capsys.readouterr().err
    (tmp_path / "t.csv").write_text("file,label\na.png,x\na.png,y\n")
    with pytest.raises(UserError, match=r"says that a\.png is x and y"):
        read(tmp_path)


def test_tables_beside_splits(tmp_path):
    tree(
        tmp_path, "train/1.png", "train/2.png", "test/1.png", train_dot_csv="file,label\ntrain/1.png,x\ntrain/2.png,y\n"
    )
    found = read(tmp_path)
    assert found.train.labels == [0, 1] and found.evaluation.labels is None
    (tmp_path / "test.csv").write_text("file,label\ntest/1.png,y\n")
    assert read(tmp_path).evaluation.labels == [1]


def test_numbers_sort_as_numbers(tmp_path):
    tree(tmp_path, *[f"{i}/a.png" for i in (0, 1, 2, 10, 11, 100)])
    assert read(tmp_path).classes == ["0", "1", "2", "10", "11", "100"]
    assert class_order(["10.5", "-1", "9"]) == ["-1", "9", "10.5"]
    assert class_order(["class_10", "class_9", "Class", "b"]) == ["Class", "b", "class_9", "class_10"]
    assert class_order(["b", "10", "9", "a"]) == ["9", "10", "a", "b"]


def test_hidden_and_system_folders_are_no_classes(tmp_path):
    junk = (
        "@eaDir",
        "__MACOSX",
        ".git",
        ".ipynb_checkpoints",
        "$RECYCLE.BIN",
        "lost+found",
        "System Volume Information",
    )
    tree(tmp_path, "cat/a.png", "dog/b.png", "cat/@eaDir/a.png/x.jpg", *[f"{name}/a.png" for name in junk])
    found = read(tmp_path)
    assert found.classes == ["cat", "dog"] and len(found.train.names) == 2


@pytest.mark.parametrize("evaluation", ["test", "valid", "val2017", "Test_Set"])
def test_splits_beside_loose_pictures_are_kept_apart(tmp_path, evaluation):
    tree(tmp_path, f"{evaluation}/a.png", "b.png", "c.png")
    found = read(tmp_path)
    assert found.train.names == ["b.png", "c.png"] and found.evaluation.names == [f"{evaluation}/a.png"]
    tree(tmp_path, "train/d.png")
    found = read(tmp_path)
    assert found.train.names == ["train/d.png"] and found.evaluation.names == [f"{evaluation}/a.png"]
    assert found.left_out == {"beside the folders of the splits": 2}


def test_evaluation_folders_among_others_are_asked_about(tmp_path):
    tree(tmp_path, "cat/a.png", "dog/b.png", "test/c.png")
    for rule in ("auto", "none"):
        with pytest.raises(UserError, match=r"has a folder test beside cat"):
            read(tmp_path, rule)
    assert read(tmp_path, "folders").classes == ["cat", "dog", "test"]
    tree(tmp_path / "other", "val/a.png", "test/b.png")
    with pytest.raises(UserError, match="no folder of training images beside test, val"):
        read(tmp_path / "other")
    tree(tmp_path / "vehicles", "bus/a.png", "train/b.png")
    assert read(tmp_path / "vehicles").classes == ["bus", "train"]


def test_splits_below_classes(tmp_path):
    tree(tmp_path, "cat/train/a.png", "cat/test/b.png", "dog/train/c.png", "dog/test/d.png")
    found = read(tmp_path)
    assert found.classes == ["cat", "dog"]
    assert labels_of(found.train, found.classes) == {"cat/train/a.png": "cat", "dog/train/c.png": "dog"}
    assert labels_of(found.evaluation, found.classes) == {"cat/test/b.png": "cat", "dog/test/d.png": "dog"}
