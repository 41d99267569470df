"""The page of runs and cards: what it shows, what it keeps apart, and that it never fails a run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from gan_lightning.cli import training
from gan_lightning.evaluation import report
from gan_lightning.evaluation.report import Run, axes, differences, groups_of, page, read_run, write_report
from gan_lightning.evaluation.run_pictures import write_run_pictures
from tests.training import command, fit, networks


def card(**changes: Any) -> dict[str, Any]:
    facts = {"extractor": "digits", "n_generated": 64, "real_fingerprint": "a", "versions": {}, "update": 10}
    return {"schema": 1, "metrics": ["fid"], "fid": 3.0, **facts, **changes}


def write_run(folder: Path, name: str, cards: dict[str, Any] | None = None, lr: float = 0.1, n_grids: int = 3) -> Path:
    run = folder / name
    (run / "samples").mkdir(parents=True)
    (run / "evaluation").mkdir()
    rows = [f"{i},{1 / (i + 1)},{i * 0.064},{640},{'nan' if i == 5 else 2}" for i in range(0, 40)]
    header = "step,loss/critic,progress/kimg,perf/images_per_second,val/fid_digits"
    (run / "metrics.csv").write_text("\n".join([header, *rows]) + "\n")
    (run / "config.yaml").write_text(yaml.safe_dump({"name": name, "model": {"class_path": "x.SNGAN", "lr": lr}}))
    for file, content in (cards or {}).items():
        (run / "evaluation" / file).write_text(json.dumps(content))
    for index in range(n_grids):
        pixels = np.random.default_rng(index).integers(0, 256, (32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(run / "samples" / f"{10 * index:06d}.png")
    return run


def data_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def test_a_page_has_curves_grids_cards_and_settings(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path, "a", {"000010.json": card()}),
        write_run(tmp_path, "b", {"1.json": card(fid=2.0)}, 0.2),
    ]
    runs = [read_run(path, path.name) for path in paths]
    data = data_of(page(runs, "a against b"))
    one = data["runs"][0]
    assert one["curves"]["val/fid_digits"]["y"][5] is None and one["curves"]["loss/critic"]["y"][1] == 0.5
    assert one["axes"]["updates"] == list(range(40)) and one["axes"]["kimg"][39] == pytest.approx(39 * 0.064)
    assert one["axes"]["hours"][39] == pytest.approx(39 * 64 / 640 / 3600, rel=1e-4)
    assert [grid["update"] for grid in one["grids"]] == [0, 10, 20]
    assert data["differences"] == [["model.lr", 0.1, 0.2]]
    assert len(data["groups"]) == 1 and [row["values"]["fid"] for row in data["groups"][0]["rows"]] == [3.0, 2.0]


def test_cards_that_differ_are_not_put_in_one_table(tmp_path: Path) -> None:
    others = {"1.json": card(), "2.json": card(update=20, fid=1.0), "3.json": card(n_generated=65)}
    run = read_run(write_run(tmp_path, "a", others), "a")
    groups = groups_of([run])
    assert [len(group["rows"]) for group in groups] == [1, 1]
    assert groups[0]["rows"][0]["values"] == {"fid": 1.0}  # of equal settings the last update
    assert groups[1]["differs"] == ["n_generated"]
    alone = read_run(tmp_path / "a" / "evaluation" / "3.json", "3")
    assert groups_of([alone])[0]["rows"][0]["name"] == "3" and differences([alone]) == []


@pytest.mark.parametrize(
    ("setting", "named"),
    [("radius", "centres_fingerprint"), ("std", "std"), ("n_modes", "n_modes, centres_fingerprint")],
)
def test_modes_elsewhere_are_not_put_in_one_table(setting: str, named: str, tmp_path: Path) -> None:
    for name, value in (("a", None), ("b", None), ("c", {"radius": 2.0, "std": 0.5, "n_modes": 4}[setting])):
        own = {"n": 64, "batch_size": 8} | ({} if value is None else {setting: value})
        data = {"class_path": "Ring", "init_args": own}
        config = {"name": name, "data": data, "model": {"class_path": "NonSaturatingGAN", "init_args": networks()}}
        assert fit(tmp_path, {**config, "coverage": {"n_samples": 16}}, "--trainer.max_steps=1").code == 0
    done = command("compare", *(tmp_path / name for name in "abc"), "--out", tmp_path / "page.html")
    assert done.code == 0, done.err
    first, _, second = done.out.partition(f"not comparable with the first table; these differ: {named}\n")
    assert "\na " in first and "\nb " in first and "\nc " in second, done.out


def test_what_is_damaged_or_hostile_is_left_out_or_shown_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path, "a", {"1.json": card(real="</script><script>alert(1)</script>"), "2.json": [1]})
    (run / "samples" / "000010.png").write_bytes(b"no picture")
    (run / "evaluation" / "3.json").write_text("{")
    with (run / "metrics.csv").open("a") as file:
        file.write("broken,,,,\n7\n")
    text = page([read_run(run, "a")], "a <b>")
    assert text.count("</script>") == 2 and data_of(text)["title"] == "a <b>"
    assert [grid["update"] for grid in data_of(text)["runs"][0]["grids"]] == [0, 20]
    said = capsys.readouterr().err
    assert "2.json is no card" in said and "3.json is no card" in said and "000010.png cannot be read" in said
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_a_page_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "LARGEST_PAGE", 120_000)
    path = write_run(tmp_path, "a", n_grids=60)
    with (path / "metrics.csv").open("a") as file:
        file.writelines(f"{i},{i},{i},640,2\n" for i in range(40, 5000))
    text = page([read_run(path, "a")], "a")
    assert len(text) < 120_000
    (run,) = data_of(text)["runs"]
    assert len(run["curves"]["loss/critic"]["y"]) <= 500
    assert run["grids"][0]["update"] == 0 and run["grids"][-1]["update"] == 590


def test_an_axis_that_was_not_logged_is_none() -> None:
    run = Run("a", steps=[0, 1], curves={"loss/critic": ([0, 1], [1.0, 2.0])})
    assert axes(run) == {"updates": [0, 1], "kimg": None, "hours": None}


CONFIG = {
    "name": "a",
    "data": {"class_path": "RandomImages", "init_args": {"image_size": 8, "channels": 1, "n": 24, "batch_size": 4}},
    "model": {"class_path": "NonSaturatingGAN", "init_args": networks()},
    "fidelity": {"extractor": "Digits", "n_samples": 64},
}


def test_every_fit_ends_with_its_report_and_a_failure_of_it_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = fit(tmp_path, CONFIG)
    assert done.code == 0 and re.search(r"^report +\S+report.html$", done.out, re.MULTILINE), done.out
    assert data_of((tmp_path / "a" / "report.html").read_text())["runs"][0]["grids"]
    assert re.search(r"^film +\S+film.gif$", done.out, re.MULTILINE)
    with Image.open(tmp_path / "a" / "film.gif") as film:
        assert film.n_frames == len(list((tmp_path / "a" / "samples").glob("*.png"))) > 1  # type: ignore[attr-defined]

    def fail(folder: Path) -> Path:
        raise RuntimeError("no page")

    monkeypatch.setattr(training, "write_report", fail)
    monkeypatch.setattr(training, "write_run_pictures", fail)
    done = fit(tmp_path, {**CONFIG, "name": "b"})
    assert done.code == 0 and "report.html could not be written: no page" in done.err
    assert "curves.png and film.gif could not be written: no page" in done.err


def test_a_run_folder_gets_curves_and_a_film_of_what_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path, "a", n_grids=70)
    (run / "samples" / "000690.png").write_bytes(b"no picture")
    assert write_run_pictures(run) == ["curves.png", "film.gif"]
    with Image.open(run / "film.gif") as film, Image.open(run / "curves.png") as curves:
        assert film.n_frames == 59 and curves.width > curves.height  # type: ignore[attr-defined]
    assert "000690.png cannot be read" in capsys.readouterr().err
    assert write_run_pictures(write_run(tmp_path, "b", n_grids=1)) == ["curves.png"]
    (tmp_path / "b" / "metrics.csv").write_text("step,loss/critic\n1,2.0\n")
    (tmp_path / "b" / "curves.png").unlink()
    assert write_run_pictures(tmp_path / "b") == []  # one number is no curve


def test_the_verbs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path, name, {"1.json": card(fid=2.5), "2.json": card(extractor="raw", fid=None)})
    done = command("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "page.html")
    assert done.code == 0 and (tmp_path / "page.html").is_file(), done.err
    assert re.search(r"^a +10 +2.5$", done.out, re.MULTILINE) and re.search(r"^b +10 +-$", done.out, re.MULTILINE)
    assert "not comparable with the first table; these differ: extractor" in done.out
    done = command("report", tmp_path / "a")
    assert done.code == 0 and done.out.strip() == str(tmp_path / "a" / "report.html")
    for words, message in [
        (("report", tmp_path), "is no run folder"),
        (("report", tmp_path / "none"), "is not there"),
        (("report", tmp_path / "page.html"), "is a file; report takes a run folder"),
        (("compare", tmp_path / "page.html"), "is no card"),
        (("compare", tmp_path / "a", "--out", tmp_path), "is a folder; give a file"),
        (
            ("compare", tmp_path / "a", "--out", tmp_path / "no" / "page.html"),
            "to write --out page.html to; make it first",
        ),
        (
            ("compare", tmp_path / "a", "--out", tmp_path / "a" / "evaluation" / "1.json"),
            "is there already, and is no page",
        ),
    ]:
        refused = command(*words)
        assert refused.code == 2 and message in refused.err and refused.err.count("\n") == 1, refused.err


def test_a_report_is_cheap(tmp_path: Path) -> None:
    assert write_report(write_run(tmp_path, "a")).stat().st_size < 100_000
