"""In which precision a game can be trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gan_lightning.errors import UserError


def loss_of(terms: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of a loss's terms, in full precision."""
    return torch.stack([t.float() if t.dtype.itemsize < 4 else t for t in terms.values()]).sum()


def lacks_bfloat16(device: torch.device) -> bool:
    """Return whether a processor has no instructions for bfloat16: a convolution took 12 to 20 times as long as in float32."""
    if device.type != "cpu":
        return False
    try:
        return not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    except AttributeError:  # a torch that is built without oneDNN, or has renamed it
        return False


def check_precision(precision: Any) -> None:
    """Raise a UserError if training in this precision of Lightning's would go wrong."""
    if str(precision) in ("16-true", "transformer-engine-float16"):
        raise UserError(
            f"precision {precision} is refused: Adam's squared gradients and eps underflow in half precision, and weights "
            "were NaN within 20 updates; use bf16-mixed or 32-true"
        )
    if str(precision) in ("bf16-true", "transformer-engine"):
        raise UserError(
            f"precision {precision} is refused: running averages of weights, and steps of small rates, are rounded away in "
            "bfloat16, so that samples are not those of the generator; use bf16-mixed or 32-true"
        )
    if str(precision) in ("16-mixed", "16"):
        raise UserError(
            "precision 16-mixed is refused: its gradient scaler would be shared by both players and would unscale after "
            "clipping; use bf16-mixed or 32-true"
        )


def check_tf32(device: torch.device, precision: Any) -> None:
    """Raise a UserError if products of float32 cannot be taken in TensorFloat-32, or there are none."""
    if "64" in str(precision):
        raise UserError(
            f"model.tf32 is of products of float32, and trainer.precision is {precision}; leave one of them out"
        )
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
        raise UserError(
            f"model.tf32 needs an NVIDIA GPU of compute capability 8.0 or later (Ampere), and this run is on {device}; leave "
            "it out"
        )


@contextmanager
def tensor_float_32(wanted: bool) -> Iterator[None]:
    """Let matrix products of float32 have 10 bits of mantissa meanwhile, if so wanted, and put back what was set before."""
    before = torch.get_float32_matmul_precision()
    if wanted:
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        if wanted:
            torch.set_float32_matmul_precision(before)
