"""Weights & Biases without a network: what a run writes is read back from its own file."""

from __future__ import annotations

import json
import os
import shutil
import struct
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from gan_lightning.loggers.wandb import RunWandbLogger, code_version, lasting_id

wandb = pytest.importorskip("wandb")


@pytest.fixture(autouse=True)
def no_account(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)  # must not be written anywhere


def train(folder: Path, first: int, last: int) -> None:
    """Log what a training does between two updates."""
    logger = RunWandbLogger(str(folder), project="test", tags=["a"], offline=True, log_checkpoints=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": {"n_critic": 5}}))
    logger.log_run(folder / "config.yaml")
    for step in range(first, last):
        logger.log_metrics({"loss/critic": 0.5 + step}, step)
    logger.log_image("samples", [Image.new("L", (8, 8), 200)], step=last - 1)
    (folder / "evaluation").mkdir(exist_ok=True)
    (folder / "evaluation" / f"{last:06d}.json").write_text(json.dumps({"fid": 12.5}))
    logger.log_metrics({"val/fid": 12.5}, last - 1)
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"weights")
    logger.finalize("success")
    logger.experiment.finish()


def records(file: Path) -> list:
    """Return the records of a finished run's file; the service that writes it may lag behind `finish`."""
    deadline = time.monotonic() + 30
    while True:
        found = list(_records(file))
        if any(record.WhichOneof("record_type") == "exit" for record in found) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _records(file: Path):
    """Yield the records of a run file: LevelDB's log format (blocks of 32 KiB, each piece with crc, length and type)
    after seven bytes of header, a protocol buffer in each record."""
    from wandb.proto import wandb_internal_pb2

    content, position, record = file.read_bytes(), 7, b""
    assert content[:4] == b":W&B"
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        record += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            found = wandb_internal_pb2.Record()  # type: ignore[attr-defined]  # made when it is imported
            found.ParseFromString(record)
            yield found
            record = b""


def test_a_requeued_training_is_one_run_with_everything_in_it(tmp_path):
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    train(folder, 0, 3)
    train(folder, 3, 5)
    files = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 2
    steps, cards, artifacts, ids, config, names = [], [], [], set(), {}, set()
    for file in files:
        for record in records(file):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                ids.add(record.run.run_id)
                names.add(record.run.display_name)
                config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif kind == "config":
                config |= {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.config.update}
            elif kind == "history":
                row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
                steps.append(row)
            elif kind == "files":
                cards += [item.path for item in record.files.files]
            elif kind == "artifact":
                artifacts.append(record.artifact.name)
    assert ids == {(folder / "wandb_id").read_text()} and names == {"mine"}
    assert [row["trainer/global_step"] for row in steps if "loss/critic" in row] == [0, 1, 2, 3, 4]
    assert [row["loss/critic"] for row in steps if "loss/critic" in row] == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert sum("samples" in row for row in steps) == 2
    assert config["model"] == {"n_critic": 5}
    assert config["code"] == code_version()
    assert {path for path in cards if path.startswith("evaluation")} == {
        "evaluation/000003.json",
        "evaluation/000005.json",
    }
    assert set(artifacts) == {"mine-checkpoints"}
    pictures = list(folder.glob("wandb/offline-run-*/files/media/images/*.png"))
    assert len(pictures) == 2 and all(Image.open(path).convert("L").getpixel((4, 4)) == 200 for path in pictures)
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"a" * 40 not in path.read_bytes(), f"the key is in {path}"


def test_other_ranks_write_nothing(tmp_path, monkeypatch):
    from lightning.pytorch.utilities import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger = RunWandbLogger(str(tmp_path / "mine"), offline=True)
    logger.log_metrics({"loss/critic": 1.0}, 0)
    logger.experiment.log({"loss/critic": 1.0})
    logger.finalize("success")
    assert not (tmp_path / "mine").exists()


def test_a_copied_folder_is_a_run_of_its_own_and_a_moved_one_is_not(tmp_path, capsys):
    first, moved, copy = (tmp_path / name for name in ("first", "moved", "copy"))
    first.mkdir()
    kept = lasting_id(first)
    first.rename(moved)
    assert lasting_id(moved) == kept
    shutil.copytree(moved, copy)
    assert lasting_id(moved) == kept and not capsys.readouterr().err
    own = lasting_id(copy)
    assert own != kept and own == lasting_id(copy) and lasting_id(moved) == kept
    assert capsys.readouterr().err.count("is a copy of") == 1


def test_the_version_names_the_commit(monkeypatch):
    assert code_version().split()[0]
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("GAN_LIGHTNING_COMMIT", "abc123")
    assert code_version().endswith(" abc123")
