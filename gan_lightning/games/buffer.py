"""FakeBuffer: fakes of earlier rounds, which the critic is shown beside those of now."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_lightning.errors import require
from gan_lightning.shapes import Shape


class FakeBuffer(nn.Module):
    """Keeps n fakes, and gives back old ones in place of half of the new ones (Shrivastava et al. 2017, arXiv:1612.07828).

    Until it is full every fake is kept and given back. Then a fake is given back as it is with probability 1/2, and
    otherwise it takes the place of one that is kept, which is given back instead. What is kept is part of the checkpoint.

    Args:
        n: How many are kept; 0 gives back what it is given.
        shape: Shape of a fake.
    """

    kept: Tensor
    n_kept: Tensor

    def __init__(self, n: int, shape: Shape) -> None:
        super().__init__()
        require("FakeBuffer", n_buffered=n)
        self.n = n
        self.register_buffer("kept", torch.zeros(n, *shape.size))
        self.register_buffer("n_kept", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def exchanged(self, fakes: Tensor, draws: Tensor) -> Tensor:
        """Return as many fakes `(N, ...)` as are given, and keep some of these; on all ranks the same.

        Args:
            fakes: The new ones of the global batch.
            draws: U[0, 1) numbers `(N, 2)`: whether one is exchanged, and for which.
        """
        if not self.n:
            return fakes
        given = []
        for fake, (coin, place) in zip(fakes, draws.tolist(), strict=True):
            n_kept = int(self.n_kept)
            if n_kept < self.n:
                self.kept[n_kept] = fake
                self.n_kept += 1
            elif coin < 0.5:
                index = int(place * self.n)
                old = self.kept[index].clone()
                self.kept[index] = fake
                fake = old.to(fake.dtype)
            given.append(fake)
        return torch.stack(given)
