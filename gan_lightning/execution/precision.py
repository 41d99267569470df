"""In which precision a game can be trained."""

from __future__ import annotations

from typing import Any

from gan_lightning.errors import UserError


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
