"""Where a verb computes."""

from __future__ import annotations

import torch

from gan_lightning.errors import UserError, in_one_line


def chosen_device(name: str) -> torch.device:
    """Return a device that works; `auto` is a GPU if there is one.

    Raises:
        UserError: It does not.
    """
    name = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise UserError(f"device {name!r} cannot be used: {in_one_line(error)}") from error
