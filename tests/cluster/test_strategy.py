"""What is refused before any process is started, with the reason and the fix; and the buckets."""

from __future__ import annotations

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy
from torch import nn

from gan_lightning.callbacks.canary import checksum
from gan_lightning.execution.gan_ddp import GANDDPStrategy, _buckets, check_strategy


def trainer(strategy, **options):
    return Trainer(strategy=strategy, accelerator="cpu", devices=2, logger=False, enable_checkpointing=False, **options)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("ddp", "strategy ddp is refused: .* use trainer.strategy=gan_ddp, or ddp_find_unused_parameters_true"),
        (DDPStrategy(static_graph=True), "static_graph is refused: .* use trainer.strategy=gan_ddp"),
        (DDPStrategy(static_graph=True, find_unused_parameters=True), "static_graph is refused"),
    ],
    ids=["ddp", "static_graph", "both"],
)
def test_what_would_not_synchronise_is_refused(strategy, message):
    with pytest.raises(ValueError, match=message):
        check_strategy(trainer(strategy).strategy)


def test_what_shards_the_module_is_refused():
    with pytest.raises(ValueError, match="strategy fsdp is refused: it shards or wraps .* trainer.strategy=gan_ddp"):
        check_strategy(FSDPStrategy())


@pytest.mark.parametrize("strategy", ["gan_ddp", "ddp_find_unused_parameters_true", GANDDPStrategy(timeout_minutes=1)])
def test_what_works_is_allowed(strategy):
    check_strategy(trainer(strategy).strategy)


def test_sync_batchnorm_needs_gpus_and_is_honoured():
    with pytest.raises(ValueError, match="sync_batchnorm works on GPUs only"):
        check_strategy(trainer("gan_ddp", sync_batchnorm=True).strategy)
    layers = trainer("gan_ddp", sync_batchnorm=True).strategy._layer_sync.apply(nn.Sequential(nn.BatchNorm2d(2)))
    assert isinstance(layers[0], nn.SyncBatchNorm)


def test_buckets_hold_every_parameter_once_last_first_of_one_type_and_size():
    parameters = [nn.Parameter(torch.zeros(n)) for n in (3, 50, 4, 4)]
    parameters.insert(2, nn.Parameter(torch.zeros(2, dtype=torch.float64)))
    groups = list(_buckets(parameters, bucket_bytes=32))
    assert [[p.numel() for p in group] for group in groups] == [[4, 4], [2], [50], [3]]
    assert [id(p) for group in groups for p in group] == [id(p) for p in reversed(parameters)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_checksum_sees_one_bit(dtype):
    values = torch.randn(1000, dtype=dtype)
    changed = values.clone()
    changed[7:8].view({2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]).bitwise_xor_(1)
    assert checksum(values) == checksum(values.clone())
    assert checksum(values) != checksum(changed)
