"""Zhang et al., Self-Attention Generative Adversarial Networks, ICML 2019, arXiv:1805.08318: the attention layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn, softmax
from torch.nn.functional import max_pool2d


class SelfAttention(nn.Module):
    """Add to each pixel what it reads at all others, `x_j + gain * v(sum_i beta_ji h(x_i))` (eq. 1-3).

    `beta_j` is the softmax over i of `f(x_i) . g(x_j)`; f, g, h, v are 1x1 convolutions without bias. The gain is one
    learned number that starts at 0, so the layer starts as the identity. The paper gives f, g and h C/8 channels; as in
    the authors' code (brain-research/self-attention-gan) and in BigGAN, h has C/2, and f and h are max-pooled by 2,
    which divides the memory of the attention map by 4.

    Args:
        n_channels: Number of channels C.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_key, n_value = max(n_channels // 8, 1), max(n_channels // 2, 1)
        self.key = nn.Conv2d(n_channels, n_key, 1, bias=False)  # f
        self.query = nn.Conv2d(n_channels, n_key, 1, bias=False)  # g
        self.value = nn.Conv2d(n_channels, n_value, 1, bias=False)  # h
        self.output = nn.Conv2d(n_value, n_channels, 1, bias=False)  # v
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to the same shape."""
        key = max_pool2d(self.key(inputs), 2).flatten(2)  # (N, C/8, HW/4)
        value = max_pool2d(self.value(inputs), 2).flatten(2)  # (N, C/2, HW/4)
        query = self.query(inputs).flatten(2)  # (N, C/8, HW)
        weights = softmax(query.transpose(1, 2) @ key, dim=2)  # (N, HW, HW/4)
        read = (value @ weights.transpose(1, 2)).unflatten(2, inputs.shape[2:])
        return inputs + self.gain * self.output(read)
