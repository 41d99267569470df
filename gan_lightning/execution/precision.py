"""In which precision a game can be trained."""

from __future__ import annotations

from collections.abc import Mapping
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
    if str(precision) in ("16-mixed", "16"):
        raise UserError(
            "precision 16-mixed is refused: its gradient scaler would be shared by both players and would unscale after "
            "clipping; use bf16-mixed or 32-true"
        )
