"""TensorBoard: config, settings to compare runs by, one histogram a layer at a calm interval, grids with real pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from gan_lightning.evaluation.pictures import scatter


@pytest.fixture(scope="module")
def events(image_run: Path) -> Any:
    found = EventAccumulator(str(image_run / "tensorboard"), {"histograms": 0, "images": 0})
    found.Reload()
    return found


def test_the_config_is_text_and_its_settings_are_compared_by_what_is_measured(events: Any, image_run: Path) -> None:
    (text,) = events.Tensors("config/text_summary")
    shown = text.tensor_proto.string_val[0].decode()
    assert "".join(line[4:] + "\n" for line in shown.splitlines()) == (image_run / "config.yaml").read_text()
    content = events.PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(content["_hparams_/session_start_info"]).session_start_info
    assert start.hparams["model"].string_value == "SNGAN" and start.hparams["data.batch_size"].number_value == 8
    assert not any("class_path" in name or "init_args" in name for name in start.hparams)
    experiment = HParamsPluginData.FromString(content["_hparams_/experiment"]).experiment
    metrics = {info.name.tag for info in experiment.metric_infos}
    assert {"loss/critic", "loss/generator", "val/fid_digits"} <= metrics
    assert "val/fid_digits" in events.Tags()["scalars"] and "hp_metric" not in events.Tags()["scalars"]


def test_a_layer_has_one_histogram_at_the_start_at_evaluations_and_at_the_end(events: Any) -> None:
    tags = events.Tags()["histograms"]
    assert tags and not any(tag.endswith(("weight", "bias", "original")) for tag in tags)
    steps = [event.step for event in events.Histograms(tags[0])]
    assert steps[0] == 0 and steps[-1] == 6 and len(steps) == len(set(steps))


def test_a_grid_has_a_row_of_real_pictures_and_the_names_of_the_classes(events: Any, image_run: Path) -> None:
    first, *_, last = (np.asarray(Image.open(io.BytesIO(e.encoded_image_string))) for e in events.Images("samples"))
    row = slice(2, 66)  # 8x8 pictures are enlarged to 64x64
    assert first.shape == last.shape and first.shape[0] == 4 * 66 + 2  # real pictures and three classes
    assert np.array_equal(first[row], last[row]) and not np.array_equal(first[66:], last[66:])
    margin = first.shape[1] - (2 * 66 + 2)
    assert all((first[2 + 66 * i : 66 + 66 * i, :margin] < 128).any() for i in range(4))  # a name before each row


def test_real_points_are_seen_over_generated_ones() -> None:
    import torch

    real = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    crowd = real.repeat(500, 1) + 0.01 * torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    dark = (np.asarray(scatter(crowd, real)).sum(2) < 250).sum()
    assert dark > (np.asarray(scatter(crowd)).sum(2) < 250).sum()
